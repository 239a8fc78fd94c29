"""Segmentation: from a reader's log-probabilities at each frame to words with a start and an end.

A clip is cut into words and pauses so as to maximise the sum of their scores: a semi-Markov model with exact
search. A word's score is its number of frames times the mean log-probability of its class, in the windows at
its frames and in the one that is given its length, minus a cost per word.

Reference: Sarawagi & Cohen, "Semi-Markov Conditional Random Fields for Information Extraction".
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.windows import MIDDLE
from jaxgen.systems.lipgen.reading.sliding import Evidence

KEY = 'segmenting'  # of these settings in the header of a weight file


class Segmenting(NamedTuple):
  """Settings of the search for words.

  Attributes:
    new_word: cost per word, in nats; more gives fewer words.
    least: frames of the shortest word.
    longest: frames of the longest word.
    known: weight of the window that is given the word's length, relative to those that are not; only for
      readers with a boundary input.
    lattice: whether the search evaluates that window at every length; without, it takes a tenth of the time.
    pause: bonus for pauses in nats per frame, for readers with a no-word class.
    unsure: a probability; a word that is less likely than this is a pause.
    doubt: share of a uniform distribution that is mixed in: no probability is below doubt / N.
    stride: frames between windows.
  """

  new_word: float = 0.5
  least: int = 2
  longest: int = 24
  known: float = 0.25
  lattice: bool = True
  pause: float = 0.0
  unsure: float = 0.05
  doubt: float = 0.05
  stride: int = 1

  @classmethod
  def from_json(cls, text: str) -> 'Segmenting':
    """Parses a JSON object; missing keys have their defaults.

    Raises:
      DataError: it is invalid.
    """
    try:
      values = json.loads(text)
      found = cls(**{k: type(cls._field_defaults[k])(x) for k, x in values.items()})
      found._check()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
      raise DataError(f'{text!r} is not a valid set of search settings: {error}') from error
    return found

  def _check(self) -> None:
    """Raises ValueError if a setting has no meaning."""
    if not (self.stride >= 1 and 1 <= self.least <= self.longest):
      raise ValueError(
        '"least" and "stride" must be at least 1, and "longest" no less than "least"'
      )
    if not (0 <= self.known <= 1 and 0 <= self.doubt < 1 and 0 < self.unsure <= 1):
      raise ValueError('known, doubt and unsure must be from 0 to 1, doubt below 1, unsure above 0')

  @classmethod
  def of_card(cls, card: Mapping[str, str]) -> 'Segmenting':
    """The settings in the header of a weight file, with defaults for whatever is missing.

    Raises:
      DataError: they are invalid.
    """
    return cls.from_json(card[KEY]) if KEY in card else cls()

  def to_json(self) -> str:
    """The inverse of `from_json`."""
    values: Mapping[str, Any] = self._asdict()
    return json.dumps(values)


def segments(evidence: Evidence, how: Segmenting, silent: bool) -> np.ndarray:
  """Finds the words of a clip, in order of time; none if nothing is said.

  Args:
    evidence: of the clip's T frames.
    how: settings of the search.
    silent: whether the last class is '', no word.

  Returns:
    int [K, 2], start and (exclusive) end frame of each.
  """
  plain = doubted(evidence.plain, how.doubt)
  total, classes = plain.shape
  num_words = classes - silent
  pauses = np.full(total, np.log(how.unsure))
  if silent:
    pauses = np.maximum(pauses, plain[:, -1] + how.pause)
  sums = np.concatenate([np.zeros((1, classes)), plain.cumsum(0)])
  durations = range(how.least, min(how.longest, total) + 1)
  scores = np.full((len(durations), total + 1), -np.inf)  # by duration and end
  for row, duration in zip(scores, durations, strict=True):
    mean = _spoken(sums, evidence.known, duration, how)[:, :num_words].max(1)
    row[duration:] = duration * mean - how.new_word
  path = _best_path(scores, pauses, how.least)
  return np.array([(end - duration, end) for duration, end in path], int).reshape(-1, 2)


def doubted(log_probabilities: np.ndarray, doubt: float) -> np.ndarray:
  """Log-probabilities [..., N] after mixing in a share `doubt` of the uniform distribution; float64."""
  x = np.asarray(log_probabilities, np.float64)
  if not doubt:
    return x
  return np.logaddexp(x + np.log1p(-doubt), np.log(doubt / x.shape[-1]))


def _spoken(
  sums: np.ndarray, known: np.ndarray | None, duration: int, how: Segmenting
) -> np.ndarray:
  """Mean log-probabilities [S, N] of words of `duration` frames, by their first frame."""
  total = len(sums) - 1
  first = np.arange(total - duration + 1)
  mean = (sums[first + duration] - sums[first]) / duration
  if known is None:
    return mean
  half = duration // 2
  # In float64 one length at a time: of a long video all of them would not fit into memory.
  told = doubted(known[min(half, len(known) - 1, MIDDLE), first + half], how.doubt)
  return (1 - how.known) * mean + how.known * told


def _best_path(scores: np.ndarray, pauses: np.ndarray, least: int) -> list[tuple[int, int]]:
  """(duration, end) of the words on the highest-scoring path through a clip.

  Args:
    scores: [D, T + 1] score of a word by its duration, from `least` on, and its end.
    pauses: [T] score of each frame without a word.
    least: the shortest duration.
  """
  total = len(pauses)
  best = np.zeros(total + 1)
  chosen = np.zeros(total + 1, int)  # the duration of the word that ends here; 0: a pause
  for end in range(1, total + 1):
    best[end] = best[end - 1] + pauses[end - 1]
    count = min(len(scores), end - least + 1)
    if count < 1:
      continue
    starts = end - least - np.arange(count)
    found = best[starts] + scores[:count, end]
    i = int(found.argmax())
    if found[i] > best[end]:
      best[end], chosen[end] = found[i], least + i
  path, end = [], total
  while end > 0:
    if chosen[end]:
      path.append((int(chosen[end]), end))
    end -= int(chosen[end]) or 1
  return path[::-1]
