"""Preserves local means: an upscaled image, downscaled again, equals the original.

Reference: Irani & Peleg 1991, "Improving resolution by image registration" (iterative back-projection).
"""

import numpy as np

from jaxgen.data.imresize import resize_axis, resize_matrix

ROUNDS = 10


def preserve_means(large: np.ndarray, small: np.ndarray, scale: int) -> np.ndarray:
  """Adds the bicubically upscaled residual until the means are those of the small image.

  Args:
    large: [s h, s w] luminance; overwritten.
    small: [h, w] luminance in [0, 1] from which it was made.
    scale: s.

  Returns:
    [s h, s w] in [0, 1], since later clipping would shift the means again.
    [s h, s w] in [0, 1], since what clipping takes away later would shift means again.
  """
  sizes = list(zip(small.shape, large.shape, strict=True))
  down = [resize_matrix(m, n, 1 / scale).astype(large.dtype) for n, m in sizes]
  up = [resize_matrix(n, m, scale).astype(large.dtype) for n, m in sizes]
  np.clip(large, 0, 1, out=large)
  for _ in range(ROUNDS):
    missing = small - _resized(down, large)
    large += _resized(up, missing)
    np.clip(large, 0, 1, out=large)
  return large


def _resized(matrices: list, image: np.ndarray) -> np.ndarray:
  return resize_axis(matrices[1], resize_axis(matrices[0], image, 0), 1)
