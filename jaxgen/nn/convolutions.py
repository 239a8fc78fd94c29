"""Convolutions in forms without redundant arithmetic; they compute exactly what `nn.Conv` would.

XLA's CPU gradients of padded, upsampled and odd-sized strided convolutions take several times as long as these.
Images are [B, H, W, C], kernels [kh, kw, in, out]; parameters are those of `nn.Conv`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen.dtypes import promote_dtype

from jaxgen.nn.conv import convolution


def full_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """A k x k convolution padded by k - 1 on every side: [B, H, W, C] to [B, H + k - 1, W + k - 1, D].

  One matrix product multiplies every pixel by the whole kernel; the overlapping patches are then summed.
  Padding is never multiplied.
  """
  b, h, w, c = x.shape
  k, _, _, d = kernel.shape
  flipped = kernel[::-1, ::-1].transpose(2, 0, 1, 3).reshape(c, -1)
  patches = (x.reshape(-1, c) @ flipped).reshape(b, h, w, k, k, d)
  nothing, end = (0, 0), k - 1
  rows = functools.reduce(
    jnp.add,
    [
      jnp.pad(patches[:, :, :, i], (nothing, (i, end - i), nothing, nothing, nothing))
      for i in range(k)
    ],
  )
  columns = [jnp.pad(rows[:, :, :, j], (nothing, nothing, (j, end - j), nothing)) for j in range(k)]
  return functools.reduce(jnp.add, columns)


def upsampled_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """A 3 x 3 convolution, padded by 1, of the image upsampled 2x by nearest neighbour.

  Every output pixel sees pairs of equal neighbours, so each of the four phases is a 2 x 2 convolution of the
  small image with the corresponding kernel taps summed: [B, H, W, C] to [B, 2 H, 2 W, D].
  """
  b, h, w, _ = x.shape
  phases = []
  for p, rows in enumerate(_paired(kernel, 0)):
    of_row = []
    for q, taps in enumerate(_paired(rows, 1)):
      padding = ((1 - p, p), (1 - q, q))
      of_row.append(convolution(x, taps, (1, 1), padding))
    phases.append(jnp.stack(of_row, 3))
  return jnp.stack(phases, 2).reshape(b, 2 * h, 2 * w, -1)


def _paired(kernel: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
  """Kernels for the even and the odd output pixels along an axis: 3 taps become 2 each."""
  first, middle, last = jnp.split(kernel, 3, axis)
  return (
    jnp.concatenate([first, middle + last], axis),
    jnp.concatenate([first + middle, last], axis),
  )


def halving_convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
  """A 4 x 4 convolution of stride 2, padded by 1: [B, H, W, C] to [B, H // 2, W // 2, D].

  For odd sizes it is computed as a 2 x 2 convolution of stride 1 on blocks of 2 x 2 pixels.
  """
  b, h, w, c = x.shape
  if h % 2 == 0 and w % 2 == 0:
    return convolution(x, kernel, (2, 2), ((1, 1), (1, 1)))
  x = jnp.pad(x, ((0, 0), (1, h % 2 == 0), (1, w % 2 == 0), (0, 0)))
  h, w = x.shape[1] // 2, x.shape[2] // 2
  blocks = x.reshape(b, h, 2, w, 2, c).transpose(0, 1, 3, 2, 4, 5).reshape(b, h, w, 4 * c)
  of_blocks = kernel.reshape(2, 2, 2, 2, c, -1).transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * c, -1)
  return convolution(blocks, of_blocks)


class Convolution(nn.Module):
  """A convolution with the parameters of `nn.Conv`, computed by one of the functions above.

  Attributes:
    features: output channels.
    size: height and width of the kernel.
    form: (image, kernel) -> image.
    use_bias: whether a bias is added.
    dtype: computation dtype.
    param_dtype: parameter dtype.
    kernel_init: kernel initializer.
  """

  features: int
  size: int
  form: Callable[[jax.Array, jax.Array], jax.Array]
  use_bias: bool = False
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """Convolves [B, H, W, C]."""
    shape = (self.size, self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, shape, self.param_dtype)
    bias = None
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,), self.param_dtype)
    x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
    y = self.form(x, kernel)
    return y if bias is None else y + bias.reshape(1, 1, 1, -1)
