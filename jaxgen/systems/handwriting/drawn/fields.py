"""Smooth random fields, for bending letters, uneven ink and cloudy paper."""

import functools

import numpy as np

# Fields are clipped to this, about two of their standard deviations.
BOUND = 2.0


@functools.lru_cache(maxsize=512)
def _splines(length: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
  """Cubic B-splines on equally spaced nodes, the outer two beyond the ends.

  Returns:
    [4, length] int, the nodes around each pixel, and [4, length] float32, their weights.
  """
  at = np.linspace(1, nodes - 2, length)
  first = np.minimum(at.astype(int), nodes - 3)
  t = at - first
  weights = np.stack(
    [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
  )
  return first + np.arange(-1, 3)[:, None], (weights / 6).astype(np.float32)


def _between(length: int, spacing: float) -> tuple[np.ndarray, np.ndarray, int]:
  """Nodes and weights, cropped from those of a rounded-up length, so that few need to be cached."""
  rounder = -(-length // 64) * 64
  nodes = 4 + int((rounder - 1) / spacing)
  index, weights = _splines(rounder, nodes)
  return index[:, :length], weights[:, :length], nodes


def smooth(rng: np.random.Generator, height: int, width: int, spacing: float) -> np.ndarray:
  """Samples a smooth field.

  Args:
    rng: the generator.
    height: pixels.
    width: pixels.
    spacing: pixels between its nodes, about the scale at which it varies.

  Returns:
    [height, width] float32 within BOUND, with mean 0 and standard deviation about 0.8.
  """
  down, down_weights, rows = _between(height, spacing)
  across, across_weights, columns = _between(width, spacing)
  # The weights average over neighbouring nodes, which about halves the standard deviation.
  nodes = 1.8 * rng.standard_normal((rows, columns), np.float32)
  # Sums of four terms: a matrix product would wake the threads of the BLAS library.
  lines = sum(w[:, None] * nodes[i] for i, w in zip(down, down_weights, strict=True))
  field = sum(w * lines[:, i] for i, w in zip(across, across_weights, strict=True))
  return np.clip(field, -BOUND, BOUND)


def smooth_line(rng: np.random.Generator, length: int, spacing: float) -> np.ndarray:
  """[length] float32, like `smooth` along one axis."""
  along, weights, count = _between(length, spacing)
  nodes = 1.3 * rng.standard_normal(count, np.float32)
  line = sum(w * nodes[i] for i, w in zip(along, weights, strict=True))
  return np.clip(line, -BOUND, BOUND)
