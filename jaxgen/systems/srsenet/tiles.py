"""Tiles of an image on canvases of one side, with the borders that they need of each other."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

Read = Callable[[int, int], np.ndarray]  # (first row, row after the last) -> [rows, W] luminance


class Rows:
  """Luminance [H, W, 1] that is cut like an array, and read when it is; the last rows read are kept."""

  def __init__(self, read: Read, height: int, width: int, dtype: np.dtype):
    self.shape = (height, width, 1)
    self._read, self._dtype = read, dtype
    self._kept: tuple[int, int, np.ndarray] | None = None

  def __getitem__(self, part: tuple[slice, slice]) -> np.ndarray:
    rows, columns = part
    if self._kept is None or self._kept[:2] != (rows.start, rows.stop):
      found = np.asarray(self._read(rows.start, rows.stop), self._dtype)
      self._kept = rows.start, rows.stop, found[..., None]
    return self._kept[2][:, columns]


class Tile(NamedTuple):
  """A tile on its canvas.

  Attributes:
    inside: rows and columns of the image that are the tile's own.
    top: image row of the canvas's first, negative above the image.
    left: image column of the canvas's first.
    side: of the canvas.
    halo: border of the canvas that belongs to other tiles or lies outside the image.
    seen: [side, 1] and [side], whether the canvas's rows and columns are inside the image.
  """

  inside: tuple[slice, slice]
  top: int
  left: int
  side: int
  halo: int
  seen: tuple[np.ndarray, np.ndarray]

  @property
  def mask(self) -> np.ndarray:
    """[side, side, 1], 1 inside the image. It is not kept, since a huge image has thousands of tiles."""
    rows, columns = self.seen
    return (rows & columns)[..., None].astype(np.float32)

  def cut(self, image: Any) -> np.ndarray:
    """The canvas [side, side, C] of an image [H, W, C]; zero outside."""
    rows, columns = (
      slice(max(0, first), min(n, first + self.side))
      for first, n in ((self.top, image.shape[0]), (self.left, image.shape[1]))
    )
    part = image[rows, columns]
    if part.shape[:2] == (self.side, self.side):
      return part
    canvas = np.zeros((self.side, self.side, part.shape[-1]), part.dtype)
    y, x = rows.start - self.top, columns.start - self.left
    canvas[y : y + part.shape[0], x : x + part.shape[1]] = part
    return canvas

  def inner(self, canvas: np.ndarray, scale: int = 1) -> np.ndarray:
    """The tile's own part of a canvas, `scale` times as large."""
    (rows, columns), s = self.inside, scale
    y, x = (rows.start - self.top) * s, (columns.start - self.left) * s
    height, width = (rows.stop - rows.start) * s, (columns.stop - columns.start) * s
    return canvas[y : y + height, x : x + width]

  @property
  def kept(self) -> np.ndarray:
    """[side, side, 1], 1 on the tile's own pixels; each pixel of the image is one tile's."""
    kept = np.zeros_like(self.mask)
    self.inner(kept)[:] = 1
    return kept

  def moved(self, down: int, right: int) -> 'Tile':
    """The same tile of an image that lies further down and right in a larger one."""
    rows, columns = (
      slice(part.start + by, part.stop + by)
      for part, by in zip(self.inside, (down, right), strict=True)
    )
    return self._replace(inside=(rows, columns), top=self.top + down, left=self.left + right)


def make_tiles(
  height: int, width: int, side: int, halo: int, bordered: bool = False
) -> Iterator[Tile]:
  """Tiles of an image from left to right, then down, on canvases of one side.

  An image that is no larger than a canvas is one tile without a border, unless it is a part of something
  (`bordered`).
  """
  whole = height <= side and width <= side and not bordered
  halo, step = (0, side) if whole else (halo, side - 2 * halo)
  if step < 1:
    raise ValueError(f'a canvas of {side} has no room for borders of {halo}')
  for top in range(0, height, step):
    for left in range(0, width, step):
      rows = slice(top, min(top + step, height))
      columns = slice(left, min(left + step, width))
      y = np.arange(side) + top - halo
      x = np.arange(side) + left - halo
      seen = ((y >= 0) & (y < height))[:, None], (x >= 0) & (x < width)
      yield Tile((rows, columns), top - halo, left - halo, side, halo, seen)


def spread(items: list, count: int) -> list:
  """At most `count` of the items, evenly spread over their order by a golden-ratio sequence."""
  if len(items) <= count:
    return items
  golden = (math.sqrt(5) - 1) / 2
  chosen: dict[int, None] = {}
  n = 0
  while len(chosen) < count:
    chosen[int((0.5 + n * golden) % 1 * len(items))] = None
    n += 1
  return [items[i] for i in sorted(chosen)]
