"""Windows: the frames around a word that a reader sees. Works with NumPy, and with JAX under jit.

Spans are measured in frames (25 per second); frame t of a clip covers t to t + 1.
"""

from types import ModuleType
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxgen.systems.lipgen.units import RATE, WINDOW

MIDDLE = (WINDOW - 1) // 2  # index of a window's middle frame
# Spans are float32: half of a word of .56 seconds must be 7 frames, not 6.99999.
_ROUNDING = 1e-4

Array = Any


def _of(*arrays: Array) -> ModuleType:
  """The array module, jax.numpy or NumPy, of these arrays."""
  return jnp if any(isinstance(x, jax.Array) for x in arrays) else np


def centres(spans: Array) -> Array:
  """The middle frames of the windows of words: floor((start + end) / 2).

  Args:
    spans: [..., 2] start and end in frames.

  Returns:
    [...] int32.
  """
  return _of(spans).floor((spans[..., 0] + spans[..., 1]) / 2).astype(np.int32)


def first_frames(spans: Array) -> Array:
  """The first frames [...] int32 of the windows of spans [..., 2]; below 0 if one starts before its clip."""
  return centres(spans) - MIDDLE


def centred_spans(seconds: Array, frames: Array = WINDOW) -> Array:
  """The spans [..., 2] of words that last `seconds` [...] in the middle of clips of `frames` () or [...]."""
  half = _of(seconds).asarray(seconds) * (RATE / 2)
  return _of(half).stack([frames / 2 - half, frames / 2 + half], -1).astype(np.float32)


def half_durations(spans: Array) -> Array:
  """Whole frames [...] in half of each span [..., 2]: int(duration / 2 * 25), as floating point."""
  return _of(spans).floor((spans[..., 1] - spans[..., 0]) / 2 + _ROUNDING)


def boundaries(spans: Array, shift: Array = 0) -> Array:
  """The word boundary input: which frames of its window a word covers.

  With half = int(duration / 2 * 25) and m = 14 it is 1 on [max(0, m - half - 1), min(29, m + half + 1)): 14
  ones for half a second, all 29 for 1.16 seconds.

  Args:
    spans: [..., 2] start and end in frames.
    shift: [...] or (), how many frames later than centred on its word a window lies.

  Returns:
    [..., 29] float32.

  Reference: the public DC-TCN implementation.
  """
  xp = _of(spans, shift)
  half = half_durations(spans)
  middle = xp.zeros_like(half) + MIDDLE - shift
  t = xp.arange(WINDOW, dtype=np.float32).reshape((1,) * half.ndim + (WINDOW,))
  first, end = middle - half - 1, middle + half + 1
  return ((t >= first[..., None]) & (t < end[..., None])).astype(np.float32)


def inside(first: Array, lengths: Array) -> Array:
  """Which frames of windows lie in their clips.

  Args:
    first: [..., K] int32 first frames of windows.
    lengths: [...] int32 frames of the clips.

  Returns:
    [..., K, 29] float32.
  """
  t = window_frames(first)
  lengths = _of(first, lengths).asarray(lengths)[..., None, None]
  return ((t >= 0) & (t < lengths)).astype(np.float32)


def window_frames(first: Array) -> Array:
  """The frame indices [..., 29] int32 of windows that begin at `first` [...], even outside their clips."""
  offsets = _of(first).arange(WINDOW, dtype=np.int32)
  return first[..., None] + offsets.reshape((1,) * first.ndim + (WINDOW,))


def cut(features: jax.Array, first: jax.Array, lengths: jax.Array | None = None) -> jax.Array:
  """Cuts windows from per-frame features, with zeros outside the clip.

  Args:
    features: [B, T, ...].
    first: [B, K] int32 first frames.
    lengths: [B] int32 frames of each clip that count; all T by default.

  Returns:
    [B, K, 29, ...].
  """
  chex.assert_equal_shape_prefix([features, first], 1)
  chex.assert_rank(first, 2)
  length = features.shape[1]
  # Slices of a clip padded by a window of zeros on either side: their gradient adds slices, not single frames.
  padded = jnp.pad(features, [(0, 0), (WINDOW, WINDOW)] + [(0, 0)] * (features.ndim - 2))
  start = jnp.clip(first, -WINDOW, length) + WINDOW

  def slices(clip: jax.Array, starts: jax.Array) -> jax.Array:
    return jax.vmap(lambda s: lax.dynamic_slice_in_dim(clip, s, WINDOW))(starts)

  found = jax.vmap(slices)(padded, start)
  if lengths is None:
    return found
  mask = inside(first, lengths).astype(features.dtype)
  return found * mask.reshape(mask.shape + (1,) * (found.ndim - 3))
