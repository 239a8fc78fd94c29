"""Sliding windows: a reader's log-probabilities for a word centred at each frame of a video.

Clips of any length go through programs of fixed shapes, so another length needs no recompilation, and the
result does not depend on where the clip is cut into pieces.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen import compiling
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips.windows import MIDDLE, boundaries, first_frames, inside
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.front_end import STEM_FRAMES, FrontEnd
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import PyTree

FRAMES = 64  # frames per piece of a clip, without the context around it
TOGETHER = 64  # windows per batch


class Evidence(NamedTuple):
  """A reader's log-probabilities of its N classes at each of the T frames of a clip.

  Attributes:
    plain: float32 [T, N], for a word of unknown length whose middle frame this is; of a reader that needs word
      boundaries the mean probability over all lengths.
    known: float32 [H, T, N], for a word with this middle frame and h whole frames in its half, h = 0 .. H - 1;
      None if the reader is not given word lengths.
  """

  plain: np.ndarray
  known: np.ndarray | None = None


def reach(front_end: FrontEnd) -> int:
  """The receptive field of a feature: frames before, and after, its own."""
  shifts = sum(
    max(blocks, 1)
    for blocks, shift in zip(front_end.blocks, front_end.shift_div, strict=True)
    if shift
  )
  pooled = 0 if front_end.pooling == 'average' else front_end.pool_frames // 2
  return STEM_FRAMES // 2 + shifts + pooled


def nearest(total: int, centres: np.ndarray) -> np.ndarray:
  """The index [T] of the nearest of ascending centres for each of `total` frames, the earlier of two."""
  return np.searchsorted((centres[:-1] + centres[1:]) / 2, np.arange(total))


class Slider:
  """Slides a reader over clips.

  Args:
    inference: the reader.
    variables: exported.
    frames: frames per piece; does not affect the results.
    together: windows per batch; does not affect the results.
  """

  def __init__(
    self,
    inference: Inference,
    variables: PyTree,
    frames: int = FRAMES,
    together: int = TOGETHER,
  ):
    self.inference = inference
    self._variables = jax.device_put(variables)
    self._frames, self._together = frames, together
    self._reach = reach(inference.net.front_end)
    self._features = compiling.jit(self._of_piece)
    self._windows = compiling.jit(self._of_windows)

  def _of_piece(self, variables: PyTree, frames: jax.Array, counted: jax.Array) -> jax.Array:
    found = self.inference.features(variables, self.inference.shown(frames), counted)
    return found.astype(jnp.float32)

  def _of_windows(
    self, variables: PyTree, features: jax.Array, mask: jax.Array, boundary: jax.Array
  ) -> jax.Array:
    found = self.inference.windows(variables, features, mask, boundary)
    return found.astype(jnp.float32)

  def features(self, frames: np.ndarray, bars: Bars = no_bars) -> np.ndarray:
    """The features of a clip.

    Args:
      frames: [T, S, S] uint8, as `Inference.seen` gives them; T at least 1.
      bars: see `jaxgen.passes.Bars`.

    Returns:
      [T, F] float32.
    """
    around, size = self._reach, self._frames + 2 * self._reach
    total = len(frames)
    found = []
    for first in bars(range(0, total, self._frames), 'features'):
      low, high = first - around, first + self._frames + around
      piece = frames[max(low, 0) : high]
      after = size - len(piece) - max(-low, 0)
      padded = np.pad(piece, [(max(-low, 0), after), (0, 0), (0, 0)])
      t = np.arange(low, high)
      counted = ((t >= 0) & (t < total)).astype(np.float32)
      made = self._features(self._variables, padded[None], counted[None])
      kept = min(self._frames, total - first)
      found.append(np.asarray(made[0, around : around + kept]))
    return np.concatenate(found)

  def read(
    self, features: np.ndarray, spans: np.ndarray, known: bool = True, bars: Bars = no_bars
  ) -> np.ndarray:
    """Reads words at known positions.

    Args:
      features: [T, F] of the clip.
      spans: [M, 2] start and end of each in frames; a window is centred on the middle.
      known: whether the reader is given their length, if it has a boundary input.
      bars: see `jaxgen.passes.Bars`.

    Returns:
      Log-probabilities [M, N] float32.
    """
    spans = np.asarray(spans, np.float32).reshape(-1, 2)
    total, together = len(features), self._together
    around = np.pad(features, [(WINDOW, WINDOW), (0, 0)])
    found = [np.zeros((0, len(self.inference.words)), np.float32)]
    for i in bars(range(0, len(spans), together), 'windows'):
      part = spans[i : i + together]
      count = len(part)
      part = np.pad(part, [(0, together - count), (0, 0)], mode='edge')
      first = np.clip(first_frames(part), -WINDOW, total)
      mask = inside(first, np.int32(total))
      places = first[:, None] + WINDOW + np.arange(WINDOW)
      inputs = around[places] * mask[..., None]
      within = boundaries(part) * mask if known else np.zeros_like(mask)
      made = self._windows(self._variables, inputs, mask, within)
      found.append(np.asarray(made)[:count])
    return np.concatenate(found)

  def slide(
    self, features: np.ndarray, stride: int = 1, half: int | None = None, bars: Bars = no_bars
  ) -> np.ndarray:
    """Reads a window centred on each frame of the clip.

    Args:
      features: [T, F].
      stride: frames between windows; frames in between take the result of the nearest window.
      half: whole frames in half of the word, given to the reader; None: not given.
      bars: see `jaxgen.passes.Bars`.

    Returns:
      Log-probabilities [T, N] float32.
    """
    total = len(features)
    centres = np.arange(min(stride // 2, total - 1), total, stride)
    middle = centres + 0.5
    reach = 0.5 if half is None else half + 0.25
    spans = np.stack([middle - reach, middle + reach], -1)
    found = self.read(features, spans, half is not None, bars)
    return found[nearest(total, centres)] if stride > 1 else found

  def evidence(
    self, features: np.ndarray, longest: int = 0, stride: int = 1, bars: Bars = no_bars
  ) -> Evidence:
    """The evidence at every frame.

    Args:
      features: [T, F].
      longest: frames of the longest word; 0, or a reader without a boundary input: lengths are not tried.
      stride: see `slide`.
      bars: see `jaxgen.passes.Bars`.
    """
    tried = longest and self.inference.net.boundary
    by_length = bool(tried and self.inference.needs_boundaries)
    plain = None if by_length else self.slide(features, stride, bars=bars)
    if plain is not None and not tried:
      return Evidence(plain)
    halves = range(min(longest // 2, MIDDLE) + 1)
    known = np.empty((len(halves), len(features), len(self.inference.words)), np.float32)
    for half in bars(halves, 'lengths'):
      known[half] = self.slide(features, stride, half)
    return Evidence(mean_probability(known) if plain is None else plain, known)


def mean_probability(scores: np.ndarray) -> np.ndarray:
  """The logarithm of mean probabilities over the first axis of log-probabilities [H, ..., N]."""
  found: np.ndarray = np.logaddexp.reduce(scores, axis=0) - np.float32(np.log(len(scores)))
  return found
