"""Averages as total and count."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.metrics import Mean, averages, fetched, fold


def test_masked_rows_do_not_count_whatever_they_hold():
  mean = Mean.of(jnp.array([1.0, 3.0, jnp.nan]), jnp.array([1.0, 1.0, 0.0]))
  assert averages({'x': mean}) == {'x': 2.0}


@pytest.mark.parametrize('values', [[True, True, False], [2, 2, 0]])
def test_values_of_any_type_have_a_mean(values):
  scale = max(values)
  assert averages({'x': Mean.of(jnp.array(values))})['x'] == pytest.approx(2 / 3 * scale)
  half = Mean.of(jnp.array(values), jnp.array([0.5, 0.5, 1.0]))
  assert averages({'x': half})['x'] == pytest.approx(scale / 2)
  many = Mean.of(jnp.ones(300, jnp.bfloat16))
  assert (float(many.total), float(many.count)) == (300, 300)


def test_parts_and_scanned_axes_fold_into_one_mean():
  scanned = {'x': Mean(np.array([1.0, 2.0]), np.array([1.0, 1.0]))}
  single = {'x': Mean(np.array(9.0), np.array(2.0))}
  assert averages(fold(scanned, single), 'train/') == {'train/x': 3.0}


def test_a_mean_of_nothing_is_nan():
  assert np.isnan(averages({'x': Mean(np.array(0.0), np.array(0.0))})['x'])


def test_folding_is_in_float64():
  big = {'x': Mean(np.full(3, 2.0**24, np.float32), np.ones(3, np.float32))}
  one = {'x': Mean(np.float32(1.0), np.float32(1.0))}
  assert fold(big, one)['x'].total == pytest.approx(3 * 2.0**24 + 1, abs=0)


def test_results_are_fetched_a_step_behind():
  made = []

  def steps():
    for i in range(4):
      made.append(i)
      yield {'x': jnp.full(2, i)}

  for i, found in enumerate(fetched(steps())):
    assert type(found['x']) is np.ndarray and found['x'].tolist() == [i, i]
    assert len(made) == min(i + 2, 4)
  assert list(fetched([])) == []
