"""Articulation: timed phonemes, and how they move a mouth, with coarticulation.

A phoneme pulls each of the mouth's parameters towards its own target; the strength of the pull, the dominance,
is largest in the middle of the phoneme and falls off exponentially on both sides, so neighbours blend and a
rounded vowel is seen before it is heard. Phonemes of one viseme have the same targets: words of equal visemes
are drawn alike.

Reference: Cohen & Massaro 1993, Modeling coarticulation in synthetic visual speech.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError

REST = ''
# Frames by which a word may be off the middle of its clip: linear classifiers exploit exact timing.
OFF_CENTRE = 4.0


class Mouth(NamedTuple):
  """Parameters of a mouth, each 0 at rest. Arrays of them are [..., 7] in this order.

  Attributes:
    opening: of the inner lips; 1 is wide open, below 0 is closed with force.
    spread: of the corners, negative towards the middle.
    rounding: protrusion and rounding of the lips.
    teeth: how much of the upper teeth is visible.
    tongue: its height; 1 is between the teeth.
    tuck: the lower lip under the upper teeth.
    press: the lips pressed thin against each other.
  """

  opening: float = 0.0
  spread: float = 0.0
  rounding: float = 0.0
  teeth: float = 0.0
  tongue: float = 0.0
  tuck: float = 0.0
  press: float = 0.0


class Gesture(NamedTuple):
  """How a phoneme is articulated.

  Attributes:
    frames: its average duration at 25 fps.
    onset: the mouth in its first half.
    offset: the mouth in its second half.
    dominance: the pull on each parameter.
  """

  frames: float
  onset: Mouth
  offset: Mouth
  dominance: Mouth


def _gesture(
  frames: float, onset: Mouth, offset: Mouth | None = None, **dominance: float
) -> Gesture:
  pull = Mouth(1, 0.6, 0.6, 0.8, 0.8, 0.8, 0.8)._replace(**dominance)
  return Gesture(frames, onset, offset or onset, pull)


# Vowels last longer; essential parameters are pulled strongly: lips meet for B, are round for W.
_GROUPS = {
  'AA AH HH': _gesture(2.9, Mouth(0.78, 0.0, 0.0, 0.5, 0.1), opening=2.6),
  'AE AY EH EY': _gesture(3.2, Mouth(0.58, 0.65, 0.0, 0.75, 0.25), spread=1.2, opening=2.6),
  'AO OY': _gesture(3.4, Mouth(0.72, -0.35, 0.6, 0.1, 0.0), rounding=2.0, spread=1.8, opening=2.6),
  'AW': _gesture(
    4.2,
    Mouth(0.92, 0.05, 0.0, 0.5, 0.05),
    Mouth(0.34, -0.7, 0.95, 0.0, 0.0),
    rounding=1.0,
    opening=2.6,
  ),
  'ER': _gesture(3.0, Mouth(0.36, -0.25, 0.45, 0.45, 0.3), rounding=1.0, opening=2.6),
  'IH IY': _gesture(2.9, Mouth(0.34, 0.95, 0.0, 0.85, 0.35), spread=1.4, opening=2.6),
  'OW UH UW': _gesture(3.4, Mouth(0.28, -0.8, 1.0, 0.0, 0.0), rounding=3.2, spread=2.6, opening=3),
  'B M P': _gesture(2.3, Mouth(-0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), opening=7, press=3, spread=0.3),
  'F V': _gesture(
    2.4, Mouth(0.12, 0.1, 0.0, 0.85, 0.0, 1.0, 0.0), opening=4, tuck=4, teeth=3, spread=0.4
  ),
  'DH TH': _gesture(2.3, Mouth(0.3, 0.1, 0.0, 0.3, 1.0), opening=1.6, tongue=3.5, teeth=1.5),
  'S Z': _gesture(2.5, Mouth(0.15, 0.45, 0.0, 1.0, 0.0), opening=3, teeth=3, tongue=2),
  'CH JH SH ZH': _gesture(
    2.6, Mouth(0.26, -0.4, 0.75, 0.9, 0.0), rounding=2.2, spread=1.5, opening=2.5, teeth=2.5
  ),
  'D N T': _gesture(2.1, Mouth(0.27, 0.15, 0.0, 0.55, 0.6), opening=1.5, tongue=2, spread=0.3),
  'L': _gesture(2.2, Mouth(0.42, 0.1, 0.0, 0.45, 0.9), opening=1.2, tongue=3, spread=0.3),
  'R': _gesture(2.2, Mouth(0.27, -0.3, 0.6, 0.3, 0.15), rounding=1.6, spread=1.0, opening=1.3),
  'W': _gesture(2.3, Mouth(0.1, -1.0, 1.1, 0.0, 0.0), rounding=3, spread=3, opening=2.5),
  'Y': _gesture(2.0, Mouth(0.22, 0.75, 0.0, 0.6, 0.5), spread=1.4, tongue=1.5),
  'G K NG': _gesture(2.3, Mouth(0.36, 0.1, 0.0, 0.4, 0.15), opening=0.8, spread=0.3),
}
GESTURES: Mapping[str, Gesture] = {
  phoneme: gesture for names, gesture in _GROUPS.items() for phoneme in names.split()
}
_AT_REST = Gesture(4.0, Mouth(), Mouth(), Mouth(1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0))
# Decay rate of the pull, per frame: rounding and spreading reach furthest.
_FALL = np.array(Mouth(1.15, 0.7, 0.6, 1.0, 1.1, 1.2, 1.2))


class Timed(NamedTuple):
  """Phonemes with their times.

  Attributes:
    phonemes: N names; `REST` is a pause.
    times: [N, 2] start and end in frames, contiguous.
  """

  phonemes: tuple[str, ...]
  times: np.ndarray


def gestures_of(phonemes: Sequence[str]) -> list[Gesture]:
  """The gestures of phonemes.

  Raises:
    DataError: one of them has no gesture.
  """
  for phoneme in phonemes:
    if phoneme and phoneme not in GESTURES:
      raise DataError(
        f"procedural speakers cannot say the phoneme {phoneme!r}: known are CMUdict's ARPAbet "
        f'phonemes ({" ".join(sorted(GESTURES))})'
      )
  return [GESTURES[phoneme] if phoneme else _AT_REST for phoneme in phonemes]


def mouths(timed: Timed, at: np.ndarray) -> np.ndarray:
  """The mouth over time.

  Args:
    timed: what is said, including pauses.
    at: [T] times in frames.

  Returns:
    [T, 7], see `Mouth`.

  Raises:
    DataError: a phoneme has no gesture.
  """
  gestures = gestures_of(timed.phonemes)
  start, end = timed.times[:, :1], timed.times[:, 1:]
  length = end - start
  # Each half reaches its target, with full pull, in its middle third: [N, 2 halves, T].
  centres = start + length * [0.28, 0.72]
  beyond = np.abs(at - centres[..., None]) - 0.16 * length[..., None]
  fall = np.exp(-_FALL[:, None, None, None] * np.maximum(beyond, 0.0))
  pull = fall * np.array([g.dominance for g in gestures]).T[:, :, None, None]
  targets = np.array([[g.onset, g.offset] for g in gestures]).transpose(2, 0, 1)
  blended = (pull * targets[..., None]).sum((1, 2)) / pull.sum((1, 2))
  return blended.T


def utterance(
  rng: np.random.Generator,
  phonemes: Sequence[str],
  before: Sequence[str],
  after: Sequence[str],
  num_frames: int,
  pace: float,
  usual: float = 12.0,
) -> tuple[Timed, tuple[float, float]]:
  """Times a word or sentence within other speech or silence.

  Args:
    rng: for rates and times.
    phonemes: of the word or sentence.
    before: phonemes before it, `REST` for a pause; they end where it begins.
    after: phonemes after it.
    num_frames: of the clip; the word or sentence is centred to within `OFF_CENTRE`, and stays inside.
    pace: of the speaker; 1 is average, more is slower.
    usual: its typical length in frames.

  Returns:
    All phonemes with times, and start and end of the word or sentence, in frames.

  Raises:
    DataError: a phoneme has no gesture.
  """

  def lengths(of: Sequence[str], stretch: float) -> np.ndarray:
    natural = np.array([g.frames for g in gestures_of(of)])
    return natural * stretch * np.exp(rng.normal(0, 0.14, len(of)))

  stretch = pace * float(np.exp(rng.normal(0, 0.08)))
  own = lengths(phonemes, stretch)
  # Longer utterances are spoken faster.
  own *= (own.sum() / usual) ** -0.45
  own *= min(1.0, (num_frames - 2) / own.sum())
  middle = num_frames / 2 + rng.uniform(-OFF_CENTRE, OFF_CENTRE)
  first = float(np.clip(middle - own.sum() / 2, 0, num_frames - own.sum()))
  around = lengths(before, stretch), lengths(after, stretch)
  all_lengths = np.concatenate([around[0], own, around[1]])
  ends = first - around[0].sum() + np.cumsum(all_lengths)
  times = np.stack([ends - all_lengths, ends], axis=1)
  times[0, 0], times[-1, 1] = min(times[0, 0], 0.0), max(times[-1, 1], num_frames)
  timed = Timed((*before, *phonemes, *after), times)
  return timed, (first, first + float(own.sum()))
