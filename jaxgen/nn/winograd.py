"""3 x 3 convolutions of images cut into cells of 4 x 4 pixels, with a quarter of the multiplications.

Winograd's F(4 x 4, 3 x 3): in one dimension, four outputs of a three-tap filter are six products of the sums
B^T d and G g, combined by A^T; in two dimensions 36 products give 16 pixels that otherwise take 144. Results
differ from direct convolution by rounding: relative errors are some ten times those of float32.

Reference: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

CELL = 4
_OF_INPUT = (
  (4, 0, -5, 0, 1, 0),
  (0, -4, -4, 1, 1, 0),
  (0, 4, -4, -1, 1, 0),
  (0, -2, -1, 2, 1, 0),
  (0, 2, -1, -2, 1, 0),
  (0, 4, 0, -5, 0, 1),
)
_OF_KERNEL = (
  (1 / 4, 0, 0),
  (-1 / 6, -1 / 6, -1 / 6),
  (-1 / 6, 1 / 6, -1 / 6),
  (1 / 24, 1 / 12, 1 / 6),
  (1 / 24, -1 / 12, 1 / 6),
  (0, 0, 1),
)
_OF_OUTPUT = (
  (1, 1, 1, 1, 1, 0),
  (0, 1, -1, 2, -2, 0),
  (0, 1, 1, 4, 4, 0),
  (0, 1, -1, 8, -8, 1),
)


def winograd_kernel(kernel: Any) -> np.ndarray:
  """The 36 matrices [36, C, D] of a kernel [3, 3, C, D], in column-major order."""
  exact, matrix = np.asarray(kernel, np.float64), np.asarray(_OF_KERNEL)
  found = np.einsum('jx,ixcd->jicd', matrix, np.einsum('iy,yxcd->ixcd', matrix, exact))
  return found.reshape(36, *exact.shape[2:]).astype(np.asarray(kernel).dtype)


def winograd_convolution(rows: Sequence[jax.Array], kernel: jax.Array) -> jax.Array:
  """A 3 x 3 convolution of n adjacent cells in a row.

  Args:
    rows: the six rows of pixels that the cells see, one above and one below them included, each [n + 2, 4, C]:
      with the neighbouring cells at the left and the right.
    kernel: [36, C, D] from `winograd_kernel`.

  Returns:
    [n, 4, 4, D].
  """
  tall = jnp.stack([_combined(row, rows) for row in _OF_INPUT])  # [6, n + 2, 4, C]
  columns = [tall[:, :-2, -1], *(tall[:, 1:-1, i] for i in range(CELL)), tall[:, 2:, 0]]
  both = jnp.stack([_combined(row, columns) for row in _OF_INPUT])  # [6, 6, n, C]
  # At full precision: the sums would amplify the rounding to TF32 on a GPU.
  both = both.reshape(36, *both.shape[2:])
  products = jnp.einsum('pnc,pcd->pnd', both, kernel, precision='highest')
  products = products.reshape(6, 6, *products.shape[1:])
  wide = jnp.stack([_combined(row, list(products)) for row in _OF_OUTPUT], 2)  # [6, n, 4, D]
  return jnp.stack([_combined(row, list(wide)) for row in _OF_OUTPUT], 1)


def _combined(weights: Sequence[float], parts: Sequence[jax.Array]) -> jax.Array:
  terms = [
    part if weight == 1 else part * weight
    for weight, part in zip(weights, parts, strict=True)
    if weight
  ]
  return functools.reduce(jnp.add, terms)
