"""Regions of n overlapping sets, and who owns what. Imports nothing heavy."""

import itertools
from collections.abc import Sequence

import numpy as np

# The class sets of the paper's table, the same for MNIST and Fashion-MNIST.
CASES: dict[str, tuple[tuple[int, ...], ...]] = {
  'A': (tuple(range(7)), tuple(range(3, 10))),
  'B': ((0, 3, 5, 6), (1, 4, 5, 6), (2, 3, 4, 6)),
  'C': (tuple(range(10)), tuple(range(3, 10)), tuple(range(6, 10))),
}
# In case B every class gives a third of its images to each set that owns it, even if only one set does.
CAPPED = {'A': None, 'B': 3, 'C': None}


def regions(num_sets: int) -> tuple[tuple[int, ...], ...]:
  """The 2^n - 1 non-empty groups of sets, in the order of the paper's table.

  Singletons first, all sets last; for three sets the pairs are (1, 3), (2, 3), (1, 2).

  Returns:
    Tuples of 0-based sets.
  """
  if num_sets == 3:
    return ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1), (0, 1, 2))
  return tuple(
    group
    for size in range(1, num_sets + 1)
    for group in itertools.combinations(range(num_sets), size)
  )


def membership(num_sets: int) -> np.ndarray:
  """Whether a set belongs to a region's group, [sets, regions] bool, in the order of `regions`."""
  return np.array([[i in group for group in regions(num_sets)] for i in range(num_sets)])


def region_classes(sets: Sequence[Sequence[int]]) -> list[list[int]]:
  """Classes of each region: those owned by exactly its sets."""
  classes = sorted(set().union(*sets))
  owners = {c: tuple(i for i, s in enumerate(sets) if c in s) for c in classes}
  return [[c for c in classes if owners[c] == region] for region in regions(len(sets))]


def split_classes(
  labels: np.ndarray, sets: Sequence[Sequence[int]], parts: int | None, shuffled: np.ndarray
) -> list[np.ndarray]:
  """Rows of each set, without overlap.

  A class is cut into disjoint parts, one for each set that owns it.

  Args:
    labels: [N] classes.
    sets: classes of each set.
    parts: number of equal parts to cut every class into, discarding the remainder; None: as many as it has
      owners.
    shuffled: [N], a permutation: the order in which a class's rows are assigned.

  Returns:
    Sorted row indices, one array per set.
  """
  rows: list[list[np.ndarray]] = [[] for _ in sets]
  for c in sorted(set().union(*sets)):
    owners = [i for i, s in enumerate(sets) if c in s]
    mine = shuffled[labels[shuffled] == c]
    share = len(mine) // (parts or len(owners))
    for j, owner in enumerate(owners):
      rows[owner].append(mine[j * share : (j + 1) * share])
  return [np.sort(np.concatenate(r)) for r in rows]


def true_mixture(labels: Sequence[np.ndarray], sets: Sequence[Sequence[int]]) -> np.ndarray:
  """alpha* [n, K]: the fraction of each set's images that lie in each region.

  Args:
    labels: classes of the images of each set.
    sets: classes of each set.
  """
  groups = region_classes(sets)
  return np.array([[float(np.isin(of_set, g).mean()) for g in groups] for of_set in labels])


def random_baseline(mixture: np.ndarray) -> float:
  """The mean over distributions of 1 / (number of their components)."""
  return float(np.mean(1 / (np.asarray(mixture) > 0).sum(-1)))
