"""One pass over a split."""

import jax
import numpy as np

from jaxgen.evaluation import passes


def test_rows_that_count_are_gathered_in_their_order():
  def step(variables, batch, more):
    return {'sum': batch['x'] + variables + more, 'x': batch['x'], 'mask': batch['mask']}

  x = np.arange(8.0).reshape(4, 2)
  batches = [
    {'x': x[:2], 'mask': np.ones(2)},
    {'x': x[2:], 'mask': np.array([1.0, 0.0])},
  ]
  found = passes.gathered(jax.jit(step), 10.0, batches, 100.0)
  assert found.keys() == {'sum', 'x'}
  np.testing.assert_array_equal(found['x'], x[:3])
  np.testing.assert_array_equal(found['sum'], x[:3] + 110)
