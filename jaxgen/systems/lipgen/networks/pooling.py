"""Pooling of a front-end's last feature map to one vector per frame.

Kernels are stored in 3D layout but applied as products of flattened maps, as the gradient of a 3D convolution
takes many times as long on a CPU.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.lipgen.networks.layers import BatchNorm, Layer, within

KINDS = 'average', 'conv3d', 'depthwise'


class Pooling(Layer):
  """Pools maps [B, T, h, w, C] over their pixels.

  Attributes:
    kind: 'average', the mean of a frame; 'conv3d', a convolution over time whose kernel is as large as the map,
      and batch norm (the paper's 3D pooling); 'depthwise', the same with one kernel per channel.
    features: output channels of 'conv3d'; 0: as many as the map has.
    frames: kernel size over time, odd.
    activation: whether swish follows the batch norm.
  """

  kind: str = 'average'
  features: int = 0
  frames: int = 3
  activation: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, h, w, C] to [B, T, D]."""
    if self.kind not in KINDS:
      raise ValueError(f'pooling must be one of {", ".join(KINDS)}, not {self.kind!r}')
    if self.kind == 'average':
      return x.astype(self.param_dtype).mean((2, 3)).astype(self.dtype)
    x = within(x, mask)
    x = self._depthwise(x) if self.kind == 'depthwise' else self._conv3d(x)
    x = BatchNorm(name='norm', **self.options)(x, mask, train)
    return nn.swish(x) if self.activation else x

  def _conv3d(self, x: jax.Array) -> jax.Array:
    """Computed as one matrix product of flattened maps, with those of neighbouring frames concatenated."""
    b, t, h, w, c = x.shape
    shape = (self.frames, h, w, c, self.features or c)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape, self.param_dtype)
    reach = self.frames // 2
    maps = jnp.pad(x.reshape(b, t, h * w * c), ((0, 0), (reach, reach), (0, 0)))
    seen = jnp.concatenate([maps[:, i : i + t] for i in range(self.frames)], -1)
    weights = kernel.astype(self.dtype).reshape(self.frames * h * w * c, -1)
    return seen.astype(self.dtype) @ weights

  def _depthwise(self, x: jax.Array) -> jax.Array:
    _, t, h, w, c = x.shape
    init = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal', in_axis=(0, 1, 2, 3))
    kernel = self.param('kernel', init, (self.frames, h, w, 1, c), self.param_dtype)
    parts = jnp.einsum(
      'bthwc,khwc->bktc', x.astype(self.dtype), kernel[..., 0, :].astype(self.dtype)
    )
    reach = self.frames // 2
    parts = jnp.pad(parts, ((0, 0), (0, 0), (reach, reach), (0, 0)))
    return sum((parts[:, k, k : k + t] for k in range(1, self.frames)), parts[:, 0, :t])
