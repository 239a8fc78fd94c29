"""Where the head of a clip is, and where its landmarks are once it is turned."""

import csv
import io
from pathlib import Path

import numpy as np

from jaxgen.errors import DataError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.posing.surface import CROP, EYES, MOUTH, NOSE, Head
from jaxgen.systems.lipgen.posing.turning import projected, rotation
from jaxgen.systems.lipgen.video.alignment import MEAN_EYES, filled
from jaxgen.systems.lipgen.video.crops import SIZE, mean_width
from jaxgen.systems.lipgen.video.landmark_files import COLUMNS
from jaxgen.systems.lipgen.video.landmarks import FILE, LEFT_EYE, RIGHT_EYE, Landmarks
from jaxgen.systems.lipgen.video.landmarks import MOUTH as MOUTH_ANCHOR

KINDS = FULL_FACE, POSE_CROP = 'full-face', 'pose-crop'
CROPPED = 'cropped-face'  # a mouth that was cut out of a whole face once that was turned
LARGEST_CROP = 128  # pixels of a side: square clips up to this are crops of the mouth


def kind_of(size: tuple[int, int]) -> str:
  """Whether frames of that height and width are crops of the mouth, or whole faces."""
  height, width = size
  return POSE_CROP if height == width <= LARGEST_CROP else FULL_FACE


def head_of_crop(size: int) -> Head:
  """The head in crops of the mouth of so many pixels."""
  return CROP.shifted(0, 0, size / SIZE)


def head_of(landmarks: Landmarks) -> Head:
  """The middle place and size of a head over a clip.

  Raises:
    DataError: nothing tells the head's size.
  """
  anchors = np.median(filled(landmarks.anchors), axis=0)
  left, right = anchors[LEFT_EYE], anchors[RIGHT_EYE]
  if np.isfinite([left, right]).all():
    x, y = (left + right) / 2
    # A head that is turned already has its eyes nearer to each other; the mouth's distance is a second measure.
    eyes = float(np.hypot(*(right - left)))
    return Head(float(x), float(y), max(eyes, float(anchors[MOUTH_ANCHOR][1] - y) / MOUTH[1] * 0.9))
  width = float(np.nanmedian(landmarks.widths))
  if not np.isfinite(width):
    raise DataError('neither eyes nor a width tell the size of the face')
  scale = width * MEAN_EYES / mean_width(landmarks.source)
  x, y = anchors[MOUTH_ANCHOR]
  return Head(float(x), float(y) - MOUTH[1] * scale, scale)


def turned_anchors(head: Head, yaw: float, pitch: float) -> np.ndarray:
  """Corners of the eyes, nose and mouth [4, 2] of a turned head that stays in its place, in pixels."""
  points = np.array([*EYES, NOSE, MOUTH]) @ rotation(yaw, pitch).T
  return projected(points) * head.scale + [head.x, head.y]


def landmarks_of(anchors: np.ndarray, frames: int, size: tuple[int, int]) -> Landmarks:
  """Anchors [4, 2] that hold for all frames (of height and width `size`) as landmarks of a file."""
  unknown = np.full(frames, np.nan)
  places = np.repeat(anchors[None], frames, axis=0)
  boxes, lips = np.full((frames, 4), np.nan), np.zeros((frames, 0, 2))
  return Landmarks(FILE, places, unknown, boxes, lips, 1, size)


def write_anchors(path: Path, anchors: np.ndarray, frames: int) -> None:
  """Writes anchors that hold for all frames as a file for `jaxgen mouths --landmarks`."""
  out = io.StringIO()
  writer = csv.writer(out, lineterminator='\n')
  writer.writerow(['frame', *COLUMNS])
  values = [f'{x:.2f}' for x in anchors.ravel()]
  writer.writerows([frame, *values] for frame in range(frames))
  write_bytes(path, out.getvalue().encode())
