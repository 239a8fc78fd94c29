"""Tiles of an image, with the halos that they need of each other; they consist of cells of 4 x 4 pixels."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from jaxgen.nn.winograd import CELL
from jaxgen.systems.srsenet.canvas import Layout

Read = Callable[[int, int], np.ndarray]  # (first row, row after the last) -> [rows, W] luminance
Band = tuple[int, np.ndarray]  # first output row, [rows, s W]
Region = tuple[slice, slice]  # rows and columns


class Luminance:
  """An image's luminance as cells [rows, columns, 4, 4, 1], read lazily; zero beyond the image.

  Args:
    read: reads rows of the image.
    height: of the image.
    width: of the image.
    dtype: dtype of the cells.
    border: width in pixels of a mirrored border on each side, which counts as part of the image.
  """

  def __init__(self, read: Read, height: int, width: int, dtype: np.dtype, border: int = 0):
    self.image: Region = (slice(border, border + height), slice(border, border + width))
    self._rows, self._columns = (
      np.pad(np.arange(n), border, mode='symmetric') for n in (height, width)
    )
    self._read, self._dtype = read, dtype
    self._kept: tuple[int, int, np.ndarray] | None = None

  @property
  def grid(self) -> tuple[int, int]:
    """Rows and columns of cells."""
    return -(-len(self._rows) // CELL), -(-len(self._columns) // CELL)

  @property
  def spare(self) -> bool:
    """Whether the last column of cells ends with zeros."""
    return len(self._columns) % CELL > 0

  @property
  def image_cells(self) -> Region:
    """The cells that contain pixels of the image proper, without its border."""
    rows, columns = (slice(x.start // CELL, -(-x.stop // CELL)) for x in self.image)
    return rows, columns

  def __getitem__(self, cells: Region) -> np.ndarray:
    """Reads cells; the last rows read are cached for cells beside them."""
    rows, columns = (slice(x.start * CELL, x.stop * CELL) for x in cells)
    if self._kept is None or self._kept[:2] != (rows.start, rows.stop):
      wanted = self._rows[rows]
      first, end = int(wanted.min()), int(wanted.max()) + 1
      found = np.asarray(self._read(first, end), self._dtype)[wanted - first]
      self._kept = rows.start, rows.stop, found
    return cells_of(self._kept[2][:, self._columns[columns], None])

  def within(self, cells: Region) -> np.ndarray:
    """The mask of some cells: 1 at the pixels of the image and its border."""
    shape = (
      len(part[x.start * CELL : x.stop * CELL])
      for part, x in zip((self._rows, self._columns), cells, strict=True)
    )
    return cells_of(np.ones((*shape, 1), np.float32))


def cells_of(image: np.ndarray) -> np.ndarray:
  """Converts an image [H, W, C] to cells [rows, columns, 4, 4, C], padded with zeros."""
  height, width, channels = image.shape
  image = np.pad(image, ((0, -height % CELL), (0, -width % CELL), (0, 0)))
  rows, columns = (n // CELL for n in image.shape[:2])
  return image.reshape(rows, CELL, columns, CELL, channels).swapaxes(1, 2)


class Tile(NamedTuple):
  """A tile, and the part of the image that it needs, in cells.

  Attributes:
    inside: the tile's own cells.
    seen: `inside` with a halo of other tiles' cells, clipped at the image's borders.
    stride: see `Layout`.
  """

  inside: Region
  seen: Region
  stride: int

  @property
  def layout(self) -> Layout:
    """Layout of the seen cells."""
    rows, columns = self.seen
    return Layout(rows.stop - rows.start, columns.stop - columns.start, self.stride)

  @property
  def own(self) -> Region:
    """The tile's own cells, relative to the first cell that it sees."""
    rows, columns = (
      slice(inside.start - seen.start, inside.stop - seen.start)
      for inside, seen in zip(self.inside, self.seen, strict=True)
    )
    return rows, columns

  def place(self, image: Any, length: int) -> np.ndarray:
    """Copies what the tile sees of an image in cells to a buffer [length, 4, 4, C]."""
    return self.layout.place(image[self.seen], length)

  def mask(self, luminance: Luminance, length: int) -> np.ndarray:
    """The mask [length, 4, 4, 1], 1 at the pixels of the image and its border."""
    return self.layout.place(luminance.within(self.seen), length)

  def kept(self, image: Region, length: int) -> np.ndarray:
    """[length, 4, 4, 1], 1 at the tile's own pixels of the image; each pixel belongs to one tile."""
    flags = [np.zeros(n * CELL, np.float32) for n in self.layout[:2]]
    for flag, own, of, seen in zip(flags, self.inside, image, self.seen, strict=True):
      first, end = max(own.start * CELL, of.start), min(own.stop * CELL, of.stop)
      flag[first - seen.start * CELL : max(first, end) - seen.start * CELL] = 1
    return self.layout.place(cells_of((flags[0][:, None] * flags[1])[..., None]), length)

  def inner(self, flat: np.ndarray, first: int | None = None) -> np.ndarray:
    """The tile's own cells from a buffer [length, 4, 4, C]."""
    return self.layout.view(flat, first)[self.own]


def make_tiles(
  grid: tuple[int, int], spare: bool, side: int, halo: int, region: Region | None = None
) -> Iterator[Tile]:
  """Tiles an image from left to right, then down, with tiles no larger in area than a square.

  Tiles are as wide as the image if that costs least, so that a narrow image is not many mostly empty squares.
  All numbers are in cells.

  Args:
    grid: the image's rows and columns.
    spare: whether its last column ends with zeros.
    side: side of the square.
    halo: the border that a tile needs of its neighbours.
    region: the region to tile; by default all of it.
  """
  rows, columns = region or (slice(0, grid[0]), slice(0, grid[1]))
  down, across = _steps(grid, rows, columns, side, halo)
  for top in range(rows.start, rows.stop, down):
    for left in range(columns.start, columns.stop, across):
      inside = (
        slice(top, min(top + down, rows.stop)),
        slice(left, min(left + across, columns.stop)),
      )
      high, wide = (
        slice(max(0, part.start - halo), min(part.stop + halo, n))
        for part, n in zip(inside, grid, strict=True)
      )
      num = wide.stop - wide.start
      yield Tile(inside, (high, wide), num if spare and num == grid[1] else num + 1)


def placed(
  tiles: list[Tile], luminance: Luminance, length: int
) -> Iterator[tuple[Tile, np.ndarray, np.ndarray]]:
  """Yields tiles with buffers of their luminance and mask, read by one thread, whichever processes them."""
  for tile in tiles:
    yield tile, tile.place(luminance, length), tile.mask(luminance, length)


def side_by_side(
  parts: Iterable[tuple[Tile, np.ndarray]], image: Region, scale: int, dtype: Any
) -> Iterator[Band]:
  """Yields the output of an image from top to bottom, whenever a row of tiles is complete.

  Args:
    parts: tiles in the order of `make_tiles`, with their own part of the output, [s h, s w].
    image: the region of the luminance that is the image proper, in pixels.
    scale: s.
    dtype: dtype of the output.
  """
  s, (high, wide) = scale, image
  band = np.empty((0, 0), dtype)
  for tile, part in parts:
    (top, end), (left, right) = (
      (max(own.start * CELL, of.start), min(own.stop * CELL, of.stop))
      for own, of in zip(tile.inside, image, strict=True)
    )
    if left == wide.start:
      band = np.empty(((end - top) * s, (wide.stop - wide.start) * s), dtype)
    y, x = ((at - own.start * CELL) * s for at, own in zip((top, left), tile.inside, strict=True))
    band[:, (left - wide.start) * s : (right - wide.start) * s] = part[
      y : y + (end - top) * s, x : x + (right - left) * s
    ]
    if right == wide.stop:
      yield (top - high.start) * s, band


def _steps(
  grid: tuple[int, int], rows: slice, columns: slice, side: int, halo: int
) -> tuple[int, int]:
  """Rows and columns of a tile's own cells that minimise the total work."""
  if side <= 2 * halo:
    raise ValueError(f'a square of {side} is too small for borders of {halo}')
  num_rows, num_columns = rows.stop - rows.start, columns.stop - columns.start
  best: tuple[int, int, int] | None = None
  for parts in range(1, -(-num_columns // (side - 2 * halo)) + 1):
    across = -(-num_columns // parts)
    seen = min(across + 2 * halo, grid[1])
    most = square(side) // (seen + 1) - 2
    most = min(most, side) if parts > 1 else most  # a whole row of tiles is held in memory
    down = num_rows if most >= grid[0] else most - 2 * halo
    if down < 1:
      continue
    times = -(-num_rows // down)
    cost = parts * (seen + 1) * (num_rows + 2 * halo * (times - 1))
    if best is None or cost < best[0]:
      best = cost, -(-num_rows // times), across
  assert best is not None  # the square itself always fits
  return best[1:]


def square(side: int) -> int:
  """Number of cells of a square with the zeros around it, as in `Layout`."""
  return (side + 2) * (side + 1)


def spread(items: list, count: int) -> list:
  """At most `count` of the items, spread evenly over their order by a golden-ratio sequence."""
  if len(items) <= count:
    return items
  golden = (math.sqrt(5) - 1) / 2
  chosen: dict[int, None] = {}
  n = 0
  while len(chosen) < count:
    chosen[int((0.5 + n * golden) % 1 * len(items))] = None
    n += 1
  return [items[i] for i in sorted(chosen)]


def area(region: Region) -> int:
  """The area of a region."""
  rows, columns = region
  return (rows.stop - rows.start) * (columns.stop - columns.start)
