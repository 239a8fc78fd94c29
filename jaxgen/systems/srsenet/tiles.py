"""Tiles of an image, with the borders that they need of each other; they consist of cells of 4 x 4 pixels."""

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
  """An image's luminance in cells [rows, columns, 4, 4, 1], read when it is cut; zero beyond it.

  Args:
    read: gives rows of the image.
    height: of the image.
    width: of the image.
    dtype: of what is cut.
    border: by so many pixels the image is mirrored on at each side; they count as its own.
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
    """Those that have pixels of the image without its border."""
    rows, columns = (slice(x.start // CELL, -(-x.stop // CELL)) for x in self.image)
    return rows, columns

  def __getitem__(self, cells: Region) -> np.ndarray:
    """Cells; the last rows read are kept for what lies beside them."""
    rows, columns = (slice(x.start * CELL, x.stop * CELL) for x in cells)
    if self._kept is None or self._kept[:2] != (rows.start, rows.stop):
      wanted = self._rows[rows]
      first, end = int(wanted.min()), int(wanted.max()) + 1
      found = np.asarray(self._read(first, end), self._dtype)[wanted - first]
      self._kept = rows.start, rows.stop, found
    return cells_of(self._kept[2][:, self._columns[columns], None])

  def within(self, cells: Region) -> np.ndarray:
    """1 at the pixels of the image and its border, in cells."""
    shape = (
      len(part[x.start * CELL : x.stop * CELL])
      for part, x in zip((self._rows, self._columns), cells, strict=True)
    )
    return cells_of(np.ones((*shape, 1), np.float32))


def cells_of(image: np.ndarray) -> np.ndarray:
  """[rows, columns, 4, 4, C] of an image [H, W, C], with zeros where it does not fill its cells."""
  height, width, channels = image.shape
  image = np.pad(image, ((0, -height % CELL), (0, -width % CELL), (0, 0)))
  rows, columns = (n // CELL for n in image.shape[:2])
  return image.reshape(rows, CELL, columns, CELL, channels).swapaxes(1, 2)


class Tile(NamedTuple):
  """A tile, and the part of the image that it needs, in cells.

  Attributes:
    inside: the tile's own.
    seen: with a border of what belongs to other tiles; the image's own borders end it.
    stride: see `Layout`.
  """

  inside: Region
  seen: Region
  stride: int

  @property
  def layout(self) -> Layout:
    """Of what is seen."""
    rows, columns = self.seen
    return Layout(rows.stop - rows.start, columns.stop - columns.start, self.stride)

  @property
  def own(self) -> Region:
    """The tile's own, counted from the first cell that it sees."""
    rows, columns = (
      slice(inside.start - seen.start, inside.stop - seen.start)
      for inside, seen in zip(self.inside, self.seen, strict=True)
    )
    return rows, columns

  def place(self, image: Any, length: int) -> np.ndarray:
    """What is seen of an image in cells, in a buffer [length, 4, 4, C]."""
    return self.layout.place(image[self.seen], length)

  def mask(self, luminance: Luminance, length: int) -> np.ndarray:
    """[length, 4, 4, 1], 1 at the image's pixels and its border's."""
    return self.layout.place(luminance.within(self.seen), length)

  def kept(self, image: Region, length: int) -> np.ndarray:
    """[length, 4, 4, 1], 1 at the tile's own pixels of the image; each of them is one tile's."""
    flags = [np.zeros(n * CELL, np.float32) for n in self.layout[:2]]
    for flag, own, of, seen in zip(flags, self.inside, image, self.seen, strict=True):
      first, end = max(own.start * CELL, of.start), min(own.stop * CELL, of.stop)
      flag[first - seen.start * CELL : max(first, end) - seen.start * CELL] = 1
    return self.layout.place(cells_of((flags[0][:, None] * flags[1])[..., None]), length)

  def inner(self, flat: np.ndarray, first: int | None = None) -> np.ndarray:
    """The tile's own cells in a buffer [length, 4, 4, C]."""
    return self.layout.view(flat, first)[self.own]


def make_tiles(
  grid: tuple[int, int], spare: bool, side: int, halo: int, region: Region | None = None
) -> Iterator[Tile]:
  """Tiles of an image from left to right, then down, none larger than a square.

  They are as wide as the image where that costs least, so a strip is not many squares that are mostly empty.
  All numbers are of cells.

  Args:
    grid: the image's rows and columns.
    spare: whether its last column ends with zeros.
    side: of the square.
    halo: the border that a tile needs of its neighbours.
    region: what is to be tiled; by default all.
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
  """Tiles with buffers of their luminance and mask: read by one thread, whichever works on them."""
  for tile in tiles:
    yield tile, tile.place(luminance, length), tile.mask(luminance, length)


def side_by_side(
  parts: Iterable[tuple[Tile, np.ndarray]], image: Region, scale: int, dtype: Any
) -> Iterator[Band]:
  """The output of an image from top to bottom, as a row of tiles is complete.

  Args:
    parts: tiles as `make_tiles` has them, with their own part of the output, [s h, s w].
    image: what of the luminance is the image itself, in pixels.
    scale: s.
    dtype: of the output.
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
  """Rows and columns of a tile's own for which the least is computed."""
  if side <= 2 * halo:
    raise ValueError(f'a square of {side} has no room for borders of {halo}')
  num_rows, num_columns = rows.stop - rows.start, columns.stop - columns.start
  best: tuple[int, int, int] | None = None
  for parts in range(1, -(-num_columns // (side - 2 * halo)) + 1):
    across = -(-num_columns // parts)
    seen = min(across + 2 * halo, grid[1])
    most = square(side) // (seen + 1) - 2
    most = min(most, side) if parts > 1 else most  # a row of tiles is held as a whole
    down = num_rows if most >= grid[0] else most - 2 * halo
    if down < 1:
      continue
    times = -(-num_rows // down)
    cost = parts * (seen + 1) * (num_rows + 2 * halo * (times - 1))
    if best is None or cost < best[0]:
      best = cost, -(-num_rows // times), across
  assert best is not None  # tiles of the square's own size have room
  return best[1:]


def square(side: int) -> int:
  """Cells of a square with the zeros around it, as `Layout` has them."""
  return (side + 2) * (side + 1)


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


def area(region: Region) -> int:
  """How much it has."""
  rows, columns = region
  return (rows.stop - rows.start) * (columns.stop - columns.start)
