"""Detecting small faces in a still picture: if a detector sees none in the whole, it is run on parts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from jaxgen.systems.lipgen.video.faces import Box, overlap

Detector = Callable[[np.ndarray], list[Box]]

# Divisors of the picture's shorter side that give the sides of the squares; the largest faces come first.
_PARTS = 1, 2, 3
_NARROWEST = 12  # squares are at least this fraction of the longer side, or there would be too many
_SMALLEST = 48  # smallest side in pixels: faces in smaller squares are too small to animate
_SAME = 0.3  # smallest overlap of the boxes of one face
_LARGE = 0.25  # of the picture's longer side: faces of this size are seen well in the whole picture
_AROUND = 3.0  # side of the square in which a face is detected again, in sides of its box


class Square(NamedTuple):
  """A part of a picture.

  Attributes:
    x: its left side in pixels.
    y: its upper side.
    side: in pixels; may extend beyond the picture.
  """

  x: int
  y: int
  side: int


def seen_in(pixels: np.ndarray, detect: Detector, longest: int | None = None) -> list[Box]:
  """The faces in a picture; if none is found in the whole of it, those in overlapping squares of it.

  Detectors shrink their input, so they miss small faces or give rough boxes. A small face is therefore detected
  again, in the middle of its own square, and gets the box found there; one in a square that is not confirmed
  this way is dropped. The search ends with the largest squares that have a face.

  Args:
    pixels: uint8 [H, W, 3], or [H, W] for a detector of grey frames.
    detect: finds faces in such pixels.
    longest: longest side in pixels of the detector's input: the picture, or a part of it, is shrunk to it
      first. None: no shrinking.

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
  """A detector whose input is shrunk so that its longer side is at most `longest`."""

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
  """A box scaled to pixels of a larger picture; pixel centres are integers."""
  x, y = scale.tolist()
  return Box(box.x * x, box.y * y, box.width * x, box.height * y, (box.points + 0.5) * scale - 0.5)


def no_face(path: Path, by: str) -> str:
  """The message for a picture in which `seen_in` finds nothing; `by` is the detector's name."""
  return (
    f'{path}: no face found (searched with {by}, in the whole picture and in parts): crop it '
    'around the face, which should be upright and look ahead'
  )


def squares(size: tuple[int, int]) -> Iterator[list[Square]]:
  """Squares that overlap by half and cover a picture, from large to small.

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
  """Starts of squares along a side, of which the last ends at its end."""
  count = max(0, -(-2 * (length - side) // side))
  return [round(i * (length - side) / max(1, count)) for i in range(count + 1)]


def _again(pixels: np.ndarray, detect: Detector, seen: list[Box]) -> list[Box]:
  """Confirms boxes that may be duplicates, cut off or false: each face once, small ones as detected again."""
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
  """Detects faces in a square; boxes are in pixels of the picture."""
  left, top = max(0, square.x), max(0, square.y)
  part = pixels[top : square.y + square.side, left : square.x + square.side]
  shift = np.array([left, top])
  return [
    box._replace(x=box.x + left, y=box.y + top, points=box.points + shift)
    for box in detect(np.ascontiguousarray(part))
  ]
