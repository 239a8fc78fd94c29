"""Image grids, and a line of text above a picture."""

import functools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LINE = 22  # height of a line of text in pixels


def image_grid(images: np.ndarray, columns: int, pad: int = 1, scale: int = 1) -> np.ndarray:
  """Images side by side, row by row.

  Args:
    images: [N, H, W] or [N, H, W, 3] in [0, 1].
    columns: images per row; the last row is filled up with white.
    pad: width in pixels of the white gaps between images.
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


def titled(grid: np.ndarray, title: str, face: Path | None = None) -> np.ndarray:
  """Puts a line of text above a picture, in a font size that fits its width.

  Args:
    grid: uint8 [H, W] or [H, W, 3].
    title: the text.
    face: font file; None for Pillow's own font, which covers ASCII only.

  Returns:
    uint8 [H + LINE, W] or [H + LINE, W, 3].
  """
  width = grid.shape[1]
  size = 14
  while size > 6 and _font(face, size).getlength(title) > width - 8:
    size -= 1
  band = Image.new('RGB' if grid.ndim == 3 else 'L', (width, LINE), 'white')
  ImageDraw.Draw(band).text((4, 3), title, fill='black', font=_font(face, size))
  return np.concatenate([np.asarray(band), grid])


@functools.lru_cache
def _font(face: Path | None, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
  return ImageFont.truetype(face, size) if face else ImageFont.load_default(size)
