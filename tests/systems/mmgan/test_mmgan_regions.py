"""Class sets, their regions and the priors that follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen.systems.mmgan import regions

PRIORS = {
  'A': [[0.6, 0, 0.4], [0, 0.6, 0.4]],
  'B': [
    [0.25, 0, 0, 0.25, 0, 0.25, 0.25],
    [0, 0.25, 0, 0, 0.25, 0.25, 0.25],
    [0, 0, 0.25, 0.25, 0.25, 0, 0.25],
  ],
  'C': [
    [0.5143, 0, 0, 0, 0, 0.2571, 0.2286],
    [0, 0, 0, 0, 0, 0.5294, 0.4706],
    [0, 0, 0, 0, 0, 0, 1],
  ],
}
BASELINES = {'A': 0.5, 'B': 0.25, 'C': 0.6111}


def labels(per_class=6000):
  return np.repeat(np.arange(10), per_class)


@pytest.mark.parametrize('case', regions.CASES)
def test_the_splits_are_disjoint_and_reproduce_the_priors(case):
  found, sets = labels(), regions.CASES[case]
  shuffled = np.random.default_rng(0).permutation(len(found))
  rows = regions.split_classes(found, sets, regions.CAPPED[case], shuffled)
  assert len(np.unique(np.concatenate(rows))) == sum(len(r) for r in rows)
  for r, classes in zip(rows, sets, strict=True):
    assert set(found[r]) == set(classes)
  mixture = regions.true_mixture([found[r] for r in rows], sets)
  np.testing.assert_allclose(mixture, PRIORS[case], atol=5e-5)
  np.testing.assert_allclose(mixture.sum(1), 1)
  np.testing.assert_allclose(regions.random_baseline(mixture), BASELINES[case], atol=5e-5)


def test_case_b_gives_a_third_of_every_class_to_each_owner():
  found = labels(10)
  rows = regions.split_classes(found, regions.CASES['B'], 3, np.arange(len(found)))
  for r in rows:
    assert np.unique(found[r], return_counts=True)[1].tolist() == [3, 3, 3, 3]


def test_regions_are_in_the_order_of_the_paper():
  assert regions.regions(2) == ((0,), (1,), (0, 1))
  assert regions.regions(3) == ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1), (0, 1, 2))
  assert len(set(regions.regions(4))) == 15
  classes = regions.region_classes(regions.CASES['B'])
  assert classes == [[0], [1], [2], [3], [4], [5], [6]]
  assert regions.region_classes(regions.CASES['C'])[1:5] == [[], [], [], []]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=2, max_size=4), st.integers(0, 99))
def test_any_class_sets_are_split_without_sharing_an_image(sets, seed):
  found = np.random.default_rng(seed).integers(0, 6, 300)
  rows = regions.split_classes(found, [sorted(s) for s in sets], None, np.arange(300))
  assert len(np.unique(np.concatenate(rows))) == sum(len(r) for r in rows)
  for c in set().union(*sets):
    owned = [int((found[r] == c).sum()) for r, s in zip(rows, sets, strict=True) if c in s]
    assert len(set(owned)) == 1  # equal parts
