"""Small head motion in a picture: the head is shifted, rotated and scaled, and the background follows."""

import numpy as np

from jaxgen.systems.lipgen.synthesis.portraits import Portrait
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import inverse
from jaxgen.systems.lipgen.video.extras import cv2_module

# A head in pixels of a mouth crop: its middle, and half its width and height.
_MIDDLE, _REACH = np.array([48.0, 10.0]), np.array([75.0, 95.0])
_FADE = 0.8  # distance beyond the reach, as a share of it, over which motion fades to zero
# Crop pixels per unit of motion: half a side of the square that small renderers see.
_UNIT = 24.0


class Head:
  """Moves the head in a picture.

  Args:
    portrait: the picture.
  """

  def __init__(self, portrait: Portrait):
    self._cv2 = cv2_module()
    height, width = portrait.rgb.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    self._at = np.stack([x, y], -1).astype(np.float32)
    crop = applied(portrait.to_crop, self._at.astype(np.float64))
    far = np.hypot(*np.moveaxis((crop - _MIDDLE) / _REACH, -1, 0))
    share = np.clip((far - 1) / _FADE, 0, 1)
    self._weight = (0.5 + 0.5 * np.cos(np.pi * share)).astype(np.float32)[..., None]
    back = inverse(portrait.to_crop)
    self._middle = applied(back, _MIDDLE)
    self._turn = back[:, :2]

  def __call__(self, frame: np.ndarray, move: np.ndarray) -> np.ndarray:
    """A frame uint8 [H, W, 3] with the head moved.

    Args:
      frame: a frame of the picture's size.
      move: [6], see `motion.targets.pose_moves`; yaw and pitch are ignored: they would reveal unseen parts.
    """
    if not move[:4].any():
      return frame
    x, y, size, roll = (float(v) for v in move[:4])
    cos, sin = np.cos(roll) / np.exp(size), np.sin(roll) / np.exp(size)
    turn = np.array([[cos, sin], [-sin, cos]], np.float32)
    shift = (self._middle + self._turn @ np.array([x, y]) * _UNIT).astype(np.float32)
    origin = (self._at - shift) @ turn.T + self._middle.astype(np.float32)
    places = self._at + self._weight * (origin - self._at)
    return self._cv2.remap(
      frame,
      places[..., 0],
      places[..., 1],
      self._cv2.INTER_CUBIC,
      borderMode=self._cv2.BORDER_REPLICATE,
    )
