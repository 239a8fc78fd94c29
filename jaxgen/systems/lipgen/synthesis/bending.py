"""Warps a face about its mouth: source positions on a grid that does not depend on the picture.

Besides the 40 lip points, some points of nose, cheeks, chin and neck are held or move with the jaw, so that the
warp fades out before the grid ends and leaves no seam.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.systems.lipgen.synthesis import lips
from jaxgen.systems.lipgen.units import MOUTH
from jaxgen.systems.lipgen.warping.raster import OUTER
from jaxgen.systems.lipgen.warping.warp import CONTOUR, border, looked_up, triangulated

MARGIN = 32  # crop pixels by which the grid extends beyond the crop on each side
FINE = 1.0  # grid points per crop pixel
SIDE = round((MOUTH + 2 * MARGIN) * FINE)  # grid points a side
# Face points relative to the middle of the mouth in half widths of it, x and y, and how far each follows the
# jaw.
_FACE = (
  *((-0.5, -0.8, 0), (0, -0.75, 0), (0.5, -0.8, 0), (-1.9, -0.3, 0), (1.9, -0.3, 0)),
  *((-1.75, 0.9, 0.45), (1.75, 0.9, 0.45), (-0.6, 0.85, 0.9), (0, 0.92, 0.95), (0.6, 0.85, 0.9)),
  *((-0.7, 1.55, 0.8), (0, 1.7, 0.8), (0.7, 1.55, 0.8), (-1.3, 2.6, 0.1), (0, 2.7, 0.1), (1.3, 2.6, 0.1)),
)  # fmt: skip
_TOGETHER = 8


class Bend(NamedTuple):
  """Source positions of the grid points, in crop pixels.

  Attributes:
    around: float32 [T, SIDE, SIDE, 2], for everything but the gap between the lips.
    between: the same for the inside of the gap.
    share: float32 [T], share of the gap filled by the picture's own gap; the rest is dark.
  """

  around: np.ndarray
  between: np.ndarray
  share: np.ndarray


def grid_places() -> np.ndarray:
  """Positions of the grid points in the crop, [SIDE, SIDE, 2]."""
  line = (np.arange(SIDE) + 0.5) / FINE - 0.5 - MARGIN
  return np.stack(np.meshgrid(line, line), -1).astype(np.float32)


def to_grid(points: np.ndarray) -> np.ndarray:
  """Converts crop positions [..., 2] to grid coordinates."""
  return ((points + MARGIN + 0.5) * FINE - 0.5).astype(np.float32)


def bend(source: np.ndarray, target: np.ndarray) -> Bend:
  """The warp of a face whose lips move from `source` [40, 2] to `target` [T, 40, 2], in crop pixels.

  Compiled once for all T and faces.
  """
  length = len(target)
  middle, axes = lips.frame_of(source)
  of_face = np.array(_FACE)
  still = middle + of_face[:, :2] @ axes
  down = lips.jaw(source, target)[:, None] * of_face[:, 2]
  moved = still + down[..., None] * axes[1]
  before = to_grid(np.concatenate([source, still]))
  after = to_grid(np.concatenate([target, moved], axis=1))
  after = np.concatenate([after, np.repeat(after[-1:], -length % _TOGETHER, axis=0)])
  parts = [_bent(before, after[i : i + _TOGETHER]) for i in range(0, len(after), _TOGETHER)]
  around, between = (
    np.concatenate([np.asarray(x) for x in y])[:length] for y in zip(*parts, strict=True)
  )
  known = _area(source[OUTER:])
  wanted = np.array([_area(x[OUTER:]) for x in target])
  share = np.minimum(1, known / np.maximum(wanted, 1e-6)).astype(np.float32)
  return Bend(around, between, share)


@jax.jit
def _bent(source: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Crop positions [T, SIDE, SIDE, 2] around and between the lips, from points on the grid."""
  triangles, frame = _triangles(), jnp.asarray(border((SIDE, SIDE)))
  within = (triangles >= OUTER).all(1) & (triangles < CONTOUR).all(1)
  origins = jnp.concatenate([source, frame])

  def one(points: jax.Array) -> tuple[jax.Array, jax.Array]:
    corners = jnp.concatenate([points, frame])
    found = [
      jnp.stack(looked_up((SIDE, SIDE), origins, corners, triangles[chosen]), -1)
      for chosen in (~within, within)
    ]
    around, between = ((x + 0.5) / FINE - 0.5 - MARGIN for x in found)
    return around, between

  return jax.lax.map(one, target)


@functools.cache
def _triangles() -> np.ndarray:
  """Triangulation of a half-open mouth, the face points and the grid's border."""
  turn = np.arange(OUTER) * (2 * np.pi / OUTER)
  ring = np.stack([-np.cos(turn), -np.sin(turn)], -1)
  face = np.array(_FACE)[:, :2] + [0, 0.2] * (np.array(_FACE)[:, 2:] > 0)
  mouth = np.concatenate([ring * [1, 0.55], ring * [0.8, 0.25], face])
  return triangulated(to_grid(mouth * 19 + 49), (SIDE, SIDE))


def _area(polygon: np.ndarray) -> float:
  """Area of a polygon [N, 2], in square pixels."""
  (x, y), (x1, y1) = polygon.T, np.roll(polygon, -1, axis=0).T
  return float(abs((x * y1 - x1 * y).sum()) / 2)
