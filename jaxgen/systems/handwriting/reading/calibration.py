"""Calibrated confidence of readings: of words at .9, 9 in 10 are right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

BINS = 15
_LOWEST = 1e-12  # lower bound of probabilities before taking the log
_TEMPERATURES = (0.05, 50.0)


def posterior(log_probs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """Probabilities of the texts of a beam, sharpened (below 1) or softened (above 1) by a temperature.

  p_i^(1/t) / sum_j p_j^(1/t). In the sum, one more text with the remaining probability stands for all that are
  not in the beam: at temperature 1 nothing changes.

  Args:
    log_probs: [..., N] of the texts, nats; -inf for unused entries.
    temperature: above 0.

  Returns:
    [..., N], in [0, 1]; the sum is at most 1.
  """
  logs = np.asarray(log_probs, np.float64)
  rest = np.log(np.maximum(_LOWEST, 1.0 - np.exp(logs).sum(-1, keepdims=True)))
  return np.exp(log_softmax(np.concatenate([logs, rest], -1) / temperature, axis=-1))[..., :-1]


def weighed(log_probs: np.ndarray, costs: np.ndarray, weight: float) -> np.ndarray:
  """Log-probabilities of the texts of a beam, reweighted by a lexicon.

  Each text is penalised by its cost, all texts outside the beam by that of one word outside the lexicon.

  Args:
    log_probs: [N] of the texts, nats.
    costs: [N] nats that the lexicon subtracts from each.
    weight: cost of a word outside the lexicon in nats, finite.

  Returns:
    [N], for `posterior`: together with all other texts, probabilities sum to 1.
  """
  rest = np.log(np.maximum(_LOWEST, 1.0 - np.exp(log_probs).sum())) - weight
  scores = np.asarray(log_probs) - costs
  return scores - np.logaddexp.reduce([*scores, rest])


class Calibration(NamedTuple):
  """The parameters of calibrated word confidences, and of the places of symbols.

  The log-odds of a word's `posterior` at `temperature`, plus `offset` (Platt, "Probabilistic Outputs for
  Support Vector Machines"), less `crowding` times the log of the number of words in its picture: the posterior
  of a word in a line takes its boundaries for granted, and so is overconfident.

  Attributes:
    temperature: above 0.
    offset: nats.
    crowding: nats of log-odds per nat.
    shift: columns at the reader's height by which symbols are right of the frames that emit them: a recogniser
      trained with CTC often emits a symbol before its frames reach the middle of it.
  """

  temperature: float = 1.0
  offset: float = 0.0
  crowding: float = 0.0
  shift: float = 0.0

  def confidence(self, log_probs: np.ndarray, count: int = 1) -> float:
    """The confidence of a word, in [0, 1].

    Args:
      log_probs: [N] of the word and its alternatives, as `posterior` takes them.
      count: number of words in its picture.
    """
    return float(self.moved(posterior(log_probs, self.temperature)[0], count))

  def moved(self, shares: np.ndarray, counts: np.ndarray | int) -> np.ndarray:
    """Confidences [...] of words with posteriors [...], in pictures with `counts` words."""
    with np.errstate(divide='ignore'):  # 0 and 1 stay as they are
      odds = logit(shares)
    return expit(odds + self.offset - self.crowding * np.log(counts))


NONE = Calibration()


def fit_calibration(
  beams: Sequence[np.ndarray], correct: np.ndarray, counts: np.ndarray | None = None
) -> Calibration:
  """Fits the calibration that minimises the negative log-likelihood of word confidences.

  The likelihood uses Platt's targets (see the reference in `Calibration`), (R + 1) / (R + 2) for each of R
  correct words and 1 / (W + 2) for each of W wrong ones: a set read without errors does not make every word
  certain. A normal prior of standard deviation 1 keeps offset and crowding near 0, so that they stay bounded
  for sets of few words, or of single-word pictures.

  Args:
    beams: for each word of a validation set the log-probabilities of its texts, the reading first.
    correct: [N] bool, whether that reading is right.
    counts: [N] number of words in the pictures; None if each stands alone.

  Returns:
    The calibration, with a temperature from .05 to 50; `NONE` if there are no words.

  Raises:
    ValueError: the arguments have different lengths.
  """
  counts = np.ones(len(beams), int) if counts is None else np.asarray(counts)
  if not len(beams) == len(correct) == len(counts):
    raise ValueError(
      f'lengths differ: {len(beams)} beams, {len(correct)} readings, {len(counts)} counts'
    )
  if not len(beams):
    return NONE
  right = np.asarray(correct, bool)
  targets = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
  logs = np.full((len(beams), max(map(len, beams))), -np.inf)
  for row, beam in zip(logs, beams, strict=True):
    row[: len(beam)] = beam

  def loss(x: np.ndarray) -> float:
    found = Calibration(float(np.exp(x[0])), *x[1:])
    sure = found.moved(posterior(logs, found.temperature)[:, 0], counts)
    sure, unsure = (np.log(np.maximum(p, _LOWEST)) for p in (sure, 1.0 - sure))
    return float(-(targets * sure + (1.0 - targets) * unsure).sum() + (x[1:] ** 2).sum() / 2)

  bounds = [np.log(_TEMPERATURES), (-9.0, 9.0), (-9.0, 9.0)]
  temperature, offset, crowding = minimize(loss, np.zeros(3), method='L-BFGS-B', bounds=bounds).x
  return Calibration(float(np.exp(temperature)), float(offset), float(crowding))


class Reliability(NamedTuple):
  """Readings by confidence, in bins of equal width from 0 to 1; a bin includes its upper edge.

  Attributes:
    edges: [bins + 1].
    counts: [bins] number of readings.
    confidence: [bins] their mean confidence; NaN in an empty bin.
    accuracy: [bins] fraction of them that is right; NaN in an empty bin.
  """

  edges: np.ndarray
  counts: np.ndarray
  confidence: np.ndarray
  accuracy: np.ndarray

  @property
  def error(self) -> float:
    """The expected calibration error, the mean over readings of the gap between their bin's accuracy and its
    confidence; NaN if there are none.
    """
    total = self.counts.sum()
    gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
    return float((self.counts * gaps).sum() / total) if total else float('nan')


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Reliability:
  """The table of a reliability diagram; its `.error` is the expected calibration error.

  Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", eqs. 2 and 3, and their 15 bins.

  Args:
    confidence: [N] in [0, 1].
    correct: [N] bool.
    bins: of equal width.
  """
  confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
  edges = np.linspace(0.0, 1.0, bins + 1)
  place = np.clip(np.searchsorted(edges, confidence) - 1, 0, bins - 1)
  counts, sure, right = (
    np.bincount(place, weights, bins) for weights in (None, confidence, correct)
  )
  filled = np.where(counts > 0, counts, np.nan)
  return Reliability(edges, counts.astype(int), sure / filled, right / filled)


def errors_by_chance(confidence: np.ndarray, draws: int = 1000) -> tuple[float, float]:
  """The calibration error of perfectly calibrated readings: for a small number of them it is not 0.

  Args:
    confidence: [N] in [0, 1].
    draws: number of random draws of which readings are right.

  Returns:
    The mean, and the 95th percentile.
  """
  rng = np.random.default_rng(0)
  right = rng.random((draws, len(confidence))) < confidence
  errors = [reliability(confidence, row).error for row in right]
  return float(np.mean(errors)), float(np.quantile(errors, 0.95))
