"""Derives phoneme times from the events of espeak-ng, which do not match the motion of a mouth directly."""

from collections.abc import Sequence

import numpy as np

# Glides that espeak-ng inserts between vowels: they belong to the preceding phoneme.
GLIDES = frozenset([';', 'r', 'j', 'w'])
# A stop is reported at its burst, after the silence of the closure.
STOPS = frozenset(['P', 'B', 'T', 'D', 'K', 'G', 'CH', 'JH'])
# R and L after a vowel merge with it and are reported with zero length: this share at its end is theirs.
CODA = 0.4

_QUIET = 0.01  # share of the peak below which a sample counts as silent
_NEAR = 0.01  # seconds before the burst within which its silence may end
_LEAST = 0.02  # least seconds left to the phoneme before a stop


def edges(
  phonemes: Sequence[str],
  expected: Sequence[str],
  events: Sequence[tuple[int, str]],
  samples: np.ndarray,
  rate: int,
) -> np.ndarray | None:
  """Starts of the phonemes and the end of the last one, in samples.

  Args:
    phonemes: P ARPAbet names without stress.
    expected: espeak-ng's names for them, without stress.
    events: sample positions and names that it reports, including pauses (`_`) and `GLIDES`.
    samples: [n] of the sound.
    rate: samples a second.

  Returns:
    int [P + 1], increasing from 0, or None if the events do not match the phonemes.
  """
  starts: list[int] = []
  end = None
  for place, name in events:
    if name.startswith('_'):
      if len(starts) == len(phonemes) and end is None:
        end = place
      continue
    following = expected[len(starts)] if len(starts) < len(expected) else ''
    plain = name.lstrip("',")
    if plain in GLIDES and plain != following:
      continue
    starts.append(place)
  if end is None or len(starts) != len(phonemes):
    return None
  found = np.array([*starts, end])
  _close(found, phonemes, samples, rate)
  _divide(found)
  found[0] = 0
  return found if np.all(np.diff(found) > 0) else None


def _close(found: np.ndarray, phonemes: Sequence[str], samples: np.ndarray, rate: int) -> None:
  """Moves the starts of stops to the start of the silence before their bursts, in place."""
  loud = np.abs(samples.astype(np.int32))
  heard = np.flatnonzero(loud > _QUIET * loud.max(initial=0))
  for i, phoneme in enumerate(phonemes):
    if phoneme in STOPS and i:
      # The last sound before the burst, if the silence after it extends to the burst.
      before = heard[heard < found[i] - _NEAR * rate]
      silence = before[-1] + 1 if len(before) else 0
      if found[i] - silence > 2 * _NEAR * rate:
        first = int(np.searchsorted(found[: i + 1], found[i]))  # with zero-length ones before it
        earliest = found[first - 1] + round(_LEAST * rate) if first else 0
        found[first : i + 1] = min(found[i], max(silence, earliest))


def _divide(found: np.ndarray) -> None:
  """Gives zero-length phonemes the end of the phoneme before them, in place."""
  i = 1
  while i < len(found) - 1:
    last = i
    while last < len(found) - 1 and found[last + 1] == found[i]:
      last += 1
    for k in range(i, last):  # the zero-length ones, from the first
      left = found[last] - found[k - 1]
      found[k] = found[last] - round(CODA * left)
    i = last + 1
