"""A writer's hand is derived from a seed: a face and a pen, numbers sampled from the ranges in a config."""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError

Range = tuple[float, float]


class Hand(NamedTuple):
  """How one writer writes. Lengths are in x-heights, the height of a lower-case letter without ascender.

  Attributes:
    face: index of the face.
    x_height: as a fraction of the canvas height; a word that would be cut off is written smaller.
    width: of the letters, 1 as in the face.
    slant: tangent of the angle to the vertical, positive to the right.
    pen: stroke width, 1 as in the face.
    contrast: how much thicker vertical strokes are than horizontal ones, as with a dip pen; 0 to 1.
    pressure: how much the stroke's width and blackness vary along the word.
    slope: of the baseline, x-heights per letter; positive descends.
    drift: how far the baseline wanders.
    spacing: added between letters.
    jitter: of each letter's position, size and slant; 1 is a loose hand.
    elastic: how far the shapes of letters are bent.
    ink: blackness, 0 to 1.
    fade: how uneven the ink is, 0 to 1.
    rough: raggedness of the edges.
    blur: softness of the edges, pixels at height 32.
    paper: brightness of the paper, 0 to 1; 1 is white.
    shade: how much its brightness varies over the word.
    grain: standard deviation of its noise.
    ruled: blackness of ruled lines; none at 0 and below.
    neighbours: fraction of words with visible ink from the line above or below.
  """

  face: int
  x_height: float
  width: float
  slant: float
  pen: float
  contrast: float
  pressure: float
  slope: float
  drift: float
  spacing: float
  jitter: float
  elastic: float
  ink: float
  fade: float
  rough: float
  blur: float
  paper: float
  shade: float
  grain: float
  ruled: float
  neighbours: float


class Hands(NamedTuple):
  """The ranges that hands are sampled from, uniformly: all fields of `Hand` but its face.

  Numbers that cannot be negative are clipped at 0, so (-.5, .5) disables a feature in half of the hands. The
  default is everyday writing on paper.
  """

  x_height: Range = (0.26, 0.34)
  width: Range = (0.92, 1.25)
  slant: Range = (-0.12, 0.4)
  pen: Range = (0.7, 1.35)
  contrast: Range = (-0.5, 0.9)
  pressure: Range = (0.2, 1.0)
  slope: Range = (-0.035, 0.025)
  drift: Range = (0.0, 0.09)
  spacing: Range = (-0.06, 0.18)
  jitter: Range = (0.4, 1.3)
  elastic: Range = (0.02, 0.06)
  ink: Range = (0.55, 1.0)
  fade: Range = (0.0, 0.5)
  rough: Range = (0.0, 0.03)
  blur: Range = (0.75, 1.4)
  paper: Range = (0.78, 1.06)
  shade: Range = (-0.03, 0.06)
  grain: Range = (-0.01, 0.025)
  ruled: Range = (-0.6, 0.4)
  neighbours: Range = (-0.5, 0.5)


# Handwriting on white paper, without ruled lines and neighbouring lines.
CLEAN = Hands(
  fade=(0.0, 0.2), rough=(0.0, 0.0), paper=(1.0, 1.0), shade=(0.0, 0.0), grain=(0.0, 0.0),
  ruled=(0.0, 0.0), neighbours=(0.0, 0.0),
)  # fmt: skip
# Everyday writing as it looks after whitening the paper.
ON_WHITE = Hands(paper=(1.0, 1.0), shade=(0.0, 0.0), grain=(0.0, 0.0))
# Steady hands on white paper, with consistent letters: for generators to copy at natural spacing.
STEADY = CLEAN._replace(
  x_height=(0.27, 0.33), slant=(-0.1, 0.35), pen=(0.85, 1.3), contrast=(0.0, 0.0), pressure=(0.0, 0.0),
  slope=(0.0, 0.0), drift=(0.0, 0.0), spacing=(0.0, 0.15), jitter=(0.25, 0.25), elastic=(0.0, 0.0),
  ink=(0.7, 1.0), fade=(0.0, 0.0), blur=(0.9, 1.2),
)  # fmt: skip
# For the first stage of the short job's generator: each letter as in its face, nearly upright.
SLOTS = CLEAN._replace(
  x_height=(0.297, 0.36), width=(1.0, 1.3), slant=(-0.15, 0.15), pen=(1.05, 1.35), contrast=(0.0, 0.0),
  pressure=(0.0, 0.0), slope=(0.0, 0.0), drift=(0.0, 0.0), spacing=(0.0, 0.0), jitter=(0.5, 0.5),
  elastic=(0.0, 0.0), ink=(0.75, 1.0), fade=(0.0, 0.0), blur=(1.0, 1.3),
)  # fmt: skip

_SIGNED = {'slant', 'slope', 'spacing'}
_POSITIVE = {'x_height': 1.0, 'width': 4.0, 'pen': 8.0, 'blur': 8.0}  # with their upper limits
_SHARES = {'contrast', 'ink', 'fade', 'paper', 'ruled', 'neighbours'}


def check_hands(hands: Hands) -> None:
  """Refuses invalid ranges.

  Raises:
    ConfigError: a range is not two numbers, the lower first, or contains invalid values.
  """
  for name, value in hands._asdict().items():
    try:
      low, high = (float(x) for x in value)
    except (TypeError, ValueError):
      raise ConfigError(f'{name} of the hands must be two numbers, got {value!r}') from None
    if not (np.isfinite([low, high]).all() and low <= high):
      raise ConfigError(f'{name} of the hands must be two numbers, the lower first, got {value!r}')
    limit = _POSITIVE.get(name)
    if limit is not None and not 0 < low <= high <= limit:
      raise ConfigError(f'{name} of the hands must lie in (0, {limit:g}], got {value!r}')


def make_hand(seed: int, writer: int, num_faces: int, hands: Hands | None = None) -> Hand:
  """Samples a writer's hand.

  Args:
    seed: of all writers.
    writer: in [0, 2**32); the hand depends on (seed, writer), and each of its numbers only on its own range.
    num_faces: number of faces to choose from.
    hands: the ranges.

  Returns:
    The hand.

  Raises:
    ConfigError: seed or writer is out of range.
  """
  return hand_from(generator(seed, 'writer', writer), num_faces, hands or Hands())


def varying(hands: Hands) -> list[str]:
  """The fields in which hands from these ranges differ, besides their faces."""
  return [name for name, (low, high) in zip(Hands._fields, hands, strict=True) if low < high]


def normal_scores(seed: int, writer: int, hands: Hands) -> np.ndarray:
  """The positions of a writer's varying numbers in their ranges, as standard normal deviates.

  Args:
    seed: of all writers.
    writer: see `make_hand`.
    hands: the ranges.

  Returns:
    [m] float32, in the order of `varying`: normal quantiles of the underlying uniform numbers.
  """
  drawn = generator(seed, 'writer', writer).random(len(Hand._fields))[1:]
  places = [Hands._fields.index(name) for name in varying(hands)]
  return ndtri(np.clip(drawn[places], 1e-4, 1 - 1e-4)).astype(np.float32)


def hand_from(rng: np.random.Generator, num_faces: int, hands: Hands) -> Hand:
  """Samples a hand from a generator: one number per field, in order."""
  drawn = rng.random(len(Hand._fields))
  numbers = {}
  for name, (low, high), u in zip(Hands._fields, hands, drawn[1:], strict=True):
    value = float(low + (high - low) * u)
    if name not in _SIGNED:
      value = min(max(value, 0.0), 1.0 if name in _SHARES else np.inf)
    numbers[name] = value
  return Hand(face=int(drawn[0] * num_faces), **numbers)
