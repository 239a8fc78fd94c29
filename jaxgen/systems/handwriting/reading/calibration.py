"""How sure a reading is, as a number that means what it says: 9 of 10 words at .9 are right."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15
_LOWEST = 1e-12  # of a probability whose logarithm is taken
_TEMPERATURES = (0.05, 50.0)


def posterior(
  log_probs: np.ndarray, temperature: float = 1.0, *, closed: bool = False
) -> np.ndarray:
  """Probabilities of the texts of a beam, sharpened (below 1) or softened (above 1) by a temperature.

  p_i^(1/t) / sum_j p_j^(1/t). Where the output is open, one more text stands in the sum for all that are not
  in the beam, with the probability that these leave: at temperature 1 nothing changes.

  Args:
    log_probs: [..., N] of the texts, nats; -inf for none.
    temperature: above 0.
    closed: a lexicon closed the output: one of the texts is true.

  Returns:
    [..., N], in [0, 1]; the sum is at most 1, and is 1 where `closed`.
  """
  logs = np.asarray(log_probs, np.float64)
  if closed:
    return np.exp(log_softmax(logs / temperature, axis=-1))
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


def fit_temperature(
  beams: Sequence[np.ndarray], correct: np.ndarray, *, closed: bool = False
) -> float:
  """The temperature at which the confidence of the first texts has the least negative log-likelihood.

  Args:
    beams: for each example of a validation set the log-probabilities of its texts, first that of the reading.
    correct: [N] bool, whether that reading is right.
    closed: as in `posterior`.

  Returns:
    A temperature from .05 to 50; 1 where there are no examples.

  Raises:
    ValueError: the two have different lengths.
  """
  if len(beams) != len(correct):
    raise ValueError(f'{len(beams)} beams for {len(correct)} readings')
  if not len(beams):
    return 1.0
  right = np.asarray(correct, bool)
  logs = np.full((len(beams), max(map(len, beams))), -np.inf)
  for row, beam in zip(logs, beams, strict=True):
    row[: len(beam)] = beam

  def nll(log_temperature: float) -> float:
    temperature = float(np.exp(log_temperature))
    sure = posterior(logs, temperature, closed=closed)[:, 0]
    return float(-np.log(np.clip(np.where(right, sure, 1.0 - sure), _LOWEST, None)).mean())

  found = minimize_scalar(nll, bounds=np.log(_TEMPERATURES), method='bounded')
  return float(np.exp(found.x))


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
