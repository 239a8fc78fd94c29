"""The shape of a head: an ellipsoid with a nose, lips, a chin and eye sockets.

Lengths are in eyes: the distance between the outer corners of the eyes, about 90 mm. The head looks along +z;
x points right in the picture, y down; (0, 0) is between the eyes, and z = 0 in the middle of the head.
The numbers are estimates for an adult's head, not a model fitted to a person.
"""

from typing import NamedTuple

import numpy as np

HALF_WIDTH, HALF_HEIGHT, HALF_DEPTH = 0.87, 1.34, 1.0
MIDDLE_Y = 0.09  # of the ellipsoid
# Eye corners, base of the nose, and mouth, from the mean face of `video.alignment`.
EYES = ((-0.5, 0.0, 0.72), (0.5, 0.0, 0.72))
NOSE = (0.0, 0.58, 1.02)
MOUTH = (0.0, 0.855, 1.02)
# How far around the head, in radians from the front, and how far down the picture shows its texture; beyond,
# it is mirrored, and stretched so as to show cheek and chin, not an eye or mouth.
_SEEN, _FARTHEST = np.radians(56), np.radians(125)  # and how far the surface extends
_LOWEST = np.arcsin((1.2 - MIDDLE_Y) / HALF_HEIGHT)
_STRETCHED = 0.35
# Exponents of the outlines (2 is an ellipse): from above, from the front, and from the side, where forehead,
# mouth and chin are nearly in line.
_ABOVE, _FRONT, _SIDE = 2.4, 2.0, 3.6


class Bump(NamedTuple):
  """A Gaussian protrusion of the ellipsoid."""

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
  """The position of a head in a picture.

  Attributes:
    x: of the point between the eyes, in pixels.
    y: of the same point; may lie outside the picture.
    scale: pixels between the outer corners of the eyes.
  """

  x: float
  y: float
  scale: float

  def shifted(self, left: float, top: float, zoom: float = 1.0) -> 'Head':
    """The head in a part of the picture that starts at (left, top), enlarged."""
    return Head((self.x - left) * zoom, (self.y - top) * zoom, self.scale * zoom)


# The head in 96 pixel mouth crops, see `video.crops`: a pixel is 1.129 pixels of the mean face, whose eyes are
# 74.2 apart, and the mouth is at (49, 52).
CROP = Head(x=48.8, y=52.4 - MOUTH[1] * 74.2 / 1.129, scale=74.2 / 1.129)


def surface(density: float) -> tuple[np.ndarray, np.ndarray]:
  """Points on the head, and their twins: the points that they take their texture from.

  Args:
    density: points per eye along the front.

  Returns:
    float [N, 3] points and [N, 3] twins. The twin of a point that a frontal picture shows is the point itself.
    Points at the sides and below the chin, which it does not show, are mirrored at the outermost ones that it
    shows.
  """
  around = _line(_FARTHEST, density * HALF_WIDTH * np.pi / 2, 0.0, 0.4)
  down = _line(np.pi / 2, density * HALF_HEIGHT * 1.25, 0.24, 0.24)
  angle, tilt = np.meshgrid(around, down)
  beyond = np.maximum(np.abs(angle) - _SEEN, 0)
  twin = np.sign(angle) * np.minimum(np.abs(angle), _SEEN - _STRETCHED * beyond)
  lower = np.minimum(tilt, _LOWEST - _STRETCHED * np.maximum(tilt - _LOWEST, 0))
  return _points(angle, tilt), _points(twin, lower)


def _line(end: float, half: float, middle: float, about: float) -> np.ndarray:
  """Angles from -end to end, 2 half + 1 of them, and twice as dense around a middle: the nose is steep."""
  line = np.linspace(-end, end, 2 * round(half) + 1)
  between = (line[1:] + line[:-1]) / 2
  return np.sort(np.concatenate([line, between[np.abs(between - middle) < about]]))


def _points(angle: np.ndarray, tilt: np.ndarray) -> np.ndarray:
  """The points [N, 3] at the given angles around the head from the front, and up and down."""
  height = np.abs(np.sin(tilt))
  x = HALF_WIDTH * _power(np.sin(angle)) * (1 - height**_FRONT) ** (1 / _FRONT)
  y = MIDDLE_Y + HALF_HEIGHT * np.sin(tilt)
  z = HALF_DEPTH * _power(np.cos(angle)) * (1 - height**_SIDE) ** (1 / _SIDE)
  z = z + np.maximum(np.cos(angle), 0) * relief(x, y)
  return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def _power(value: np.ndarray) -> np.ndarray:
  """Turns a cosine or sine into that of a superellipse."""
  return np.sign(value) * np.abs(value) ** (2 / _ABOVE)


def relief(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """How far the face protrudes from the ellipsoid, in eyes."""
  total = np.zeros_like(x)
  for bump in BUMPS:
    distance = ((x - bump.x) / bump.width) ** 2 + ((y - bump.y) / bump.height) ** 2
    total += bump.depth * np.exp(-distance)
  return total
