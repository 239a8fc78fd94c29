"""The lattice of CTC alignments of given labels, on the host: their total probability, and the best one.

A label of U symbols has 2 U + 1 states: a blank before, between and after its symbols. A frame stays in its
state, advances to the next, or skips a blank between two different symbols.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import log_softmax

from jaxgen.systems.handwriting.reading.ctc import LOG_ZERO


def log_probabilities(logits: np.ndarray) -> np.ndarray:
  """Log-softmax over the last axis in float64; -inf is treated as `LOG_ZERO`.

  Raises:
    ValueError: a logit is NaN.
  """
  logits = np.asarray(logits, np.float64)
  if np.isnan(logits).any():
    raise ValueError('the logits of the recogniser contain NaN')
  return log_softmax(np.maximum(logits, LOG_ZERO), axis=-1)


def text_log_probs(log_probs: np.ndarray, labels: Sequence[Sequence[int]]) -> np.ndarray:
  """The log-probability of each label, summed over all its alignments.

  Args:
    log_probs: [T, K], normalised over K; 0 is the blank.
    labels: N of any lengths, in frame order.

  Returns:
    [N] nats; -inf if there is no alignment.
  """
  if not labels:
    return np.zeros(0)
  lengths = np.array([len(label) for label in labels])
  states, skips = _states(labels, lengths)
  alpha = np.full((len(labels), states.shape[1] + 2), -np.inf)  # two columns of -inf in front
  alpha[:, 2] = 0.0  # before the first frame: as if at a blank, from which nothing can be skipped
  for frame in log_probs:
    stay, step = alpha[:, 2:], alpha[:, 1:-1]
    pass_by = np.where(skips, alpha[:, :-2], -np.inf)
    alpha[:, 2:] = np.logaddexp(np.logaddexp(stay, step), pass_by) + frame[states]
  rows = np.arange(len(labels))
  last = np.where(lengths > 0, alpha[rows, 2 * lengths + 1], -np.inf)
  return np.logaddexp(alpha[rows, 2 * lengths + 2], last)


def best_alignment(log_probs: np.ndarray, label: Sequence[int]) -> np.ndarray:
  """The frames of each symbol on the most probable path that spells a label (Viterbi).

  Args:
    log_probs: [T, K].
    label: U labels in frame order.

  Returns:
    [U, 2] int, first frame of the symbol and first frame after it; ascending, without overlap.

  Raises:
    ValueError: the label needs more frames than T.
  """
  length = len(label)
  states, skips = (x[0] for x in _states([label], np.array([length])))
  score = np.full(len(states) + 2, -np.inf)
  score[2] = 0.0
  moves = np.zeros((len(log_probs), len(states)), np.int8)
  for t, frame in enumerate(log_probs):
    options = np.stack([score[2:], score[1:-1], np.where(skips, score[:-2], -np.inf)])
    moves[t] = options.argmax(0)
    score[2:] = options.max(0) + frame[states]
  state = len(states) - 1
  if length and score[state + 1] > score[state + 2]:
    state -= 1
  if score[state + 2] == -np.inf:
    raise ValueError(f'{length} symbols have no alignment in {len(log_probs)} frames')
  path = np.empty(len(log_probs), int)
  for t in range(len(log_probs) - 1, -1, -1):
    path[t] = state
    state -= int(moves[t, state])
  at = 2 * np.arange(length) + 1
  return np.stack([np.searchsorted(path, at), np.searchsorted(path, at, side='right')], axis=1)


def _states(labels: Sequence[Sequence[int]], lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Labels of the states [N, 2 L + 1], and whether a state can be reached by skipping the blank before it."""
  states = np.zeros((len(labels), 2 * int(lengths.max()) + 1), int)
  for row, label in zip(states, labels, strict=True):
    row[1 : 2 * len(label) : 2] = label
  skips = np.zeros(states.shape, bool)
  skips[:, 2:] = (states[:, 2:] > 0) & (states[:, 2:] != states[:, :-2])
  return states, skips
