"""Samples clips of any length from a fixed-window net by denoising overlapping windows jointly."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.data.order import generator
from jaxgen.systems.lipgen.diffusion.sampling import trailing
from jaxgen.systems.lipgen.render.conditions import Conditions
from jaxgen.systems.lipgen.render.data import shown
from jaxgen.systems.lipgen.render.steps import Steps
from jaxgen.task import Batch, PyTree, Tools

_PIECE = 256  # frames converted to levels at once


class Place(NamedTuple):
  """A window of a clip.

  Attributes:
    clip: index of the clip among those rendered.
    start: the window's first frame.
    length: frames of the clip in the window, fewer than the window if the clip is shorter.
  """

  clip: int
  start: int
  length: int


def window_starts(length: int, window: int, overlap: int) -> list[int]:
  """First frames of windows that cover a clip, each starting `overlap` frames before the previous one ends.

  The last window ends with the clip, and overlaps more where necessary.
  """
  if length <= window:
    return [0]
  starts = list(range(0, length - window, window - overlap))
  return [*starts, length - window]


def window_weights(length: int, window: int, overlap: int) -> np.ndarray:
  """Blending weight of each window for each of its frames: tapered at its ends, summing to 1 over windows.

  Returns:
    [K, window] float32 for the windows of `window_starts`; 0 beyond the end of a shorter clip.
  """
  starts = window_starts(length, window, overlap)
  ends = np.minimum(np.arange(window), np.arange(window)[::-1]) + 1.0
  ramp = np.minimum(ends / (overlap + 1), 1)
  total = np.zeros(max(length, window))
  for start in starts:
    total[start : start + window] += ramp
  share = np.stack([ramp / total[start : start + window] for start in starts])
  inside = np.add.outer(starts, np.arange(window)) < length
  return np.where(inside, share, 0).astype(np.float32)


class Renderer:
  """Renders clips; compiled once for any number and length.

  Each DDIM step is taken for every window separately, and frames shared by windows are averaged, which averages
  their predictions (`diffusion.sampling.ddim_step`): windows agree early in sampling, so clips have no seams.

  Args:
    steps: the net's steps; its config sets the number of sampling steps, the overlap and the guidance.
    variables: exported variables.
    tools: the host's tools.

  Reference: Bar-Tal et al. 2023, "MultiDiffusion", eq. 5, over time.
  """

  def __init__(self, steps: Steps, variables: PyTree, tools: Tools):
    self._steps, self._variables, self._tools = steps, variables, tools
    self._denoise = tools.compile(steps.denoise)

  def shown(self, progress: Callable[..., Iterator]) -> 'Renderer':
    """A copy that shares compiled functions but reports progress elsewhere."""
    other = copy.copy(self)
    other._tools = self._tools._replace(progress=progress)
    return other

  def __call__(
    self, clips: Sequence[Conditions], text: str = 'rendering', numbers: Sequence[int] | None = None
  ) -> list[np.ndarray]:
    """Renders frames, uint8 [T, H, W] of each clip.

    Args:
      clips: what the clips are rendered from.
      text: label of the progress bar.
      numbers: noise seeds of the clips; a longer clip's noise starts with the same frames.
    """
    config = self._steps.config
    window, overlap = config.model.window, config.eval.overlap
    weights, places = [], []
    for i, clip in enumerate(clips):
      length = len(clip.warp)
      weights += list(window_weights(length, window, overlap))
      starts = window_starts(length, window, overlap)
      places += [Place(i, start, min(window, length)) for start in starts]
    z = [
      self._noise(number, clip.warp.shape)
      for number, clip in zip(numbers or range(len(clips)), clips, strict=True)
    ]
    size = config.eval.batch_size
    parts = range(0, len(places), size)
    course = trailing(self._steps.alpha_bars, config.eval.steps)
    moves = [(s, first) for s in range(config.eval.steps) for first in parts]
    for s, first in self._tools.progress(moves, text):
      if first == 0:
        last, z = z, [np.zeros_like(x) for x in z]
      at = {
        'time': np.int32(course.times[s]),
        'now': self._number(course.now[s]),
        'then': self._number(course.then[s]),
      }
      some = places[first : first + size]
      moved = self._move(last, clips, some, at)
      for place, weight, frames in zip(some, weights[first : first + size], moved, strict=False):
        end = place.start + place.length
        z[place.clip][place.start : end] += (weight[:, None, None] * frames)[: place.length]
    return [self._levels(x, clip) for x, clip in zip(z, clips, strict=True)]

  def _move(
    self, z: Sequence[np.ndarray], clips: Sequence[Conditions], places: Sequence[Place], at: Batch
  ) -> np.ndarray:
    """The windows after a step, [N, window, H, W], with those of `places` first."""
    window, size = self._steps.config.model.window, self._steps.config.eval.batch_size
    rows = []
    for place in places:
      part = slice(place.start, place.start + place.length)
      told = self._told(clips[place.clip], part)
      videos = {'z': z[place.clip][part], 'counted': np.ones(place.length, z[0].dtype)}
      videos |= {name: told[name] for name in ('warp', 'raster')}
      rows.append(
        {name: _filled(x, window) for name, x in videos.items()}
        | {'reference': told['reference'], 'mask': np.float32(1)}
      )
    rows += [{name: np.zeros_like(x) for name, x in rows[0].items()}] * (size - len(rows))
    batch = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    mine = self._tools.rows(size)
    found = self._denoise(self._variables, {k: x[mine] for k, x in batch.items()}, at)
    return np.asarray(jax.device_get(found))

  def _told(self, clip: Conditions, part: slice) -> Batch:
    """Net inputs for some frames of a clip; kept as bytes until now, so that long clips need little memory."""
    warp = clip.warp[part]
    levels = {'reference': clip.reference, 'warp': warp, 'raster': clip.raster[part]}
    counted = np.ones(len(warp))
    return shown({**levels, 'frames': warp, 'counted': counted}, np.dtype(self._steps.param_dtype))

  def _noise(self, number: int, shape: tuple[int, ...]) -> np.ndarray:
    rng = generator(self._steps.config.seed, 'rendered', number)
    drawn = rng.standard_normal(shape, np.float32) * self._steps.config.eval.temperature
    return drawn.astype(self._steps.param_dtype)

  def _number(self, x: float) -> np.ndarray:
    return np.asarray(x, self._steps.param_dtype)

  def _levels(self, x: np.ndarray, clip: Conditions) -> np.ndarray:
    """Frames uint8 [T, H, W] from the sampled signal."""
    made = np.empty(x.shape, np.uint8)
    for first in range(0, len(x), _PIECE):
      part = slice(first, first + _PIECE)
      levels = (self._steps.frames(x[part], self._told(clip, part)) + 1) * 127.5
      made[part] = np.clip(np.round(levels), 0, 255)
    return made


def _filled(x: np.ndarray, window: int) -> np.ndarray:
  """[T, ...] zero-padded to the window length."""
  return np.pad(x, [(0, window - len(x))] + [(0, 0)] * (x.ndim - 1))
