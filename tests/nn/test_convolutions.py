"""Faster forms equal XLA's plain convolutions, gradients included, in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgen.nn.convolutions import (
  Convolution,
  full_convolution,
  halving_convolution,
  upsampled_convolution,
)


def plain(x, kernel, stride=1, pad=0):
  return jax.lax.conv_general_dilated(
    x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )


def enlarged(x, kernel):
  return plain(x.repeat(2, 1).repeat(2, 2), kernel, pad=1)


CASES = [
  (full_convolution, functools.partial(plain, pad=3), 4, 1),
  (full_convolution, functools.partial(plain, pad=3), 4, 4),
  (upsampled_convolution, enlarged, 3, 5),
  (halving_convolution, functools.partial(plain, stride=2, pad=1), 4, 7),
  (halving_convolution, functools.partial(plain, stride=2, pad=1), 4, 8),
]


@pytest.mark.parametrize(('form', 'expected', 'size', 'side'), CASES)
def test_values_and_gradients_are_those_of_the_plain_convolution(form, expected, size, side):
  jax.config.update('jax_enable_x64', True)
  keys = jax.random.split(jax.random.key(0), 3)
  x = jax.random.normal(keys[0], (2, side, side, 3), jnp.float64)
  kernel = jax.random.normal(keys[1], (size, size, 3, 5), jnp.float64)
  cotangent = jax.random.normal(keys[2], jax.eval_shape(expected, x, kernel).shape, jnp.float64)

  def value_and_gradients(function):
    y, back = jax.vjp(function, x, kernel)
    return y, *back(cotangent)

  plain, found = (jax.jit(functools.partial(value_and_gradients, f))() for f in (expected, form))
  for a, b in zip(found, plain, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_parameters_are_those_of_a_flax_convolution():
  x = jnp.ones((1, 8, 8, 3))
  ours = Convolution(5, 4, halving_convolution, use_bias=True)
  theirs = nn.Conv(5, (4, 4), strides=(2, 2), padding=1)
  variables = theirs.init(jax.random.key(0), x)
  jax.tree.map(np.testing.assert_array_equal, ours.init(jax.random.key(0), x), variables)
  np.testing.assert_allclose(ours.apply(variables, x), theirs.apply(variables, x), rtol=1e-5)
