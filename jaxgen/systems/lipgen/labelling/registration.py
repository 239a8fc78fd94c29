"""Locates third-party mouth crops in the frames that they were cut from."""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.video.alignment import applied, similarity
from jaxgen.systems.lipgen.video.crops import SIZE, inverse
from jaxgen.systems.lipgen.video.extras import cv2_module

_SIDES = range(84, 116, 2)  # crop sides, in frame pixels, that matching tries
_STEPS, _CHANGE, _BLUR = (
  60,
  1e-6,
  5,
)  # of OpenCV's ECC: most steps, convergence threshold, side of its filter
_GRID = np.stack(np.meshgrid(*2 * [np.arange(8, SIZE, 16.0)]), -1).reshape(-1, 2)


class Registration(NamedTuple):
  """The positions of crops in T frames.

  Attributes:
    to_frame: [T, 2, 3], affine maps from a crop's pixels to its frame's.
    alike: [T], correlation of each crop with the frame at its position.
  """

  to_frame: np.ndarray
  alike: np.ndarray

  def into_crops(self, points: np.ndarray) -> np.ndarray:
    """Maps frame points [T, N, 2] to pixels of the crops, by similarities."""
    maps = np.stack([similarity(_GRID, applied(one, _GRID)) for one in self.to_frame])
    return applied(inverse(maps)[:, None], points.astype(np.float64))


def find_crops(frames: np.ndarray, crops: np.ndarray, every: int = 1) -> Registration:
  """Finds crops in frames: by template matching in the first one, then by maximising ECC over affine maps.

  Reference: Evangelidis & Psarakis 2008, Parametric image alignment using enhanced correlation coefficient
  maximization.

  Args:
    frames: [T, H, W] uint8 grey.
    crops: [T', 96, 96]; the first min(T, T') correspond to each other.
    every: use only every n-th frame.
  """
  cv2 = cv2_module()
  maps, alike = [], []
  found: np.ndarray | None = None
  for frame, crop in zip(frames[::every], crops[::every], strict=False):
    start = _matched(frame, crop) if found is None else found
    correlation, found = cv2.findTransformECC(
      crop.astype(np.float32),
      frame.astype(np.float32),
      start.copy(),
      cv2.MOTION_AFFINE,
      (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, _STEPS, _CHANGE),
      None,
      _BLUR,
    )
    maps.append(found.astype(np.float64))
    alike.append(correlation)
  return Registration(np.stack(maps), np.array(alike))


def _matched(frame: np.ndarray, crop: np.ndarray) -> np.ndarray:
  """The scale and position, as a map [2, 3], at which a crop matches best."""
  cv2 = cv2_module()
  best = (-1.0, 0, (0, 0))
  for side in _SIDES:
    small = cv2.resize(crop, (side, side))
    _, score, _, place = cv2.minMaxLoc(cv2.matchTemplate(frame, small, cv2.TM_CCOEFF_NORMED))
    best = max(best, (score, side, place))
  scale = best[1] / SIZE
  return np.array([[scale, 0, best[2][0]], [0, scale, best[2][1]]], np.float32)
