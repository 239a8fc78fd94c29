"""Placement of a word's letters on the canvas, at natural spacing or in slots."""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.handwriting.drawn.fields import BOUND, smooth_line
from jaxgen.systems.handwriting.drawn.hands import Hand
from jaxgen.systems.handwriting.drawn.settings import X_HEIGHT, Setting

BASELINE = 0.66  # of the canvas height, if the word fits there
_SMALLEST = 0.75  # of its own size, to which a hand may shrink to fit a word into the width
_ROOM = 0.05  # of the canvas height stays free above and below, at least a pixel


class Placement(NamedTuple):
  """The mapping between a word's paper and its setting, before slant and bending.

  Attributes:
    columns: [k] increasing columns of the paper, and `sources` [k] those of the setting that map to them.
    sources: see `columns`.
    scale: canvas pixels per source pixel along the height.
    x_height: pixels.
    baseline: row of the canvas.
    centres: [m] columns of the letters' centres, or of both their sides, between which the next fields vary.
    shifts: [m] pixels by which each letter is lowered.
    gains: [m] heights of the letters, 1 as in the face.
    leans: [m] added to the slant.
    width: columns of the paper; the rest of the canvas is white.
  """

  columns: np.ndarray
  sources: np.ndarray
  scale: float
  x_height: float
  baseline: float
  centres: np.ndarray
  shifts: np.ndarray
  gains: np.ndarray
  leans: np.ndarray
  width: int


class _Letters(NamedTuple):
  """The individual variations of each letter of a word, in x-heights."""

  shifts: np.ndarray
  gains: np.ndarray
  leans: np.ndarray


def _bounded(rng: np.random.Generator, n: int) -> np.ndarray:
  return np.clip(rng.standard_normal(n), -2, 2)


def _letters(n: int, hand: Hand, rng: np.random.Generator) -> _Letters:
  along = np.arange(n) - (n - 1) / 2
  wave = smooth_line(rng, n, 3.0)
  shifts = hand.slope * along + hand.drift * wave + 0.04 * hand.jitter * _bounded(rng, n)
  gains = 1 + 0.07 * hand.jitter * _bounded(rng, n)
  return _Letters(shifts, gains, 0.06 * hand.jitter * _bounded(rng, n))


def _extent(setting: Setting, letters: _Letters) -> tuple[float, float]:
  """How far the word reaches above and below its baseline, in x-heights."""
  above = (setting.rises * letters.gains / X_HEIGHT - letters.shifts).max()
  below = (setting.falls * letters.gains / X_HEIGHT + letters.shifts).max()
  return float(max(above, 0)), float(max(below, 0))


def _vertical(
  extent: tuple[float, float], hand: Hand, height: int, size: float
) -> tuple[float, float]:
  """The x-height, at most `size` pixels, and the baseline at which nothing is cut off."""
  room = max(1.0, _ROOM * height)
  # Bending may move ink further out, by up to this much of an x-height.
  above, below = (x + BOUND * hand.elastic for x in extent)
  x_height = min(size, (height - 2 * room) / max(above + below, 1e-6))
  baseline = BASELINE * height
  baseline = min(max(baseline, room + above * x_height), height - room - below * x_height)
  return x_height, baseline


def _overhang(extent: tuple[float, float], hand: Hand, x_height: float) -> tuple[float, float]:
  """Pixels by which the slant moves ink to the left and to the right of its upright position."""
  up = hand.slant * (extent[0] - 0.5) * x_height
  down = -hand.slant * (extent[1] + 0.5) * x_height
  return max(0.0, -up, -down), max(0.0, up, down)


def place_naturally(
  setting: Setting, hand: Hand, rng: np.random.Generator, height: int, width: int
) -> Placement | None:
  """Places a word at the spacing of its face and its hand.

  The joining strokes of a cursive stretch with the spacing: a band at each border between letters is widened.

  Args:
    setting: joined letters.
    hand: its writer.
    rng: of this drawing.
    height: of the canvas.
    width: of the canvas.

  Returns:
    Its placement on its paper; None if it does not fit the width even when written a quarter smaller.
  """
  n = len(setting.starts)
  letters = _letters(n, hand, rng)
  stretch = hand.width * (1 + 0.08 * hand.jitter * _bounded(rng, n))
  gaps = hand.spacing + 0.04 * hand.jitter * _bounded(rng, n)
  margins = rng.uniform(0.25, 0.6, 2)
  size = hand.x_height * height
  extent = _extent(setting, letters)
  x_height, baseline = _vertical(extent, hand, height, size)
  band = 0.12 * X_HEIGHT
  edges = np.concatenate(
    [setting.starts[:1], (setting.ends[:-1] + setting.starts[1:]) / 2, setting.ends[-1:]]
  )
  # Columns of the setting: the word's start, the two sides of each band, its end.
  sources = np.concatenate([edges[:1], (edges[1:-1, None] + [-band, band]).ravel(), edges[-1:]])
  sources = np.maximum.accumulate(sources + 1e-3 * np.arange(len(sources)))
  steps = np.diff(sources)
  steps[::2] *= stretch
  steps[1::2] = np.maximum(steps[1::2] * hand.width + gaps[: n - 1] * X_HEIGHT, 0.3 * steps[1::2])
  total = steps.sum() / X_HEIGHT  # in x-heights
  left, right = (x / x_height for x in _overhang(extent, hand, x_height))
  needed = total + left + right + margins.sum()
  if needed * x_height > width:
    smaller = width / needed
    if smaller < _SMALLEST * x_height:
      return None
    x_height = smaller
    baseline = _vertical(extent, hand, height, x_height)[1]
  start = (margins[0] + left) * x_height
  paper = min(width, int(np.ceil(needed * x_height)))
  columns = start + np.concatenate([[0.0], np.cumsum(steps)]) * x_height / X_HEIGHT
  middles = (setting.starts + setting.ends) / 2
  return Placement(
    *_outward(columns, sources, x_height / X_HEIGHT),
    scale=x_height / X_HEIGHT,
    x_height=x_height,
    baseline=baseline,
    centres=np.interp(middles, sources, columns),
    shifts=letters.shifts * x_height,
    gains=letters.gains,
    leans=letters.leans,
    width=paper,
  )


def place_in_slots(
  setting: Setting, hand: Hand, rng: np.random.Generator, height: int, slot: float
) -> Placement:
  """Places each letter in its own slot: the i-th in the columns from i * slot to (i + 1) * slot.

  Letters are fitted to the width of the slot rather than keeping their own; one that would be cut off above or
  below is shrunk vertically on its own.

  Args:
    setting: separate letters.
    hand: its writer.
    rng: of this drawing.
    height: of the canvas.
    slot: pixels.

  Returns:
    The placement.
  """
  n = len(setting.starts)
  x_height, baseline = hand.x_height * height, BASELINE * height
  scale = x_height / X_HEIGHT
  letters = _letters(n, hand, rng)
  shifts = letters.shifts * x_height
  # Slanted ink needs room, as does a pixel of a wider pen.
  slant = hand.slant + letters.leans
  up = slant * (setting.rises * scale - 0.5 * x_height)
  down = -slant * (setting.falls * scale + 0.5 * x_height)
  left, right = np.maximum(0, np.maximum(-up, -down)), np.maximum(0, np.maximum(up, down))
  most = np.minimum(slot * rng.uniform(0.9, 1.0, n), slot - left - right - 1)
  inks = (setting.ends - setting.starts) * scale * hand.width
  widths = np.maximum(np.minimum(inks, most), 0.1 * slot)
  free = np.maximum(slot - widths - left - right - 1, 0)
  away = np.clip(hand.jitter * rng.uniform(-0.125, 0.125, n) * slot, -free / 2, free / 2)
  centres = (np.arange(n) + 0.5) * slot + (left - right) / 2 + away
  room = max(1.0, _ROOM * height) + BOUND * hand.elastic * x_height
  fits = [(baseline + shifts - room) / np.maximum(setting.rises * scale, 1e-6)]
  fits += [(height - room - baseline - shifts) / np.maximum(setting.falls * scale, 1e-6)]
  fits = [np.where(f > 0, f, np.inf) for f in fits]
  gains = np.minimum.reduce([letters.gains, *fits])
  columns = np.stack([centres - widths / 2, centres + widths / 2], 1).ravel()
  sources = np.stack([setting.starts, setting.ends], 1).ravel()
  return Placement(
    *_outward(columns, sources, scale),
    scale=scale,
    x_height=x_height,
    baseline=baseline,
    centres=columns,  # both sides of each letter, so that neighbours do not blend
    shifts=shifts.repeat(2),
    gains=gains.repeat(2),
    leans=letters.leans.repeat(2),
    width=round(n * slot),
  )


def _outward(
  columns: np.ndarray, sources: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
  """Extrapolates the mapping on both sides of the word, at the scale of its height."""
  far = 1000.0
  return (
    np.concatenate([columns[:1] - far * scale, columns, columns[-1:] + far * scale]),
    np.concatenate([sources[:1] - far, sources, sources[-1:] + far]),
  )
