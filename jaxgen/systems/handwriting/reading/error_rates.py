"""Corpus-level character and word error rates."""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.data.order import generator
from jaxgen.systems.handwriting.reading.charset import normalised

GROUPS = ('seen', 'case', 'unseen')


class ErrorRates(NamedTuple):
  """Counts of edits (insertions, deletions, substitutions) and of reference units, over a set of texts."""

  texts: int
  character_edits: int
  characters: int
  word_edits: int
  words: int

  @property
  def cer(self) -> float | None:
    """Edits per character of the references, a fraction (above 1 if much was inserted); None for none."""
    return self.character_edits / self.characters if self.characters else None

  @property
  def wer(self) -> float | None:
    """Edits per word of the references, a fraction; None for none."""
    return self.word_edits / self.words if self.words else None


def error_rates(references: Sequence[str], readings: Sequence[str]) -> ErrorRates:
  """Corpus-level rates: edits are summed before division.

  Texts are compared in NFC and otherwise unchanged: case, accents and spaces count. Words are separated by
  spaces.

  Args:
    references: N.
    readings: N, in the same order.
  """
  return ErrorRates(len(references), *map(int, _counts(references, readings).sum(0)))


def grouped(
  references: Sequence[str], readings: Sequence[str], training: Iterable[str]
) -> dict[str, ErrorRates]:
  """Rates for references in the training set ('seen'), those that differ from one in case only ('case') and
  others ('unseen').
  """
  exact = {normalised(text) for text in training}
  folded = {text.casefold() for text in exact}
  groups = np.array([_group(normalised(text), exact, folded) for text in references])
  counts = _counts(references, readings)
  return {
    name: ErrorRates(int((groups == name).sum()), *map(int, counts[groups == name].sum(0)))
    for name in GROUPS
  }


def _group(text: str, exact: Collection[str], folded: Collection[str]) -> str:
  if text in exact:
    return 'seen'
  return 'case' if text.casefold() in folded else 'unseen'


def intervals(
  references: Sequence[str],
  readings: Sequence[str],
  seed: int = 0,
  resamples: int = 1000,
  level: float = 0.95,
) -> dict[str, tuple[float, float] | None]:
  """Bootstrap intervals over texts, deterministic in the seed: the rates' sampling error.

  Args:
    references: N, as for `error_rates`.
    readings: N.
    seed: of the resamples.
    resamples: number of resampled sets of N texts, drawn with replacement.
    level: fraction of them within the interval, with equal tails on either side.

  Returns:
    (low, high) of 'cer' and of 'wer'; None if the references are empty.
  """
  counts = _counts(references, readings)
  rng = generator(seed, 'bootstrap')
  sums = np.zeros((resamples, 4))
  for row in sums if len(counts) else ():
    row[:] = (
      np.bincount(rng.integers(len(counts), size=len(counts)), minlength=len(counts)) @ counts
    )
  found: dict[str, tuple[float, float] | None] = {}
  for name, edits, of in (('cer', 0, 1), ('wer', 2, 3)):
    rates = sums[sums[:, of] > 0]
    edges = [(1 - level) / 2, (1 + level) / 2]
    low_high = np.quantile(rates[:, edits] / rates[:, of], edges) if len(rates) else None
    found[name] = None if low_high is None else (float(low_high[0]), float(low_high[1]))
  return found


def _counts(references: Sequence[str], readings: Sequence[str]) -> np.ndarray:
  """[N, 4]: character edits, characters, word edits, words."""
  rows = [
    (
      Levenshtein.distance(reference, reading),
      len(reference),
      Levenshtein.distance(reference.split(), reading.split()),
      len(reference.split()),
    )
    for reference, reading in zip(
      map(normalised, references), map(normalised, readings), strict=True
    )
  ]
  return np.array(rows, int).reshape(-1, 4)
