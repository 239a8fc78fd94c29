"""Piecewise affine warp of a face to new lip positions, with a dark gap where a mouth opens.

Every pixel of the result finds the target triangle that it lies in and takes the level at the same barycentric
coordinates in the source triangle. The triangulation is fixed, so one compilation serves all faces.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import Delaunay

from jaxgen.systems.lipgen.warping.raster import OUTER, coverage

CONTOUR = 40  # points of a contour: outer lips, inner lips
DARK = 0.5  # level of the gap between open lips, as a share of the mean on the lips
_SIDES = 3  # border points per side
# Triangles with less than this twice their area, in square pixels, are ignored: closed lips.
_THIN = 0.02


def warp(
  reference: jax.Array,
  source: jax.Array,
  target: jax.Array,
  triangles: np.ndarray | None = None,
  dark: jax.Array | float | None = None,
  held: bool = False,
) -> jax.Array:
  """Warps a reference picture so that its points move to the targets; unchanged if they are the same.

  The gap between the reference's lips is stretched into the target's gap as far as it goes: a wider gap is
  blended with a dark level, and a closed reference gives a dark gap. No warp can show teeth or a tongue that
  the reference does not.

  The border moves with the head, estimated from the corners of the mouth, and its lower part with the lower
  lip, as the chin does: measured, that is closer to the truth than a fixed border (docs/lipgen_warping).

  Args:
    reference: [H, W] levels, of any dtype.
    source: [N, 2] x and y of its points, in pixels with integer centres; the first 40 are the lip contours, see
      `procedural.geometry.contours`.
    target: [T, N, 2] target positions of the points.
    triangles: [K, 3] indices into the N points followed by those of `border`, see `triangulated`; by default
      for 40 points.
    dark: level between open lips; by default `DARK` times the mean on the reference's lips.
    held: whether the border is fixed, as when further points describe the rest of the face.

  Returns:
    [T, H, W] float32.
  """
  chex.assert_rank([reference, source, target], [2, 2, 3])
  if triangles is None:
    triangles = mouth_triangles()
  within = (triangles >= OUTER).all(1) & (triangles < CONTOUR).all(1)
  picture = jnp.asarray(reference, jnp.float32)
  height, width = reference.shape
  size = height, width
  if dark is None:
    dark = DARK * _lips_level(picture, jnp.asarray(source, jnp.float32))
  frame = jnp.asarray(border(size))
  source, target = (jnp.asarray(p, jnp.float32) for p in (source, target))
  from_ = jnp.concatenate([source, frame])
  gaps = coverage(target[:, OUTER:CONTOUR], size)
  known = _area(source[OUTER:CONTOUR])

  def one(at: tuple[jax.Array, jax.Array]) -> jax.Array:
    points, gap = at
    to = jnp.concatenate([points, frame if held else _carried(frame, source, points)])
    around, between = (
      _looked_up(picture, from_, to, triangles[chosen]) for chosen in (~within, within)
    )
    wanted = _area(points[OUTER:CONTOUR])
    share = jnp.where(wanted <= known, 1.0, known / jnp.where(wanted == 0, 1.0, wanted))
    between = dark + share * (between - dark)
    return around + gap * (between - around)

  return jax.lax.map(one, (target, gaps))


def border(size: tuple[int, int]) -> np.ndarray:
  """Points [4 * 3, 2] around a picture, on the outer edges of its pixels."""
  height, width = size
  along = np.arange(_SIDES) / _SIDES
  x, y = _square(along)
  return np.stack([x * width - 0.5, y * height - 0.5], -1).astype(np.float32)


def _carried(frame: jax.Array, source: jax.Array, target: jax.Array) -> jax.Array:
  """The border's points [M, 2], rotated and shifted with the head, and below the mouth moved with the jaw.

  Points are x + iy. The rotation is that of the line between the mouth's corners, the shift that of its
  midpoint; the lower lip's remaining motion is the jaw's, full at the border's lowest point, zero at the mouth.
  """
  edge, before, after = (p[:, 0] + 1j * p[:, 1] for p in (frame, source[:OUTER], target[:OUTER]))
  half = OUTER // 2
  turn = (after[half] - after[0]) * jnp.conj(before[half] - before[0])
  length = jnp.abs(turn)
  turn = jnp.where(length > 0, turn / jnp.where(length > 0, length, 1.0), 1.0)
  middle, new_middle = (before[half] + before[0]) / 2, (after[half] + after[0]) / 2
  jaw = jnp.mean(after[half + 1 :] - (new_middle + turn * (before[half + 1 :] - middle)))
  height = jnp.mean(source[:OUTER, 1])
  lowest = frame[:, 1].max()
  below = jnp.clip((frame[:, 1] - height) / jnp.maximum(lowest - height, 1.0), 0, 1)
  moved = new_middle + turn * (edge - middle) + below * jaw
  return jnp.stack([moved.real, moved.imag], -1)


def _square(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  zero, one = np.zeros_like(along), np.ones_like(along)
  x = np.concatenate([along, one, 1 - along, zero])
  y = np.concatenate([zero, along, one, 1 - along])
  return x, y


@functools.cache
def mouth_triangles() -> np.ndarray:
  """Triangles [K, 3] of the 40 contour points and those of `border`, for a half-open mouth."""
  turn = np.arange(OUTER) * (2 * np.pi / OUTER)
  ring = np.stack([-np.cos(turn), -np.sin(turn)], -1)
  mouth = np.concatenate([ring * [20, 13], ring * [15, 6]]) + 47.5
  return triangulated(mouth, (96, 96))


def triangulated(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Delaunay triangles [K, 3] of points [N, 2] in a picture and of `border`, consistently oriented.

  The mouth should be half open: closed lips would be triangulated as if they could not part.
  """
  corners = np.concatenate([points, border(size)])
  found = Delaunay(corners).simplices.astype(np.int32)
  (ax, ay), (bx, by), (cx, cy) = np.moveaxis(corners[found], (1, 2), (0, 1))
  turned = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay) < 0
  found[turned] = found[turned][:, ::-1]
  return found


def _looked_up(
  picture: jax.Array, source: jax.Array, target: jax.Array, triangles: np.ndarray
) -> jax.Array:
  """Levels [H, W] sampled at the positions of `looked_up`."""
  return _sampled(picture, *looked_up(picture.shape, source, target, triangles))


def looked_up(
  size: tuple[int, ...], source: jax.Array, target: jax.Array, triangles: np.ndarray
) -> tuple[jax.Array, jax.Array]:
  """Source position of each pixel, by the triangle that it lies deepest in, or least far outside: no holes.

  Degenerate and flipped triangles are ignored; if all are, the picture stays unchanged.

  Args:
    size: height and width.
    source: [N, 2] corners in the picture.
    target: [N, 2] their target positions.
    triangles: [K, 3] indices into N.

  Returns:
    x and y [H, W] in pixels of the picture.
  """
  corners, origins = target[triangles], source[triangles]  # [K, 3, 2]
  # Sides from the first corner, and barycentric weights of the other two: s = inverse(sides) (pixel - first).
  (ax, ay), (bx, by) = (jnp.moveaxis(corners[:, i] - corners[:, 0], -1, 0) for i in (1, 2))
  area = ax * by - ay * bx
  inverse = jnp.stack([by, -bx, -ay, ax], -1).reshape(-1, 2, 2)
  inverse /= jnp.maximum(area, _THIN)[:, None, None]
  # Affine map of each triangle relative to its first corner: exact where source and target are the same.
  sides = origins[:, 1:] - origins[:, :1]
  turn = jnp.einsum('kix,kij->kxj', sides, inverse, precision='highest')
  return _places(size, inverse, turn, corners[:, 0], origins[:, 0], area > _THIN)


def _places(
  size: tuple[int, ...],
  inverse: jax.Array,
  turn: jax.Array,
  first: jax.Array,
  origin: jax.Array,
  good: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Source positions of pixels, x and y [H, W], by the triangle with the largest minimal barycentric weight.

  Loops over triangles: a maximum over an array of them all takes three times as long on CPU. Positions are
  computed inside the loop; outside it, the compiler may round them differently where they select pixels and
  where they weight them.

  Args:
    size: height and width.
    inverse: [K, 2, 2], from a position relative to the first corner to the weights of the other two.
    turn: [K, 2, 2], from that position to the one relative to the first corner in the source.
    first: [K, 2], the first corners in the target.
    origin: [K, 2], the first corners in the source.
    good: bool [K], which triangles are used.
  """
  y, x = jnp.mgrid[: size[0], : size[1]].astype(jnp.float32)

  def looked_at(k: jax.Array, found: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    dx, dy = x - first[k, 0], y - first[k, 1]
    (a, b), (c, d) = inverse[k]
    one, other = a * dx + b * dy, c * dx + d * dy
    least = jnp.minimum(jnp.minimum(one, other), 1 - one - other)
    (a, b), (c, d) = turn[k]
    here = least, origin[k, 0] + a * dx + b * dy, origin[k, 1] + c * dx + d * dy
    deeper = good[k] & (least > found[0])
    return tuple(jnp.where(deeper, new, old) for new, old in zip(here, found, strict=True))

  nothing = jnp.full(size, -jnp.inf), x, y
  _, from_x, from_y = jax.lax.fori_loop(0, len(inverse), looked_at, nothing)
  return from_x, from_y


def _sampled(picture: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
  """Levels at positions by bilinear interpolation, clamped at the border."""
  height, width = picture.shape
  x, y = jnp.clip(x, 0, width - 1), jnp.clip(y, 0, height - 1)
  left, top = jnp.floor(x), jnp.floor(y)
  fx, fy = x - left, y - top
  x0, y0 = left.astype(jnp.int32), top.astype(jnp.int32)
  x1, y1 = jnp.minimum(x0 + 1, width - 1), jnp.minimum(y0 + 1, height - 1)
  upper = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
  lower = picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx
  return upper * (1 - fy) + lower * fy


def _lips_level(picture: jax.Array, points: jax.Array) -> jax.Array:
  """Mean level on the lips; of the whole picture if they lie outside it."""
  height, width = picture.shape
  rings = jnp.stack([points[:OUTER], points[OUTER:CONTOUR]])
  outer, inner = coverage(rings, (height, width))
  lips = jnp.maximum(outer - inner, 0) + 1e-6
  return jnp.sum(picture * lips) / jnp.sum(lips)


def _area(polygon: jax.Array) -> jax.Array:
  """Area of a polygon [N, 2], in square pixels."""
  (x, y), (x1, y1) = polygon.T, jnp.roll(polygon, -1, axis=0).T
  return jnp.abs(jnp.sum(x * y1 - x1 * y)) / 2
