"""The self-ensemble: the mean over an image's eight flips and quarter turns."""

from collections.abc import Callable

import numpy as np


def ensembled(upscale: Callable[[np.ndarray], np.ndarray], y: np.ndarray) -> np.ndarray:
  """Upscales luminance in eight orientations, turns the results back and averages them: eight times the work.

  Args:
    upscale: luminance [h, w] to [s h, s w].
    y: [h, w].

  Returns:
    [s h, s w] float32.
  """
  total: np.ndarray | None = None
  for turns in range(4):
    for flip in (1, -1):
      turned = np.ascontiguousarray(np.rot90(y[:, ::flip], turns))
      found = np.rot90(upscale(turned), -turns)[:, ::flip]
      total = found.astype(np.float32) if total is None else total + found
  assert total is not None
  return total / np.float32(8)
