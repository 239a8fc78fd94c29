"""FID and KID against closed forms and independent computations."""

import numpy as np
import pytest
import scipy.linalg

from jaxgen.evaluation.distances import (
  frechet_distance,
  frechet_distance_of_moments,
  kernel_distance,
)

RNG = np.random.default_rng(0)


def correlated(n, d, seed, shift=0.0):
  rng = np.random.default_rng(seed)
  return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift


def test_frechet_distance_of_diagonal_gaussians_has_a_closed_form():
  mean = np.array([1.0, -2.0, 0.5])
  a, b = np.array([1.0, 4.0, 0.25]), np.array([9.0, 1.0, 0.25])
  found = frechet_distance_of_moments(mean, np.diag(a), np.zeros(3), np.diag(b))
  expected = np.sum(mean**2) + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
  np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_frechet_distance_in_one_dimension():
  found = frechet_distance_of_moments(np.array([2.0]), np.eye(1) * 9, np.array([0.0]), np.eye(1))
  np.testing.assert_allclose(found, 4 + (3 - 1) ** 2)


def test_frechet_distance_equals_the_matrix_root_of_the_product():
  x, y = correlated(500, 12, 1), correlated(400, 12, 2, shift=0.3)
  sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
  root = scipy.linalg.sqrtm(sx @ sy).real
  expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(sx + sy - 2 * root)
  np.testing.assert_allclose(frechet_distance(x, y), expected, rtol=1e-8)


def test_frechet_distance_is_a_symmetric_distance_and_survives_a_dead_feature():
  x, y = correlated(300, 6, 1), correlated(200, 6, 2)
  np.testing.assert_allclose(frechet_distance(x, y), frechet_distance(y, x), rtol=1e-8)
  assert frechet_distance(x, x) < 1e-8
  x[:, 0] = y[:, 0] = 0.0  # a unit that is never active
  assert np.isfinite(frechet_distance(x, y))


def test_too_few_examples_for_a_covariance_are_refused():
  with pytest.raises(ValueError, match='12 features needs more examples than features; the second'):
    frechet_distance(RNG.normal(size=(50, 12)), RNG.normal(size=(12, 12)))


def slow_mmd(x, y):
  def kernel(a, b):
    return (a @ b / len(a) + 1) ** 3

  def mean(xs, ys, skip):
    values = [
      kernel(a, b) for i, a in enumerate(xs) for j, b in enumerate(ys) if not skip or i != j
    ]
    return np.mean(values)

  return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)


def test_kernel_distance_equals_the_sum_over_pairs():
  x, y = RNG.normal(size=(17, 5)), RNG.normal(size=(23, 5)) + 0.5
  np.testing.assert_allclose(kernel_distance(x, y), slow_mmd(x, y), rtol=1e-10)


def test_kernel_distance_is_the_same_in_blocks(monkeypatch):
  x, y = RNG.normal(size=(50, 5)), RNG.normal(size=(70, 5)) + 0.5
  whole = kernel_distance(x, y)
  monkeypatch.setattr('jaxgen.evaluation.distances._BLOCK', 16)
  np.testing.assert_allclose(kernel_distance(x, y), whole, rtol=1e-12)


def test_kernel_distance_of_one_distribution_is_zero_on_average():
  found = [kernel_distance(*np.random.default_rng(i).normal(size=(2, 100, 4))) for i in range(200)]
  assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
  assert min(found) < 0  # unbiased


@pytest.mark.parametrize('function', [frechet_distance, kernel_distance])
def test_features_of_other_widths_are_refused(function):
  with pytest.raises(ValueError, match=r'got \(9, 3\) and \(9, 4\)'):
    function(np.zeros((9, 3)), np.zeros((9, 4)))
