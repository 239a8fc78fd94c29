"""Convolutions as one matrix product per kernel tap, over the pixels that the tap sees inside the image.

Padding is never multiplied: on an image of 3 x 3 pixels, padded by 1, the nine taps of a 3 x 3 kernel meet 49
pixels of the 81 that XLA's convolution multiplies on a CPU. Images are [B, H, W, C], kernels [kh, kw, in, out].
"""

import functools
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


class Seen(NamedTuple):
  """What one tap sees inside the image along one axis.

  Attributes:
    first: index of the first output for which the tap meets a pixel.
    length: number of such outputs, which are contiguous.
    pixel: the pixel that the first of them meets.
  """

  first: int
  length: int
  pixel: int


def seen_by(tap: int, size: int, outputs: int, stride: int, before: int) -> Seen:
  """What a tap sees of an axis of `size` pixels with `before` padding pixels in front."""
  offset = tap - before
  first = max(0, math.ceil(-offset / stride))
  end = min(outputs, (size - 1 - offset) // stride + 1)
  return Seen(first, max(0, end - first), stride * first + offset)


def num_outputs(image: Pair, kernel: Pair, strides: Pair, padding: Pads) -> Pair:
  """Height and width of a convolution's output."""
  height, width = (
    (size + sum(pads) - taps) // stride + 1
    for size, taps, stride, pads in zip(image, kernel, strides, padding, strict=True)
  )
  return height, width


def share_inside(image: Pair, kernel: Pair, strides: Pair, padding: Pads) -> float:
  """The fraction of all (output, tap) pairs that meet a pixel rather than padding; 1 without outputs.

  Args:
    image: height and width.
    kernel: height and width of the kernel.
    strides: vertical and horizontal.
    padding: pixels (above, below) and (left, right).
  """
  outputs = num_outputs(image, kernel, strides, padding)
  met = sum(
    rows.length * columns.length for _, rows, columns in _taps(image, kernel, strides, padding)
  )
  every = math.prod((*outputs, *kernel))
  return met / every if every else 1.0


def convolution_by_taps(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pads) -> jax.Array:
  """A convolution over height and width: [B, H, W, C] to [B, H', W', D], accumulated in float32 or finer.

  Args:
    x: [B, H, W, C].
    kernel: [kh, kw, C, D].
    strides: vertical and horizontal.
    padding: pixels (above, below) and (left, right), none negative.
  """
  b, h, w, c = x.shape
  size, dtype = (kernel.shape[0], kernel.shape[1]), jnp.result_type(x, kernel)
  height, width = num_outputs((h, w), size, strides, padding)
  parts = []
  for (i, j), rows, columns in _taps((h, w), size, strides, padding):
    product = jnp.matmul(
      _pixels(x, strides, rows, columns).reshape(-1, c),
      kernel[i, j],
      preferred_element_type=jnp.promote_types(dtype, jnp.float32),
    )
    around = ((0, 0), _around(rows, height), _around(columns, width), (0, 0))
    parts.append(jnp.pad(product.reshape(b, rows.length, columns.length, -1), around))
  return functools.reduce(jnp.add, parts).astype(dtype)


def kernel_gradient_by_taps(
  x: jax.Array, dy: jax.Array, size: Pair, strides: Pair, padding: Pads
) -> jax.Array:
  """The gradient [kh, kw, C, D] of a convolution's kernel.

  Args:
    x: [B, H, W, C].
    dy: the gradient of the result, [B, H', W', D].
    size: kh and kw.
    strides: see `convolution_by_taps`.
    padding: see `convolution_by_taps`.
  """
  c, d = x.shape[-1], dy.shape[-1]
  found = {
    tap: _pixels(x, strides, rows, columns).reshape(-1, c).T
    @ _pixels(
      dy, (1, 1), rows._replace(pixel=rows.first), columns._replace(pixel=columns.first)
    ).reshape(-1, d)
    for tap, rows, columns in _taps((x.shape[1], x.shape[2]), size, strides, padding)
  }
  nothing = jnp.zeros((c, d), jnp.result_type(x, dy))
  places = itertools.product(range(size[0]), range(size[1]))
  return jnp.stack([found.get(tap, nothing) for tap in places]).reshape(*size, c, d)


def _taps(
  image: Pair, kernel: Pair, strides: Pair, padding: Pads
) -> Iterator[tuple[Pair, Seen, Seen]]:
  """The taps that meet the image at all, each with the rows and the columns that it sees."""
  outputs = num_outputs(image, kernel, strides, padding)
  for tap in itertools.product(range(kernel[0]), range(kernel[1])):
    rows, columns = (
      seen_by(tap[axis], image[axis], outputs[axis], strides[axis], padding[axis][0])
      for axis in (0, 1)
    )
    if rows.length and columns.length:
      yield tap, rows, columns


def _pixels(x: jax.Array, strides: Pair, rows: Seen, columns: Seen) -> jax.Array:
  down, across = (
    slice(seen.pixel, seen.pixel + stride * (seen.length - 1) + 1, stride)
    for seen, stride in zip((rows, columns), strides, strict=True)
  )
  return x[:, down, across]


def _around(seen: Seen, outputs: int) -> Pair:
  return seen.first, outputs - seen.first - seen.length
