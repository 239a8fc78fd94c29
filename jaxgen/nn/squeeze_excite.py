"""Squeeze and excitation: channels scaled by gates computed from the channel means.

Hu et al., "Squeeze-and-Excitation Networks". For [B, T, C] sequences or [B, H, W, C] images, `x * gates` with

  gates = SqueezeExcite(width)(channel_mean(x, mask))  # [B, C]
"""

import math
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn


def channel_mean(
  x: jax.Array, mask: jax.Array | None = None, dtype: Any = jnp.float32
) -> jax.Array:
  """The mean of each channel over all axes between batch and channels.

  Args:
    x: [B, ..., C], such as [B, T, C] or [B, H, W, C].
    mask: [B, T], 1 for frames that count, for x of [B, T, ..., C]; None if all do. Neither the contents nor the
      number of padded frames matters.
    dtype: dtype of the sums.

  Returns:
    [B, C] of `dtype`; 0 for a row without any frame.
  """
  axes = tuple(range(1, x.ndim - 1))
  if mask is None:
    return x.astype(dtype).mean(axes)
  chex.assert_shape(mask, x.shape[:2])
  counted = mask.reshape(*mask.shape, *[1] * (x.ndim - 2)) > 0
  total = jnp.where(counted, x.astype(dtype), 0).sum(axes)
  pixels = math.prod(x.shape[2:-1])  # per frame
  count = counted.reshape(mask.shape).sum(1, keepdims=True) * pixels
  return total / jnp.maximum(count, 1).astype(dtype)


class SqueezeExcite(nn.Module):
  """Gates from channel means: dense to `width`, an activation, dense back, sigmoid.

  Attributes:
    width: width of the hidden layer.
    activation: applied to the hidden layer.
    use_bias: whether both dense layers have a bias.
    dtype: computation dtype.
    param_dtype: parameter dtype.
  """

  width: int
  activation: Callable[[jax.Array], jax.Array] = nn.relu
  use_bias: bool = True
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, mean: jax.Array) -> jax.Array:
    """Maps channel means [B, C] to gates [B, C] in (0, 1)."""
    types = {'use_bias': self.use_bias, 'dtype': self.dtype, 'param_dtype': self.param_dtype}
    hidden = self.activation(nn.Dense(self.width, name='reduce', **types)(mean))
    return nn.sigmoid(nn.Dense(mean.shape[-1], name='expand', **types)(hidden))
