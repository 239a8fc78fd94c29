"""When each phoneme is said, by what espeak-ng reports: its events are not yet what a mouth does."""

from collections.abc import Sequence

import numpy as np

# What espeak-ng puts between vowels by itself: it belongs to the phoneme before.
GLIDES = frozenset([';', 'r', 'j', 'w'])
# A stop is reported at its burst, after the silence in which the lips or the tongue are shut.
STOPS = frozenset(['P', 'B', 'T', 'D', 'K', 'G', 'CH', 'JH'])
# R and L after a vowel are one sound with it and reported without length: their part of it, its end.
CODA = 0.4

_QUIET = 0.01  # of the peak: what counts as silence
_NEAR = 0.01  # seconds that a silence may end before the burst
_LEAST = 0.02  # seconds that are left to the phoneme before a stop


def edges(
  phonemes: Sequence[str],
  expected: Sequence[str],
  events: Sequence[tuple[int, str]],
  samples: np.ndarray,
  rate: int,
) -> np.ndarray | None:
  """Where phonemes begin, and the last one ends, in samples.

  Args:
    phonemes: P names of ARPAbet without stress.
    expected: what espeak-ng calls them, without stress.
    events: places in samples and names that it reports, pauses (`_`) and `GLIDES` among them.
    samples: [n] of the sound.
    rate: of samples a second.

  Returns:
    int [P + 1], increasing from 0, or None where the events are not of these phonemes.
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
  """Has stops begin with the silence before their bursts, in place."""
  loud = np.abs(samples.astype(np.int32))
  heard = np.flatnonzero(loud > _QUIET * loud.max(initial=0))
  for i, phoneme in enumerate(phonemes):
    if phoneme in STOPS and i:
      # The end of what is heard before the burst, where the silence reaches the burst.
      before = heard[heard < found[i] - _NEAR * rate]
      silence = before[-1] + 1 if len(before) else 0
      if found[i] - silence > 2 * _NEAR * rate:
        first = int(np.searchsorted(found[: i + 1], found[i]))  # with what has no length before it
        earliest = found[first - 1] + round(_LEAST * rate) if first else 0
        found[first : i + 1] = min(found[i], max(silence, earliest))


def _divide(found: np.ndarray) -> None:
  """Gives what has no length the end of what is before it, in place."""
  i = 1
  while i < len(found) - 1:
    last = i
    while last < len(found) - 1 and found[last + 1] == found[i]:
      last += 1
    for k in range(i, last):  # those of no length, from the first
      left = found[last] - found[k - 1]
      found[k] = found[last] - round(CODA * left)
    i = last + 1
