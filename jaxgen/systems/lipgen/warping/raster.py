"""Outlines of lips as pictures: the exact share of each pixel that lies inside."""

import chex
import jax
import jax.numpy as jnp

OUTER = 20  # points of the outer lips, the first of a contour; the others are of the inner lips
# Below this difference along an edge the mean of a clipped line is its value in the middle, to 1e-3 of a pixel.
_FLAT = 0.01


def raster(points: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Lips as pictures: 0 beside them, one half on them, 1 in the gap between them, antialiased.

  Args:
    points: [T, 40, 2] x and y in pixels whose centres are whole numbers: outer lips, then inner ones, each once
      around, see `procedural.geometry.contours`.
    size: height and width.

  Returns:
    [T, H, W] float32 in [0, 1].
  """
  chex.assert_rank(points, 3)
  outer, inner = coverage(points[:, :OUTER], size), coverage(points[:, OUTER:], size)
  return 0.5 * jnp.maximum(outer, inner) + 0.5 * inner


def coverage(polygons: jax.Array, size: tuple[int, int]) -> jax.Array:
  """The share of each pixel inside of a polygon: exact where no edges cross, 0 for one that is shut.

  By Green's theorem: an edge adds the part of a pixel that lies to its right, with the sign of its direction.

  Args:
    polygons: [T, N, 2] x and y of corners, once around in either direction.
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
    # The part of an edge within the rows [H, 1, N], and how far its ends are from the pixels' right sides.
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
  """Of clip(t, 0, 1) from 0."""
  inside = jnp.clip(t, 0, 1)
  return 0.5 * inside**2 + jnp.maximum(t - 1, 0)
