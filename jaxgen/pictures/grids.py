"""Images side by side."""

import numpy as np


def image_grid(images: np.ndarray, columns: int, pad: int = 1, scale: int = 1) -> np.ndarray:
  """Images side by side, row by row.

  Args:
    images: [N, H, W] or [N, H, W, 3] in [0, 1].
    columns: images a row; the last row is filled with white.
    pad: pixels between images, white.
    scale: whole-number magnification without smoothing.

  Returns:
    uint8 [H', W'] or [H', W', 3].
  """
  n, height, width, *colours = images.shape
  rows = -(-n // columns)
  cells = np.ones((rows * columns, height + pad, width + pad, *colours), np.float64)
  cells[:n, :height, :width] = np.clip(images, 0.0, 1.0)
  cells = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
  grid = cells.reshape(rows * (height + pad), columns * (width + pad), *colours)
  grid = np.pad(grid, ((pad, 0), (pad, 0), *[(0, 0)] * len(colours)), constant_values=1.0)
  pixels = np.round(grid * 255).astype(np.uint8)
  return pixels.repeat(scale, axis=0).repeat(scale, axis=1)
