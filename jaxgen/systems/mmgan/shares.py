"""What the shares of a mixture, alpha [n, K], say of collections and components. Plain numpy."""

from collections.abc import Sequence

import numpy as np

IN_USE = 0.01  # alpha of a component that counts as used
HARDLY = 0.05  # a change of a collection's shares that is too small to say anything
NOT_MOVED = (
  'the mixture has hardly moved from its first shares, and says nothing of the collections yet. Train '
  'longer, or raise config.optim.mixture_learning_rate'
)
ALIKE = 0.5  # of a component's largest share: that of a collection that has it too


def in_use(alpha: np.ndarray) -> np.ndarray:
  """[K] bool, whether any collection has more than `IN_USE` of a component, of alpha [n, K]."""
  return np.asarray(alpha).max(0) > IN_USE


def largest_change(alpha: np.ndarray, initial: np.ndarray) -> float:
  """How far the collection whose shares have moved most has come: total variation, 0 to 1.

  Args:
    alpha: [n, K].
    initial: [n, K], what training began with.
  """
  return float(0.5 * np.abs(np.asarray(alpha) - initial).sum(-1).max())


def hardly_moved(alpha: np.ndarray, initial: np.ndarray | None) -> bool:
  """Whether a mixture has not been learned yet.

  Args:
    alpha: [n, K].
    initial: [n, K], or None where the mixture is not to move: fixed, or begun at the truth.
  """
  return initial is not None and largest_change(alpha, initial) < HARDLY


def owners(alpha: np.ndarray) -> list[list[int]]:
  """The collections that mostly have each component; none where nobody uses it.

  Those whose share is at least half of the component's largest.
  """
  alpha = np.asarray(alpha)
  large = (alpha >= ALIKE * alpha.max(0)) & in_use(alpha)
  return [np.flatnonzero(column).tolist() for column in large.T]


def set_accuracy_ceiling(alpha: np.ndarray, sizes: Sequence[int]) -> float:
  """The set accuracy of a reader who knows the component of every image, by the mixture itself.

  An image of collection i is of component k with probability alpha_k^(i); the reader names a collection
  with the largest share of k, as p(i | x) does, and cannot tell equal ones apart.

  Args:
    alpha: [n, K].
    sizes: [n], how many images of each collection are read.
  """
  alpha, weights = np.asarray(alpha), np.asarray(sizes) / np.sum(sizes)
  best = np.isclose(alpha, alpha.max(0))
  named = best / best.sum(0)
  return float(weights @ (alpha * named).sum(-1))
