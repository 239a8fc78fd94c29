"""Positions of eyes, nose and mouth in each frame of a clip, from one of three sources."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError, DataError
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.video import face_mesh
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.faces import (
  LONGEST_LOSS,
  Box,
  Followed,
  follow,
  haar_detector,
  seen_boxes,
)
from jaxgen.systems.lipgen.video.landmark_files import Given
from jaxgen.words import counted

SOURCES = FILE, MESH, HAAR = 'file', 'mesh', 'haar'
AUTO = 'auto'

# Anchors of a face: their order in arrays.
LEFT_EYE, RIGHT_EYE, NOSE, MOUTH = range(4)

# The mouth's position in Haar's box, as shares of width and height: the middle of third-party crops cut by such
# a box, (.495, .788), plus the offset between that and the mouth, see `crops`.
_HAAR_MOUTH = 0.508, 0.825
_LIPS = face_mesh.OUTER_LIPS + face_mesh.INNER_LIPS


class Landmarks(NamedTuple):
  """A face through a clip of T frames; NaN where unknown.

  Attributes:
    source: file, mesh or haar.
    anchors: float [T, 4, 2], x and y in pixels of the outer corners of the eyes (left and right in the
      picture), the base of the nose and the middle of the mouth.
    widths: float [T], of the face's box in pixels, if its anchors do not determine its size.
    boxes: float [T, 4]: x, y, width and height of the face, for display.
    lips: float [T, L, 2], for display; L may be 0.
    faces: how many faces were seen.
    size: height and width of the frames.
    unclear: in how many frames the mesh is unsure, see `face_mesh.CLEAR`.
  """

  source: str
  anchors: np.ndarray
  widths: np.ndarray
  boxes: np.ndarray
  lips: np.ndarray
  faces: int
  size: tuple[int, int]
  unclear: int = 0

  @property
  def found(self) -> np.ndarray:
    """Frames in which the mouth was found, bool [T]."""
    return np.isfinite(self.anchors[:, MOUTH, 0])

  @property
  def gaps(self) -> list[tuple[int, int]]:
    """Start and exclusive end of stretches without a face that are too long for tracking to continue.

    The frames there do not show a mouth at all. None for a landmark file, whose rows may be sparse.
    """
    if self.source == FILE:
      return []
    edges = np.diff(np.concatenate([[0], ~self.found, [0]]).astype(int))
    ends = zip(*(np.flatnonzero(edges == sign).tolist() for sign in (1, -1)), strict=True)
    return [(first, end) for first, end in ends if end - first > LONGEST_LOSS]

  def lines(self) -> list[str]:
    """Messages for the user about several faces, and frames without one or with an unsure mesh."""
    of = counted(len(self.found), 'frame')
    told = []
    if self.faces > 1:
      told.append(f'{self.faces} faces in {of}: the largest was tracked')
    seen = int(self.found.sum())
    if 2 * self.unclear > seen:
      told.append(
        f'the mesh is unsure of the face in {self.unclear} of {seen} frames: is it upside down, covered or '
        'blurred?'
      )
    missing = len(self.found) - seen
    if missing:
      told.append(f'no face in {missing} of {of}: its position was interpolated')
    return told


def find_landmarks(
  video: Video,
  source: str = AUTO,
  given: Given | None = None,
  bars: Bars = no_bars,
  advice: str = 'Give its position with --landmarks FILE',
) -> Landmarks:
  """The landmarks of a clip from the best available source, or from the named one.

  The order is: the user's file, the mesh (extra `[landmarks]`), Haar's box; the last also if the mesh sees no
  face in any frame.

  Args:
    video: the clip.
    source: auto, file, mesh or haar.
    given: landmarks of the user's file.
    bars: see `jaxgen.passes.Bars`.
    advice: what to do if there is no face.

  Raises:
    DataError: there is no face; names the clip. Or what `Video.frames` raises.
    ConfigError: the source is unknown or not available.
  """
  if source not in (AUTO, *SOURCES):
    raise ConfigError(f'unknown --source={source}; known: {", ".join((AUTO, *SOURCES))}')
  if source == FILE and given is None:
    raise ConfigError('--source=file needs --landmarks FILE')
  if given is not None and source in (AUTO, FILE):
    return _of_file(video, given, bars)
  tried = []
  if source == MESH or (source == AUTO and face_mesh.available()):
    found = _by_mesh(video, bars)
    if found.found.any() or source == MESH:
      return _checked(found, video, 'the mesh', advice)
    tried.append('the mesh')
  return _checked(_by_haar(video, bars), video, ' and '.join([*tried, "Haar's box"]), advice)


def _checked(found: Landmarks, video: Video, tried: str, advice: str) -> Landmarks:
  """Raises DataError if there is no face at all."""
  if found.found.any():
    return found
  line = video.seen.line() if video.seen else ''
  raise DataError(f'{video.path}: no face in any frame ({line}; searched with {tried}). {advice}')


def _by_haar(video: Video, bars: Bars) -> Landmarks:
  detect = haar_detector()
  frames = bars((frame.pixels for frame in video.frames()), 'faces')
  return of_boxes(*seen_boxes(frames, detect))


def of_boxes(boxes: Sequence[Sequence[Box]], size: tuple[int, int]) -> Landmarks:
  """Landmarks of the face tracked through Haar's boxes.

  Args:
    boxes: of each of T frames.
    size: height and width of the frames.
  """
  followed = follow(boxes, size)
  anchors = np.full((len(boxes), 4, 2), np.nan)
  for i, box in enumerate(followed.boxes):
    if box:
      across, down = _HAAR_MOUTH
      anchors[i, MOUTH] = box.x + across * box.width - 0.5, box.y + down * box.height - 0.5
  shown = _box_array(followed)
  return Landmarks(
    HAAR, anchors, shown[:, 2], shown, np.zeros((len(boxes), 0, 2)), followed.faces, size
  )


class Finder(NamedTuple):
  """Finds a face in frames that arrive one by one.

  Attributes:
    colour: whether it takes RGB frames instead of grey ones.
    detect: a frame, uint8 [H, W, 3] or [H, W] -> boxes.
    landmarks: (boxes of each of T frames, height and width of the frames) -> landmarks.
  """

  colour: bool
  detect: Callable[[np.ndarray], list[Box]]
  landmarks: Callable[[Sequence[Sequence[Box]], tuple[int, int]], Landmarks]


def make_finder(source: str = AUTO) -> Finder:
  """A finder by the mesh if it is installed, otherwise by Haar's box; or the one that is named.

  Raises:
    ConfigError: it is not installed.
  """
  if source == MESH or (source == AUTO and face_mesh.available()):
    return Finder(True, face_mesh.MeshDetector(), of_meshes)
  return Finder(False, haar_detector(), of_boxes)


def of_meshes(boxes: Sequence[Sequence[Box]], size: tuple[int, int]) -> Landmarks:
  """Landmarks of the face tracked through boxes with meshes.

  Args:
    boxes: of each of T frames, with the 468 points of a mesh.
    size: height and width of the frames.
  """
  followed = follow(boxes, size)
  found = _no_mesh(followed, size)
  for i, box in enumerate(followed.boxes):
    if box:
      found.anchors[i], found.lips[i] = _of_mesh(box.points)
  return found


def _no_mesh(followed: Followed, size: tuple[int, int]) -> Landmarks:
  """Landmarks of a tracked face with its meshes yet to be filled in."""
  count = len(followed.boxes)
  return Landmarks(
    MESH,
    np.full((count, 4, 2), np.nan),
    np.full(count, np.nan),
    _box_array(followed),
    np.full((count, len(_LIPS), 2), np.nan),
    followed.faces,
    size,
  )


def _of_mesh(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Anchors [4, 2] and lips [L, 2] of a mesh [468, 2]."""
  stable = points[[face_mesh.LEFT_EYE, face_mesh.RIGHT_EYE, face_mesh.NOSE_BASE]]
  lips = points[list(_LIPS)]
  return np.array([*stable, lips.mean(0)]), lips


def _by_mesh(video: Video, bars: Bars) -> Landmarks:
  detect = face_mesh.FaceDetector()
  frames = bars((frame.pixels for frame in video.frames(colour=True)), 'faces')
  boxes, size = seen_boxes(frames, detect)
  followed = follow(boxes, size)
  found = _no_mesh(followed, size)
  if not followed.found:
    return found
  mesh, unclear = face_mesh.FaceMesh(), 0
  pairs = zip(video.frames(colour=True), _without_gaps(followed.boxes), strict=True)
  for i, (frame, box) in enumerate(bars(pairs, 'landmarks')):
    points, score = mesh.scored(frame.pixels, box)
    if score >= face_mesh.SEEN:
      found.anchors[i], found.lips[i] = _of_mesh(points)
      unclear += score < face_mesh.CLEAR
  return found._replace(unclear=unclear)


def _without_gaps(boxes: list[Box | None]) -> list[Box]:
  """The box of each frame, or of the nearest frame with one; the mesh then decides whether there is a face.

  At least one frame has a box.
  """
  known = np.array([i for i, box in enumerate(boxes) if box])
  frames = np.arange(len(boxes))
  after = known[np.searchsorted(known, frames).clip(max=len(known) - 1)]
  before = known[(np.searchsorted(known, frames, 'right') - 1).clip(min=0)]
  nearest = np.where(np.abs(frames - before) <= np.abs(after - frames), before, after)
  return [box for i in nearest if (box := boxes[i])]


def _box_array(followed: Followed) -> np.ndarray:
  found = np.full((len(followed.boxes), 4), np.nan)
  for i, box in enumerate(followed.boxes):
    if box:
      found[i] = box[:4]
  return found


def _of_file(video: Video, given: Given, bars: Bars) -> Landmarks:
  sources, times, size = [], [], (0, 0)
  for frame in bars(video.frames(), 'frames'):
    sources.append(frame.source)
    times.append(frame.time)
    size = (frame.pixels.shape[0], frame.pixels.shape[1])
  at = len(sources)
  anchors, widths = given.of_frames(sources, times)
  if not np.isfinite(anchors[:, MOUTH, 0]).any():
    raise DataError(f'{given.path} has no mouth for any of the {at} frames of {video.path}')
  eyes = np.isfinite(anchors[:, [LEFT_EYE, RIGHT_EYE], 0]).any(0).all()
  if not (eyes or np.isfinite(widths).any()):
    raise DataError(f'{given.path} has no eyes or face width for any frame of {video.path}')
  boxes, lips = np.full((at, 4), np.nan), np.zeros((at, 0, 2))
  return Landmarks(FILE, anchors, widths, boxes, lips, 1, size)
