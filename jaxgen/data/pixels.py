"""Pixel levels as floating point: one rule for NumPy on the host and JAX in a step.

The two agree except in the last bit: XLA turns a division by a constant into a multiplication.
"""

from typing import Any

import numpy as np


def unit_interval(levels: Any, scale: float, dtype: Any = np.float32) -> Any:
  """Levels 0 to `scale` as [0, 1].

  Args:
    levels: [...] integers, a NumPy or a JAX array.
    scale: the highest level, 255 for most files.
    dtype: dtype of the result, which is rounded once.

  Returns:
    [...] of `dtype`, the same kind of array.
  """
  return levels.astype(dtype) / np.dtype(dtype).type(scale)


def signed(levels: Any, scale: float, dtype: Any = np.float32) -> Any:
  """Levels 0 to `scale` as [-1, 1]; see `unit_interval`."""
  return unit_interval(levels, scale, dtype) * 2 - 1
