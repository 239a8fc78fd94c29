"""Face boxes in the frames of a clip, and tracking of one face through it."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.video.extras import cv2_module

LONGEST_LOSS = 25  # frames for which a face may be out of sight and still be the same
_SAME = 0.3  # smallest overlap of the boxes of one face in consecutive frames
_FEWEST = 3  # frames of a track that counts as a face
_SHARE = 0.2  # of the main face's frames that another face must be in to count
# OpenCV's default cascade gives nearly the same boxes, and false positives; video encoding moves them more.
_CASCADE = 'haarcascade_frontalface_alt.xml'
_HAAR_HEIGHT = 320  # pixels to which the shorter side of a frame is shrunk for Haar's cascade
_HAAR_SMALLEST = 0.14  # of the shorter side: a face whose mouth has enough pixels


class Box(NamedTuple):
  """A face in one frame, in its pixels.

  Attributes:
    x: its left side.
    y: its upper side.
    width: to the right.
    height: downwards.
    points: float [K, 2], x and y of the detector's points in it; empty if it has none.
  """

  x: float
  y: float
  width: float
  height: float
  points: np.ndarray = np.zeros((0, 2))

  @property
  def area(self) -> float:
    """Area in square pixels."""
    return self.width * self.height

  @property
  def centre(self) -> tuple[float, float]:
    """X and y of its middle."""
    return self.x + self.width / 2, self.y + self.height / 2


class Followed(NamedTuple):
  """One face tracked through a clip.

  Attributes:
    boxes: of each frame; None where it was not found.
    faces: how many different faces were seen.
  """

  boxes: list[Box | None]
  faces: int

  @property
  def found(self) -> int:
    """Number of frames in which it was found."""
    return sum(box is not None for box in self.boxes)


def overlap(a: Box, b: Box) -> float:
  """Intersection over union."""
  width = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
  height = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
  shared = max(0.0, width) * max(0.0, height)
  return shared / (a.area + b.area - shared)


def follow(seen: Sequence[Sequence[Box]], size: tuple[int, int]) -> Followed:
  """Tracks the largest and most central face through all frames.

  Overlapping boxes of consecutive frames are one face. The face with the largest sum of areas is taken, with
  those away from the centre counted less; where it is lost, another track continues it if it is near and of
  similar size, or long.

  Args:
    seen: boxes of each frame.
    size: height and width of the frames.
  """
  tracks = _tracks(seen)
  boxes: list[Box | None] = [None] * len(seen)
  if not tracks:
    return Followed(boxes, 0)
  tracks.sort(key=lambda track: -sum(_weight(box, size) for box in track.values()))
  first = tracks[0]
  usual = list(first.values())[len(first) // 2]
  for track in tracks:
    taken = any(boxes[i] is not None for i in track)
    if not taken and (track is first or len(track) >= LONGEST_LOSS or _alike(track, usual)):
      for i, box in track.items():
        boxes[i] = box
  fewest = max(_FEWEST, _SHARE * len(first)) if len(seen) > _FEWEST else 1
  together = [t for t in tracks[1:] if len(t) >= fewest and not t.keys().isdisjoint(first)]
  return Followed(boxes, 1 + len(together))


def _tracks(seen: Sequence[Sequence[Box]]) -> list[dict[int, Box]]:
  """The boxes of each track by frame, in order of time."""
  tracks: list[dict[int, Box]] = []
  live: list[dict[int, Box]] = []
  for i, boxes in enumerate(seen):
    live = [t for t in live if i - next(reversed(t)) <= LONGEST_LOSS]
    pairs = sorted(
      (
        (overlap(t[next(reversed(t))], box), a, b)
        for a, t in enumerate(live)
        for b, box in enumerate(boxes)
      ),
      key=lambda pair: -pair[0],
    )
    old, new = set[int](), set[int]()
    for shared, a, b in pairs:
      if shared >= _SAME and a not in old and b not in new:
        live[a][i] = boxes[b]
        old.add(a)
        new.add(b)
    begun = [{i: box} for b, box in enumerate(boxes) if b not in new]
    tracks += begun
    live += begun
  return tracks


def _weight(box: Box, size: tuple[int, int]) -> float:
  """A box's area, scaled down with the distance from the centre of the frame, to half in its corners."""
  height, width = size
  x, y = box.centre
  away = min(1.0, np.hypot((x / width - 0.5) * 2, (y / height - 0.5) * 2) / np.sqrt(2))
  return box.area * (1 - away / 2)


def _alike(track: dict[int, Box], usual: Box) -> bool:
  """Whether a track may continue the lost face, by position and size."""
  for box in track.values():
    (x, y), (u, v) = box.centre, usual.centre
    near = np.hypot(x - u, y - v) < 1.5 * usual.width
    if not near or not 0.5 < box.width / usual.width < 2:
      return False
  return True


def haar_detector() -> Callable[[np.ndarray], list[Box]]:
  """OpenCV's frontal face detector: grey uint8 [H, W] -> boxes.

  Raises:
    ConfigError: OpenCV is not installed, or is a version without cascades (version 5).
  """
  cv2 = cv2_module()
  name = _CASCADE
  folder = getattr(getattr(cv2, 'data', None), 'haarcascades', '')
  cascade = cv2.CascadeClassifier(folder + name) if hasattr(cv2, 'CascadeClassifier') else None
  if cascade is None or cascade.empty():
    raise ConfigError(
      f"OpenCV {cv2.__version__} has no {name}: pip install 'opencv-python-headless>=4.10,<5'"
    )

  def detect(grey: np.ndarray) -> list[Box]:
    factor = min(1.0, _HAAR_HEIGHT / min(grey.shape))
    small = grey
    if factor < 1:
      small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    least = max(24, round(_HAAR_SMALLEST * min(small.shape)))
    found = cascade.detectMultiScale(small, 1.1, 5, minSize=(least, least))
    return [Box(*(float(n) / factor for n in box)) for box in found]

  return detect


def seen_boxes(
  frames: Iterable[np.ndarray], detect: Callable[[np.ndarray], list[Box]]
) -> tuple[list[list[Box]], tuple[int, int]]:
  """Detects the boxes of each frame; also returns height and width of the frames."""
  boxes, size = [], (0, 0)
  for pixels in frames:
    boxes.append(detect(pixels))
    size = (pixels.shape[0], pixels.shape[1])
  return boxes, size
