"""Face meshes of 468 points over a clip: aligned, as offsets from a neutral face, as principal components."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder, require_room
from jaxgen.errors import DataError
from jaxgen.files import write_bytes
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.video import face_mesh
from jaxgen.systems.lipgen.video.alignment import MEAN_FACE, applied, filled, similarity
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.faces import follow, seen_boxes

POINTS = 468
NUM_COMPONENTS = 20
# The 40 points of a contour in the order of `procedural.geometry.contours`: outer lips from the left corner
# over the top, then inner ones; face_mesh goes the other way around.
CONTOUR = tuple(
  ring[i] for ring in (face_mesh.OUTER_LIPS, face_mesh.INNER_LIPS) for i in (0, *range(19, 0, -1))
)
# Points that speech does not move: corners of the eyes, bridge and sides of the nose, and its base.
STILL = (33, 133, 362, 263, 168, 6, 197, 195, 48, 278, 98, 327, 2)
_ANCHORS = (face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE, face_mesh.NOSE_BASE)  # as MEAN_FACE has them
_STILL_ANCHORS = [STILL.index(point) for point in _ANCHORS]
# Upper and lower inner lips: the middle of the mouth and the points next to it.
_UPPER, _LOWER = (81, 82, 13, 312, 311), (178, 87, 14, 317, 402)
_ROUNDS = 3  # iterations of aligning to the mean and updating the mean
_CLOSED = 0.15  # share of a clip's frames, those with the least opening, whose mean is neutral
VERSION = 1  # of the cache of `find_meshes`


class Meshes(NamedTuple):
  """A face through a clip of T frames at 25 a second.

  Attributes:
    points: float32 [T, 468, 2], x and y in pixels of the frames; interpolated from neighbouring frames where no
      face was found.
    found: bool [T].
    size: height and width of the frames.
  """

  points: np.ndarray
  found: np.ndarray
  size: tuple[int, int]


class Components(NamedTuple):
  """Principal components of a face's offsets from its neutral one.

  Attributes:
    mean: float32 [936], the mean offset, x and y of 468 points in pixels of the mean face.
    basis: float32 [K, 936], orthonormal.
    spread: float32 [K], standard deviations along the basis, in descending order.
    explained: float64 [K], shares of the variance.
  """

  mean: np.ndarray
  basis: np.ndarray
  spread: np.ndarray
  explained: np.ndarray

  def encode(self, offsets: np.ndarray) -> np.ndarray:
    """Components [..., K] of offsets [..., 468, 2], with unit standard deviation on the data of the fit."""
    flat = offsets.reshape(*offsets.shape[:-2], -1)
    return (flat - self.mean) @ self.basis.T / self.spread

  def decode(self, numbers: np.ndarray) -> np.ndarray:
    """Offsets [..., 468, 2] from components [..., K]."""
    flat = (numbers * self.spread) @ self.basis + self.mean
    return flat.reshape(*numbers.shape[:-1], POINTS, 2)

  def save(self, path: Path) -> None:
    """Writes an .npz file."""
    np.savez(path, **self._asdict())

  @classmethod
  def load(cls, path: Path) -> 'Components':
    """Loads a file written by `save`.

    Raises:
      DataError: it cannot be read, or was not written by `save`.
    """
    try:
      with np.load(path) as file:
        return cls(**{name: file[name] for name in cls._fields})
    except (OSError, ValueError, LookupError) as error:
      raise DataError(f'{path} has no mesh components: {error}') from error


def find_meshes(path: Path, bars: Bars = no_bars) -> Meshes:
  """The meshes of a video, 7 ms a frame on one core; cached in $JAXGEN_CACHE/meshes.

  Args:
    path: path of the video; of several faces the largest is tracked.
    bars: see `jaxgen.passes.Bars`.

  Raises:
    DataError: the file is not a video, no frame has a face, or the cache is full.
    ConfigError: the networks are not installed.
  """
  if not path.is_file():
    raise DataError(f'{path}: no such file')
  kept = cache_folder() / 'meshes' / f'{digests.name([digests.of_file(path), b"%d" % VERSION])}.npz'
  try:
    with np.load(kept) as file:
      height, width = map(int, file['size'])
      return Meshes(file['points'], file['found'], (height, width))
  except FileNotFoundError:
    pass
  except (OSError, ValueError, LookupError) as error:
    raise DataError(f'{kept} is damaged: remove it and start again ({error})') from error
  meshes = _found(path, bars)
  require_room(kept.parent, meshes.points.nbytes, f'the meshes of {path}')
  written = io.BytesIO()
  np.savez(written, **meshes._asdict())
  try:
    write_bytes(kept, written.getvalue())
  except OSError as error:
    raise DataError(
      f'cannot write meshes to {kept.parent} (set JAXGEN_CACHE to a folder with room): {error}'
    ) from error
  return meshes


def _found(path: Path, bars: Bars) -> Meshes:
  video = Video(path)
  frames = bars((frame.pixels for frame in video.frames(colour=True)), 'meshes')
  boxes, size = seen_boxes(frames, face_mesh.MeshDetector())
  points = np.full((len(boxes), POINTS, 2), np.nan)
  for i, box in enumerate(follow(boxes, size).boxes):
    if box:
      points[i] = box.points
  found = np.isfinite(points[:, 0, 0])
  if not found.any():
    raise DataError(f'{path}: the mesh found no face in any frame')
  return Meshes(filled(points).astype(np.float32), found, size)


def aligned(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Aligns a clip's meshes upright at the size of the mean face, each by a similarity of the still points.

  The still points are aligned to their mean in this clip: its own nose and eyes, not a mean person's.

  Args:
    points: [T, 468, 2] in pixels.

  Returns:
    float32 [T, 468, 2] in pixels of the mean face (256 x 256, see `alignment.MEAN_FACE`), and the maps
    [T, 2, 3] used.
  """
  still = points[:, STILL].astype(np.float64)
  to_mean = [similarity(p, MEAN_FACE[:3]) for p in points[:, _ANCHORS].astype(np.float64)]
  maps = np.stack(to_mean)
  for _ in range(_ROUNDS):
    template = applied(maps[:, None], still).mean(0)
    # Averaging rotated and scaled faces shrinks them, so the mean is rescaled.
    template = applied(similarity(template[_STILL_ANCHORS], MEAN_FACE[:3]), template)
    maps = np.stack([similarity(p, template) for p in still])
  return applied(maps[:, None], points.astype(np.float64)).astype(np.float32), maps


def opening(points: np.ndarray) -> np.ndarray:
  """Height [...] of the gap between the inner lips, in the unit of points [..., 468, 2].

  The mean over five pairs of points in the middle of the mouth; never negative.
  """
  return np.maximum(gap(points), 0.0)


def gap(points: np.ndarray) -> np.ndarray:
  """Signed `opening` [...], negative where lips overlap; for offsets, how much wider a mouth is open."""
  return (points[..., _LOWER, 1] - points[..., _UPPER, 1]).mean(-1)


def neutral(points: np.ndarray) -> np.ndarray:
  """The face at rest [468, 2]: the mean of those frames of a clip [T, 468, 2] with the smallest opening."""
  return neutral_by(points, opening(points))


def neutral_by(points: np.ndarray, gaps: np.ndarray) -> np.ndarray:
  """The mean of any per-frame values [T, ...] over the frames with the smallest gaps [T]."""
  count = max(1, round(_CLOSED * len(gaps)))
  return points[np.argsort(gaps, kind='stable')[:count]].mean(0)


def offsets(points: np.ndarray) -> np.ndarray:
  """Offsets of aligned meshes [T, 468, 2] from the neutral face of their clip."""
  return points - neutral(points)


def fit(clips: Sequence[np.ndarray], count: int = NUM_COMPONENTS) -> Components:
  """Principal components of offsets.

  Args:
    clips: offsets [T, 468, 2] of each clip.
    count: number of components; at most one less than the number of frames.

  Raises:
    DataError: too few frames.
  """
  flat = np.concatenate(clips).reshape(-1, 2 * POINTS).astype(np.float64)
  if len(flat) <= count:
    raise DataError(
      f'{len(flat)} frames cannot yield {count} principal components: give more frames than that'
    )
  mean = flat.mean(0)
  _, values, basis = np.linalg.svd(flat - mean, full_matrices=False)
  variance = values**2
  return Components(
    mean.astype(np.float32),
    basis[:count].astype(np.float32),
    (values[:count] / np.sqrt(len(flat) - 1)).astype(np.float32),
    variance[:count] / variance.sum(),
  )
