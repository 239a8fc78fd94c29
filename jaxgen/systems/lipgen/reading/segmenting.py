"""From what a reader says at each frame to words with a beginning and an end.

A clip is cut into words and pauses so that the sum of their scores is the largest there is: a semi-Markov
model, searched exactly. A word's score is its number of frames times the mean log-probability of its class,
in windows at its frames and in the one that is told its length, less what each word costs.

Reference: Sarawagi & Cohen, "Semi-Markov Conditional Random Fields for Information Extraction".
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.windows import MIDDLE
from jaxgen.systems.lipgen.reading.sliding import Evidence

KEY = 'segmenting'  # in the header of a file of weights: how its words are searched for


class Segmenting(NamedTuple):
  """How words are searched for.

  Attributes:
    new_word: what each word costs, in nats; more gives fewer words.
    least: frames of the shortest word.
    longest: frames of the longest.
    known: weight of the window that is told the word's length, against those that are not; only of readers that
      can be told.
    lattice: whether the search asks for that window at every length; without it takes a tenth of the time.
    pause: nats a frame in favour of pauses, of readers that know windows without a word.
    unsure: a probability; where a reader's word has less there is a pause.
    doubt: share of its verdict that a reader is not trusted with: no probability is below doubt / N.
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
    """Of a JSON object; what it leaves out is as by default.

    Raises:
      DataError: it is none.
    """
    try:
      values = json.loads(text)
      found = cls(**{k: type(cls._field_defaults[k])(x) for k, x in values.items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
      raise DataError(f'{text!r} does not say how words are searched for: {error}') from error
    return found

  @classmethod
  def of_card(cls, card: Mapping[str, str]) -> 'Segmenting':
    """As the header of a file of weights says; what it does not say is as by default.

    Raises:
      DataError: it says it wrongly.
    """
    return cls.from_json(card[KEY]) if KEY in card else cls()

  def to_json(self) -> str:
    """As `from_json` takes it."""
    values: Mapping[str, Any] = self._asdict()
    return json.dumps(values)


def segments(evidence: Evidence, how: Segmenting, silent: bool) -> np.ndarray:
  """Where the words of a clip are, in order of time; none where nothing is said.

  Args:
    evidence: of the clip's T frames.
    how: the search.
    silent: whether the last class is '', no word.

  Returns:
    int [K, 2], the first frame of each and the first after it.
  """
  plain = doubted(evidence.plain, how.doubt)
  known = None if evidence.known is None else doubted(evidence.known, how.doubt)
  total, classes = plain.shape
  num_words = classes - silent
  pauses = np.full(total, np.log(how.unsure))
  if silent:
    pauses = np.maximum(pauses, plain[:, -1] + how.pause)
  sums = np.concatenate([np.zeros((1, classes)), plain.cumsum(0)])
  durations = range(how.least, min(how.longest, total) + 1)
  scores = np.full((len(durations), total + 1), -np.inf)  # by duration and end
  for row, duration in zip(scores, durations, strict=True):
    mean = _spoken(sums, known, duration, how)[:, :num_words].max(1)
    row[duration:] = duration * mean - how.new_word
  path = _best_path(scores, pauses, how.least)
  return np.array([(end - duration, end) for duration, end in path], int).reshape(-1, 2)


def doubted(log_probabilities: np.ndarray, doubt: float) -> np.ndarray:
  """Log-probabilities [..., N] of a reader that is wrong in a share of the cases, whatever it says; float64."""
  x = np.asarray(log_probabilities, np.float64)
  if not doubt:
    return x
  return np.logaddexp(x + np.log1p(-doubt), np.log(doubt / x.shape[-1]))


def _spoken(
  sums: np.ndarray, known: np.ndarray | None, duration: int, how: Segmenting
) -> np.ndarray:
  """Mean log-probabilities [S, N] of words of so many frames by their first frame."""
  total = len(sums) - 1
  first = np.arange(total - duration + 1)
  mean = (sums[first + duration] - sums[first]) / duration
  if known is None:
    return mean
  half = duration // 2
  told = known[min(half, len(known) - 1, MIDDLE)][first + half]
  return (1 - how.known) * mean + how.known * told


def _best_path(scores: np.ndarray, pauses: np.ndarray, least: int) -> list[tuple[int, int]]:
  """(duration, end) of the words of the best way through a clip.

  Args:
    scores: [D, T + 1] of a word by its duration, from `least` on, and its end.
    pauses: [T] of a frame without a word.
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
