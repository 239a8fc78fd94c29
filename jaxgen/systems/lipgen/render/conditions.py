"""The renderer's conditions for rows of faces: warps and rasters, computed once and cached."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening, write_rows
from jaxgen.systems.lipgen.clips.frames import Frames
from jaxgen.systems.lipgen.warping.faces import Faces
from jaxgen.systems.lipgen.warping.raster import raster
from jaxgen.systems.lipgen.warping.warp import warp
from jaxgen.task import Batch
from jaxgen.words import counted

_VERSION = b'1'
_FILE = 'conditions.npy'


class FaceRows:
  """Random access to faces and their conditions, as batches and splits need it.

  Args:
    faces: R rows of T frames.
    conditions: uint8 [R, 2, T, H, W], see `conditions_of`.
  """

  def __init__(self, faces: Faces, conditions: Frames):
    self._faces, self._conditions = faces, conditions

  def __len__(self) -> int:
    return len(self._faces.labels)

  @property
  def nbytes(self) -> int:
    """Bytes of frames, warps and rasters."""
    return 3 * int(np.prod(self._faces.frames.shape, dtype=np.int64))

  def gather(self, rows: np.ndarray) -> Batch:
    """{'reference' [b, H, W], 'frames', 'warp', 'raster' [b, T, H, W] uint8, 'label' [b], 'span' [b, 2]}."""
    rows = np.asarray(rows)
    conditions = self._conditions[rows]
    return {
      'reference': self._faces.references[rows],
      'frames': np.asarray(self._faces.frames[rows]),
      'warp': np.ascontiguousarray(conditions[:, 0]),
      'raster': np.ascontiguousarray(conditions[:, 1]),
      'label': self._faces.labels[rows],
      'span': self._faces.spans[rows],
    }

  def arrays(self) -> Batch:
    """All rows, as `gather` returns them."""
    return self.gather(np.arange(len(self)))


class Conditions(NamedTuple):
  """What a clip is rendered from, as grey levels.

  Attributes:
    reference: uint8 [H, W].
    warp: uint8 [T, H, W], the reference warped to the contours.
    raster: uint8 [T, H, W], the rasterised contours, 255 in the gap between the lips.
  """

  reference: np.ndarray
  warp: np.ndarray
  raster: np.ndarray


def conditions_for(reference: np.ndarray, source: np.ndarray, points: np.ndarray) -> Conditions:
  """Conditions of a clip with contours `points` [T, 40, 2]; the reference [H, W] has contours `source` [40, 2].

  Compiled once for all T: frames are computed eight at a time.
  """
  length = len(points)
  filled = np.concatenate([points, np.repeat(points[-1:], -length % _TOGETHER, axis=0)])
  parts = [
    np.asarray(_made(reference, source, filled[i : i + _TOGETHER]))
    for i in range(0, len(filled), _TOGETHER)
  ]
  made = np.concatenate(parts, axis=1)[:, :length]
  return Conditions(reference, made[0], made[1])


_TOGETHER = 8


@jax.jit
def _made(reference: jax.Array, source: jax.Array, points: jax.Array) -> jax.Array:
  """uint8 [2, T, H, W]: warps and rasters."""
  height, width = reference.shape
  found = jnp.stack([warp(reference, source, points), 255 * raster(points, (height, width))])
  return jnp.clip(jnp.round(found), 0, 255).astype(jnp.uint8)


def conditions_of(faces: Faces) -> np.ndarray:
  """Warps and rasters of rows, uint8 [R, 2, T, H, W]; computed once, memory-mapped from $JAXGEN_CACHE/warps.

  Raises:
    DataError: the cache lacks room, cannot be written or is damaged.
  """
  told = (faces.references, faces.reference_points, faces.points)
  root = cache_folder() / 'warps' / digests.name([_VERSION, *(x.tobytes() for x in told)])
  clips = counted(len(faces.labels), 'clip')
  keep(
    root,
    lambda folder: _make_all(faces, folder),
    f'warping the faces of {clips}',
    named='warped faces',
    needed=2 * int(np.prod(faces.frames.shape)),
    sized=f'warps of {clips}',
  )
  with opening(root):
    return np.load(root / _FILE, mmap_mode='r')


def _make_all(faces: Faces, folder: Path) -> None:
  """Writes the warps and rasters into `folder`, a row at a time."""

  def made(row: int) -> tuple[np.ndarray, None]:
    found = conditions_for(faces.references[row], faces.reference_points[row], faces.points[row])
    return np.stack(found[1:]), None

  rows, *video = faces.frames.shape
  told = counted(rows, 'clip')
  write_rows(folder / _FILE, (rows, 2, *video), made, lambda n: f'warped {n:,} of {told}')
