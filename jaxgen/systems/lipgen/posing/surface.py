"""The shape of a head: an ellipsoid with a nose, lips, a chin and hollows for the eyes.

Lengths are in eyes: the distance between the outer corners of the eyes, about 90 mm. The head looks along +z;
x goes to the right in the picture, y down; (0, 0) is between the eyes, and z = 0 in the middle of the head.
The numbers are those of an adult's head, by eye; this is no fitted model of a person.
"""

from typing import NamedTuple

import numpy as np

HALF_WIDTH, HALF_HEIGHT, HALF_DEPTH = 0.87, 1.34, 1.0
MIDDLE_Y = 0.09  # of the ellipsoid
# Corners of the eyes, base of the nose and mouth, by the mean face of `video.alignment`.
EYES = ((-0.5, 0.0, 0.72), (0.5, 0.0, 0.72))
NOSE = (0.0, 0.58, 1.02)
MOUTH = (0.0, 0.855, 1.02)
# How far round the head, in radians from the front, and how far down its picture tells what it looks like;
# beyond, what is seen is mirrored, stretched so that it is cheek and chin, no eye or mouth.
_SEEN, _FARTHEST = np.radians(56), np.radians(125)  # and how far there is a surface
_LOWEST = np.arcsin((1.2 - MIDDLE_Y) / HALF_HEIGHT)
_STRETCHED = 0.35
# Powers of the outlines (2 is an ellipse): from above, from the front, and from the side, where forehead, mouth
# and chin are nearly in a line.
_ABOVE, _FRONT, _SIDE = 2.4, 2.0, 3.6


class Bump(NamedTuple):
  """Something that stands out of the ellipsoid, as a Gaussian."""

  x: float
  y: float
  width: float
  height: float
  depth: float


BUMPS = (
  Bump(0.0, 0.30, 0.10, 0.22, 0.13),  # the bridge of the nose
  Bump(0.0, 0.46, 0.13, 0.11, 0.17),  # its tip
  Bump(0.0, 0.87, 0.26, 0.13, 0.06),  # the lips
  Bump(0.0, 1.28, 0.24, 0.16, 0.10),  # the chin
  Bump(-0.32, 0.02, 0.17, 0.12, -0.07),  # the eyes
  Bump(0.32, 0.02, 0.17, 0.12, -0.07),
)


class Head(NamedTuple):
  """Where a head is in a picture.

  Attributes:
    x: of the point between the eyes, in pixels.
    y: of the same; may lie outside of the picture.
    scale: pixels between the outer corners of the eyes.
  """

  x: float
  y: float
  scale: float

  def shifted(self, left: float, top: float, zoom: float = 1.0) -> 'Head':
    """The head in a part of the picture that begins there, enlarged."""
    return Head((self.x - left) * zoom, (self.y - top) * zoom, self.scale * zoom)


# In crops of the mouth of 96 pixels, see `video.crops`: a pixel is 1.129 of the mean face's, whose eyes are
# 74.2 apart, and the mouth is at (49, 52).
CROP = Head(x=48.8, y=52.4 - MOUTH[1] * 74.2 / 1.129, scale=74.2 / 1.129)


def surface(density: float) -> tuple[np.ndarray, np.ndarray]:
  """Points on the head, and their twins: the points whose looks they have.

  Args:
    density: points an eye along the front.

  Returns:
    float [N, 3] points and [N, 3] twins. The twin of a point that a picture from the front shows is the point
    itself. Those at the sides and below the chin, of which the picture tells nothing, are mirrored at the
    outermost that it shows.
  """
  around = _line(_FARTHEST, density * HALF_WIDTH * np.pi / 2, 0.0, 0.4)
  down = _line(np.pi / 2, density * HALF_HEIGHT * 1.25, 0.24, 0.24)
  angle, tilt = np.meshgrid(around, down)
  beyond = np.maximum(np.abs(angle) - _SEEN, 0)
  twin = np.sign(angle) * np.minimum(np.abs(angle), _SEEN - _STRETCHED * beyond)
  lower = np.minimum(tilt, _LOWEST - _STRETCHED * np.maximum(tilt - _LOWEST, 0))
  return _points(angle, tilt), _points(twin, lower)


def _line(end: float, half: float, middle: float, about: float) -> np.ndarray:
  """Angles from -end to end, 2 half + 1 of them, and twice as dense about a middle: the nose is steep."""
  line = np.linspace(-end, end, 2 * round(half) + 1)
  between = (line[1:] + line[:-1]) / 2
  return np.sort(np.concatenate([line, between[np.abs(between - middle) < about]]))


def _points(angle: np.ndarray, tilt: np.ndarray) -> np.ndarray:
  """The points [N, 3] at angles around the head from the front, and up and down."""
  height = np.abs(np.sin(tilt))
  x = HALF_WIDTH * _power(np.sin(angle)) * (1 - height**_FRONT) ** (1 / _FRONT)
  y = MIDDLE_Y + HALF_HEIGHT * np.sin(tilt)
  z = HALF_DEPTH * _power(np.cos(angle)) * (1 - height**_SIDE) ** (1 / _SIDE)
  z = z + np.maximum(np.cos(angle), 0) * relief(x, y)
  return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def _power(value: np.ndarray) -> np.ndarray:
  """A superellipse of a cosine or sine."""
  return np.sign(value) * np.abs(value) ** (2 / _ABOVE)


def relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """How far the face stands out of the ellipsoid, in eyes."""
  total = np.zeros_like(x)
  for bump in BUMPS:
    distance = ((x - bump.x) / bump.width) ** 2 + ((y - bump.y) / bump.height) ** 2
    total += bump.depth * np.exp(-distance)
  return total
