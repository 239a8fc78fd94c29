"""Layout of pictures in rows and columns, as a sheet of words or a page of lines."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Placed(NamedTuple):
  """A picture on a sheet.

  Attributes:
    image: uint8 [h, w], 255 paper.
    label: the text that it shows.
    x: column of its left edge.
    y: row of its top edge.
  """

  image: np.ndarray
  label: str
  x: int
  y: int


class Sheet(NamedTuple):
  """A sheet of white paper.

  Attributes:
    width: pixels.
    height: pixels.
    placed: the pictures on it.
  """

  width: int
  height: int
  placed: tuple[Placed, ...]

  def pixels(self) -> np.ndarray:
    """uint8 [height, width], 255 paper."""
    page = np.full((self.height, self.width), 255, np.uint8)
    for image, _, x, y in self.placed:
      page[y : y + image.shape[0], x : x + image.shape[1]] = image
    return page


def sheet(
  rows: Sequence[tuple[str, Sequence[np.ndarray]]],
  gaps: tuple[int, int],
  margin: int,
  rtl: bool = False,
) -> Sheet:
  """Lays out a row per text and a column per style, aligned to the side where the script begins.

  Args:
    rows: the text and its pictures, uint8 [h, w], equally many in each row.
    gaps: pixels between rows, and between columns.
    margin: pixels around all of them.
    rtl: columns are flush right, and the first one is on the right.
  """
  columns = list(zip(*(images for _, images in rows), strict=True))
  widths = [max(image.shape[1] for image in column) for column in columns]
  below, beside = gaps
  width = sum(widths) + beside * (len(widths) - 1) + 2 * margin
  placed, y = [], margin
  for label, images in rows:
    x = margin
    for image, room in zip(images, widths, strict=True):
      at = width - x - image.shape[1] if rtl else x
      placed.append(Placed(image, label, at, y))
      x += room + beside
    y += max(len(image) for image in images) + below
  return Sheet(width, y - below + margin, tuple(placed))
