"""The forms for processors compute what XLA's own convolution does, and are taken where they pay."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxgen.nn import conv
from jaxgen.nn.conv import convolution, kernel_gradient

MANY, WIDE, DEEP = 17, 32, 168


def plain(x, kernel, strides=(1, 1), padding=((0, 0), (0, 0))):
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def drawn(images, side, kernel):
  jax.config.update('jax_enable_x64', True)
  keys = jax.random.split(jax.random.key(0))
  x = jax.random.normal(keys[0], (images, *side, kernel[2]), jnp.float64)
  return x, jax.random.normal(keys[1], kernel, jnp.float64)


CASES = {
  'rows': ((3, 3, 4, 5), (1, 1), ((1, 1), (1, 1))),
  'rows, other strides and odd padding': ((3, 5, 4, 2), (2, 1), ((1, 0), (2, 3))),
  'rows, padded beyond the kernel': ((2, 2, 4, 2), (1, 1), ((0, 3), (4, 5))),
  'taps, few channels': ((2, 2, 4, 50), (1, 1), ((1, 0), (0, 1))),
  'taps, strides': ((3, 4, 4, 5), (2, 3), ((1, 1), (2, 0))),
  'taps, pixels left over': ((1, 1, 4, 5), (2, 2), ((0, 0), (0, 0))),
}


@pytest.mark.parametrize('case', CASES)
def test_kernel_gradient_is_that_of_the_convolution(case):
  shape, strides, padding = CASES[case]
  x, kernel = drawn(3, (7, 8), shape)

  @jax.jit
  def both(x, kernel):
    y, back = jax.vjp(lambda kernel: plain(x, kernel, strides, padding), kernel)
    dy = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
    return kernel_gradient(x, dy, shape[:2], strides, padding), *back(dy)

  np.testing.assert_allclose(*both(x, kernel), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize('case', ['rows', 'taps, strides'])
def test_parts_of_the_images_add_up_to_the_gradient_of_all(case, monkeypatch):
  shape, strides, padding = CASES[case]
  x, kernel = drawn(6, (7, 8), shape)
  dy = jnp.cos(plain(x, kernel, strides, padding))
  whole = kernel_gradient(x, dy, shape[:2], strides, padding)
  monkeypatch.setattr(conv, '_parts', lambda images, copies: 3)
  parts = kernel_gradient(x, dy, shape[:2], strides, padding)
  np.testing.assert_allclose(parts, whole, rtol=1e-10, atol=1e-11)
  assert (parts != whole).any()  # in another order


def test_parts_are_equal_and_none_is_far_smaller_than_the_cache_allows():
  copied = conv._COPIES // 12  # twelve images at a time
  assert [conv._parts(n, copied) for n in (4, 24, 36, 232, 239, 240)] == [1, 2, 3, 29, 1, 20]


@pytest.mark.parametrize('form', ['products', 'taps'])
def test_it_is_differentiated_in_every_way_like_the_convolution(form, monkeypatch):
  limits = {'products': {'_IMAGES': 1, '_CHANNELS': 1}, 'taps': {'_SPARED': 0}}[form]
  for name, value in limits.items():
    monkeypatch.setattr(conv, name, value)
  x, kernel = drawn(3, (3, 4), (3, 3, 4, 2))

  def found(conv):
    def loss(x, kernel):
      return (conv(x, kernel, padding=((1, 1), (1, 1))) ** 2).sum()

    def slope(kernel):
      return (jax.grad(loss)(x, kernel) ** 2).sum()

    slopes = jax.grad(loss, (0, 1))
    y, change = jax.jvp(
      functools.partial(conv, padding=((1, 1), (1, 1))), (x, kernel), (x**2, kernel)
    )
    return {
      'gradients': slopes(x, kernel),
      'second': jax.grad(slope)(kernel),
      'tangents': (y, change, jax.jvp(slopes, (x, kernel), (jnp.cos(x), kernel**3))),
      'of each image': jax.vmap(slopes, (0, None))(x[:, None], kernel),
      'of each kernel': jax.vmap(slopes, (None, 3), 3)(x, jnp.stack([kernel, -kernel], 3)),
    }

  ours, theirs = (jax.jit(functools.partial(found, f))() for f in (convolution, plain))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12 * float(abs(b).max())),
    ours,
    theirs,
  )


@pytest.mark.parametrize(
  ('platform', 'images', 'products'),
  [('cpu', MANY, True), ('cpu', MANY - 1, False), ('cuda', MANY, False), ('tpu', MANY, False)],
)
def test_products_take_its_place_on_a_processor_and_for_many_images(platform, images, products):
  def loss(kernel, x):
    return convolution(x, kernel, (1, 1), ((1, 1), (1, 1))).sum()

  shapes = (
    jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((3, 3, WIDE, 2), (images, 4, 4, WIDE))
  )
  text = export.export(jax.jit(jax.grad(loss)), platforms=[platform])(*shapes).mlir_module()
  assert ('dot_general' in text) == products


@pytest.mark.parametrize(
  ('platform', 'channels', 'products'),
  [('cpu', DEEP, True), ('cpu', DEEP - 8, False), ('cuda', DEEP, False), ('tpu', DEEP, False)],
)
def test_padding_is_left_out_on_a_processor_and_for_many_channels(platform, channels, products):
  def loss(kernel, x):
    return convolution(x, kernel, (1, 1), ((1, 1), (1, 1))).sum()

  shapes = (
    jax.ShapeDtypeStruct(shape, jnp.float32)
    for shape in ((3, 3, channels, channels), (1, 3, 3, channels))
  )
  found = jax.jit(lambda *arrays: (loss(*arrays), jax.grad(loss, (0, 1))(*arrays)))
  text = export.export(found, platforms=[platform])(*shapes).mlir_module()
  assert ('stablehlo.dot_general' in text) == products
  assert ('stablehlo.convolution' in text) != products
