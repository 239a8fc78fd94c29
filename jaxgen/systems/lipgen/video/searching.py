"""Small faces in a still picture: where detectors see none in the whole of it, they look at parts of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.systems.lipgen.video.faces import Box, overlap

Detector = Callable[[np.ndarray], list[Box]]

# Sides of the squares that are looked at, as parts of the picture's shorter side; the largest faces come first.
_PARTS = 1, 2, 3
_NARROWEST = 12  # sides of a square that the longer side is at most, or there would be very many
_SMALLEST = 48  # pixels of a side: faces in smaller squares are too small to talk
_SAME = 0.3  # overlap of the boxes of one face
_LARGE = 0.25  # of the picture's longer side: boxes of faces that are seen well in the whole of it
_AROUND = 3.0  # sides of a face's box that the square has in which it is looked at once more


class Square(NamedTuple):
  """A part of a picture.

  Attributes:
    x: its left side in pixels.
    y: its upper side.
    side: in pixels, both ways; the picture may end before.
  """

  x: int
  y: int
  side: int


def seen_in(pixels: np.ndarray, detect: Detector, longest: int | None = None) -> list[Box]:
  """The faces of a picture; where there is none in the whole of it those of overlapping squares of it.

  Detectors make what they see small: small faces are lost, and boxes of those that are not are rough. So a
  small one is looked at again, in the middle of a square of its own, and its box is the one that is seen there;
  a face of a square that is not seen again is none. The search ends with the largest squares that have a face.

  Args:
    pixels: uint8 [H, W, 3], or [H, W] for a detector of grey frames.
    detect: finds faces in such pixels.
    longest: pixels of the longer side of what it is shown: the whole picture, or a part of it, is made smaller
      first where it is larger. None: it is shown all as it is.

  Returns:
    Boxes in pixels of the picture, each face once.
  """
  if longest:
    detect = _at_most(detect, longest)
  whole = detect(pixels)
  found = _again(pixels, detect, whole)
  levels = squares((pixels.shape[0], pixels.shape[1]))
  while not found and (level := next(levels, None)):
    seen = [box for square in level for box in _seen(pixels, detect, square)]
    found = _again(pixels, detect, seen)
  return found or whole


def _at_most(detect: Detector, longest: int) -> Detector:
  """A detector that is shown all pixels made smaller, until the longer side is at most so long."""

  def look(pixels: np.ndarray) -> list[Box]:
    height, width = pixels.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
      return detect(pixels)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    scale = np.array([width, height]) / size
    return [_enlarged(box, scale) for box in detect(small)]

  return look


def _enlarged(box: Box, scale: np.ndarray) -> Box:
  """A box in pixels of a larger picture; their centres are whole numbers."""
  x, y = scale.tolist()
  return Box(box.x * x, box.y * y, box.width * x, box.height * y, (box.points + 0.5) * scale - 0.5)


def no_face(path: Path, by: str) -> str:
  """What to say of a picture in which `seen_in` finds nothing; `by`: the detector's name."""
  return (
    f'{path}: no face in it (looked for by {by}, in the whole of it and in parts of it): cut it out about the '
    'face, which is to be upright and to look ahead'
  )


def squares(size: tuple[int, int]) -> Iterator[list[Square]]:
  """Squares that overlap by half and cover a picture: the large ones, then smaller ones.

  Args:
    size: height and width of the picture.
  """
  short, long = sorted(size)
  least = max(_SMALLEST, -(-long // _NARROWEST))
  for side in dict.fromkeys(min(short, max(least, -(-short // part))) for part in _PARTS):
    down, across = (_starts(length, side) for length in size)
    if len(down) * len(across) > 1:  # one is the whole picture
      yield [Square(x, y, side) for y in down for x in across]


def _starts(length: int, side: int) -> list[int]:
  """Where squares begin along a side, the last one ending with it."""
  count = max(0, -(-2 * (length - side) // side))
  return [round(i * (length - side) / max(1, count)) for i in range(count + 1)]


def _again(pixels: np.ndarray, detect: Detector, seen: list[Box]) -> list[Box]:
  """The faces of boxes that may be the same, cut off, or none: each once, small ones as they are seen again."""
  found: list[Box] = []
  for box in sorted(seen, key=lambda box: -box.area):
    if any(overlap(box, other) > _SAME for other in found):
      continue
    if max(box.width, box.height) >= _LARGE * max(pixels.shape[:2]):
      found.append(box)
      continue
    side = round(_AROUND * max(box.width, box.height))
    x, y = (round(middle - side / 2) for middle in box.centre)
    again = _seen(pixels, detect, Square(x, y, side))
    same = max(again, key=lambda other: overlap(box, other), default=None)
    if same and overlap(box, same) > _SAME:
      found.append(same)
  return found


def _seen(pixels: np.ndarray, detect: Detector, square: Square) -> list[Box]:
  """The faces in a square, in pixels of the picture."""
  left, top = max(0, square.x), max(0, square.y)
  part = pixels[top : square.y + square.side, left : square.x + square.side]
  shift = np.array([left, top])
  return [
    box._replace(x=box.x + left, y=box.y + top, points=box.points + shift)
    for box in detect(np.ascontiguousarray(part))
  ]
