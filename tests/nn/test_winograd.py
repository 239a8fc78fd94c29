"""Winograd's convolution in cells is the plain one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.nn.winograd import CELL, winograd_convolution, winograd_kernel

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_a_row_of_cells_is_convolved_as_the_image_is():
  rng = np.random.default_rng(0)
  image = rng.standard_normal((3 * CELL, 5 * CELL, 7)).astype(np.float32)
  kernel = rng.standard_normal((3, 3, 7, 6)).astype(np.float32)
  expected = jax.lax.conv_general_dilated(
    image[None], kernel, (1, 1), 'SAME', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )[0, CELL : 2 * CELL, CELL : 4 * CELL]
  rows = [jnp.asarray(row).reshape(5, CELL, 7) for row in image[CELL - 1 : 2 * CELL + 1]]
  found = jax.jit(winograd_convolution)(rows, winograd_kernel(kernel))
  assert found.shape == (3, CELL, CELL, 6)
  wanted = np.asarray(expected).reshape(CELL, 3, CELL, 6).swapaxes(0, 1)
  np.testing.assert_allclose(found, wanted, atol=2e-4)
