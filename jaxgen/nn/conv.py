"""A convolution in forms that suit CPUs; on other devices it and its gradients are XLA's own.

XLA computes the gradient of a kernel as a convolution whose window is the whole image and whose channels are
the images of the batch. On a CPU its time per image grows with the batch, up to eight times that of the
convolution itself. A sum of matrix products takes hardly longer than the convolution, provided each product
covers only a few images, whose copies fit into the CPU's cache. Small images with many channels are convolved
tap by tap, without multiplying padding (`jaxgen.nn.taps`). Images are [B, H, W, C], kernels
[kh, kw, in, out].
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from jaxgen.nn import taps

Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
Shape = tuple[int, ...]
Form = Callable[..., jax.Array]

_LAYOUT = ('NHWC', 'HWIO', 'NHWC')
# From these sizes on, the matrix products are faster than XLA's own gradient.
_IMAGES, _CHANNELS = 17, 32
# The tap form copies each number for a product with this many channels, and saves the padding's share of that
# product: from this many channels saved, it is faster than XLA's convolution.
_SPARED = 64
# Numbers copied for the products of one chunk of the images: 4 MB.
_COPIES = 2**20


def convolution(
  x: jax.Array,
  kernel: jax.Array,
  strides: Pair = (1, 1),
  padding: Pads = ((0, 0), (0, 0)),
) -> jax.Array:
  """A convolution over height and width: [B, H, W, C] to [B, H', W', D].

  Differentiable like XLA's own: in forward mode, in reverse mode and any number of times.

  Args:
    x: [B, H, W, C].
    kernel: [kh, kw, C, D].
    strides: vertical and horizontal.
    padding: pixels (above, below) and (left, right), none negative.
  """
  found: jax.Array = _CONVOLUTION.bind(x, kernel, strides=strides, padding=padding)
  return found


# A primitive of its own, since JAX has no other way to declare both that a function is linear in each argument,
# so that it has tangents, and how its gradients are computed: `jax.custom_vjp` rules out forward mode.
_CONVOLUTION = Primitive('convolution_on_processors')


def _forms(image: Shape, kernel: Shape, strides: Pair, padding: Pads) -> tuple[Form, Form]:
  """The form of the convolution that suits CPUs, and XLA's own; often the same."""
  own = functools.partial(_plain, strides=strides, padding=padding)
  inside = taps.share_inside((image[1], image[2]), (kernel[0], kernel[1]), strides, padding)
  if (1 - inside) * min(kernel[2:]) < _SPARED:
    return own, own
  return functools.partial(taps.convolution_by_taps, strides=strides, padding=padding), own


def _by_platform(ours: Form, own: Form, *arrays: jax.Array) -> jax.Array:
  if ours is own:
    return own(*arrays)
  return jax.lax.platform_dependent(*arrays, cpu=ours, default=own)


def _plain(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pads) -> jax.Array:
  return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=_LAYOUT)


def _computed(x: jax.Array, kernel: jax.Array, strides: Pair, padding: Pads) -> jax.Array:
  ours, own = _forms(x.shape, kernel.shape, strides, padding)
  return _by_platform(ours, own, x, kernel)


def _of_image(dy: jax.Array, x: Any, kernel: jax.Array, strides: Pair, padding: Pads) -> jax.Array:
  """The gradient with respect to x, of which only the shape and dtype are known."""
  ours, own = _forms(x.aval.shape, kernel.shape, strides, padding)
  image = jax.ShapeDtypeStruct(x.aval.shape, x.aval.dtype)

  def transposed(form: Form, kernel: jax.Array, dy: jax.Array) -> jax.Array:
    (found,) = jax.linear_transpose(lambda x: form(x, kernel), image)(dy)
    return found

  own_dx = our_dx = functools.partial(transposed, own)
  if ours is not own:
    our_dx = functools.partial(transposed, ours)
  return _by_platform(our_dx, own_dx, kernel, dy)


def _of_kernel(dy: jax.Array, x: jax.Array, kernel: Any, strides: Pair, padding: Pads) -> jax.Array:
  """The gradient with respect to the kernel, of which only the shape and dtype are known."""
  ours, own = _forms(x.shape, kernel.aval.shape, strides, padding)
  taken = jax.ShapeDtypeStruct(kernel.aval.shape, kernel.aval.dtype)

  def transposed(x: jax.Array, dy: jax.Array) -> jax.Array:
    (found,) = jax.linear_transpose(lambda kernel: own(x, kernel), taken)(dy)
    return found

  our_dk: Form = transposed
  products = {'size': taken.shape[:2], 'strides': strides, 'padding': padding}
  if ours is not own:
    our_dk = functools.partial(taps.kernel_gradient_by_taps, **products)
  elif x.shape[0] >= _IMAGES and x.shape[-1] >= _CHANNELS:
    our_dk = functools.partial(kernel_gradient, **products)
  return _by_platform(our_dk, transposed, x, dy)


def _of_batches(
  arrays: tuple[jax.Array, jax.Array], axes: tuple[Any, Any], strides: Pair, padding: Pads
) -> tuple[jax.Array, int]:
  """Batching rule for `jax.vmap`: merges the batches of images if they share one kernel."""
  x, kernel = arrays
  if axes[1] is not None:
    form = functools.partial(_plain, strides=strides, padding=padding)
    return jax.vmap(form, axes)(x, kernel), 0
  x = jnp.moveaxis(x, axes[0], 0)
  y = convolution(x.reshape(-1, *x.shape[2:]), kernel, strides, padding)
  return y.reshape(*x.shape[:2], *y.shape[1:]), 0


def _typed(x: Any, kernel: Any, strides: Pair, padding: Pads) -> Any:
  """The abstract result, including what JAX knows about its sharding."""
  (found,) = jax.make_jaxpr(functools.partial(_plain, strides=strides, padding=padding))(
    x, kernel
  ).out_avals
  return found


_CONVOLUTION.def_impl(jax.jit(_computed, static_argnames=('strides', 'padding')))
_CONVOLUTION.def_abstract_eval(_typed)
mlir.register_lowering(_CONVOLUTION, mlir.lower_fun(_computed, multiple_results=False))
ad.defbilinear(_CONVOLUTION, _of_image, _of_kernel)
batching.primitive_batchers[_CONVOLUTION] = _of_batches


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
  pixels = dy.shape[1] * dy.shape[2]
  # Of the two forms, take the one that copies less.
  if strides[1] > 1 or kh * kw * c <= kh * c + kw * d:
    form = functools.partial(
      taps.kernel_gradient_by_taps, size=size, strides=strides, padding=padding
    )
    copies = pixels * c * kh * kw
  else:
    form = functools.partial(_by_rows, size=size, stride=strides[0], padding=padding)
    copies = pixels * d * kw
  count = _parts(x.shape[0], copies)
  if count == 1:
    return form(x, dy)

  def add(total: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
    return total + form(_part(x, count, i), _part(dy, count, i)), None

  nothing = jnp.zeros((kh, kw, c, d), jnp.result_type(x, dy))
  return jax.lax.scan(add, nothing, jnp.arange(count))[0]


def _by_rows(x: jax.Array, dy: jax.Array, size: Pair, stride: int, padding: Pads) -> jax.Array:
  """Multiplies, for each row of taps, the image rows that it sees by dy shifted by each of its columns."""
  (kh, kw), width, c, d = size, x.shape[2], x.shape[3], dy.shape[3]
  left = padding[1][0]
  # At tap j, column q of x meets column q + left - j of dy.
  around = (kw - 1 - left, width + left - dy.shape[2], 0)
  none = (0, 0, 0)
  wide = jax.lax.pad(dy, jnp.zeros((), dy.dtype), (none, none, around, none))
  shifted = [wide[:, :, kw - 1 - j : kw - 1 - j + width] for j in range(kw)]
  shifts = jnp.concatenate(shifted, -1).reshape(-1, kw * d)
  seen = jnp.pad(x, ((0, 0), padding[0], (0, 0), (0, 0)))
  rows = stride * (dy.shape[1] - 1) + 1
  products = [seen[:, i : i + rows : stride].reshape(-1, c).T @ shifts for i in range(kh)]
  return jnp.stack(products).reshape(kh, c, kw, d).transpose(0, 2, 1, 3)


def _parts(images: int, copies: int) -> int:
  """The number of equal chunks of images that copy about `_COPIES` numbers each, at `copies` per image."""
  wanted = _COPIES / copies
  sizes = [size for size in range(1, images + 1) if images % size == 0]
  nearest = min(sizes, key=lambda size: abs(math.log(size / wanted)))
  return images // nearest if nearest > wanted / 4 else 1


def _part(x: jax.Array, count: int, i: jax.Array) -> jax.Array:
  """Chunk i: every count-th image, so that devices which share the images each hold a part of every chunk."""
  return jax.lax.dynamic_index_in_dim(x.reshape(-1, count, *x.shape[1:]), i, 1, keepdims=False)
