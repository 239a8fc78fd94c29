"""SrSENet over images of any size in bounded memory, with one compiled shape whatever the size.

An output pixel sees 18 low-resolution pixels around it, and, through the squeeze-and-excitation gates, means
over the whole image. So tiles alone are wrong at any overlap. Here the net runs block by block:

- whole and exact: every block passes over all tiles and leaves its features in memory (whole) or in a
  temporary file (exact); its gates then come from the mean over the whole image. No arithmetic is done twice
  but for a border of two pixels.
- sampled: the gates come, block by block, from tiles spread over the image, and then serve for all of it in one
  pass. Tiles share their gates, so they meet without seams.
"""

import functools
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
from jaxgen.systems.srsenet.model import BLOCK_RADIUS, LEAVE_RADIUS, Block, SrSENet
from jaxgen.systems.srsenet.tiles import Read, Rows, Tile, make_tiles, spread

MIB = 2**20
Band = tuple[int, np.ndarray]  # first output row, [rows, s W]


class Sides(NamedTuple):
  """Sides of the square canvases that are compiled for, borders included.

  Attributes:
    block: of a block's pass over the image, and of the tiles that gates are sampled from.
    trunk: of all blocks in one go.
    leave: of the last layers, whose high-resolution map dominates memory.
    samples: at most so many tiles give the gates.
  """

  block: int = 128
  trunk: int = 256
  leave: int = 68
  samples: int = 32


class Upscaler:
  """The net as a function of an image's luminance.

  Args:
    net: its modules.
    variables: exported.
    memory_mb: for the features of an image; it decides between whole and sampled.
    folder: where the temporary file of exact tiling goes.
    sides: of the canvases; enlarged for nets that see further.
    compile: `jax.jit`, or what counts its traces.
    progress: `Tools.progress`.
  """

  def __init__(
    self,
    net: SrSENet,
    variables: Any,
    memory_mb: int = 1024,
    folder: str | Path | None = None,
    sides: Sides | None = None,
    compile: Callable = jax.jit,
    progress: Callable[..., Iterable] = lambda items, description, total=None: items,
  ):
    self.net, self.scale = net, net.scale
    self.memory = memory_mb * MIB
    self.folder = Path(folder) if folder else Path(tempfile.gettempdir())
    sides, room = sides or Sides(), 2 * net.receptive_radius + 4
    self.sides = sides._replace(block=max(sides.block, room), trunk=max(sides.trunk, room))
    self.progress = progress
    # Placed once: numpy arrays would go to the device with every tile.
    self._params = jax.tree.map(jnp.asarray, variables['params'])
    self._dtype = np.dtype(net.param_dtype)
    block = net.make_block()
    self._enter = compile(functools.partial(_on_canvas, net, 'enter'))
    self._excite = compile(functools.partial(_excite, block))
    self._gate = compile(lambda p, mean: block.apply({'params': p}, mean[None], method='gate')[0])
    self._join = compile(functools.partial(_join, block))
    self._trunk = compile(functools.partial(_trunk, net))
    self._leave = compile(functools.partial(_on_canvas, net, 'leave'))

  def __call__(self, y: np.ndarray, tiling: str = 'auto') -> np.ndarray:
    """[s H, s W] luminance of luminance [H, W] in [0, 1]; not clipped.

    Args:
      y: the image.
      tiling: auto (whole where its features fit the memory, else sampled), whole, exact, sampled.

    Raises:
      UserError: the features do not fit the temporary folder.
    """
    height, width = y.shape
    out = np.empty((height * self.scale, width * self.scale), self._dtype)
    for top, band in self.bands(lambda a, b: y[a:b], height, width, tiling):
      out[top : top + len(band)] = band
    return out

  def bands(self, read: Read, height: int, width: int, tiling: str = 'auto') -> Iterator[Band]:
    """The output from top to bottom, as it becomes ready.

    Args:
      read: gives rows of the luminance; each is read several times.
      height: of the image.
      width: of the image.
      tiling: as above.
    """
    kind = self.chosen(height, width, tiling)
    if kind == 'sampled':
      yield from self._sampled(read, height, width)
    else:
      with self._features(height, width, on_disk=kind == 'exact') as (x, excited):
        self._streamed(read, x, excited)
        yield from self._left(read, x)

  def chosen(self, height: int, width: int, tiling: str = 'auto') -> str:
    """What `auto` means for an image: whole or sampled."""
    if tiling == 'auto':
      return 'whole' if self.feature_bytes(height, width) <= self.memory else 'sampled'
    return tiling

  def feature_bytes(self, height: int, width: int) -> int:
    """Of the two feature maps of whole and exact tiling."""
    return 2 * height * width * self.net.features * self._dtype.itemsize

  def needs(self, height: int, width: int, tiling: str = 'auto') -> tuple[int, int]:
    """Bytes of memory and of the temporary folder that an image takes, besides the image itself."""
    kind, item = self.chosen(height, width, tiling), self._dtype.itemsize
    features = self.feature_bytes(height, width)
    sides, channels = self.sides, self.net.features
    canvases = 12 * sides.block**2 * channels + 10 * (sides.leave * self.scale) ** 2 * channels
    if kind == 'sampled':
      samples = self._num_samples()
      canvases += 8 * sides.trunk**2 * channels + 2 * samples * sides.block**2 * channels
    memory = canvases * item + (features if kind == 'whole' else 0)
    return memory, features if kind == 'exact' else 0

  def block_params(self, i: int) -> Any:
    """Parameters of block i."""
    return self._params[self.net.block_name(i)]

  @contextmanager
  def _features(
    self, height: int, width: int, on_disk: bool
  ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Two maps [H, W, C], in memory or in a temporary file that is gone afterwards."""
    shape = (height, width, self.net.features)
    if not on_disk:
      yield np.empty(shape, self._dtype), np.empty(shape, self._dtype)
      return
    self.check_room(height, width)
    with tempfile.TemporaryDirectory(prefix='jaxgen-', dir=self.folder) as folder:
      paths = Path(folder) / 'x', Path(folder) / 'excited'
      x, excited = (np.memmap(path, self._dtype, 'w+', shape=shape) for path in paths)
      yield x, excited

  def check_room(self, height: int, width: int) -> None:
    """Refuses an image whose features do not fit the temporary folder."""
    need = self.feature_bytes(height, width)
    free = shutil.disk_usage(self.folder).free
    if need > free:
      raise UserError(
        f'exact tiling of {width} x {height} pixels needs {need / 2**30:.1f} GiB in {self.folder}, '
        f'where {free / 2**30:.1f} GiB are free: set TMPDIR to a larger folder, or use '
        '--tiling sampled'
      )

  def _streamed(self, read: Read, x: np.ndarray, excited: np.ndarray) -> None:
    """Fills x [H, W, C] with the last block's output."""
    height, width, _ = x.shape
    tiles = list(make_tiles(height, width, self.sides.block, BLOCK_RADIUS))
    luminance = Rows(read, height, width, self._dtype)
    for tile in self.progress(tiles, 'features'):
      found = self._enter(self._params, tile.cut(luminance), None, tile.mask)
      x[tile.inside] = tile.inner(np.asarray(found))
    num_blocks = self.net.num_blocks
    steps = ((i, tile) for i in range(num_blocks) for tile in tiles)
    total = np.zeros(x.shape[-1])
    shown = self.progress(steps, 'blocks', num_blocks * len(tiles))
    for n, (i, tile) in enumerate(shown, start=1):
      out, part = self._excite(self.block_params(i), tile.cut(x), tile.mask, tile.kept)
      excited[tile.inside] = tile.inner(np.asarray(out))
      total += np.asarray(part, np.float64)
      if n % len(tiles) == 0:
        gates = self._gates(i, total / (height * width))
        self._join_all(x, excited, gates)
        total[:] = 0

  def _gates(self, i: int, mean: np.ndarray) -> np.ndarray:
    return np.asarray(self._gate(self.block_params(i), mean.astype(self._dtype)))

  def _join_all(self, x: np.ndarray, excited: np.ndarray, gates: np.ndarray) -> None:
    """A block's output in place of its input, some rows at a time."""
    rows = max(1, 4 * MIB // (x[0].size * x.itemsize))
    for top in range(0, len(x), rows):
      part = excited[top : top + rows]
      if self.net.se_after_skip:
        np.multiply(part, gates, out=x[top : top + rows])
      else:
        x[top : top + rows] += part * gates

  def _left(self, read: Read, x: np.ndarray) -> Iterator[Band]:
    """The output of the last features [H, W, C] of rows of an image."""
    height, width, _ = x.shape
    luminance = Rows(read, height, width, self._dtype)

    def output(tile: Tile) -> np.ndarray:
      found = self._leave(self._params, tile.cut(x), tile.cut(luminance), tile.mask)
      return tile.inner(np.asarray(found), self.scale)[..., 0]

    return self._assembled(make_tiles(height, width, self.sides.leave, LEAVE_RADIUS), width, output)

  def _sampled(self, read: Read, height: int, width: int) -> Iterator[Band]:
    """One pass over tiles with gates from a sample of them."""
    gates = self.sampled_gates(read, height, width)
    luminance = Rows(read, height, width, self._dtype)

    def output(tile: Tile) -> np.ndarray:
      y = tile.cut(luminance)
      x = np.asarray(self._trunk(self._params, y, tile.mask, gates))
      return self._leave_canvas(x, y, tile)

    tiles = make_tiles(height, width, self.sides.trunk, self.net.receptive_radius)
    return self._assembled(tiles, width, output)

  def _assembled(
    self, tiles: Iterable[Tile], width: int, output: Callable[[Tile], np.ndarray]
  ) -> Iterator[Band]:
    """Rows of tiles side by side, each tile's part of the output by `output`."""
    s, band = self.scale, np.empty((0, 0), self._dtype)
    for tile in self.progress(list(tiles), 'upscaling'):
      rows, columns = tile.inside
      if columns.start == 0:
        band = np.empty(((rows.stop - rows.start) * s, width * s), self._dtype)
      band[:, columns.start * s : columns.stop * s] = output(tile)
      if columns.stop == width:
        yield rows.start * s, band

  def _leave_canvas(self, x: np.ndarray, y: np.ndarray, tile: Tile) -> np.ndarray:
    """The output [s h, s w] inside a tile, of features and luminance on its canvas."""
    part, s, h = tile.inner(tile.mask), self.scale, tile.halo
    out = np.empty((part.shape[0] * s, part.shape[1] * s), self._dtype)
    # The canvas goes on beyond the tile by more than a sub-tile looks.
    for small in make_tiles(
      len(part), part.shape[1], self.sides.leave, LEAVE_RADIUS, bordered=True
    ):
      moved = small.moved(h, h)
      found = self._leave(self._params, moved.cut(x), moved.cut(y), moved.cut(tile.mask))
      rows, columns = small.inside
      out[rows.start * s : rows.stop * s, columns.start * s : columns.stop * s] = moved.inner(
        np.asarray(found), s
      )[..., 0]
    return out

  def sampled_gates(self, read: Read, height: int, width: int) -> np.ndarray:
    """[blocks, C] gates from tiles spread over the image."""
    luminance = Rows(read, height, width, self._dtype)
    tiles = spread(
      list(make_tiles(height, width, self.sides.block, self.net.receptive_radius)),
      self._num_samples(),
    )
    xs = [self._enter(self._params, tile.cut(luminance), None, tile.mask) for tile in tiles]
    count = sum(float(tile.kept.sum()) for tile in tiles)
    gates = []
    for i in self.progress(range(self.net.num_blocks), 'sampling'):
      found = [
        self._excite(self.block_params(i), x, tile.mask, tile.kept)
        for x, tile in zip(xs, tiles, strict=True)
      ]
      mean = np.sum([np.asarray(total, np.float64) for _, total in found], 0) / count
      gates.append(self._gates(i, mean))
      xs = [self._join(x, out, gates[-1]) for x, (out, _) in zip(xs, found, strict=True)]
    return np.stack(gates)

  def _num_samples(self) -> int:
    """As many tiles as a quarter of the memory holds, at least 4."""
    each = 2 * self.sides.block**2 * self.net.features * self._dtype.itemsize
    return max(4, min(self.sides.samples, self.memory // 4 // each))


def _on_canvas(net: SrSENet, method: str, params: Any, x: Any, y: Any, mask: Any) -> jax.Array:
  """`enter` (luminance x) or `leave` (features x, luminance y) on one canvas [side, side, C]."""
  args = (x[None], mask[None]) if y is None else (x[None], y[None], mask[None])
  return net.apply({'params': params}, *args, method=method)[0]


def _excite(block: Block, params: Any, x: Any, mask: Any, kept: Any) -> tuple[jax.Array, jax.Array]:
  """What a block's gates scale, [side, side, C], and its sum [C] over the kept pixels."""
  x = jnp.asarray(x)
  out = block.apply({'params': params}, x[None].astype(block.dtype), mask[None], method='excited')[
    0
  ]
  out = out.astype(x.dtype)
  return out, (out * kept).sum((0, 1))


def _join(block: Block, x: Any, excited: Any, gates: Any) -> jax.Array:
  return block.joined(x[None], excited[None], gates[None])[0]


def _trunk(net: SrSENet, params: Any, y: Any, mask: Any, gates: Any) -> jax.Array:
  """The last features [side, side, C] of luminance [side, side, 1] with given gates [blocks, C]."""
  block: Any = net.make_block()
  x: Any = net.apply({'params': params}, y[None], mask[None], method='enter')
  for i in range(net.num_blocks):
    own = {'params': params[net.block_name(i)]}
    excited = block.apply(own, x, mask[None], method='excited')
    x = block.joined(x, excited, gates[None, i].astype(x.dtype))
  return x[0].astype(net.param_dtype)
