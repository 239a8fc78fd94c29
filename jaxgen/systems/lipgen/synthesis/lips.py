"""Lip positions in a picture: lips are shut at rest, and offsets move them from there."""

import numpy as np

from jaxgen.systems.lipgen.warping.raster import OUTER

# Lips further apart than this, in half widths of the mouth, are not at rest.
OPEN = 0.12
SHUT = 0.03  # distance of lips at rest: the dark line between them
_RIM = 0.05  # half widths of the mouth: blurred edge of open lips towards teeth or the dark
_UPPER = 0.25  # share of the closing distance that the upper lip moves: the jaw moves the lower one
_HALF = OUTER // 2


def frame_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The mouth's own coordinate frame: the midpoint [2] of the corners of contours [40, 2], and its axes [2, 2].

  The axes are rows, right and down, each half a mouth width long.
  """
  across = (points[_HALF] - points[0]) / 2
  return (points[_HALF] + points[0]) / 2, np.stack([across, [-across[1], across[0]]])


def gap(points: np.ndarray) -> float:
  """Distance between the lips of contours [40, 2] at the middle, in half widths of the mouth."""
  down = _own(points)[1][:, 1]
  upper, lower = _pairs()
  near = slice(_HALF // 2 - 2, _HALF // 2 + 1)
  return float(max(0.0, (down[lower] - down[upper])[near].mean()))


def is_open(points: np.ndarray) -> bool:
  """Whether the lips of contours [40, 2] are not at rest."""
  return gap(points) > OPEN


def at_rest(points: np.ndarray) -> np.ndarray:
  """Contours [40, 2] of the same lips shut; unchanged if they nearly are.

  The lower lip moves most of the way, with its whole outline, and the upper one the rest.
  """
  if not is_open(points):
    return points
  middle, mouth, axes = _own(points)
  upper, lower = _pairs()
  apart = np.maximum(mouth[lower, 1] - mouth[upper, 1] - SHUT, 0)
  x = (mouth[lower, 0] + mouth[upper, 0]) / 2
  for chosen, share in ((_upper_points(), _UPPER), (_lower_points(), _UPPER - 1)):
    mouth[chosen, 1] += share * np.interp(mouth[chosen, 0], [-1, *x, 1], [0, *apart, 0])
  return (middle + mouth @ axes).astype(np.float32)


def without_rims(points: np.ndarray) -> np.ndarray:
  """Contours [40, 2] with the blurred inner rims of open lips excluded, so that they end short of the teeth."""
  if not is_open(points):
    return points
  middle, mouth, axes = _own(points)
  upper, lower = _pairs()
  least = np.minimum(_RIM, np.maximum(mouth[lower, 1] - mouth[upper, 1], 0))
  mouth[upper, 1] -= least
  mouth[lower, 1] += least
  return (middle + mouth @ axes).astype(np.float32)


def _own(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Middle, contours [40, 2] in the mouth's own frame, and the frame's axes."""
  middle, axes = frame_of(points)
  return middle, (points - middle) @ np.linalg.inv(axes), axes


def _pairs() -> tuple[np.ndarray, np.ndarray]:
  """Indices of opposite upper and lower points of the inner lips, left to right, without the corners."""
  i = np.arange(1, _HALF)
  return OUTER + i, 2 * OUTER - i


def _upper_points() -> np.ndarray:
  """Indices of the upper lip's points in both rings, without the corners."""
  return np.concatenate([np.arange(1, _HALF), OUTER + np.arange(1, _HALF)])


def _lower_points() -> np.ndarray:
  return np.concatenate([np.arange(_HALF + 1, OUTER), OUTER + np.arange(_HALF + 1, OUTER)])


def jaw(source: np.ndarray, target: np.ndarray) -> np.ndarray:
  """Downward displacement of the lower lip, [T] in half widths of the mouth.

  Args:
    source: contours [40, 2].
    target: [T, 40, 2].
  """
  _, axes = frame_of(source)
  lower = np.arange(_HALF + 1, OUTER)
  moved = (target[:, lower] - source[lower]).mean(1) @ np.linalg.inv(axes)
  return moved[:, 1]
