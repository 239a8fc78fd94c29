"""Photographic degradations of low-resolution luminance: blur, noise and JPEG, drawn by key.

None of this is in the paper, which restores crops that were only downscaled. The order is that of a camera: the
lens blurs, the sensor adds noise, the file is compressed last.
"""

import io
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxgen.evaluation.super_resolution import rounded
from jaxgen.task import name_key

BLOCK = 8
# Table K.1 of ITU-T T.81, for luminance: libjpeg scales it by its quality.
LUMINANCE_TABLE = (
  (16, 11, 10, 16, 24, 40, 51, 61),
  (12, 12, 14, 19, 26, 58, 60, 55),
  (14, 13, 16, 24, 40, 57, 69, 56),
  (14, 17, 22, 29, 51, 87, 80, 62),
  (18, 22, 37, 56, 68, 109, 103, 77),
  (24, 35, 55, 64, 81, 104, 113, 92),
  (49, 64, 78, 87, 103, 121, 120, 101),
  (72, 92, 95, 98, 112, 100, 103, 99),
)
# [frequency, place] 2**13 sqrt(8) times the DCT of eight values, rounded as in libjpeg's accurate integer
# transform, whose sums of products these are; the inverse uses the transpose.
_HALF = (
  (8192, 8192, 8192, 8192),
  (11363, 9633, 6437, 2260),
  (10703, 4433, -4433, -10703),
  (9633, -2259, -11362, -6436),
  (8192, -8192, -8192, 8192),
  (6437, -11362, 2261, 9633),
  (4433, -10704, 10704, -4433),
  (2260, -6436, 9633, -11363),
)
_TRANSFORM = np.array(
  [[*half, *(x * (-1) ** u for x in half[::-1])] for u, half in enumerate(_HALF)], np.int32
)


class Degradation(NamedTuple):
  """Which crops are degraded, and how much: each kind is drawn independently, in this order.

  Attributes:
    blur: lowest and highest sigma of a Gaussian, in low-resolution pixels.
    blur_probability: fraction of crops that are blurred; 0 disables blur.
    noise: lowest and highest sigma of white Gaussian noise, in levels of 255.
    noise_probability: fraction of crops with noise.
    jpeg: lowest and highest quality, integers, both inclusive.
    jpeg_probability: fraction of crops that are compressed.
  """

  blur: tuple[float, float]
  blur_probability: float
  noise: tuple[float, float]
  noise_probability: float
  jpeg: tuple[int, int]
  jpeg_probability: float

  @property
  def is_off(self) -> bool:
    """Whether all degradations are disabled."""
    return not (self.blur_probability or self.noise_probability or self.jpeg_probability)


def degrade(options: Degradation, image: jax.Array, key: jax.Array) -> jax.Array:
  """Degrades a crop as a photograph might be: a pure function of the crop and its key.

  Args:
    options: kinds and strengths; kinds of probability 0 leave no trace in the compiled program.
    image: [h, w] in [0, 1]; downscaled images may overshoot.
    key: key of this example.

  Returns:
    [h, w]; in 256 levels of [0, 1] if it was compressed, else neither rounded nor clipped.
  """

  def some(name: str, changed: jax.Array, probability: float) -> jax.Array:
    chosen = jax.random.bernoulli(name_key(key, f'{name} or not'), probability)
    return jnp.where(chosen, changed, image)

  def drawn(name: str, low: float, high: float) -> jax.Array:
    return jax.random.uniform(name_key(key, name), (), image.dtype, low, high)

  if options.blur_probability:
    sigma = drawn('blur', *options.blur)
    image = some('blur', blur(image, sigma, options.blur[1]), options.blur_probability)
  if options.noise_probability:
    sigma = drawn('noise', *options.noise) / 255
    white = jax.random.normal(name_key(key, 'white'), image.shape, image.dtype)
    image = some('noise', image + sigma * white, options.noise_probability)
  if options.jpeg_probability:
    low, high = options.jpeg
    quality = jax.random.randint(name_key(key, 'jpeg'), (), low, high + 1)
    # A crop of a photograph may start anywhere in the file's grid of blocks.
    phase = jax.random.randint(name_key(key, 'phase'), (2,), 0, BLOCK)
    image = some('jpeg', jpeg(image, quality, phase), options.jpeg_probability)
  return image


def blur(image: jax.Array, sigma: jax.Array | float, largest: float) -> jax.Array:
  """Gaussian blur of [h, w], with replicated edges.

  Args:
    image: [h, w].
    sigma: in pixels; 0 changes nothing.
    largest: static upper bound of sigma; the kernel radius is three times that.
  """
  radius = max(1, int(np.ceil(3 * largest)))
  offsets = jnp.arange(-radius, radius + 1, dtype=image.dtype)
  weights = jnp.exp(-((offsets / jnp.maximum(sigma, 1e-3)) ** 2) / 2)
  weights /= weights.sum()
  for axis in (0, 1):
    n = image.shape[axis]
    padding = [(radius, radius) if i == axis else (0, 0) for i in range(2)]
    padded = jnp.pad(image, padding, mode='edge')
    image = sum(
      w * jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i, w in enumerate(weights)
    )
  return image


def quality_table(quality: jax.Array | int) -> jax.Array:
  """[8, 8] quantisation steps of the coefficients: the standard's luminance table, scaled as libjpeg does.

  Args:
    quality: integer from 1 to 100.
  """
  scale = jnp.where(quality < 50, 5000 // jnp.maximum(quality, 1), 200 - 2 * quality)
  return jnp.clip((jnp.asarray(LUMINANCE_TABLE) * scale + 50) // 100, 1, 255)


def jpeg(
  image: jax.Array, quality: jax.Array | int, phase: jax.Array | tuple[int, int] = (0, 0)
) -> jax.Array:
  """A round trip of an image through a grey JPEG file: libjpeg's arithmetic, bit for bit.

  Args:
    image: [h, w], rounded to 256 levels of [0, 1] first.
    quality: libjpeg's quality, from 1 to 100.
    phase: rows and columns of the first block that precede the image, from 0 to 7.

  Returns:
    [h, w] in 256 levels of [0, 1]. Incomplete blocks are padded with edge pixels, as libjpeg does.
  """
  levels = jnp.floor(jnp.clip(image, 0, 1) * 255 + 0.5).astype(jnp.int32) - 128
  # Static: enough room wherever the image starts.
  sizes = [-(-(n + BLOCK - 1) // BLOCK) * BLOCK for n in image.shape]
  rows, columns = (
    jnp.clip(jnp.arange(size) - first, 0, n - 1)
    for size, first, n in zip(sizes, phase, image.shape, strict=True)
  )
  blocks = levels[rows][:, columns].reshape(sizes[0] // BLOCK, BLOCK, sizes[1] // BLOCK, BLOCK)
  # The coefficients, times eight.
  found = _rounded_shift(jnp.einsum('vj,aibj->aibv', _TRANSFORM, blocks), 11)
  found = _rounded_shift(jnp.einsum('ui,aibv->aubv', _TRANSFORM, found), 15)
  steps = quality_table(quality)[None, :, None, :]
  kept = jnp.sign(found) * ((jnp.abs(found) + 4 * steps) // (8 * steps)) * steps
  back = _rounded_shift(jnp.einsum('ui,aubv->aibv', _TRANSFORM, kept), 11)
  back = _rounded_shift(jnp.einsum('vj,aibv->aibj', _TRANSFORM, back), 18)
  whole = (jnp.clip(back + 128, 0, 255) / 255).astype(image.dtype).reshape(sizes)
  return jax.lax.dynamic_slice(whole, tuple(phase), image.shape)


def _rounded_shift(x: jax.Array, bits: int) -> jax.Array:
  """Integers divided by 2**bits, rounded half up."""
  return (x + 2 ** (bits - 1)) >> bits


def with_noise(image: np.ndarray, sigma: float, key: jax.Array) -> np.ndarray:
  """Adds noise to an image and rounds it as an uncompressed file would; used to evaluate under noise.

  Args:
    image: grey [h, w] or RGB [h, w, 3] in [0, 1]; each colour gets noise of its own.
    sigma: of white Gaussian noise, in levels of 255.
    key: key of this image.

  Returns:
    The same shape, float64 in [0, 1], rounded to 256 levels.
  """
  white = np.asarray(jax.random.normal(key, image.shape), np.float64)
  return rounded(image + sigma / 255 * white)


def saved_as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
  """A round trip of an image through Pillow's JPEG encoder; used to evaluate under compression.

  Args:
    image: grey [h, w] or RGB [h, w, 3] in [0, 1], rounded to 256 levels first. Chroma is stored at half the
      resolution, Pillow's default.
    quality: from 1 to 100.

  Returns:
    The same shape, float64 in [0, 1].
  """
  levels = np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
  file = io.BytesIO()
  Image.fromarray(levels).save(file, 'JPEG', quality=quality)
  return np.asarray(Image.open(file), np.float64) / 255
