"""The position of the head in a clip, and of its landmarks after turning."""

import csv
import io
from pathlib import Path

import numpy as np

from jaxgen.errors import DataError
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.clips.placed import CROPPED as CROPPED
from jaxgen.systems.lipgen.posing.surface import CROP, EYES, MOUTH, NOSE, Head
from jaxgen.systems.lipgen.posing.turning import projected, rotation
from jaxgen.systems.lipgen.video.alignment import MEAN_EYES, filled
from jaxgen.systems.lipgen.video.crops import MOUTHS, SIZE, Cropping, mean_width
from jaxgen.systems.lipgen.video.landmark_files import COLUMNS
from jaxgen.systems.lipgen.video.landmarks import FILE, LEFT_EYE, RIGHT_EYE, Landmarks
from jaxgen.systems.lipgen.video.landmarks import MOUTH as MOUTH_ANCHOR

KINDS = FULL_FACE, POSE_CROP = 'full-face', 'pose-crop'
LARGEST_CROP = 128  # pixels: square clips up to this side are mouth crops


def kind_of(size: tuple[int, int]) -> str:
  """Whether frames of this height and width are mouth crops or whole faces."""
  height, width = size
  return POSE_CROP if height == width <= LARGEST_CROP else FULL_FACE


def head_of_crop(size: int, like: Cropping = MOUTHS) -> Head:
  """The head in mouth crops of `size` pixels."""
  zoom, middle = MOUTHS.pixels / like.pixels, (SIZE - 1) / 2
  left, top = (
    middle + (own - usual) / MOUTHS.pixels - middle / zoom
    for own, usual in zip(like.from_mouth, MOUTHS.from_mouth, strict=True)
  )
  return CROP.shifted(left, top, zoom).shifted(0, 0, size / SIZE)


def head_of(landmarks: Landmarks) -> Head:
  """The median position and size of a head over a clip.

  Raises:
    DataError: the head's size cannot be determined.
  """
  anchors = np.median(filled(landmarks.anchors), axis=0)
  left, right = anchors[LEFT_EYE], anchors[RIGHT_EYE]
  if np.isfinite([left, right]).all():
    x, y = (left + right) / 2
    # If a head is already turned, its eyes are closer together; the distance to the mouth is a second measure.
    eyes = float(np.hypot(*(right - left)))
    return Head(float(x), float(y), max(eyes, float(anchors[MOUTH_ANCHOR][1] - y) / MOUTH[1] * 0.9))
  width = float(np.nanmedian(landmarks.widths))
  if not np.isfinite(width):
    raise DataError('the face has no known size: no eyes and no width')
  scale = width * MEAN_EYES / mean_width(landmarks.source)
  x, y = anchors[MOUTH_ANCHOR]
  return Head(float(x), float(y) - MOUTH[1] * scale, scale)


def turned_anchors(head: Head, yaw: float, pitch: float) -> np.ndarray:
  """Eye corners, nose and mouth [4, 2], in pixels, of a head turned in place."""
  points = np.array([*EYES, NOSE, MOUTH]) @ rotation(yaw, pitch).T
  return projected(points) * head.scale + [head.x, head.y]


def landmarks_of(anchors: np.ndarray, frames: int, size: tuple[int, int]) -> Landmarks:
  """Constant anchors [4, 2] for all frames (of height and width `size`), as landmarks of a file."""
  unknown = np.full(frames, np.nan)
  places = np.repeat(anchors[None], frames, axis=0)
  boxes, lips = np.full((frames, 4), np.nan), np.zeros((frames, 0, 2))
  return Landmarks(FILE, places, unknown, boxes, lips, 1, size)


def write_anchors(path: Path, anchors: np.ndarray, frames: int) -> None:
  """Writes constant anchors for all frames as a file for `jaxgen mouths --landmarks`."""
  out = io.StringIO()
  writer = csv.writer(out, lineterminator='\n')
  writer.writerow(['frame', *COLUMNS])
  values = [f'{x:.2f}' for x in anchors.ravel()]
  writer.writerows([frame, *values] for frame in range(frames))
  write_bytes(path, out.getvalue().encode())
