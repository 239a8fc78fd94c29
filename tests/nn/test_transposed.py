"""Transposed convolutions in phases: the definition, flax's where it agrees, and linear interpolation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgen.nn.transposed import bilinear_kernel, kernel_size, padding, transposed_convolution

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.mark.parametrize('scale', range(2, 9))
def test_the_output_is_the_scale_times_the_input_and_the_image_branch_starts_bilinear(scale):
  ones = jnp.ones((1, 5, 4, 1))
  out = np.asarray(transposed_convolution(ones, bilinear_kernel(scale), scale))[0, ..., 0]
  assert out.shape == (5 * scale, 4 * scale)
  np.testing.assert_allclose(out[scale:-scale, scale:-scale], 1, atol=1e-6)


@pytest.mark.parametrize(('scale', 'corner'), [(2, 0.5625), (4, 0.390625), (8, 0.31640625)])
def test_corners_of_the_bilinear_branch(scale, corner):
  out = transposed_convolution(jnp.ones((1, 4, 4, 1)), bilinear_kernel(scale), scale)
  assert out[0, 0, 0, 0] == pytest.approx(corner, abs=1e-7)


def test_the_bilinear_branch_is_exact_on_a_ramp():
  ramp = jnp.arange(8.0)[None, None, :, None] * jnp.ones((1, 8, 1, 1))
  for scale in (2, 3, 4):
    out = np.asarray(transposed_convolution(ramp, bilinear_kernel(scale), scale))[0, ..., 0]
    centre = (np.arange(8 * scale) + 0.5) / scale - 0.5
    inside = slice(scale, -scale)
    np.testing.assert_allclose(out[4 * scale, inside], centre[inside], rtol=1e-5, atol=1e-5)


def scattered(x, kernel, scale):
  """Input pixel i adds kernel[t] x[i] to output pixel s i - p + t."""
  (h, w, _), k, p = x.shape, len(kernel), padding(scale)
  out = np.zeros((h * scale + 2 * k, w * scale + 2 * k, kernel.shape[-1]))
  for i in range(h):
    for j in range(w):
      top, left = scale * i - p + k, scale * j - p + k
      out[top : top + k, left : left + k] += np.einsum('c,hwcd->hwd', x[i, j], kernel)
  return out[k : k + h * scale, k : k + w * scale]


@pytest.mark.parametrize('scale', range(2, 9))
def test_phases_equal_the_definition_of_a_transposed_convolution(scale):
  rng = np.random.default_rng(scale)
  k = kernel_size(scale)
  x, kernel = rng.standard_normal((4, 3, 2)), rng.standard_normal((k, k, 2, 3))
  found = transposed_convolution(
    jnp.asarray(x, jnp.float32)[None], jnp.asarray(kernel, jnp.float32), scale
  )
  np.testing.assert_allclose(found[0], scattered(x, kernel, scale), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('scale', [2, 4, 8])
def test_even_scales_equal_flax_with_a_flipped_kernel(scale):
  k = kernel_size(scale)
  x = jax.random.normal(jax.random.key(0), (2, 5, 6, 3))
  kernel = jax.random.normal(jax.random.key(1), (k, k, 3, 2))
  layer = nn.ConvTranspose(2, (k, k), (scale, scale), 'SAME', use_bias=False)
  expected = layer.apply({'params': {'kernel': kernel[::-1, ::-1]}}, x)
  np.testing.assert_allclose(
    transposed_convolution(x, kernel, scale), expected, rtol=1e-4, atol=1e-4
  )
