"""User-supplied landmarks: CSV, TSV, JSON or NumPy files.

A table has a row for each annotated frame, with the columns `frame` (the index of the frame in the video, from
0) or `time` (seconds from the first frame), `mouth_x` and `mouth_y` (the middle of the mouth, in pixels of the
frame as shown), and the size of the face: either `left_eye_x`, `left_eye_y`, `right_eye_x`, `right_eye_y` (the
outer corners of the eyes, left and right in the picture), optionally with `nose_x` and `nose_y` (where the nose
meets the lip), or `width` (of the face, from ear to ear). JSON is a list of objects with these keys. A `.npy`
file, or the first array of a `.npz` file, has 68 points for each frame in the usual order of iBUG 300-W, float
[T, 68, 2]; NaN for frames without a face. Many trackers write zeros or -1 for what they did not find: points at
(0, 0), and points of a row that coincide, are unknown.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import DataError, first_line
from jaxgen.files import decoded_text
from jaxgen.systems.lipgen.clips.cells import of_text
from jaxgen.systems.lipgen.units import RATE

COLUMNS = (
  'left_eye_x',
  'left_eye_y',
  'right_eye_x',
  'right_eye_y',
  'nose_x',
  'nose_y',
  'mouth_x',
  'mouth_y',
)
_WIDTH = 'width'
_POINTS = 68
_HOW = (
  'expected columns: frame (or time), mouth_x, mouth_y, and left_eye_x, left_eye_y, right_eye_x, '
  'right_eye_y (or width)'
)


class Given(NamedTuple):
  """Landmarks of a file.

  Attributes:
    path: of the file.
    frames: int [N], indices of frames in the video; -1 where times are given.
    times: float [N], in seconds; NaN where frames are given.
    anchors: float [N, 4, 2], see `Landmarks`.
    widths: float [N] of the face in pixels; NaN where the eyes are given.
  """

  path: Path
  frames: np.ndarray
  times: np.ndarray
  anchors: np.ndarray
  widths: np.ndarray

  def of_frames(
    self, sources: Sequence[int], times: Sequence[float]
  ) -> tuple[np.ndarray, np.ndarray]:
    """Anchors [T, 4, 2] and widths [T] for the frames of a clip, NaN where the file has none.

    Args:
      sources: index in the video of each frame of the clip.
      times: of these frames, in seconds from the first.
    """
    row = {int(n): i for i, n in enumerate(self.frames) if n >= 0}
    rows = np.array([row.get(int(n), -1) for n in sources])
    rows = np.where(rows < 0, self._timed(np.asarray(times)), rows)
    known = rows >= 0
    anchors = np.where(known[:, None, None], self.anchors[rows], np.nan)
    return anchors, np.where(known, self.widths[rows], np.nan)

  def _timed(self, times: np.ndarray) -> np.ndarray:
    """The row with the time nearest to each of `times` [T]; -1 if none is near."""
    rows = np.flatnonzero(np.isfinite(self.times) & (self.frames < 0))
    if not len(rows):
      return np.full(len(times), -1)
    rows = rows[np.argsort(self.times[rows], kind='stable')]
    given = self.times[rows]
    after = np.searchsorted(given, times).clip(max=len(rows) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(times - given[before] <= given[after] - times, before, after)
    return np.where(np.abs(given[nearest] - times) <= 0.5 / RATE + 1e-6, rows[nearest], -1)


def read_landmarks(path: Path) -> Given:
  """Reads a landmark file.

  Raises:
    DataError: it is missing, or not a landmark file; says what is expected.
  """
  if not path.is_file():
    raise DataError(f'{path}: no such landmark file')
  try:
    if path.suffix.lower() in ('.npy', '.npz'):
      return _of_points(path, _array(path))
    text = decoded_text(path.read_bytes())
    rows = json.loads(text) if path.suffix.lower() == '.json' else _table(text)
  except (OSError, ValueError, zipfile.BadZipFile) as error:
    raise DataError(f'{path} is not a landmark file ({first_line(error)}): {_HOW}') from error
  return _of_rows(path, rows)


def _table(text: str) -> list[dict[str, str]]:
  table = of_text(text)
  return [
    dict(zip(table.titles, map(table.pointed, cells), strict=False)) for _, cells in table.rows
  ]


def _array(path: Path) -> np.ndarray:
  loaded = np.load(path, allow_pickle=False)
  return np.asarray(loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]])


def _of_points(path: Path, points: np.ndarray) -> Given:
  if points.ndim != 3 or points.shape[1:] != (_POINTS, 2):
    raise DataError(
      f'{path} has an array of shape {list(points.shape)}, expected [frames, {_POINTS}, 2]'
    )
  points = points.astype(np.float64)
  mouth = points[:, 48:].mean(1)
  anchors = np.stack([points[:, 36], points[:, 45], points[:, 33], mouth], axis=1)
  count = len(points)
  nothing = np.full(count, np.nan)
  return Given(path, np.arange(count), nothing, _seen(anchors), nothing)


def _of_rows(path: Path, rows: Any) -> Given:
  if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
    raise DataError(f'{path} is not a list of landmark rows: {_HOW}')
  values = np.array([[_number(path, row, key) for key in (*COLUMNS, _WIDTH)] for row in rows])
  values[~np.isfinite(values)] = np.nan
  anchors, widths = (
    values[:, :8].reshape(-1, 4, 2),
    np.where(values[:, 8] > 0, values[:, 8], np.nan),
  )
  frames = np.array([_number(path, row, 'frame') for row in rows])
  times = np.array([_number(path, row, 'time') for row in rows])
  if np.isnan(frames).any() and np.isnan(times).any():
    raise DataError(f'{path}: a row has no frame or time: {_HOW}')
  mouth = np.isfinite(anchors[:, 3]).all(1)
  sized = np.isfinite(anchors[:, :2]).all((1, 2)) | (widths > 0)
  if not mouth.any():
    raise DataError(f'{path} lacks mouth_x and mouth_y: {_HOW}')
  if not (mouth & sized).any():
    raise DataError(f'{path} has no row with both eye corners or the face width: {_HOW}')
  return Given(path, np.nan_to_num(frames, nan=-1).astype(int), times, _seen(anchors), widths)


def _seen(anchors: np.ndarray) -> np.ndarray:
  """Anchors [N, 4, 2] with NaN in place of points that no face has: at (0, 0), or at the place of another."""
  same = (anchors[:, :, None] == anchors[:, None]).all(-1)  # NaN equals nothing
  absent = (same.sum(-1) > 1) | (anchors == 0).all(-1)
  return np.where(absent[..., None], np.nan, anchors)


def _number(path: Path, row: Mapping[str, Any], key: str) -> float:
  value = row.get(key)
  if value is None or value == '':
    return np.nan
  try:
    return float(value)
  except (TypeError, ValueError) as error:
    raise DataError(f'{path}: {key} is {value!r}, expected a number') from error
