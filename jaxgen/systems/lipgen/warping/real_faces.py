"""Rows of real mouths for the renderer: GRID's speaker, with labelled contours, and videos of faces."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, ClipSet
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing, framed, framed_points
from jaxgen.systems.lipgen.clips.prepared import Say
from jaxgen.systems.lipgen.clips.windows import first_frames
from jaxgen.systems.lipgen.units import MOUTH, WINDOW
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import cut, place_crops
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.faces import Box
from jaxgen.systems.lipgen.video.landmarks import of_meshes
from jaxgen.systems.lipgen.warping.faces import NEUTRAL, Faces
from jaxgen.systems.lipgen.warping.mesh import CONTOUR, find_meshes
from jaxgen.systems.lipgen.warping.raster import OUTER

SPEAKER = -1  # number of GRID's speaker; drawn speakers are numbered from 0
_CLOSED = 0.15  # share of frames, those with the least opening, that count as at rest
# Upper and lower inner lips in the middle of the mouth, see `procedural.geometry.contours`.
_UPPER, _LOWER = slice(OUTER + 3, OUTER + 8), slice(OUTER + 13, OUTER + 18)

Contours = Mapping[str, np.ndarray]  # by clip name, [T, 40, 2] in pixels of its 96 x 96


def grid_faces(
  part: str, num_rows: int, *, seed: int = 0, directory: str = '', share: float = 0.2,
  framing: Framing = LIPS, say: Say = logging.info,
) -> Faces:  # fmt: skip
  """Windows of 29 frames around words of GRID's speaker, with contours from the labelling.

  Args:
    part: 'train' or 'validation', which share no clip; the 13 clips with sound are in the latter.
    num_rows: most rows, from all words in an order drawn by the seed.
    seed: seed of the order and the references.
    directory: empty for $JAXGEN_DATA/grid_s1_mouths.
    share: share of clips that is held out, see `clips.grid.load_grid`.
    framing: the visible part of a mouth crop.
    say: called with messages about skipped clips.

  Raises:
    DataError: files are missing or damaged.
    ConfigError: an extra that the labelling needs is missing.
  """
  from jaxgen.systems.lipgen.labelling.labels import load_labels

  labels = load_labels(directory, say)
  clips = grid.load_grid(directory, framing, share, say=say)[part]
  return rows_of(
    clips, dict(zip(labels.names, labels.points, strict=True)), num_rows, framing, seed
  )


def rows_of(
  clips: ClipSet, contours: Contours, num_rows: int, framing: Framing = LIPS, seed: int = 0
) -> Faces:
  """Windows of 29 frames around words, as for readers, shifted to lie within their clips.

  Half of the time the reference is a frame of the same clip outside the window, with the mouth at rest,
  otherwise any frame of another clip.

  Args:
    clips: clips of one speaker, cropped to the framing.
    contours: contours of their mouths; clips without any are skipped.
    num_rows: see `grid_faces`.
    framing: the clips' framing.
    seed: see `grid_faces`.

  Raises:
    DataError: no word has a window with contours and without damaged frames.
  """
  mouths = _Mouths(clips, contours, framing)
  named = np.flatnonzero([name in contours for name in clips.names])
  places = [(int(i), k) for i in named for k in np.flatnonzero(clips.labels[i] >= 0)]
  made: list[tuple[np.ndarray, ...]] = []
  for row in generator(seed, 'real rows').permutation(len(places)):
    if len(made) == num_rows:
      break
    i, k = places[row]
    own, window = mouths(i), _window(clips.spans[i, k], int(clips.lengths[i]))
    if window.start < 0 or not own.good[window].all():
      continue
    rng = generator(seed, 'real reference', int(row))
    reference = _beside(rng, own, window)
    others = named[named != i]
    if (rng.random() >= NEUTRAL or reference is None) and len(others):
      other = mouths(int(rng.choice(others)))
      reference = (
        other.at(rng.choice(np.flatnonzero(other.good))) if other.good.any() else reference
      )
    if reference is not None:
      label, span = clips.labels[i, k], clips.spans[i, k] - window.start
      made.append((*reference, own.frames[window], own.points[window], label, span))
  if not made:
    raise DataError('no word in these clips has 29 good frames around it with known contours')
  return _faces(clips.words, made, np.full(len(made), SPEAKER))


class _Mouth(NamedTuple):
  """A clip: frames uint8 [T, S, S], contours [T, 40, 2] in their pixels, and which frames [T] are usable."""

  frames: np.ndarray
  points: np.ndarray
  good: np.ndarray

  def at(self, moment: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame and its contours."""
    return self.frames[moment], self.points[moment]


def _mouth(frames: np.ndarray, points: np.ndarray) -> _Mouth:
  """A `_Mouth` whose blank frames, as in some GRID clips, are marked unusable."""
  levels = frames.reshape(len(frames), -1)
  good = (levels.min(1) < levels.max(1)) & np.isfinite(points).all((1, 2))
  return _Mouth(frames, points, good)


class _Mouths:
  """Clips by number, each read once."""

  def __init__(self, clips: ClipSet, contours: Contours, framing: Framing):
    self._clips, self._contours, self._framing = clips, contours, framing
    self._read: dict[int, _Mouth] = {}

  def __call__(self, clip: int) -> _Mouth:
    if clip not in self._read:
      length = self._clips.lengths[clip]
      points = framed_points(self._contours[self._clips.names[clip]][:length], self._framing)
      self._read[clip] = _mouth(self._clips.frames[clip][:length], points)
    return self._read[clip]


def _window(span: np.ndarray, length: int) -> slice:
  """A word's window, shifted to lie within its clip; starts before 0 if the clip is shorter."""
  start = min(max(int(first_frames(span)), 0), length - WINDOW)
  return slice(start, start + WINDOW)


def _beside(
  rng: np.random.Generator, clip: _Mouth, window: slice, rests: bool = True
) -> tuple[np.ndarray, np.ndarray] | None:
  """A frame outside the window, with the mouth at rest or any; None if there is none."""
  beyond = clip.good.copy()
  beyond[window] = False
  frames = np.flatnonzero(beyond)
  if not len(frames):
    return None
  if rests:
    count = max(1, round(_CLOSED * len(frames)))
    frames = frames[np.argsort(opening(clip.points[frames]), kind='stable')[:count]]
  return clip.at(rng.choice(frames))


def _faces(
  words: tuple[str, ...], rows: Sequence[tuple[np.ndarray, ...]], speakers: np.ndarray
) -> Faces:
  """Stacks rows: a reference and its contours, frames and theirs, the word's class and its span."""
  references, at, frames, points, labels, spans = (np.stack(x) for x in zip(*rows, strict=True))
  return Faces(
    words=words,
    references=references,
    reference_points=at.astype(np.float32),
    frames=frames,
    points=points.astype(np.float32),
    labels=labels.astype(np.int32),
    spans=spans.astype(np.float32),
    speakers=speakers.astype(np.int64),
  )


def opening(points: np.ndarray) -> np.ndarray:
  """Height of the gap between the inner lips [...] of contours [..., 40, 2]; never negative."""
  # The lower points run in the opposite direction, which does not affect the mean.
  return np.maximum((points[..., _LOWER, 1] - points[..., _UPPER, 1]).mean(-1), 0)


def video_faces(paths: Sequence[Path], framing: Framing = LIPS, seed: int = 0) -> Faces:
  """Consecutive windows of 29 frames of faces in videos, without words; the reference as in `rows_of`.

  Args:
    paths: videos at 25 frames a second; the largest face in each is used, as a separate speaker.
    framing: the visible part of its mouth crop.
    seed: seed of the references.

  Raises:
    DataError: not a video, a video without a face, or all are shorter than a window.
    ConfigError: an extra is missing.
  """
  made: list[tuple[np.ndarray, ...]] = []
  speakers = []
  for number, path in enumerate(paths):
    clip = _mouth(*framed_video(path, framing))
    for start in range(0, len(clip.frames) - WINDOW + 1, WINDOW):
      window, rng = slice(start, start + WINDOW), generator(seed, f'reference of {number}', start)
      reference = _beside(rng, clip, window, bool(rng.random() < NEUTRAL))
      if reference is not None and clip.good[window].all():
        said = np.array(0), np.array([0, WINDOW])
        made.append((*reference, clip.frames[window], clip.points[window], *said))
        speakers.append(number)
  if not made:
    raise DataError(f'none of {len(paths)} videos shows a face for more than {WINDOW} frames')
  return _faces((NO_WORD,), made, np.array(speakers))


def framed_video(path: Path, framing: Framing = LIPS) -> tuple[np.ndarray, np.ndarray]:
  """The mouth in a video, cropped to a framing, uint8 [T, S, S], and its contours, float32 [T, 40, 2].

  Raises:
    DataError: not a video, or no face in it.
    ConfigError: an extra is missing.
  """
  meshes = find_meshes(path)
  boxes = []
  for points in meshes.points.astype(np.float64):
    (x, y), (right, bottom) = points.min(0), points.max(0)
    boxes.append([Box(float(x), float(y), float(right - x), float(bottom - y), points)])
  crops = place_crops(of_meshes(boxes, meshes.size))
  grey = (frame.pixels for frame in Video(path).frames())
  mouths = np.stack(list(cut(grey, crops, MOUTH)))
  contours = applied(crops.maps[:, None], meshes.points[:, list(CONTOUR)].astype(np.float64))
  return framed(mouths, framing), framed_points(contours, framing)
