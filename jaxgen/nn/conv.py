"""Flax's convolution with a gradient of the kernel that suits processors.

XLA computes that gradient as a convolution whose window is the whole image and whose channels are the images of
the batch. On a processor its time for an image grows with the batch, up to eight times that of the convolution
itself; a sum of matrix products takes less than twice, whatever the batch. On other devices the gradient is
XLA's own. Images are [B, H, W, C], kernels [kh, kw, in, out].
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Saved = tuple[jax.Array, jax.Array]

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')
# From so many on the products are faster than XLA's own gradient.
_IMAGES, _CHANNELS = 17, 32


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def convolution(
  x: jax.Array,
  kernel: jax.Array,
  strides: Pair = (1, 1),
  padding: Pads = ((0, 0), (0, 0)),
  precision: jax.lax.PrecisionLike = None,
) -> jax.Array:
  """A convolution over height and width: [B, H, W, C] to [B, H', W', D].

  Args:
    x: [B, H, W, C].
    kernel: [kh, kw, C, D].
    strides: over height and width.
    padding: pixels above and below, to the left and to the right, none negative.
    precision: of the products where the device has several.
  """
  return _plain(x, kernel, strides, padding, precision)


def _plain(
  x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pads, precision: Any
) -> jax.Array:
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=_LAYOUT, precision=precision
  )


def _forward(
  x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pads, precision: Any
) -> tuple[jax.Array, Saved]:
  return convolution(x, kernel, strides, padding, precision), (x, kernel)


def _backward(
  strides: Pair, padding: Pads, precision: Any, saved: Saved, dy: jax.Array
) -> tuple[jax.Array, jax.Array]:
  x, kernel = saved
  plain = functools.partial(_plain, strides=strides, padding=padding, precision=precision)
  (dx,) = jax.linear_transpose(lambda x: plain(x, kernel), x)(dy)

  def own(x: jax.Array, dy: jax.Array) -> jax.Array:
    (found,) = jax.linear_transpose(lambda kernel: plain(x, kernel), kernel)(dy)
    return found

  if x.shape[0] < _IMAGES or x.shape[-1] < _CHANNELS:
    return dx, own(x, dy)
  size = (kernel.shape[0], kernel.shape[1])
  ours = functools.partial(kernel_gradient, size=size, strides=strides, padding=padding)
  return dx, jax.lax.platform_dependent(x, dy, cpu=ours, default=own)


convolution.defvjp(_forward, _backward)


def kernel_gradient(
  x: jax.Array, dy: jax.Array, size: Pair, strides: Pair, padding: Pads
) -> jax.Array:
  """The gradient [kh, kw, C, D] of a convolution's kernel as a sum of matrix products.

  Args:
    x: [B, H, W, C].
    dy: the gradient of the result, [B, H', W', D].
    size: kh and kw.
    strides: see `convolution`.
    padding: see `convolution`.
  """
  (kh, kw), c, d = size, x.shape[-1], dy.shape[-1]
  # Of two forms the one that copies less.
  if strides[1] > 1 or kh * kw * c <= kh * c + kw * d:
    return _by_taps(x, dy, size, strides, padding)
  return _by_rows(x, dy, size, strides[0], padding)


def _by_taps(x: jax.Array, dy: jax.Array, size: Pair, strides: Pair, padding: Pads) -> jax.Array:
  """A product for each tap: of the pixels that it sees with all of dy."""
  seen = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  flat = dy.reshape(-1, dy.shape[-1])
  rows, columns = (stride * (n - 1) + 1 for stride, n in zip(strides, dy.shape[1:3], strict=True))
  products = [
    seen[:, i : i + rows : strides[0], j : j + columns : strides[1]].reshape(-1, x.shape[-1]).T
    @ flat
    for i in range(size[0])
    for j in range(size[1])
  ]
  return jnp.stack(products).reshape(*size, x.shape[-1], dy.shape[-1])


def _by_rows(x: jax.Array, dy: jax.Array, size: Pair, stride: int, padding: Pads) -> jax.Array:
  """A product for each row of taps: of the rows that it sees with dy shifted by each of its columns."""
  (kh, kw), width, c, d = size, x.shape[2], x.shape[3], dy.shape[3]
  left = padding[1][0]
  # Column q of x has met column q + left - j of dy at tap j.
  around = (kw - 1 - left, width + left - dy.shape[2], 0)
  none = (0, 0, 0)
  wide = jax.lax.pad(dy, jnp.zeros((), dy.dtype), (none, none, around, none))
  shifted = [wide[:, :, kw - 1 - j : kw - 1 - j + width] for j in range(kw)]
  shifts = jnp.concatenate(shifted, -1).reshape(-1, kw * d)
  seen = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
  rows = stride * (dy.shape[1] - 1) + 1
  products = [seen[:, i : i + rows : stride].reshape(-1, c).T @ shifts for i in range(kh)]
  return jnp.stack(products).reshape(kh, c, kw, d).transpose(0, 2, 1, 3)


def _general(
  lhs: jax.Array,
  rhs: jax.Array,
  window_strides: Sequence[int],
  padding: str | Sequence[Pair],
  *,
  lhs_dilation: Sequence[int],
  rhs_dilation: Sequence[int],
  dimension_numbers: Any,
  feature_group_count: int,
  precision: jax.lax.PrecisionLike,
) -> jax.Array:
  """What `nn.Conv` asks for: by `convolution` where it is plain and over height and width."""
  if lhs.ndim == 4 and feature_group_count == 1 and {*lhs_dilation, *rhs_dilation} == {1}:
    if isinstance(padding, str):
      padding = jax.lax.padtype_to_pads(lhs.shape[1:3], rhs.shape[:2], window_strides, padding)
    pads = tuple((int(a), int(b)) for a, b in padding)
    return convolution(lhs, rhs, tuple(window_strides), pads, precision)
  return jax.lax.conv_general_dilated(
    lhs,
    rhs,
    window_strides,
    padding,
    lhs_dilation=lhs_dilation,
    rhs_dilation=rhs_dilation,
    dimension_numbers=dimension_numbers,
    feature_group_count=feature_group_count,
    precision=precision,
  )


class Conv(nn.Conv):
  """`nn.Conv`: by `convolution` where it is over height and width, neither dilated nor grouped."""

  conv_general_dilated: Any = _general
