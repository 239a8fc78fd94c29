"""Bidirectional LSTMs over padded sequences."""

from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn


class BidirectionalLSTM(nn.Module):
  """An LSTM in each direction, with one bias per gate.

  Attributes:
    hidden: state size H of each direction.
    dtype: of the computation; states are kept in `param_dtype`.
    param_dtype: of the parameters.
  """

  hidden: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
    """States of both directions at every time step.

    Args:
      x: [B, T, C].
      lengths: [B] int32, number of valid time steps of each row; None: all. Steps beyond do not affect the
        states of valid ones.

    Returns:
      [B, T, 2 H]: forward, backward; undefined beyond the lengths.
    """
    chex.assert_rank(x, 3)
    both = nn.Bidirectional(self._direction(), self._direction(), name='both')
    return cast(jax.Array, both(x, seq_lengths=lengths))  # without the carries

  def _direction(self) -> nn.RNN:
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    return nn.RNN(nn.OptimizedLSTMCell(self.hidden, parent=None, **types), parent=None)


def valid_mean(x: jax.Array, lengths: jax.Array) -> jax.Array:
  """The mean [B, C] of [B, T, C] over the first `lengths` [B] time steps; 0 if there are none."""
  valid = (jnp.arange(x.shape[1])[None] < lengths[:, None])[..., None]
  total = jnp.where(valid, x, 0).sum(1)
  return total / jnp.maximum(lengths, 1)[:, None].astype(x.dtype)
