"""What a mixture's shares, alpha [n, K], reveal about collections and components. Plain NumPy."""

from collections.abc import Sequence

import numpy as np

IN_USE = 0.01  # a component counts as used above this alpha
HARDLY = 0.05  # a smaller change of a collection's shares is not informative
NOT_MOVED = (
  'the mixture has hardly moved from its initial shares and says nothing about the collections yet. Train '
  'longer, or raise config.optim.mixture_learning_rate'
)
ALIKE = 0.5  # a collection owns a component if its share is at least this fraction of the largest


def in_use(alpha: np.ndarray) -> np.ndarray:
  """Whether any collection has more than `IN_USE` of a component, [K] bool, from alpha [n, K]."""
  return np.asarray(alpha).max(0) > IN_USE


def largest_change(alpha: np.ndarray, initial: np.ndarray) -> float:
  """The largest change of any collection's shares: total variation, 0 to 1.

  Args:
    alpha: [n, K].
    initial: [n, K], before training.
  """
  return float(0.5 * np.abs(np.asarray(alpha) - initial).sum(-1).max())


def hardly_moved(alpha: np.ndarray, initial: np.ndarray | None) -> bool:
  """Whether a mixture has not been learned yet.

  Args:
    alpha: [n, K].
    initial: [n, K], or None if the mixture need not move: it is fixed, or started at the truth.
  """
  return initial is not None and largest_change(alpha, initial) < HARDLY


def owners(alpha: np.ndarray) -> list[list[int]]:
  """The main owners of each component; empty if no collection uses it.

  Those are the collections whose share is at least half of the component's largest.
  """
  alpha = np.asarray(alpha)
  large = (alpha >= ALIKE * alpha.max(0)) & in_use(alpha)
  return [np.flatnonzero(column).tolist() for column in large.T]


def set_accuracy_ceiling(alpha: np.ndarray, sizes: Sequence[int]) -> float:
  """The set accuracy of an observer who knows every image's component, according to the mixture itself.

  An image of collection i is of component k with probability alpha_k^(i); the observer names a collection
  with the largest share of k, as p(i | x) does, and cannot break ties.

  Args:
    alpha: [n, K].
    sizes: [n], number of images of each collection.
  """
  alpha, weights = np.asarray(alpha), np.asarray(sizes) / np.sum(sizes)
  best = np.isclose(alpha, alpha.max(0))
  named = best / best.sum(0)
  return float(weights @ (alpha * named).sum(-1))
