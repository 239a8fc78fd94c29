"""Turning the head in a frontal picture: an approximation without a fitted model.

Points of a head-shaped surface are rotated and projected in perspective, and the nearest one is kept in each
pixel (a z-buffer). The surroundings of the head are unchanged.
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxgen.systems.lipgen.posing.surface import CROP, MOUTH, Head, surface

DISTANCE = 7.0  # of the camera from the middle of the head, in eyes: 63 cm
_POINTS = 2.2  # surface points per pixel in each direction
_NEAR = 0.04  # in eyes: points of a pixel within this depth are one surface
_FACE = 0.9  # depth of eyes and mouth, at which the picture's scale holds
_SURROUNDED = 4  # of 9 pixels must be covered around a hole between points for it to be filled
_MIRRORED = 0.25  # of a frame may be mirrored: deeper, a crop would show a second mouth
_EDGE = 2  # pixels over which the head is blended with its surroundings


class View(NamedTuple):
  """Where each pixel of a turned picture comes from.

  Attributes:
    places: float32 [H, W, 2], x and y in the frontal picture.
    weight: float32 [H, W], 1 on the head and 0 around it.
    shift: x and y by which the surroundings are moved, in pixels.
  """

  places: np.ndarray
  weight: np.ndarray
  shift: np.ndarray


def posed(
  frames: np.ndarray, yaw: float, pitch: float = 0.0, head: Head = CROP, follow: bool = True
) -> np.ndarray:
  """Turns the head in frames.

  Args:
    frames: uint8 [T, H, W] or [T, H, W, 3], of a frontal head.
    yaw: degrees; above 0 the head turns to the right of the picture.
    pitch: degrees; above 0 the head looks down.
    head: its position in all frames; by default that in 96 pixel mouth crops.
    follow: whether the mouth stays in place, as in a crop around the mouth of a turned head; otherwise the
      middle of the head does.

  Returns:
    uint8, of the same shape; `frames` itself if both angles are 0.
  """
  if yaw == 0 and pitch == 0:
    return frames
  view = make_view(frames.shape[1:3], yaw, pitch, head, follow)
  return np.stack([seen(frame, view) for frame in frames])


@functools.lru_cache(maxsize=96)
def make_view(size: tuple[int, int], yaw: float, pitch: float, head: Head, follow: bool) -> View:
  """The view by which `posed` turns frames of this height and width."""
  points, twins = surface(max(8.0, _POINTS * head.scale))
  turned = points @ rotation(yaw, pitch).T
  origin = [head.x, head.y]
  pixels = projected(turned) * head.scale + origin
  shift = np.zeros(2)
  if follow:
    mouth = np.array([MOUTH])
    shift = ((projected(mouth @ rotation(yaw, pitch).T) - projected(mouth)) * head.scale)[0]
  pixels -= shift
  sources = projected(twins) * head.scale + origin
  places, covered = _nearest(pixels, turned[:, 2], sources, size)
  blurred = ndimage.uniform_filter(covered.astype(np.float64), 2 * _EDGE + 1, mode='nearest')
  weight = np.clip(2 * blurred - 1, 0, 1)
  return View(places.astype(np.float32), weight.astype(np.float32), shift)


def rotation(yaw: float, pitch: float) -> np.ndarray:
  """The rotation [3, 3] of a head: pitch first, then yaw, in degrees."""
  a, b = np.radians([yaw, pitch])
  around = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
  nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
  return around @ nod


def projected(points: np.ndarray) -> np.ndarray:
  """Projects points [N, 3] to the picture [N, 2], in eyes at the depth of the face."""
  return points[:, :2] * ((DISTANCE - _FACE) / (DISTANCE - points[:, 2:]))


def _nearest(
  pixels: np.ndarray, depth: np.ndarray, sources: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """The mean source [H, W, 2] of the frontmost points of each pixel, and which pixels have any.

  Pixels without a point, but with enough around them, get the mean of those.
  """
  height, width = size
  column, row = np.rint(pixels).astype(int).T
  inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
  index, near, source = (row * width + column)[inside], depth[inside], sources[inside]
  front = np.full(height * width, -np.inf)
  np.maximum.at(front, index, near)
  seen = near > front[index] - _NEAR
  index, source = index[seen], source[seen]
  counts = np.bincount(index, minlength=height * width).reshape(size)
  sums = [np.bincount(index, source[:, k], minlength=height * width).reshape(size) for k in (0, 1)]
  hole = (counts == 0) & (_neighbours(counts > 0) >= _SURROUNDED)
  counts = np.where(hole, _neighbours(counts), counts)
  sums = [np.where(hole, _neighbours(part), part) for part in sums]
  places = np.stack(sums, axis=-1) / np.maximum(counts, 1)[..., None]
  return places, counts > 0


def _neighbours(values: np.ndarray) -> np.ndarray:
  """Sums over the 3 x 3 pixels around each."""
  return ndimage.convolve(values.astype(np.float64), np.ones((3, 3)), mode='constant')


def seen(frame: np.ndarray, view: View) -> np.ndarray:
  """A frame seen through a view, uint8.

  Parts of the head beyond the frame are mirrored at its border; around the head the border is repeated, as
  mirroring would show a second face there.
  """
  height, width = frame.shape[:2]
  around = frame.astype(np.float32)
  if view.shift.any():
    row, column = np.mgrid[:height, :width]
    places = np.stack([column, row], -1) + view.shift
    around = sampled(frame, np.clip(places, 0, [width - 1, height - 1]))
  on_head = view.weight > 0
  weight = view.weight[on_head].reshape(-1, *(1,) * (frame.ndim - 2))
  turned = sampled(frame, view.places[on_head])
  around[on_head] = turned * weight + around[on_head] * (1 - weight)
  return np.rint(around).astype(np.uint8)


def sampled(frame: np.ndarray, places: np.ndarray) -> np.ndarray:
  """Samples a frame [H, W, ...] bilinearly at places [..., 2], x and y; mirrored beyond its border."""
  height, width = frame.shape[:2]
  x, y = _reflected(places[..., 0], width), _reflected(places[..., 1], height)
  left, top = np.minimum(x.astype(int), width - 1), np.minimum(y.astype(int), height - 1)
  right, below = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
  u, v = (a.reshape(*a.shape, *(1,) * (frame.ndim - 2)) for a in (x - left, y - top))
  upper = frame[top, left] * (1 - u) + frame[top, right] * u
  lower = frame[below, left] * (1 - u) + frame[below, right] * u
  return upper * (1 - v) + lower * v


def _reflected(places: np.ndarray, count: int) -> np.ndarray:
  """Coordinates mirrored at both ends into 0..count-1; at most `_MIRRORED` of it deep."""
  last = count - 1
  near = np.clip(places, -_MIRRORED * last, (1 + _MIRRORED) * last)
  return last - np.abs(last - np.abs(near))
