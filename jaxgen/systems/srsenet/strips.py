"""An image in a few strips, one per core, each of which also sees a row of cells of its neighbours."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.nn.winograd import CELL
from jaxgen.systems.srsenet.canvas import Pieces
from jaxgen.systems.srsenet.crew import Crew
from jaxgen.systems.srsenet.tiles import Luminance, Tile

Result = TypeVar('Result')


class Strips:
  """The features of an image between its blocks.

  Args:
    pieces: the net's stages.
    crew: the threads.
    luminance: luminance of the image.
    tiles: the strips from top to bottom, of the image's width; each sees one row of cells of the next.
    length: length of their buffers.
  """

  def __init__(
    self, pieces: Pieces, crew: Crew, luminance: Luminance, tiles: list[Tile], length: int
  ):
    self.tiles, self._pieces, self._crew = tiles, pieces, crew
    self._ys = [jax.device_put(tile.place(luminance, length)) for tile in tiles]
    self._masks = [jax.device_put(tile.mask(luminance, length)) for tile in tiles]
    self._kept = [jax.device_put(tile.kept(luminance.image, length)) for tile in tiles]
    self._xs: list[Any] = [None] * len(tiles)
    self._excited: list[Any] = [None] * len(tiles)

  def enter(self, params: Any) -> None:
    """Computes the first features."""

    def one(n: int) -> jax.Array:
      return self._pieces.enter(params, self._ys[n], self._masks[n], self.tiles[n].layout)

    self._xs = self._each(one)
    self._excited = [jnp.zeros_like(x) for x in self._xs]

  def excite(self, kernels: Any) -> np.ndarray:
    """Computes what a block's gates scale, in all strips; returns its sum [C] over the image."""

    def one(n: int) -> tuple[jax.Array, jax.Array]:
      work, self._excited[n] = self._excited[n], None  # donated
      return self._pieces.excite(
        kernels, self._xs[n], work, self._masks[n], self._kept[n], self.tiles[n].layout
      )

    found = self._each(one)
    self._excited = [work for work, _ in found]
    return np.sum([np.asarray(total, np.float64) for _, total in found], 0)

  def join(self, gates: jax.Array) -> None:
    """Computes the block's output in all strips, from gates [C]."""

    def one(n: int) -> jax.Array:
      x, self._xs[n] = self._xs[n], None
      return self._pieces.join(x, self._excited[n], gates, self.tiles[n].layout)

    self._xs = self._each(one)
    for n in range(len(self.tiles) - 1):
      layouts = self.tiles[n].layout, self.tiles[n + 1].layout
      self._xs[n : n + 2] = self._pieces.exchange(*self._xs[n : n + 2], *layouts)
    jax.block_until_ready(self._xs)

  def forget(self) -> None:
    """Frees what only the blocks need."""
    self._excited = self._kept = []

  def leave(self, params: Any) -> list[np.ndarray]:
    """Each strip's output in phases, as a buffer."""

    def one(n: int) -> jax.Array:
      return self._pieces.leave(
        params, self._xs[n], self._ys[n], self._masks[n], self.tiles[n].layout
      )

    return [np.asarray(found) for found in self._each(one)]

  def seen(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A strip's features, luminance and mask as cells [rows, columns, 4, 4, C]."""
    layout = self.tiles[n].layout
    x, y, mask = (layout.view(np.asarray(flat[n])) for flat in (self._xs, self._ys, self._masks))
    return x, y, mask

  def _each(self, function: Callable[[int], Result]) -> list[Result]:
    return list(self._crew(lambda n: jax.block_until_ready(function(n)), range(len(self.tiles))))


def make_strips(grid: tuple[int, int], spare: bool, count: int, least: int) -> list[Tile]:
  """Divides an image into strips of nearly equal height.

  Args:
    grid: the image's rows and columns of cells.
    spare: whether its last column ends with zeros.
    count: maximum number of strips.
    least: minimum height of a strip in pixels, if there is more than one.
  """
  rows, columns = grid
  count = max(1, min(count, rows * CELL // least))
  ends = [rows * n // count for n in range(count + 1)]
  wide = slice(0, columns)
  return [
    Tile(
      (slice(top, end), wide),
      (slice(max(0, top - 1), min(end + 1, rows)), wide),
      columns if spare else columns + 1,
    )
    for top, end in pairwise(ends)
  ]
