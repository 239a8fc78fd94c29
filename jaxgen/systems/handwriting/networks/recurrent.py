"""Bidirectional LSTMs over padded sequences."""

from typing import Any, cast

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn


class BidirectionalLSTM(nn.Module):
  """An LSTM from each end, with one bias a gate.

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
    """States of both directions at every time.

    Args:
      x: [B, T, C].
      lengths: [B] int32, valid times of each row, the first ones; None: all. What lies beyond has no effect on
        the states of valid times.

    Returns:
      [B, T, 2 H]: forward, backward; of no meaning beyond the lengths.
    """
    chex.assert_rank(x, 3)
    both = nn.Bidirectional(self._direction(), self._direction(), name='both')
    return cast(jax.Array, both(x, seq_lengths=lengths))  # without the carries

  def _direction(self) -> nn.RNN:
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    return nn.RNN(nn.OptimizedLSTMCell(self.hidden, parent=None, **types), parent=None)


def valid_mean(x: jax.Array, lengths: jax.Array) -> jax.Array:
  """The mean [B, C] of [B, T, C] over the first `lengths` [B] times; 0 where there are none."""
  valid = (jnp.arange(x.shape[1])[None] < lengths[:, None])[..., None]
  total = jnp.where(valid, x, 0).sum(1)
  return total / jnp.maximum(lengths, 1)[:, None].astype(x.dtype)
