"""Augmentation of pictures, as if written, cropped and scanned by others: for readers of small sets."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import ndimage

from jaxgen.task import name_key

_FAINT = 0.1  # darkness that is no ink
_DUST = 0.005  # fraction of the ink that may lie outside of its rows on each side
# Scales of a picture in a new frame: a narrower one would have too few frames for its text.
_SCALES = 0.75, 2.0
_EXACT = 1e-3  # pixels by which rounding may exceed a whole one


class Augmentation(NamedTuple):
  """Bounds of the augmentation; each amount is sampled uniformly within its bound, and 0 disables it.

  Attributes:
    shear: horizontal pixels per pixel of height, either way.
    scale: log factor of the width and, independently, of the height.
    shift: up or down, as a fraction of the height.
    stroke: interpolation weight towards strokes one pixel thicker on every side, or thinner.
    contrast: log factor of the ink's distance from white.
    frame: least fraction of the height that the ink of every second picture is rescaled to fill, as if it had
      been cut out with other margins.
  """

  shear: float = 0.0
  scale: float = 0.0
  shift: float = 0.0
  stroke: float = 0.0
  contrast: float = 0.0
  frame: float = 0.0


def augmented(
  key: jax.Array, image: jax.Array, width: jax.Array, options: Augmentation
) -> tuple[jax.Array, jax.Array]:
  """An augmented picture and its new width: a pure function of the key.

  Args:
    key: () typed.
    image: [H, W, 1] in [-1, 1], paper +1, at the left end of its canvas.
    width: () int32, its pixels without padding.
    options: the bounds.

  Returns:
    (image [H, W, 1], white beyond the width; width () int32). The inputs, if all bounds are 0.
  """
  chex.assert_rank([image, width], [3, 0])

  def drawn(name: str, most: float) -> jax.Array:
    return jax.random.uniform(name_key(key, name), (), image.dtype, -most, most)

  framed = _framed(key, image, width, options.frame) if options.frame else None
  if options.shear or options.scale or options.shift or framed:
    shear, shift = drawn('shear', options.shear), drawn('shift', options.shift)
    scales = jnp.exp(jnp.stack([drawn(name, options.scale) for name in ('width', 'height')]))
    image, width = _moved(image, width, shear, scales, shift, framed)
  if options.stroke:
    image = _thicker(image, drawn('stroke', options.stroke))
    image = jnp.where(jnp.arange(image.shape[1])[None, :, None] < width, image, 1)
  if options.contrast:
    image = jnp.clip(1 - jnp.exp(drawn('contrast', options.contrast)) * (1 - image), -1, 1)
  return image, width


class _Frame(NamedTuple):
  """Another frame of a picture: `scale`, and the row `source` of the picture that comes to row `target`."""

  scale: jax.Array
  source: jax.Array
  target: jax.Array


def _framed(key: jax.Array, image: jax.Array, width: jax.Array, least: float) -> _Frame:
  """A frame of whose height the ink fills a random part, at a random place; or the picture's own."""
  height, canvas, _ = image.shape
  inside = jnp.arange(canvas)[None] < width
  darkness = jnp.where(inside & (image[..., 0] < 1 - 2 * _FAINT), 1 - image[..., 0], 0).sum(1)
  total = darkness.cumsum()
  first = (total < _DUST * total[-1]).sum()
  last = jnp.maximum((total < (1 - _DUST) * total[-1]).sum(), first)
  ink = (last + 1 - first).astype(image.dtype)
  part = jax.random.uniform(name_key(key, 'frame'), (), image.dtype, least, 1)
  most = jnp.minimum(_SCALES[1], canvas / width)
  scale = jnp.clip(part * height / ink, _SCALES[0], jnp.maximum(most, _SCALES[0]))
  room = jax.random.uniform(name_key(key, 'place'), (), image.dtype) * (height - scale * ink)
  own = (total[-1] <= 0) | jax.random.bernoulli(name_key(key, 'own frame'))
  none = _Frame(jnp.ones_like(scale), jnp.zeros_like(scale), jnp.zeros_like(scale))
  other = _Frame(scale, first.astype(image.dtype), room)
  return jax.tree.map(lambda a, b: jnp.where(own, a, b), none, other)


def _moved(
  image: jax.Array,
  width: jax.Array,
  shear: jax.Array,
  scales: jax.Array,
  shift: jax.Array,
  framed: _Frame | None,
) -> tuple[jax.Array, jax.Array]:
  """Shears, scales and shifts by bilinear sampling; pixels from outside repeat the edge, in a new frame white.

  The canvas keeps its size: a picture is not widened beyond it, and a shear cuts off corners.
  """
  height, canvas, _ = image.shape
  own = width.astype(image.dtype) * (framed.scale if framed else 1)
  across = jnp.minimum(scales[0], canvas / own)
  lean = jnp.abs(shear) * height / 2
  margin = jnp.minimum(lean, (canvas - own * across) / 2)
  wider = jnp.ceil(own * across + 2 * margin - _EXACT).astype(jnp.int32)
  rows, columns = jnp.mgrid[:height, :canvas].astype(image.dtype)
  middle = (height - 1) / 2
  source_rows = (rows - middle - shift * height) / scales[1] + middle
  # Pixel centres lie at half-integers: a picture that is only scaled keeps both its ends.
  source_columns = (columns + 0.5 - margin - shear * (rows - middle)) / across - 0.5
  source_columns = jnp.clip(source_columns, 0, own - 1)
  if framed:
    source_rows = framed.source + (source_rows + 0.5 - framed.target) / framed.scale - 0.5
    source_columns = jnp.clip((source_columns + 0.5) / framed.scale - 0.5, 0, width - 1)
  found = ndimage.map_coordinates(
    image[..., 0], [source_rows, source_columns], order=1, mode='nearest'
  )
  if framed:
    outside = (framed.scale != 1) & ((source_rows < -0.5) | (source_rows > height - 0.5))
    found = jnp.where(outside, 1, found)
  found = jnp.where(jnp.arange(canvas)[None] < wider, found, 1)[..., None]
  return found.astype(image.dtype), wider


def _thicker(image: jax.Array, amount: jax.Array) -> jax.Array:
  """Interpolates towards the darkest of 3x3 pixels for an amount above 0, the lightest for one below."""
  window, ones = (3, 3, 1), (1, 1, 1)
  darkest = lax.reduce_window(image, jnp.inf, lax.min, window, ones, 'SAME')
  lightest = lax.reduce_window(image, -jnp.inf, lax.max, window, ones, 'SAME')
  other = jnp.where(amount > 0, darkest, lightest)
  return image + jnp.abs(amount) * (other - image)
