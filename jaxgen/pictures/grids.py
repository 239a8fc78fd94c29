"""Images side by side, and a line of text above them."""

import numpy as np
from PIL import Image, ImageDraw


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


def titled(grid: np.ndarray, title: str, height: int = 22) -> np.ndarray:
  """A picture under a line of text, which is made to fit.

  Args:
    grid: uint8 [H, W] or [H, W, 3].
    title: what it says.
    height: of the line, in pixels.

  Returns:
    uint8 [H + height, W] or [H + height, W, 3].
  """
  width = grid.shape[1]
  size = 14
  draw = ImageDraw.Draw(Image.new('L', (1, 1)))
  while size > 6 and draw.textlength(title, font_size=size) > width - 8:
    size -= 1
  band = Image.new('RGB' if grid.ndim == 3 else 'L', (width, height), 'white')
  ImageDraw.Draw(band).text((4, 3), title, fill='black', font_size=size)
  return np.concatenate([np.asarray(band), grid])
