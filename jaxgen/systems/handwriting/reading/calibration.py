"""How sure a reading is, as a number that means what it says: 9 of 10 words at .9 are right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, logit

BINS = 15
_LOWEST = 1e-12  # of a probability whose logarithm is taken
_TEMPERATURES = (0.05, 50.0)


def posterior(log_probs: np.ndarray, temperature: float = 1.0) -> np.ndarray:
  """Probabilities of the texts of a beam, sharpened (below 1) or softened (above 1) by a temperature.

  p_i^(1/t) / sum_j p_j^(1/t). One more text stands in the sum for all that are not in the beam, with the
  probability that these leave: at temperature 1 nothing changes.

  Args:
    log_probs: [..., N] of the texts, nats; -inf for none.
    temperature: above 0.

  Returns:
    [..., N], in [0, 1]; the sum is at most 1.
  """
  logs = np.asarray(log_probs, np.float64)
  rest = np.log(np.maximum(_LOWEST, 1.0 - np.exp(logs).sum(-1, keepdims=True)))
  return np.exp(log_softmax(np.concatenate([logs, rest], -1) / temperature, axis=-1))[..., :-1]


def weighed(log_probs: np.ndarray, costs: np.ndarray, weight: float) -> np.ndarray:
  """Log-probabilities of the texts of a beam once a lexicon has its say.

  A text is less likely by its cost, all that are not in the beam by one word outside the lexicon.

  Args:
    log_probs: [N] of the texts, nats.
    costs: [N] nats that the lexicon takes from each.
    weight: nats that a word outside of it costs, finite.

  Returns:
    [N], for `posterior`: with the others their probabilities are 1 together.
  """
  rest = np.log(np.maximum(_LOWEST, 1.0 - np.exp(log_probs).sum())) - weight
  scores = np.asarray(log_probs) - costs
  return scores - np.logaddexp.reduce([*scores, rest])


class Calibration(NamedTuple):
  """What makes the confidences of words mean what they say.

  The log-odds of a word's `posterior` at `temperature`, plus `offset` (Platt, "Probabilistic Outputs for
  Support Vector Machines"), less `crowding` times the logarithm of the number of words in its picture: the
  posterior of a word in a line takes for known where the word begins and ends, and so is too sure.

  Attributes:
    temperature: above 0.
    offset: nats.
    crowding: nats of log-odds a nat.
  """

  temperature: float = 1.0
  offset: float = 0.0
  crowding: float = 0.0

  def confidence(self, log_probs: np.ndarray, count: int = 1) -> float:
    """That of a word, in [0, 1].

    Args:
      log_probs: [N] of the word and of what else its frames may say, as `posterior` takes them.
      count: words of its picture.
    """
    return float(self.moved(posterior(log_probs, self.temperature)[0], count))

  def moved(self, shares: np.ndarray, counts: np.ndarray | int) -> np.ndarray:
    """Confidences [...] of words with posteriors [...], in pictures of so many words."""
    with np.errstate(divide='ignore'):  # what is certain stays so
      odds = logit(shares)
    return expit(odds + self.offset - self.crowding * np.log(counts))


NONE = Calibration()


def fit_calibration(
  beams: Sequence[np.ndarray], correct: np.ndarray, counts: np.ndarray | None = None
) -> Calibration:
  """What gives the confidences of words the least negative log-likelihood.

  The likelihood is of Platt's targets (the reference of `Calibration`), (R + 1) / (R + 2) for each of R words
  that are right and 1 / (W + 2) for each of W others: a set that is read without an error does not make every
  word certain. Offset and crowding are held near 0 by a normal prior of deviation 1, so that a set of few
  words, or of words that stand alone, does not carry them away.

  Args:
    beams: for each word of a validation set the log-probabilities of its texts, first that of the reading.
    correct: [N] bool, whether that reading is right.
    counts: [N] words of the pictures; None where each stands alone.

  Returns:
    A temperature from .05 to 50 with the rest; `NONE` where there are no words.

  Raises:
    ValueError: they have different lengths.
  """
  counts = np.ones(len(beams), int) if counts is None else np.asarray(counts)
  if not len(beams) == len(correct) == len(counts):
    raise ValueError(f'{len(beams)} beams for {len(correct)} readings and {len(counts)} counts')
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
  """Readings by confidence, in bins of equal width from 0 to 1; a bin has its upper edge.

  Attributes:
    edges: [bins + 1].
    counts: [bins] readings.
    confidence: [bins] their mean confidence; NaN in an empty bin.
    accuracy: [bins] share of them that is right; NaN in an empty bin.
  """

  edges: np.ndarray
  counts: np.ndarray
  confidence: np.ndarray
  accuracy: np.ndarray

  @property
  def error(self) -> float:
    """The expected calibration error, the mean over readings of the gap between their bin's accuracy and its
    confidence; NaN for none.
    """
    total = self.counts.sum()
    gaps = np.nan_to_num(np.abs(self.accuracy - self.confidence))
    return float((self.counts * gaps).sum() / total) if total else float('nan')


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Reliability:
  """The table of a reliability diagram, and with `.error` the expected calibration error.

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
  """The calibration error of readings that are right as often as their confidence says: of few it is not 0.

  Args:
    confidence: [N] in [0, 1].
    draws: of which of them are right.

  Returns:
    The mean, and what one in twenty exceeds.
  """
  rng = np.random.default_rng(0)
  right = rng.random((draws, len(confidence))) < confidence
  errors = [reliability(confidence, row).error for row in right]
  return float(np.mean(errors)), float(np.quantile(errors, 0.95))
