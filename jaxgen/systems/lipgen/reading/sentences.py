"""Word error rates of whole sentences, with and without known word times."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD, ClipSet
from jaxgen.systems.lipgen.reading.service import Service

# Words of a sentence.
Sentence = Sequence[str]


class WordErrors(NamedTuple):
  """Edits between references and readings, summed over sentences.

  Attributes:
    substitutions: words read as other words.
    insertions: words that were not said.
    deletions: words that were not read.
    words: number of words in the references.
  """

  substitutions: int
  insertions: int
  deletions: int
  words: int

  @property
  def edits(self) -> int:
    """Total number of edits."""
    return self.substitutions + self.insertions + self.deletions

  @property
  def wer(self) -> float | None:
    """The word error rate, edits per reference word (above 1 with many insertions); None without words."""
    return self.edits / self.words if self.words else None


def word_errors(references: Sequence[Sentence], readings: Sequence[Sentence]) -> WordErrors:
  """Errors over a set of sentences, aligned one by one; edits are summed before dividing.

  Args:
    references: N sentences.
    readings: N sentences, in the same order.
  """
  counts: Counter[str] = Counter()
  for reference, reading in zip(references, readings, strict=True):
    for edit in Levenshtein.editops(list(reference), list(reading)):
      counts[edit.tag] += 1
  total = sum(map(len, references))
  return WordErrors(counts['replace'], counts['insert'], counts['delete'], total)


def spoken(clips: ClipSet) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
  """The words of each clip in order of time, and their spans [K, 2] in frames."""
  for labels, spans in zip(clips.labels, clips.spans, strict=True):
    real = [k for k, x in enumerate(labels) if x >= 0 and clips.words[x] != NO_WORD]
    real.sort(key=lambda k: spans[k, 0])
    yield tuple(clips.words[labels[k]] for k in real), spans[real]


def references(clips: ClipSet) -> list[tuple[str, ...]]:
  """The words said in each clip."""
  return [words for words, _ in spoken(clips)]


def read_known(service: Service, clips: ClipSet, bars: Bars = no_bars) -> list[tuple[str, ...]]:
  """Reads each clip given the true times of its words, one window per word."""
  words = service.model.inference.words
  count = len(words) - service.model.inference.knows_silence
  found = []
  for i, (_, spans) in enumerate(bars(list(spoken(clips)), 'sentences')):
    features = service.slider.features(frames_of(clips, i))
    scores = service.slider.read(features, spans)[:, :count]
    found.append(tuple(words[n] for n in scores.argmax(1)))
  return found


def read_sliding(service: Service, clips: ClipSet, bars: Bars = no_bars) -> list[tuple[str, ...]]:
  """Reads each clip without knowing the times or the number of its words."""
  return [
    tuple(word.word for word in service.sentence(frames_of(clips, i)))
    for i in bars(range(len(clips.lengths)), 'sentences')
  ]


def frames_of(clips: ClipSet, i: int) -> np.ndarray:
  """The frames of one clip, without padding."""
  return np.asarray(clips.frames[i])[: clips.lengths[i]]


def sentence_figures(
  service: Service, clips: ClipSet, bars: Bars = no_bars
) -> dict[str, float | None]:
  """`wer` from sliding windows and `wer_known` with the true times, over all clips."""
  said = references(clips)
  return {
    'wer': word_errors(said, read_sliding(service, clips, bars)).wer,
    'wer_known': word_errors(said, read_known(service, clips, bars)).wer,
  }
