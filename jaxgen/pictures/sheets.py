"""Sheets: squares with titles side by side, rows below each other."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

CELL = 240  # pixels, the side of a square
TITLE = 20  # pixels above it
GAP = 4


def titled_row(cells: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
  """Squares side by side on white, each under its title.

  Args:
    cells: (title, uint8 [CELL, CELL, 3]).

  Returns:
    uint8 [H, W, 3].
  """
  row = Image.new('RGB', (len(cells) * (CELL + GAP) + GAP, CELL + TITLE + GAP), 'white')
  draw = ImageDraw.Draw(row)
  for i, (title, cell) in enumerate(cells):
    x = GAP + i * (CELL + GAP)
    draw.text((x, GAP), title, fill='black', font_size=13)
    row.paste(Image.fromarray(cell), (x, TITLE + 2))
  return np.asarray(row)


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
  """uint8 [H, W, 3] rows below each other, narrower ones filled up with white."""
  width = max(row.shape[1] for row in rows)
  wide = [
    np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows
  ]
  return np.concatenate(wide)


def enlarged(image: np.ndarray) -> np.ndarray:
  """A small image, grey [H, W] or RGB [H, W, 3] in [0, 1], as a square of pixels: uint8 [CELL, CELL, 3]."""
  return np.asarray(to_pillow(image).resize((CELL, CELL), Image.Resampling.NEAREST))


def overview(image: np.ndarray, box: tuple[int, int, int]) -> np.ndarray:
  """A whole image fitted into a square, with a red box.

  Args:
    image: grey [H, W] or RGB [H, W, 3] in [0, 1].
    box: its top, left and side in pixels of the image.

  Returns:
    uint8 [CELL, CELL, 3], white where the image is not.
  """
  whole, (top, left, side) = to_pillow(image), box
  factor = min(CELL / whole.width, CELL / whole.height)
  size = (max(1, round(whole.width * factor)), max(1, round(whole.height * factor)))
  fitted = whole.resize(size, Image.Resampling.LANCZOS)
  corners = [left * factor, top * factor, (left + side) * factor - 1, (top + side) * factor - 1]
  if corners[2] > corners[0] and corners[3] > corners[1]:
    ImageDraw.Draw(fitted).rectangle(corners, outline='red')
  cell = Image.new('RGB', (CELL, CELL), 'white')
  cell.paste(fitted, (0, 0))
  return np.asarray(cell)


def to_pillow(image: np.ndarray) -> Image.Image:
  """An RGB image of grey [H, W] or RGB [H, W, 3] in [0, 1]."""
  levels = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
  return Image.fromarray(levels).convert('RGB')
