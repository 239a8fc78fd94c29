"""How well the confidence of words is calibrated, and the calibration fitted to it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.data.order import generator
from jaxgen.metrics import fetched
from jaxgen.systems.handwriting.reading.calibration import (
  NONE,
  Calibration,
  fit_calibration,
  reliability,
)
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.understanding import Decoding, understood
from jaxgen.systems.handwriting.recogniser import FITTED
from jaxgen.task import Batch


class JudgedWords(NamedTuple):
  """Words read in a set of pictures, and whether each is correct.

  Attributes:
    beams: log-probabilities of each word and its alternatives, as `fit_calibration` takes them.
    correct: [N] bool, whether the word is what is written.
    counts: [N] number of words read in its picture.
  """

  beams: list[np.ndarray]
  correct: np.ndarray
  counts: np.ndarray

  def error(self, calibration: Calibration) -> float:
    """The expected calibration error of the confidences; NaN if there are no words."""
    words = zip(self.beams, self.counts, strict=True)
    sure = [calibration.confidence(beam, count) for beam, count in words]
    return reliability(np.array(sure), self.correct).error

  def split(self) -> 'tuple[JudgedWords, JudgedWords]':
    """Splits into every second word, and the others."""
    first, second = (
      JudgedWords(self.beams[i::2], self.correct[i::2], self.counts[i::2]) for i in range(2)
    )
    return first, second


def judge(
  step: Callable[[Batch], Any],
  batches: Iterable[Batch],
  facts: dict[str, Any],
  most: int,
) -> JudgedWords:
  """Judges the words read in a random sample of the pictures of a split, which are in order of writers.

  Args:
    step: compiled, batch -> (logits [B, T, K], lengths [B], labels [B, L], mask [B]).
    batches: of the split.
    facts: 'charset' and 'rtl'.
    most: maximum number of pictures.
  """
  charset, rtl = Charset.from_json(facts['charset']), facts['rtl']
  beams: list[np.ndarray] = []
  correct: list[bool] = []
  counts: list[int] = []
  for logits, label in _sample(step, batches, most):
    found = understood(logits, charset, Decoding(nbest=1), rtl=rtl)
    beams += [word.log_probs for word, _ in found.words]
    read = [word.text for word, _ in found.words]
    correct += right_words(read, charset.decode(label))
    counts += [len(found.words)] * len(found.words)
  return JudgedWords(beams, np.array(correct, bool), np.array(counts, int))


def _sample(
  step: Callable[[Batch], Any], batches: Iterable[Batch], most: int
) -> list[tuple[np.ndarray, np.ndarray]]:
  """Logits [T, K] and labels [L] of so many random pictures, or all; the same in each call."""
  rng = generator(0, 'judged pictures')
  kept: list[tuple[np.ndarray, np.ndarray]] = []
  count = 0
  for logits, lengths, labels, mask in fetched(step(batch) for batch in batches):
    for i in np.flatnonzero(mask > 0):
      # Reservoir sampling: the n-th picture replaces one of those kept with probability most / n.
      count += 1
      place = len(kept) if len(kept) < most else int(rng.integers(count))
      if place < most:
        kept[place : place + 1] = [(logits[i, : lengths[i]].copy(), labels[i])]
  return kept


def right_words(read: Sequence[str], text: str) -> list[bool]:
  """Whether each word read matches one of the text, in an alignment of both with the fewest edits.

  Args:
    read: words in order; a single empty one if nothing was read.
    text: what is written.
  """
  written = text.split()
  if list(read) == ['']:
    return [not written]
  right = np.zeros(len(read), bool)
  for tag, first, end, _, _ in Levenshtein.opcodes(read, written):
    right[first:end] = tag == 'equal'
  return right.tolist()


def certainty(validation: JudgedWords, test: JudgedWords | None) -> dict[str, float | int]:
  """Fits the calibration on a validation set and measures calibration errors on a test set.

  Args:
    validation: the words to fit it on.
    test: the words to measure the errors on; None: every second word of the validation set, and the calibration
      is fitted on the others.
  """
  fitted, measured = (validation, test) if test is not None else validation.split()
  calibration = fit_calibration(*fitted)
  return {
    **dict(zip(FITTED, calibration[: len(FITTED)], strict=True)),
    'ece': measured.error(calibration),
    'ece_uncalibrated': measured.error(NONE),
    'num_judged_words': len(measured.beams),
  }
