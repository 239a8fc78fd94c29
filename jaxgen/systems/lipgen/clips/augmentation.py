"""Augmentation of training clips; pure functions of a key, for one clip each.

The names are from the paper, the values from the public DC-TCN implementation.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.systems.lipgen.clips.windows import MIDDLE, half_durations
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Batch, name_key

MEAN, DEVIATION = 0.421, 0.165  # mean and standard deviation of mouth crops' pixels in [0, 1]


class Augmentation(NamedTuple):
  """Strength of each augmentation; 0 and False disable it.

  Attributes:
    flip: whether half of the clips are mirrored, all frames of a clip alike.
    brightness: factor within 1 +- this, one per clip.
    contrast: factor of the distance from the clip's mean within 1 +- this, one per clip.
    time_mask: largest length of the time mask in frames, drawn uniformly from 0; one per clip.
    word_mask: used instead of it: the largest share of a word's frames that is masked; one mask per word.
    jitter: largest shift of a window from its word's middle, in frames, one per word.
  """

  flip: bool = True
  brightness: float = 0.2
  contrast: float = 0.2
  time_mask: int = 14
  word_mask: float = 0.0
  jitter: int = 0


def normalised(pixels: jax.Array, dtype: jnp.dtype = jnp.float32) -> jax.Array:
  """Normalises levels 0..255 to a reader's input: (x / 255 - .421) / .165."""
  return ((pixels.astype(jnp.float32) / 255 - MEAN) / DEVIATION).astype(dtype)


def frame_mask(length: jax.Array, frames: int) -> jax.Array:
  """Which frames [T] float32 belong to a clip of this length ()."""
  return (jnp.arange(frames) < length).astype(jnp.float32)


def middle_crop(clip: jax.Array, size: int) -> jax.Array:
  """The centre crop [..., size, size] of [..., S, S]: from pixel 2 of 48 for 44, from 4 of 96 for 88."""
  offset = (clip.shape[-1] - size) // 2
  return clip[..., offset : offset + size, offset : offset + size]


def random_crop(key: jax.Array, clip: jax.Array, size: int, flip: bool = True) -> jax.Array:
  """The same random crop [T, size, size] of all frames [T, S, S], mirrored half of the time if `flip`."""
  most = clip.shape[-1] - size
  top, left = jax.random.randint(name_key(key, 'crop'), (2,), 0, most + 1)
  found = lax.dynamic_slice(clip, (0, top, left), (clip.shape[0], size, size))
  if not flip:
    return found
  return jnp.where(jax.random.bernoulli(name_key(key, 'flip')), found[:, :, ::-1], found)


def random_light(
  key: jax.Array, clip: jax.Array, mask: jax.Array, brightness: float, contrast: float
) -> jax.Array:
  """Random brightness and contrast, the same for all frames; levels are clipped to 0..255.

  Args:
    key: () typed.
    clip: [T, H, W] levels 0..255, floating point.
    mask: [T] 1 for frames that count towards the mean.
    brightness: see `Augmentation`.
    contrast: see `Augmentation`.
  """
  if brightness:
    factor = jax.random.uniform(
      name_key(key, 'brightness'), (), clip.dtype, -brightness, brightness
    )
    clip = jnp.clip(clip * (1 + factor), 0, 255)
  if contrast:
    factor = jax.random.uniform(name_key(key, 'contrast'), (), clip.dtype, -contrast, contrast)
    mean = clip_mean(clip, mask)
    clip = jnp.clip(mean + (clip - mean) * (1 + factor), 0, 255)
  return clip


def clip_mean(clip: jax.Array, mask: jax.Array) -> jax.Array:
  """The mean () over the frames [T, ...] that count."""
  of_frames = clip.reshape(len(clip), -1).mean(1)
  return (of_frames * mask).sum() / jnp.maximum(mask.sum(), 1)


def time_mask(key: jax.Array, length: jax.Array, frames: int, most: int) -> jax.Array:
  """The frames [T] bool of one mask: length uniform in 0..most (at most the clip's), position uniform."""
  n = jax.random.randint(name_key(key, 'mask length'), (), 0, most + 1)
  n = jnp.minimum(n, length)
  first = jax.random.randint(name_key(key, 'mask place'), (), 0, length - n + 1)
  t = jnp.arange(frames)
  return (t >= first) & (t < first + n)


def word_masks(
  key: jax.Array, spans: jax.Array, labels: jax.Array, frames: int, share: float
) -> jax.Array:
  """The frames [T] bool of one mask per word, for clips whose words are shorter than a mask of 14 frames.

  Args:
    key: () typed.
    spans: [K, 2] in frames.
    labels: [K]; below 0 there is no word.
    frames: T.
    share: of a word's frames; the length of its mask is uniform in 0..floor(share * frames).
  """
  first = jnp.floor(spans[:, 0]).astype(jnp.int32)
  duration = jnp.ceil(spans[:, 1]).astype(jnp.int32) - first
  most = jnp.floor(share * duration).astype(jnp.int32)
  n = jax.random.randint(name_key(key, 'mask length'), most.shape, 0, most + 1)
  start = first + jax.random.randint(name_key(key, 'mask place'), n.shape, 0, duration - n + 1)
  t = jnp.arange(frames)[:, None]
  masked = (t >= start[None]) & (t < (start + n)[None]) & (labels >= 0)[None]
  return masked.any(1)


def shifts(key: jax.Array, words: int, most: int) -> jax.Array:
  """Shifts [K] int32 of windows after their words' middles, in frames: uniform in -most..most."""
  return jax.random.randint(name_key(key, 'jitter'), (words,), -most, most + 1)


def variable_lengths(key: jax.Array, spans: jax.Array) -> jax.Array:
  """A random part of each window that contains the whole word, for readers without boundaries.

  With half = int(duration / 2 * 25), m = 14 and n = 29 frames it is [a, b): a is uniform in
  0..max(0, m - half - 1), b in min(m + half + 2, n)..n. Since the reader is invariant to padding, a mask is
  enough to cut the clip.

  Args:
    key: () typed.
    spans: [K, 2] start and end of the words in frames.

  Returns:
    [K, 29] float32, which frames of the windows are kept.

  Reference: the public DC-TCN implementation.
  """
  half = half_durations(spans).astype(jnp.int32)
  latest = jnp.maximum(MIDDLE - half - 1, 0)
  earliest = jnp.minimum(MIDDLE + half + 2, WINDOW)
  a = jax.random.randint(name_key(key, 'cut before'), half.shape, 0, latest + 1)
  b = jax.random.randint(name_key(key, 'cut after'), half.shape, earliest, WINDOW + 1)
  t = jnp.arange(WINDOW)[None]
  return ((t >= a[:, None]) & (t < b[:, None])).astype(jnp.float32)


def augmented(
  key: jax.Array,
  row: Batch,
  size: int,
  options: Augmentation,
  dtype: jnp.dtype = jnp.float32,
) -> Batch:
  """An augmented training clip; a pure function of the key.

  Args:
    key: () typed, of this row.
    row: 'frames' [T, S, S] uint8, 'length' (), 'label' [K], 'span' [K, 2].
    size: of the crop, at most S.
    options: strength of the augmentation.
    dtype: of the frames.

  Returns:
    'frames' [T, size, size, 1], 0 after the last one, 'counted' [T] float32, 'shift' [K] int32 of the windows,
    'label' and 'span' unchanged.
  """
  clip, length = row['frames'], row['length']
  chex.assert_rank([clip, length, row['span']], [3, 0, 2])
  mask = frame_mask(length, len(clip))
  clip = random_crop(key, clip, size, options.flip).astype(jnp.float32)
  clip = random_light(key, clip, mask, options.brightness, options.contrast)
  clip = normalised(clip)
  hidden = None
  if options.word_mask:
    hidden = word_masks(key, row['span'], row['label'], len(clip), options.word_mask)
  elif options.time_mask:
    hidden = time_mask(key, length, len(clip), options.time_mask)
  if hidden is not None:
    clip = jnp.where(hidden[:, None, None], clip_mean(clip, mask), clip)
  words = len(row['label'])
  shift = shifts(key, words, options.jitter) if options.jitter else jnp.zeros(words, jnp.int32)
  return _made(clip, mask, row, shift, dtype)


def plain(row: Batch, size: int, dtype: jnp.dtype = jnp.float32) -> Batch:
  """A clip for evaluation: centre crops, in the format of `augmented` but without augmentation."""
  mask = frame_mask(row['length'], len(row['frames']))
  shift = jnp.zeros(len(row['label']), jnp.int32)
  return _made(normalised(middle_crop(row['frames'], size)), mask, row, shift, dtype)


def _made(
  clip: jax.Array, mask: jax.Array, row: Batch, shift: jax.Array, dtype: jnp.dtype
) -> Batch:
  return {
    'frames': (clip * mask[:, None, None])[..., None].astype(dtype),
    'counted': mask,
    'shift': shift,
    'label': row['label'],
    'span': row['span'],
  }
