"""Convolutions tap by tap compute what XLA's own do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn import taps

# Kernel, strides and padding, on images of 5 x 4 pixels.
CASES = {
  'padded by 1': ((3, 3), (1, 1), ((1, 1), (1, 1))),
  'strides': ((3, 4), (2, 3), ((1, 1), (2, 0))),
  'padding that a whole tap lies in': ((2, 9), (1, 1), ((0, 3), (6, 7))),
  'no padding': ((2, 2), (1, 2), ((0, 0), (0, 0))),
  'pixels left over': ((1, 1), (3, 2), ((0, 0), (0, 0))),
}
LAYOUT = ('NHWC', 'HWIO', 'NHWC')


@pytest.mark.parametrize('case', CASES)
def test_result_and_gradients_are_those_of_the_convolution(case):
  size, strides, padding = CASES[case]
  jax.config.update('jax_enable_x64', True)
  keys = jax.random.split(jax.random.key(0))
  x = jax.random.normal(keys[0], (2, 5, 4, 3), jnp.float64)
  kernel = jax.random.normal(keys[1], (*size, 3, 2), jnp.float64)

  def plain(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=LAYOUT)

  y, back = jax.vjp(plain, x, kernel)
  dy = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
  dx, dk = back(dy)
  ours, our_back = jax.vjp(lambda x: taps.convolution_by_taps(x, kernel, strides, padding), x)
  found = (ours, *our_back(dy), taps.kernel_gradient_by_taps(x, dy, size, strides, padding))
  assert taps.num_outputs(x.shape[1:3], size, strides, padding) == y.shape[1:3]
  for one, other in zip(found, (y, dx, dk), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_share_inside_counts_the_taps_that_meet_a_pixel():
  one = ((1, 1), (1, 1))
  assert taps.share_inside((3, 3), (3, 3), (1, 1), one) == 49 / 81
  assert taps.share_inside((6, 6), (3, 3), (2, 2), one) == 64 / 81
  assert taps.share_inside((9, 5), (3, 3), (1, 1), ((0, 0), (0, 0))) == 1
  assert taps.share_inside((2, 5), (3, 3), (1, 1), ((0, 0), (0, 0))) == 1  # no outputs
  size, strides, padding = CASES['padding that a whole tap lies in']
  ones = jnp.ones((1, 5, 4, 1)), jnp.ones((*size, 1, 1))
  met = taps.convolution_by_taps(*ones, strides, padding)
  share = taps.share_inside((5, 4), size, strides, padding)
  assert share == pytest.approx(float(met.mean()) / 18)


def test_halves_are_summed_in_float32():
  x = jnp.concatenate([jnp.full((1, 1, 1, 1), 256.0), jnp.ones((1, 1, 8, 1))], 2)
  x, kernel = x.astype(jnp.bfloat16), jnp.ones((1, 9, 1, 1), jnp.bfloat16)
  found = taps.convolution_by_taps(x, kernel, (1, 1), ((0, 0), (0, 0)))
  assert found.dtype == jnp.bfloat16
  assert found.item() == 264  # by steps of bfloat16 256 + 1 stays 256
