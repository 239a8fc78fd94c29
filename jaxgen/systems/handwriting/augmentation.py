"""Pictures of writing as others would have written, cut and scanned them: for readers of small sets."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy import ndimage

from jaxgen.task import name_key

_EXACT = 1e-3  # of a pixel, by which floating point may pass a whole one


class Augmentation(NamedTuple):
  """How far pictures are changed; each amount is uniform within its bound, and 0 changes nothing.

  Attributes:
    shear: pixels to the side for each pixel of height, either way.
    scale: logarithm of the change of width, and apart of that of height.
    shift: up or down, of the height.
    stroke: share of the way to strokes one pixel thicker on every side, or thinner.
    contrast: logarithm of the change of the ink's distance from white.
  """

  shear: float = 0.0
  scale: float = 0.0
  shift: float = 0.0
  stroke: float = 0.0
  contrast: float = 0.0


def augmented(
  key: jax.Array, image: jax.Array, width: jax.Array, options: Augmentation
) -> tuple[jax.Array, jax.Array]:
  """A changed picture and its new width: a pure function of the key.

  Args:
    key: () typed.
    image: [H, W, 1] in [-1, 1], paper +1, at the left end of its canvas.
    width: () int32, its pixels without padding.
    options: how far.

  Returns:
    (image [H, W, 1], white beyond the width; width () int32). What is given, where nothing is to change.
  """
  chex.assert_rank([image, width], [3, 0])

  def drawn(name: str, most: float) -> jax.Array:
    return jax.random.uniform(name_key(key, name), (), image.dtype, -most, most)

  if options.shear or options.scale or options.shift:
    shear, shift = drawn('shear', options.shear), drawn('shift', options.shift)
    scales = jnp.exp(jnp.stack([drawn(name, options.scale) for name in ('width', 'height')]))
    image, width = _moved(image, width, shear, scales, shift)
  if options.stroke:
    image = _thicker(image, drawn('stroke', options.stroke))
    image = jnp.where(jnp.arange(image.shape[1])[None, :, None] < width, image, 1)
  if options.contrast:
    image = jnp.clip(1 - jnp.exp(drawn('contrast', options.contrast)) * (1 - image), -1, 1)
  return image, width


def _moved(
  image: jax.Array, width: jax.Array, shear: jax.Array, scales: jax.Array, shift: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Sheared, scaled and shifted by bilinear sampling; what comes in at an edge continues the edge.

  The canvas stays: where it has no room a picture is not widened, and a shear cuts corners.
  """
  height, canvas, _ = image.shape
  own = width.astype(image.dtype)
  across = jnp.minimum(scales[0], canvas / own)
  lean = jnp.abs(shear) * height / 2
  margin = jnp.minimum(lean, (canvas - own * across) / 2)
  wider = jnp.ceil(own * across + 2 * margin - _EXACT).astype(jnp.int32)
  rows, columns = jnp.mgrid[:height, :canvas].astype(image.dtype)
  middle = (height - 1) / 2
  source_rows = (rows - middle - shift * height) / scales[1] + middle
  # Centres of pixels lie at halves: a picture that is only scaled keeps both its ends.
  source_columns = (columns + 0.5 - margin - shear * (rows - middle)) / across - 0.5
  source_columns = jnp.clip(source_columns, 0, own - 1)
  found = ndimage.map_coordinates(
    image[..., 0], [source_rows, source_columns], order=1, mode='nearest'
  )
  found = jnp.where(jnp.arange(canvas)[None] < wider, found, 1)[..., None]
  return found.astype(image.dtype), wider


def _thicker(image: jax.Array, amount: jax.Array) -> jax.Array:
  """Towards the darkest of 3x3 pixels for an amount above 0, towards the lightest for one below."""
  window, ones = (3, 3, 1), (1, 1, 1)
  darkest = lax.reduce_window(image, jnp.inf, lax.min, window, ones, 'SAME')
  lightest = lax.reduce_window(image, -jnp.inf, lax.max, window, ones, 'SAME')
  other = jnp.where(amount > 0, darkest, lightest)
  return image + jnp.abs(amount) * (other - image)
