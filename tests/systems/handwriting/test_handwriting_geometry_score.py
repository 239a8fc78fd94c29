"""Living times by hand, and sets whose holes are known."""

import sys

import gudhi
import numpy as np
import pytest

from jaxgen.errors import ConfigError
from jaxgen.systems.handwriting.measures import geometry_score as measure
from jaxgen.systems.handwriting.measures.geometry_score import (
  _distances,
  _holes,
  geometry_score,
  mean_relative_living_times,
  relative_living_times,
  repeats_for,
  score_floor,
)


@pytest.mark.parametrize(
  ('intervals', 'alpha_max', 'expected'),
  [
    ([[0, 1], [0, 2], [0, np.inf]], 4, [0, 0.5, 0.25, 0.25]),
    (np.zeros((0, 2)), 3, [1, 0, 0, 0]),
    ([[1, 2], [2, 3]], 4, [0.5, 0.5, 0, 0]),
    ([[0, 2]] * 5, 4, [0.5, 0, 0, 0]),  # times with more holes than are asked for
    ([[1, 9]], 4, [0.25, 0.75, 0, 0]),
  ],
)
def test_living_times_by_hand(intervals, alpha_max, expected):
  np.testing.assert_allclose(relative_living_times(intervals, alpha_max, 4), expected)


def ring(n, seed, noise=0.02):
  rng = np.random.default_rng(seed)
  angles = rng.uniform(0, 2 * np.pi, n)
  return np.stack([np.cos(angles), np.sin(angles)], 1) + noise * rng.normal(size=(n, 2))


def test_a_ring_has_one_hole_and_two_rings_have_two():
  one = mean_relative_living_times(ring(1500, 0), repeats=4, gamma=1 / 64)
  assert one[1] > 0.6 and one.sum() == pytest.approx(1)
  two = np.concatenate([ring(1500, 1), ring(1500, 2) + np.array([4, 0])])
  assert mean_relative_living_times(two, repeats=4, gamma=1 / 64)[:5].argmax() == 2


def test_the_score_is_zero_for_the_same_set_and_repeats_by_seed():
  x, y = ring(400, 0), np.random.default_rng(0).uniform(-1, 1, (400, 2))
  options = {'repeats': 3, 'landmarks': 24, 'gamma': 1 / 16}
  assert geometry_score(x, x.reshape(400, 1, 2), **options) == 0
  found = geometry_score(x, y, **options)
  assert 0 < found == geometry_score(x, y, **options) <= 2
  assert found == pytest.approx(geometry_score(100 * x, 100 * y, **options))
  assert found != geometry_score(x, y, seed=1, **options)


def test_the_floor_is_the_score_of_disjoint_sets_of_one_distribution():
  points = np.random.default_rng(1).uniform(-1, 1, (400, 2))
  options = {'repeats': 8, 'landmarks': 24, 'gamma': 1 / 16, 'halvings': 2}
  floor = score_floor(points, 100, **options)
  assert 0 < floor == score_floor(points, 100, **options) != score_floor(points, 100, 1, **options)
  of_others = geometry_score(points[:100], ring(100, 0), repeats=8, landmarks=24, gamma=1 / 16)
  assert floor < of_others / 5
  assert score_floor(points, 300, **options) == score_floor(points, 200, **options) > 0
  with pytest.raises(ValueError, match='64 landmarks need at least as many images, got 63'):
    score_floor(points[:127], 100)


def test_fewer_images_take_more_landmarks():
  assert [repeats_for(n) for n in (10_000, 5_000, 512, 300, 64)] == [100, 100, 977, 1667, 2000]


def test_distances_that_are_computed_at_once_are_those_of_each_draw(monkeypatch):
  points = np.random.default_rng(2).normal(size=(90, 5))
  options = {'repeats': 4, 'landmarks': 24, 'gamma': 1 / 16}
  at_once = mean_relative_living_times(points, **options)
  monkeypatch.setattr(measure, '_PAIRS', 0)
  np.testing.assert_allclose(mean_relative_living_times(points, **options), at_once, atol=1e-9)


def test_images_may_be_bytes_and_all_the_same():
  images = np.random.default_rng(0).integers(0, 256, (80, 4, 8), np.uint8)
  found = mean_relative_living_times(images, repeats=2)
  np.testing.assert_array_equal(found, mean_relative_living_times(images / 1.0, repeats=2))
  collapsed = mean_relative_living_times(np.repeat(images[:1], 80, 0), repeats=2)
  assert collapsed[0] == 1 and collapsed.sum() == 1
  with pytest.raises(ValueError, match='64 landmarks need at least as many images, got 63'):
    mean_relative_living_times(images[:63])


def test_landmarks_that_cannot_matter_are_left_out_without_a_difference():
  points = np.random.default_rng(3).normal(size=(200, 4))
  places = np.arange(0, 200, 8)
  distances = _distances(points, (points**2).sum(1), places)
  np.testing.assert_allclose(
    distances, np.linalg.norm(points[:, None] - points[places], axis=-1), atol=1e-6
  )
  whole = [
    [(int(i), row[i]) for i in row.argsort(kind='stable')] for row in distances.astype(float)
  ]
  for alpha_max in (0.1, 0.6):
    tree = gudhi.WitnessComplex(nearest_landmark_table=whole).create_simplex_tree(
      max_alpha_square=alpha_max, limit_dimension=2
    )
    tree.compute_persistence(homology_coeff_field=2)
    expected = tree.persistence_intervals_in_dimension(1)
    assert len(expected)
    np.testing.assert_allclose(_holes(distances, alpha_max), expected)


def test_without_gudhi_the_extra_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'gudhi', None)
  with pytest.raises(ConfigError, match=r"pip install 'jaxgen\[evaluation\]'"):
    mean_relative_living_times(ring(70, 0), repeats=1)
