"""An overlay video that shows what was cropped: face box, landmarks, mouth square and crop."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import SIZE, inverse
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.video.mouths import MouthClip

_BOX, _CROP, _LIPS, _ANCHORS = (255, 220, 60), (70, 230, 90), (255, 90, 90), (90, 150, 255)
_LOST = (255, 60, 60)
_TALLEST = 720  # pixels of an overlay's height at most


def write_overlay(path: Path, video: str | Path, clip: MouthClip, bars: Bars = no_bars) -> int:
  """Writes frames with the detections drawn in, and the crop at their side; returns their number.

  The crop's square is red where no face was found and its position was interpolated.

  Args:
    path: of the overlay, mp4.
    video: that the clip was made from.
    clip: of `mouths_of`.
    bars: see `mouths_of`.
  """
  return write_video(path, bars(drawn(video, clip), 'overlay'), quality=18)


def drawn(video: str | Path, clip: MouthClip) -> Iterator[np.ndarray]:
  """The frames of an overlay, RGB."""
  cv2 = cv2_module()
  factor = min(1.0, _TALLEST / clip.seen.size[0])
  corners = applied(inverse(clip.crops.maps)[:, None], _square())
  thick = max(1, round(clip.seen.size[0] * factor / 300))
  for i, frame in enumerate(Video(video).frames(colour=True)):
    image = frame.pixels
    if factor < 1:
      image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(image)
    marks = clip.landmarks
    x, y, width, height = marks.boxes[i] * factor
    if np.isfinite(x):
      cv2.rectangle(image, _at((x, y)), _at((x + width, y + height)), _BOX, thick)
    found = bool(marks.found[i])
    outline = np.rint(corners[i] * factor).astype(np.int32)
    cv2.polylines(image, [outline], True, _CROP if found else _LOST, thick)
    for points, colour, radius in (
      (marks.lips[i], _LIPS, thick),
      (marks.anchors[i], _ANCHORS, thick + 1),
    ):
      for point in points[np.isfinite(points[:, 0])] * factor:
        cv2.circle(image, _at(point), radius, colour, -1)
    yield np.concatenate([image, _side(clip.frames[i], image.shape[0])], axis=1)


def _square() -> np.ndarray:
  """The corners of a crop [1, 4, 2]."""
  low, high = -0.5, SIZE - 0.5
  return np.array([[(low, low), (high, low), (high, high), (low, high)]])


def _at(point: tuple[float, float] | np.ndarray) -> tuple[int, int]:
  return round(float(point[0])), round(float(point[1]))


def _side(crop: np.ndarray, height: int) -> np.ndarray:
  """The crop enlarged by the largest integer factor up to 3 that fits, in a column of this height; RGB."""
  times = max(1, min(3, height // crop.shape[0]))
  large = np.repeat(np.repeat(crop, times, 0), times, 1)[:height]
  column = np.zeros((height, large.shape[1], 3), np.uint8)
  column[: large.shape[0]] = large[..., None]
  return column
