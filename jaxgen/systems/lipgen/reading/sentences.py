"""Whole sentences: how many of their words are read wrong, with the times of the words and without."""

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
  """Edits that make references of readings, summed over sentences.

  Attributes:
    substitutions: words in place of others.
    insertions: words that nobody said.
    deletions: words that were not read.
    words: of the references.
  """

  substitutions: int
  insertions: int
  deletions: int
  words: int

  @property
  def edits(self) -> int:
    """In all."""
    return self.substitutions + self.insertions + self.deletions

  @property
  def wer(self) -> float | None:
    """Edits a word of the references (above 1 where much was added); None for none."""
    return self.edits / self.words if self.words else None


def word_errors(references: Sequence[Sentence], readings: Sequence[Sentence]) -> WordErrors:
  """Errors over a set of sentences, compared one by one: edits are summed before they are divided.

  Args:
    references: N.
    readings: N, in their order.
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
  """What is said in each clip."""
  return [words for words, _ in spoken(clips)]


def read_known(service: Service, clips: ClipSet, bars: Bars = no_bars) -> list[tuple[str, ...]]:
  """Each clip read with the true times of its words, one window a word."""
  words = service.model.inference.words
  count = len(words) - service.model.inference.knows_silence
  found = []
  for i, (_, spans) in enumerate(bars(list(spoken(clips)), 'sentences')):
    features = service.slider.features(frames_of(clips, i))
    scores = service.slider.read(features, spans)[:, :count]
    found.append(tuple(words[n] for n in scores.argmax(1)))
  return found


def read_sliding(service: Service, clips: ClipSet, bars: Bars = no_bars) -> list[tuple[str, ...]]:
  """Each clip read without knowing when its words are said, or how many there are."""
  return [
    tuple(word.word for word in service.sentence(frames_of(clips, i)))
    for i in bars(range(len(clips.lengths)), 'sentences')
  ]


def frames_of(clips: ClipSet, i: int) -> np.ndarray:
  """The frames of one clip, without those that fill it up."""
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
