"""A picture of a face with a moving mouth: warped at full size and in colour, corrected by the renderer.

The renderer's frames are small and grey. In the gap between the lips they give the brightness: teeth, tongue
and dark. On and around the lips they change the brightness by what they add to their own warp, relative to what
they add for the mouth at rest.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.clips.framing import Framing
from jaxgen.systems.lipgen.render.conditions import Conditions
from jaxgen.systems.lipgen.synthesis import bending
from jaxgen.systems.lipgen.synthesis import lips as lips_of
from jaxgen.systems.lipgen.synthesis.portraits import Portrait
from jaxgen.systems.lipgen.video.alignment import applied
from jaxgen.systems.lipgen.video.crops import inverse
from jaxgen.systems.lipgen.video.extras import cv2_module
from jaxgen.systems.lipgen.warping.raster import OUTER
from jaxgen.systems.lipgen.warping.warp import DARK

_GREY = np.array([0.299, 0.587, 0.114])
_FINE = 4  # supersampling factor for drawing polygons
_BITS = 4  # fractional bits of a pixel in their corners
# Extra opening, in half widths of the mouth, at which lips show everything behind them.
_TEETH = 0.12
_SHADE = 0.07  # reach of the lips' inward shadow, in half widths of the mouth
_DARKEST = 0.3  # lower bound of corrections, as a share of the dark between the lips
_ON_LIPS = 0.6  # share of the renderer's correction that is applied outside the gap


class Correction(NamedTuple):
  """Corrections taken from the renderer's frames, in levels.

  Attributes:
    gap: float32 [T, H, W], brightness between the lips.
    skin: float32 [T, H, W], added on and around the lips, fading out before the border.
  """

  gap: np.ndarray
  skin: np.ndarray


def correction_of(rendered: np.ndarray, given: Conditions, rest: int) -> Correction:
  """Computes the correction from rendered frames.

  Args:
    rendered: uint8 [T, H, W].
    given: conditions they were rendered from.
    rest: index of a frame with the mouth at rest.
  """
  cv2 = cv2_module()
  side = rendered.shape[-1]
  levels = rendered.astype(np.float32)
  added = levels - given.warp
  gap = np.clip((given.raster.astype(np.float32) - 127.5) / 127.5, 0, 1)
  lips = np.clip(given.raster.astype(np.float32) / 127.5, 0, 1)

  def blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(x, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)

  def spread(x: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """Extrapolates values beyond where they are known, by normalised blurring."""
    return blurred(x * weight, sigma) / (blurred(weight, sigma) + 1e-3)

  inside = np.stack([spread(x, w**2, 0.8) for x, w in zip(levels, gap, strict=True)])
  beside = np.stack([spread(x, (1 - w) ** 2, 1.0) for x, w in zip(added, gap, strict=True)])
  beside = _steadied(beside - beside[rest])
  about = np.stack([np.clip(2 * blurred(x, side / 16), 0, 1) for x in lips])
  edge = np.minimum(np.arange(side), np.arange(side)[::-1]) / (side / 8)
  edge = np.clip(edge, 0, 1).astype(np.float32)
  return Correction(inside, _ON_LIPS * beside * about * edge * edge[:, None])


def _steadied(x: np.ndarray) -> np.ndarray:
  """[T, ...] smoothed over time with the frames before and after."""
  before, after = np.concatenate([x[:1], x[:-1]]), np.concatenate([x[1:], x[-1:]])
  return x / 2 + (before + after) / 4


class Stage:
  """A picture whose mouth can be moved.

  Args:
    portrait: the picture.
    framing: the framing of the renderer whose corrections are added.
  """

  def __init__(self, portrait: Portrait, framing: Framing):
    self._cv2, self._portrait = cv2_module(), portrait
    height, width = portrait.rgb.shape[:2]
    places = bending.grid_places()
    corners = np.concatenate([places[0], places[-1], places[:, 0], places[:, -1]])
    back = inverse(portrait.to_crop)
    seen = applied(back, corners)
    low = np.maximum(np.floor(seen.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(seen.max(0)).astype(int) + 1, [width, height])
    self._left, self._top = (int(x) for x in low)
    self._part = (slice(low[1], high[1]), slice(low[0], high[0]))
    x, y = np.meshgrid(np.arange(low[0], high[0]), np.arange(low[1], high[1]))
    at = applied(portrait.to_crop, np.stack([x, y], -1).astype(np.float64))
    self._crop_places = at.astype(np.float32)
    self._grid = bending.to_grid(at)
    scale = framing.pixels / framing.size
    self._seen = ((at - [framing.left, framing.top] + 0.5) * scale - 0.5).astype(np.float32)
    self._turn = back[:, :2].astype(np.float32)
    self._back = back
    self._rest = portrait.rgb[self._part]
    points = applied(back, portrait.points) - low
    lips = self._filled(points[:OUTER]) - self._filled(points[OUTER:])
    # An open mouth shows its inside, which does not move with the lips.
    self._shown = None
    if lips_of.is_open(portrait.points):
      shown = self._filled(points[OUTER:])
      reach = 0.06 * portrait.half_width * portrait.scale
      shown = self._cv2.GaussianBlur(shown, (0, 0), max(reach, 0.3))
      self._shown = np.clip(2 * shown - 1, 0, 1)[..., None]
    weight = np.maximum(lips, 0)[..., None]
    self._dark = DARK * (self._rest * weight).sum((0, 1)) / max(weight.sum(), 1e-3)
    low_side, high_side = self._grid.min(-1), self._grid.max(-1)
    self._within = (low_side >= 0) & (high_side <= bending.SIDE - 1)

  def frames(
    self, points: np.ndarray, bend: bending.Bend, added: Correction
  ) -> Iterator[np.ndarray]:
    """Yields frames uint8 [H, W, 3] of the picture's size.

    Args:
      points: [T, 40, 2] contours in the crop.
      bend: the warp that moves the picture's lips there.
      added: the renderer's correction.
    """
    for t in range(len(points)):
      frame = self._portrait.rgb.copy()
      parts = bend.around[t], bend.between[t], float(bend.share[t])
      frame[self._part] = self._moved(points[t], *parts, added.gap[t], added.skin[t])
      yield frame

  def _moved(
    self,
    points: np.ndarray,
    around: np.ndarray,
    between: np.ndarray,
    share: float,
    in_gap: np.ndarray,
    on_skin: np.ndarray,
  ) -> np.ndarray:
    """The part of the picture around the mouth, with the mouth moved."""
    skin = self._looked_up(around) + self._enlarged(on_skin)[..., None]
    low = np.array([self._left, self._top])
    gap = self._filled(applied(self._back, points[OUTER:]) - low)[..., None]
    lit = self._lit(gap, points)
    more = self._enlarged(in_gap)[..., None] - self._dark @ _GREY
    rendered = np.maximum(self._dark + np.where(more > 0, lit, 1.0) * more, _DARKEST * self._dark)
    if self._shown is None:
      inside = rendered + share * (self._looked_up(between) - rendered)
    else:
      inside = rendered + lit * self._shown * (self._rest - rendered)
    made = skin + gap * (inside - skin)
    made = np.where(self._within[..., None], made, self._rest)
    return np.clip(np.round(made), 0, 255).astype(np.uint8)

  def _lit(self, gap: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Visibility [h, w, 1] of what is behind the lips: little light falls in near them.

    Args:
      gap: [h, w, 1] shares of pixels that lie between the lips.
      points: [40, 2] contours in the crop.
    """
    wide = float(np.clip((lips_of.gap(points) - lips_of.SHUT) / _TEETH, 0, 1))
    reach = max(_SHADE * self._portrait.half_width * self._portrait.scale, 0.3)
    within = self._cv2.GaussianBlur(gap[..., 0], (0, 0), reach)[..., None]
    return wide * np.clip((within - 0.25) / 0.5, 0, 1)

  def _looked_up(self, places: np.ndarray) -> np.ndarray:
    """Levels float32 [h, w, 3] of the part, looked up at the grid points' source positions in the crop."""
    cv2, x, y = self._cv2, self._grid[..., 0], self._grid[..., 1]
    found = cv2.remap(places, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    moved = (found - self._crop_places) @ self._turn.T
    rows, columns = np.indices(x.shape, np.float32)
    return cv2.remap(
      self._portrait.rgb,
      moved[..., 0] + columns + self._left,
      moved[..., 1] + rows + self._top,
      cv2.INTER_CUBIC,
      borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)

  def _enlarged(self, levels: np.ndarray) -> np.ndarray:
    """Values at the renderer's pixels, resampled to the part's pixels; 0 beyond them."""
    cv2 = self._cv2
    x, y = self._seen[..., 0], self._seen[..., 1]
    return cv2.remap(levels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)

  def _filled(self, polygon: np.ndarray) -> np.ndarray:
    """Coverage [h, w] of the part's pixels by a polygon [N, 2] in its pixel coordinates."""
    cv2, size = self._cv2, self._rest.shape[:2]
    large = np.zeros([_FINE * n for n in size], np.uint8)
    corners = ((polygon + 0.5) * _FINE - 0.5) * 2**_BITS
    cv2.fillPoly(large, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA, _BITS)
    small = cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255
