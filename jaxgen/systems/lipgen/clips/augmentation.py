"""What training does to clips on their way to a reader; pure functions of a key, for one clip each.

Source of the names: the paper; of the values: the public DC-TCN implementation.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax import lax

from jaxgen.systems.lipgen.clips.windows import MIDDLE, half_durations
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Batch, name_key

MEAN, DEVIATION = 0.421, 0.165  # of mouth crops' pixels in [0, 1]


class Augmentation(NamedTuple):
  """How far clips are changed; 0 and False change nothing.

  Attributes:
    flip: whether half of the clips are mirrored, all frames of one alike.
    brightness: factor within 1 +- this, one a clip.
    contrast: factor of the distance from the clip's mean within 1 +- this, one a clip.
    time_mask: frames of the longest mask, whose length is uniform from 0; one a clip.
    word_mask: in place of it the share of a word's frames that its mask takes at most; one a word.
    jitter: frames by which a window lies before or after its word's middle at most, one a word.
  """

  flip: bool = True
  brightness: float = 0.2
  contrast: float = 0.2
  time_mask: int = 14
  word_mask: float = 0.0
  jitter: int = 0


def normalised(pixels: jax.Array, dtype: jnp.dtype = jnp.float32) -> jax.Array:
  """Levels 0..255 as readers want them: (x / 255 - .421) / .165."""
  return ((pixels.astype(jnp.float32) / 255 - MEAN) / DEVIATION).astype(dtype)


def frame_mask(length: jax.Array, frames: int) -> jax.Array:
  """Which frames [T] float32 belong to a clip of this length ()."""
  return (jnp.arange(frames) < length).astype(jnp.float32)


def middle_crop(clip: jax.Array, size: int) -> jax.Array:
  """The middle [..., size, size] of [..., S, S]: from pixel 2 of 48 for 44, from 4 of 96 for 88."""
  offset = (clip.shape[-1] - size) // 2
  return clip[..., offset : offset + size, offset : offset + size]


def random_crop(key: jax.Array, clip: jax.Array, size: int, flip: bool = True) -> jax.Array:
  """One random square [T, size, size] of all frames [T, S, S], mirrored in half of the cases if `flip`."""
  most = clip.shape[-1] - size
  top, left = jax.random.randint(name_key(key, 'crop'), (2,), 0, most + 1)
  found = lax.dynamic_slice(clip, (0, top, left), (clip.shape[0], size, size))
  if not flip:
    return found
  return jnp.where(jax.random.bernoulli(name_key(key, 'flip')), found[:, :, ::-1], found)


def random_light(
  key: jax.Array, clip: jax.Array, mask: jax.Array, brightness: float, contrast: float
) -> jax.Array:
  """Another brightness and contrast for all frames, levels cut to 0..255.

  Args:
    key: () typed.
    clip: [T, H, W] levels 0..255, floating point.
    mask: [T] 1 for frames that count for the mean.
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
  """The frames [T] bool of one mask: length uniform in 0..most (the clip's at most), place uniform in it."""
  n = jax.random.randint(name_key(key, 'mask length'), (), 0, most + 1)
  n = jnp.minimum(n, length)
  first = jax.random.randint(name_key(key, 'mask place'), (), 0, length - n + 1)
  t = jnp.arange(frames)
  return (t >= first) & (t < first + n)


def word_masks(
  key: jax.Array, spans: jax.Array, labels: jax.Array, frames: int, share: float
) -> jax.Array:
  """The frames [T] bool of a mask in each word, for clips whose words are shorter than a mask of 14 frames.

  Args:
    key: () typed.
    spans: [K, 2] in frames.
    labels: [K]; those below 0 are no words.
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
  """By how many frames the windows [K] int32 lie after their words' middles: uniform in -most..most."""
  return jax.random.randint(name_key(key, 'jitter'), (words,), -most, most + 1)


def variable_lengths(key: jax.Array, spans: jax.Array) -> jax.Array:
  """A random part of each window that has its word whole, for readers without boundaries.

  With half = int(duration / 2 * 25), m = 14 and n = 29 frames it is [a, b): a is uniform in
  0..max(0, m - half - 1), b in min(m + half + 2, n)..n. A reader to whom padding makes no difference is given
  the cut clip by its mask.

  Args:
    key: () typed.
    spans: [K, 2] start and end of the words in frames.

  Returns:
    [K, 29] float32, which frames of the windows are left.

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
  """A clip as a reader in training gets it: a pure function of the key.

  Args:
    key: () typed, of this row.
    row: 'frames' [T, S, S] uint8, 'length' (), 'label' [K], 'span' [K, 2].
    size: of the crop, at most S.
    options: how far.
    dtype: of the frames.

  Returns:
    'frames' [T, size, size, 1], 0 after the last one, 'counted' [T] float32, 'shift' [K] int32 of the windows,
    'label' and 'span' as they are.
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
  """A clip as a reader in evaluation gets it: the middle of each frame, as `augmented` with nothing changed."""
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
