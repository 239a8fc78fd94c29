"""Sheets: titled square cells side by side, rows stacked."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

CELL = 240  # side of a cell in pixels
TITLE = 20  # height of the title above it in pixels
GAP = 4


def titled_row(cells: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
  """Places cells side by side on white, each under its title.

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
  """Stacks uint8 [H, W, 3] rows vertically, padding narrower ones with white."""
  width = max(row.shape[1] for row in rows)
  wide = [
    np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows
  ]
  return np.concatenate(wide)


def enlarged(image: np.ndarray) -> np.ndarray:
  """Scales a small grey [H, W] or RGB [H, W, 3] image in [0, 1] to uint8 [CELL, CELL, 3], nearest neighbour."""
  return np.asarray(to_pillow(image).resize((CELL, CELL), Image.Resampling.NEAREST))


def overview(image: np.ndarray, box: tuple[int, int, int]) -> np.ndarray:
  """Fits a whole image into a cell and marks a region with a red box.

  Args:
    image: grey [H, W] or RGB [H, W, 3] in [0, 1].
    box: top, left and side of the region in pixels of the image.

  Returns:
    uint8 [CELL, CELL, 3], white beside the image.
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
  """Converts grey [H, W] or RGB [H, W, 3] in [0, 1] to an RGB Pillow image."""
  levels = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
  return Image.fromarray(levels).convert('RGB')
