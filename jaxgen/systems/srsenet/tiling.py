"""SrSENet on images of any size in bounded memory, with few compiled programs.

An output pixel depends on 18 low-resolution pixels around it, and, through the squeeze-and-excitation gates, on
means over the whole image. So independent tiles are wrong at any overlap. Here the net runs block by block:

- whole: every block passes over the whole image, one strip per core; its gates then come from the mean over all
  of it. Programs are compiled for a short list of buffer lengths (`buffer_length`), not per image size.
- exact: the same tile by tile, with the features in a temporary file.
- sampled: the gates are computed, block by block, from tiles spread over the image, and then used for all of it
  in one pass. Tiles share their gates, so they join without seams.
"""

import copy
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import UserError
from jaxgen.nn.winograd import CELL
from jaxgen.systems.srsenet.canvas import (
  SHORTEST,
  Chunks,
  block_kernels,
  buffer_length,
  make_pieces,
)
from jaxgen.systems.srsenet.crew import Crew
from jaxgen.systems.srsenet.model import BLOCK_RADIUS, LEAVE_RADIUS, SrSENet
from jaxgen.systems.srsenet.strips import Strips, make_strips
from jaxgen.systems.srsenet.tiles import (
  Band,
  Luminance,
  Read,
  Region,
  Tile,
  area,
  make_tiles,
  placed,
  side_by_side,
  spread,
  square,
)

MIB = 2**20


class Sides(NamedTuple):
  """Sides of the squares whose area tiles have, in pixels, halos included.

  Attributes:
    block: for a block's pass over the image, and for the tiles that gates are sampled from.
    trunk: for all blocks in one go.
    leave: for the last layers, in output pixels: their high-resolution map dominates memory.
    samples: maximum number of tiles from which gates are computed.
    strip: minimum height of the strips that an image is divided into.
  """

  block: int = 128
  trunk: int = 256
  leave: int = 640
  samples: int = 32
  strip: int = 32


class Upscaler:
  """The net as a function of an image's luminance.

  Args:
    net: the net's modules.
    variables: exported variables.
    memory_mb: memory for an image's features; it decides between whole and sampled.
    folder: where the temporary file of exact tiling goes.
    sides: sizes of the tiles; enlarged for nets with a larger receptive field.
    border: width in pixels by which the luminance is mirrored beyond the image's borders; means remain those of
      the image itself. 0 is the net as it was trained, with zeros beyond the borders.
    compile: `jax.jit`, or a variant that counts traces.
    progress: `Tools.progress`.
    threads: number of threads; by default one per core, or one for an accelerator.
  """

  def __init__(
    self,
    net: SrSENet,
    variables: Any,
    memory_mb: int = 1024,
    folder: str | Path | None = None,
    sides: Sides | None = None,
    border: int = 0,
    compile: Callable = jax.jit,
    progress: Callable[..., Iterable] = lambda items, description, total=None: items,
    threads: int | None = None,
  ):
    self.net, self.scale = net, net.scale
    self.memory = memory_mb * MIB
    self.folder = Path(folder) if folder else Path(tempfile.gettempdir())
    self.sides, self.border, self.progress = sides or Sides(), border, progress
    self._halo = cells(net.receptive_radius)
    self._block, self._trunk = (
      max(side // CELL, 2 * self._halo + 2) for side in (self.sides.block, self.sides.trunk)
    )
    self._chunks, self._crew = Chunks.of(net.scale), Crew(threads)
    # Up to four concurrent tiles are sized to take no more memory than one.
    shared = math.isqrt(self.sides.leave**2 // min(self._crew.count, 4))
    self._last = max(shared // net.scale // CELL, 3)
    # Placed once: NumPy arrays would be transferred to the device with every call.
    self._params = jax.tree.map(jax.device_put, variables['params'])
    self._dtype = np.dtype(net.param_dtype)
    names = {net.block_name(i) for i in range(net.num_blocks)}
    self._kernels = {name: block_kernels(variables['params'][name]) for name in names}
    self._pieces = make_pieces(net, compile, self._chunks)

  def shown(self, progress: Callable[..., Iterable]) -> 'Upscaler':
    """A copy that shares everything compiled, and reports its passes to another `progress`."""
    other = copy.copy(self)
    other.progress = progress
    return other

  def __call__(self, y: np.ndarray, tiling: str = 'auto') -> np.ndarray:
    """Upscales luminance [H, W] in [0, 1] to [s H, s W]; not clipped.

    Args:
      y: the luminance.
      tiling: auto (whole if its features fit into memory, else sampled), whole, exact, sampled.

    Raises:
      UserError: the features do not fit into the temporary folder.
    """
    height, width = y.shape
    out = np.empty((height * self.scale, width * self.scale), self._dtype)
    for top, band in self.bands(lambda a, b: y[a:b], height, width, tiling):
      out[top : top + len(band)] = band
    return out

  def bands(self, read: Read, height: int, width: int, tiling: str = 'auto') -> Iterator[Band]:
    """Yields the output from top to bottom, as it becomes ready.

    Args:
      read: reads rows of the luminance; each is read several times.
      height: of the image.
      width: of the image.
      tiling: as in `__call__`.
    """
    kind = self.chosen(height, width, tiling)
    luminance = Luminance(read, height, width, self._dtype, self.border)
    if kind == 'sampled':
      yield from self._sampled(luminance, self.sampled_gates(luminance))
    elif kind == 'exact':
      self.check_room(height, width)
      with self._on_disk(luminance) as (x, excited):
        self._streamed(luminance, x, excited)
        yield from self._left(luminance, x)
    else:
      yield from self._whole(luminance)

  def chosen(self, height: int, width: int, tiling: str = 'auto') -> str:
    """Resolves `auto` for an image: whole or sampled."""
    if tiling == 'auto':
      return 'whole' if self.feature_bytes(height, width) <= self.memory else 'sampled'
    return tiling

  def feature_bytes(self, height: int, width: int) -> int:
    """Size of the two feature maps of whole and exact tiling, without the padding beside the image."""
    height, width = height + 2 * self.border, width + 2 * self.border
    return 2 * height * width * self.net.features * self._dtype.itemsize

  def needs(self, height: int, width: int, tiling: str = 'auto') -> tuple[int, int]:
    """Bytes of memory and of temporary disk space that an image needs, besides the image itself."""
    kind, channels = self.chosen(height, width, tiling), self.net.features
    block, trunk, last = (
      self._tile_length(side) for side in (self._block, self._trunk, self._last)
    )
    s2, chunks = self.scale**2, self._chunks
    # Features twice, products, output; then the intermediate values of a chunk, by cells.
    values = last * (2 * channels + 12 * s2) + chunks.leave * (s2 * (2 * channels + 20))
    values = self._crew.count * (values + chunks.block * 16 * channels)
    if kind == 'whole':
      strips = self._strips(self._grid(height, width), False)
      values += len(strips) * self._strip_length(strips) * (2 * channels + 4)
    elif kind == 'exact':
      values += block * (4 * channels + 4)
    else:
      values += 3 * self._num_trunks() * trunk * channels
      values += 2 * self._num_samples() * block * (channels + 1)
    disk = 0 if kind != 'exact' else self._on_disk_bytes(height, width)
    return values * CELL**2 * self._dtype.itemsize, disk

  def check_room(self, height: int, width: int) -> None:
    """Rejects an image whose features do not fit into the temporary folder."""
    need = self._on_disk_bytes(height, width)
    free = shutil.disk_usage(self.folder).free
    if need > free:
      raise UserError(
        f'exact tiling of {width} x {height} pixels needs {need / 2**30:.1f} GiB in {self.folder}, '
        f'where {free / 2**30:.1f} GiB are free: set TMPDIR to a larger folder, or use '
        '--tiling sampled'
      )

  def _on_disk_bytes(self, height: int, width: int) -> int:
    rows, columns = self._grid(height, width)
    return 2 * rows * columns * CELL**2 * self.net.features * self._dtype.itemsize

  def _grid(self, height: int, width: int) -> tuple[int, int]:
    return cells(height + 2 * self.border), cells(width + 2 * self.border)

  def _tile_length(self, side: int) -> int:
    return max(SHORTEST, square(side) + self._chunks.largest + 2)

  def _strips(self, grid: tuple[int, int], spare: bool) -> list[Tile]:
    return make_strips(grid, spare, self._crew.count, self.sides.strip)

  def _strip_length(self, strips: list[Tile]) -> int:
    return max(buffer_length(tile.layout.length(self._chunks.largest)) for tile in strips)

  def _gates(self, i: int, total: Any, count: float) -> jax.Array:
    """The gates [C] of block i, from sums [C] over `count` pixels."""
    own = self._params[self.net.block_name(i)]
    return self._pieces.gate(own, np.asarray(total, self._dtype), float(count))

  def _whole(self, luminance: Luminance) -> Iterator[Band]:
    """Runs every block over the whole image, also the last layers if it is small, else those tile by tile."""
    grid, count = luminance.grid, area(luminance.image)
    tiles = self._strips(grid, luminance.spare)
    strips = Strips(self._pieces, self._crew, luminance, tiles, self._strip_length(tiles))
    strips.enter(self._params)
    for i in self.progress(range(self.net.num_blocks), 'blocks'):
      total = strips.excite(self._kernels[self.net.block_name(i)])
      strips.join(self._gates(i, total, count))  # signals to stop are handled between blocks
    strips.forget()
    if grid[0] * tiles[0].stride > len(tiles) * square(self._last):
      parts = (self._finished(self._crew, tile, *strips.seen(n)) for n, tile in enumerate(tiles))
    else:
      found = strips.leave(self._params)
      parts = (self._image(tile, flat) for tile, flat in zip(tiles, found, strict=True))
    yield from self._assembled(tiles, luminance.image, parts)

  @contextmanager
  def _on_disk(self, luminance: Luminance) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two maps in cells in a temporary file that is deleted afterwards."""
    shape = (*luminance.grid, CELL, CELL, self.net.features)
    with tempfile.TemporaryDirectory(prefix='jaxgen-', dir=self.folder) as folder:
      paths = Path(folder) / 'x', Path(folder) / 'excited'
      x, excited = (np.memmap(path, self._dtype, 'w+', shape=shape) for path in paths)
      yield x, excited

  def _streamed(self, luminance: Luminance, x: np.ndarray, excited: np.ndarray) -> None:
    """Fills x with the last block's output."""
    length, num_blocks = self._tile_length(self._block), self.net.num_blocks
    pieces, image = self._pieces, luminance.image
    tiles = list(make_tiles(luminance.grid, luminance.spare, self._block, cells(BLOCK_RADIUS)))
    for tile in self.progress(tiles, 'features'):
      y, mask = tile.place(luminance, length), tile.mask(luminance, length)
      x[tile.inside] = tile.inner(np.asarray(pieces.enter(self._params, y, mask, tile.layout)))
    work, total = jnp.zeros((length, *x.shape[2:]), self._dtype), np.zeros(x.shape[-1])
    steps = ((i, tile) for i in range(num_blocks) for tile in tiles)
    shown = self.progress(steps, 'blocks', num_blocks * len(tiles))
    for n, (i, tile) in enumerate(shown, start=1):
      masks = tile.mask(luminance, length), tile.kept(image, length)
      kernels = self._kernels[self.net.block_name(i)]
      work, part = pieces.excite(kernels, tile.place(x, length), work, *masks, tile.layout)
      excited[tile.inside] = tile.inner(np.asarray(work), 0)
      total += np.asarray(part, np.float64)
      if n % len(tiles) == 0:
        self._join_all(x, excited, np.asarray(self._gates(i, total, area(image))))
        total[:] = 0

  def _join_all(self, x: np.ndarray, excited: np.ndarray, gates: np.ndarray) -> None:
    """Replaces a block's input by its output, some rows at a time."""
    rows = max(1, 4 * MIB // (x[0].size * x.itemsize))
    for top in range(0, len(x), rows):
      part = excited[top : top + rows]
      if self.net.se_after_skip:
        np.multiply(part, gates, out=x[top : top + rows])
      else:
        x[top : top + rows] += part * gates

  def _left(self, luminance: Luminance, x: np.ndarray) -> Iterator[Band]:
    """Yields the output from the last features in cells."""
    tiles = list(
      make_tiles(
        luminance.grid, luminance.spare, self._last, cells(LEAVE_RADIUS), luminance.image_cells
      )
    )
    items = placed(tiles, luminance, self._tile_length(self._last))
    parts = self._crew(lambda item: self._leave(item[0], x, *item[1:]), items)
    return self._assembled(tiles, luminance.image, parts)

  def _finished(
    self, each: Callable, tile: Tile, x: np.ndarray, y: np.ndarray, inside: np.ndarray
  ) -> np.ndarray:
    """A tile's own part of the output, [s h, s w], from the features, luminance and mask it sees, in cells.

    `each` is `map`, or the crew if it is idle.
    """
    length = self._tile_length(self._last)
    out = np.empty([(x.stop - x.start) * CELL * self.scale for x in tile.own], self._dtype)
    grid = tile.layout[:2]
    small = list(
      make_tiles(grid, tile.stride == grid[1], self._last, cells(LEAVE_RADIUS), tile.own)
    )

    def output(part: Tile) -> np.ndarray:
      return self._leave(part, x, part.place(y, length), part.place(inside, length))

    for part, found in zip(small, each(output, small), strict=True):
      rows, columns = (
        slice(*(n * CELL * self.scale for n in (own.start - of.start, own.stop - of.start)))
        for own, of in zip(part.inside, tile.own, strict=True)
      )
      out[rows, columns] = found
    return out

  def _leave(self, tile: Tile, x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A tile's own part of the output, [s h, s w], from features and buffers of its luminance and mask."""
    x = tile.place(x, len(y))
    return self._image(tile, self._pieces.leave(self._params, x, y, mask, tile.layout))

  def _image(self, tile: Tile, found: Any) -> np.ndarray:
    """A tile's own part of the result of `Pieces.leave`, [s h, s w]."""
    part, s = tile.inner(np.asarray(found)), self.scale
    rows, columns = (n * CELL for n in part.shape[:2])
    # [rows, columns of cells, 4, 4, s s] to [rows of cells, 4, s, columns, 4, s]
    phases = part.reshape(*part.shape[:4], s, s).transpose(0, 2, 4, 1, 3, 5)
    return phases.reshape(rows * s, columns * s)

  def _sampled(self, luminance: Luminance, gates: np.ndarray) -> Iterator[Band]:
    """One pass over tiles with given gates [blocks, C]."""
    length, pieces = self._tile_length(self._trunk), self._pieces

    def output(item: tuple[Tile, np.ndarray, np.ndarray]) -> np.ndarray:
      tile, y, mask = item
      x = pieces.enter(self._params, y, mask, tile.layout)
      work = jnp.zeros_like(x)
      for i in range(self.net.num_blocks):
        kernels = self._kernels[self.net.block_name(i)]
        work, _ = pieces.excite(kernels, x, work, mask, mask, tile.layout)
        x = pieces.join(x, work, gates[i], tile.layout)
      seen = (tile.layout.view(np.asarray(flat)) for flat in (x, y, mask))
      return self._finished(map, tile, *seen)

    tiles = list(
      make_tiles(luminance.grid, luminance.spare, self._trunk, self._halo, luminance.image_cells)
    )
    parts = self._crew(output, placed(tiles, luminance, length), self._num_trunks())
    return self._assembled(tiles, luminance.image, parts)

  def _assembled(
    self, tiles: list[Tile], image: Region, parts: Iterable[np.ndarray]
  ) -> Iterator[Band]:
    found = zip(self.progress(tiles, 'upscaling'), parts, strict=False)
    return side_by_side(found, image, self.scale, self._dtype)

  def sampled_gates(self, luminance: Luminance) -> np.ndarray:
    """Computes gates [blocks, C] from tiles spread over the image."""
    length, image = self._tile_length(self._block), luminance.image
    all_tiles = make_tiles(
      luminance.grid, luminance.spare, self._block, self._halo, luminance.image_cells
    )
    tiles, pieces = spread(list(all_tiles), self._num_samples()), self._pieces
    masks = [(tile.mask(luminance, length), tile.kept(image, length)) for tile in tiles]
    xs = [
      pieces.enter(self._params, tile.place(luminance, length), mask, tile.layout)
      for tile, (mask, _) in zip(tiles, masks, strict=True)
    ]
    works, count = [jnp.zeros_like(x) for x in xs], sum(float(kept.sum()) for _, kept in masks)
    gates: list[np.ndarray] = []

    def excite(item: tuple[int, Any]) -> np.ndarray:
      n, kernels = item
      works[n], part = pieces.excite(kernels, xs[n], works[n], *masks[n], tiles[n].layout)
      return np.asarray(part, np.float64)

    for i in self.progress(range(self.net.num_blocks), 'sampling'):
      kernels = self._kernels[self.net.block_name(i)]
      parts = self._crew(excite, ((n, kernels) for n in range(len(tiles))))
      gates.append(np.asarray(self._gates(i, sum(parts), count)))
      for n, tile in enumerate(tiles):
        xs[n] = pieces.join(xs[n], works[n], gates[-1], tile.layout)
    return np.stack(gates)

  def _num_samples(self) -> int:
    """The number of tiles that fit into a quarter of the memory, at least 4."""
    each = 2 * (self._block * CELL) ** 2 * self.net.features * self._dtype.itemsize
    return max(4, min(self.sides.samples, self.memory // 4 // each))

  def _num_trunks(self) -> int:
    """The number of tiles through all blocks that fit into half the memory, from one to one per thread."""
    each = 3 * self._tile_length(self._trunk) * CELL**2 * self.net.features * self._dtype.itemsize
    return max(1, min(self._crew.count, self.memory // 2 // each))


def cells(pixels: int) -> int:
  """The number of cells that cover a given number of pixels."""
  return -(-pixels // CELL)
