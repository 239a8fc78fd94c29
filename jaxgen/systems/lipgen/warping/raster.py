"""Rasterises lip outlines with exact pixel coverage."""

import chex
import jax
import jax.numpy as jnp

OUTER = 20  # number of outer-lip points, which come first in a contour; the rest are inner lips
# For smaller differences along an edge, a clipped line's mean equals its midpoint value to 1e-3 of a pixel.
_FLAT = 0.01


def raster(points: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Lips as antialiased pictures: 0 outside them, one half on them, 1 in the gap between them.

  Args:
    points: [T, 40, 2] x and y in pixels with integer centres: outer lips, then inner ones, each a closed ring,
      see `procedural.geometry.contours`.
    size: height and width.

  Returns:
    [T, H, W] float32 in [0, 1].
  """
  chex.assert_rank(points, 3)
  outer, inner = coverage(points[:, :OUTER], size), coverage(points[:, OUTER:], size)
  return 0.5 * jnp.maximum(outer, inner) + 0.5 * inner


def coverage(polygons: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Pixel coverage of a polygon: exact if no edges cross, 0 for a degenerate one.

  By Green's theorem: an edge adds the part of a pixel that lies to its right, with the sign of its direction.

  Args:
    polygons: [T, N, 2] x and y of corners, in order around in either direction.
    size: height and width.

  Returns:
    [T, H, W] float32 in [0, 1].
  """
  chex.assert_axis_dimension(polygons, -1, 2)
  height, width = size
  right = jnp.arange(width, dtype=jnp.float32)[None, :, None] + 0.5
  top = jnp.arange(height, dtype=jnp.float32)[:, None, None] - 0.5

  def one(polygon: jax.Array) -> jax.Array:
    x0, y0 = polygon.T[:, None, None]
    x1, y1 = jnp.roll(polygon, -1, axis=0).T[:, None, None]
    # The part of each edge within each row [H, 1, N], and its ends' distances from the pixels' right sides.
    a, b = jnp.clip(y0, top, top + 1), jnp.clip(y1, top, top + 1)
    rise = y1 - y0
    slope = jnp.where(rise == 0, 0.0, (x1 - x0) / jnp.where(rise == 0, 1.0, rise))
    ta, tb = (right - (x0 + (y - y0) * slope) for y in (a, b))
    return jnp.abs(jnp.sum((b - a) * _mean_clipped(ta, tb), axis=-1))

  areas = jax.lax.map(one, jnp.asarray(polygons, jnp.float32))
  return jnp.clip(areas, 0.0, 1.0)


def _mean_clipped(a: jax.Array, b: jax.Array) -> jax.Array:
  """Mean of clip(t, 0, 1) for t from a to b."""
  flat = jnp.abs(a - b) < _FLAT
  difference = jnp.where(jnp.abs(a - b) < _FLAT / 2, 1.0, a - b)
  return jnp.where(flat, jnp.clip((a + b) / 2, 0, 1), (_integral(a) - _integral(b)) / difference)


def _integral(t: jax.Array) -> jax.Array:
  """Integral of clip(t, 0, 1) from 0."""
  inside = jnp.clip(t, 0, 1)
  return 0.5 * inside**2 + jnp.maximum(t - 1, 0)
