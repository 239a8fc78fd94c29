"""The side-by-side sheet: low resolution, bicubic, SrSENet and the truth, whole and in a detail."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from jaxgen.evaluation.super_resolution import compare, rounded

CELL = 240  # pixels
TITLE = 20
DETAIL = 80  # pixels of the truth


class Compared(NamedTuple):
  """An image and what was made of its low-resolution version; grey [H, W] or RGB [H, W, 3] in [0, 1].

  Attributes:
    name: of the image.
    low: brought down.
    bicubic: enlarged bicubically.
    ours: enlarged by the net.
    truth: the image; None where there is none.
  """

  name: str
  low: np.ndarray
  bicubic: np.ndarray
  ours: np.ndarray
  truth: np.ndarray | None = None


def comparison_sheet(images: Sequence[Compared], scale: int) -> np.ndarray:
  """A row an image: the whole image with a box, then the box in every version; uint8 [H, W, 3].

  The box is where bicubic and the net differ most. PSNR (dB, luminance) is of the whole image.
  """
  rows = [_row(image, scale) for image in images]
  width = max(row.width for row in rows)
  sheet = Image.new('RGB', (width, sum(row.height for row in rows)), 'white')
  top = 0
  for row in rows:
    sheet.paste(row, (0, top))
    top += row.height
  return np.asarray(sheet)


def _row(image: Compared, scale: int) -> Image.Image:
  side = min(DETAIL, *image.bicubic.shape[:2]) // scale * scale or scale
  top, left = _detail(image, side, scale)
  box = slice(top, top + side), slice(left, left + side)
  small = tuple(slice(part.start // scale, part.stop // scale) for part in box)
  cells = [
    (f'{image.name} x{scale}', _overview(image, top, left, side)),
    ('low resolution', _enlarged(image.low[small])),
    (_scored('bicubic', image.bicubic, image, scale), _enlarged(image.bicubic[box])),
    (_scored('SrSENet', image.ours, image, scale), _enlarged(image.ours[box])),
  ]
  if image.truth is not None:
    cells.append(('truth', _enlarged(image.truth[box])))
  row = Image.new('RGB', (len(cells) * (CELL + 4) + 4, CELL + TITLE + 4), 'white')
  draw = ImageDraw.Draw(row)
  for i, (title, cell) in enumerate(cells):
    x = 4 + i * (CELL + 4)
    draw.text((x, 4), title, fill='black', font_size=13)
    row.paste(cell, (x, TITLE + 2))
  return row


def _scored(title: str, result: np.ndarray, image: Compared, scale: int) -> str:
  if image.truth is None or min(image.truth.shape[:2]) < 2 * scale + 11:
    return title
  return f'{title} {compare(rounded(result), image.truth, scale).psnr:.2f} dB'


def _detail(image: Compared, side: int, scale: int) -> tuple[int, int]:
  """Top and left of the square where bicubic and the net differ most, on whole low-resolution pixels."""
  difference = (np.clip(image.ours, 0, 1) - np.clip(image.bicubic, 0, 1)) ** 2
  if difference.ndim == 3:
    difference = difference.mean(-1)
  energy = ndimage.uniform_filter(difference, side, mode='constant', origin=-(side // 2))
  valid = energy[: energy.shape[0] - side + 1, : energy.shape[1] - side + 1]
  top, left = np.unravel_index(np.argmax(valid[::scale, ::scale]), valid[::scale, ::scale].shape)
  return int(top) * scale, int(left) * scale


def _overview(image: Compared, top: int, left: int, side: int) -> Image.Image:
  """The truth, or the net's result, fitted into a cell, with the box drawn."""
  whole = _to_pillow(image.ours if image.truth is None else image.truth)
  factor = min(CELL / whole.width, CELL / whole.height)
  size = (max(1, round(whole.width * factor)), max(1, round(whole.height * factor)))
  fitted = whole.resize(size, Image.Resampling.LANCZOS)
  corners = [left * factor, top * factor, (left + side) * factor - 1, (top + side) * factor - 1]
  if corners[2] > corners[0] and corners[3] > corners[1]:
    ImageDraw.Draw(fitted).rectangle(corners, outline='red')
  cell = Image.new('RGB', (CELL, CELL), 'white')
  cell.paste(fitted, (0, 0))
  return cell


def _enlarged(part: np.ndarray) -> Image.Image:
  return _to_pillow(part).resize((CELL, CELL), Image.Resampling.NEAREST)


def _to_pillow(image: np.ndarray) -> Image.Image:
  levels = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
  return Image.fromarray(levels).convert('RGB')
