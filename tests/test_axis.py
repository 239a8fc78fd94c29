"""Keys of rows, where those lie on a mesh of their own."""

import jax
import numpy as np
import pytest

from jaxgen.axis import row_keys
from jaxgen.run import devices as dev


@pytest.mark.parametrize('parallel', ['jit', 'pmap'])
@pytest.mark.parametrize('rows', [6, 7, 14])
def test_a_row_has_its_key_on_devices_that_do_and_do_not_divide_the_batch(parallel, rows):
  index = np.arange(3, 3 + rows, dtype=np.int32)
  batch = {'index': index, 'x': np.ones(rows, np.float32), 'mask': np.ones(rows, np.float32)}

  def drawn(batch, key):
    return batch['x'] * jax.vmap(jax.random.normal)(row_keys(key, batch['index']))

  devices = dev.make_devices(parallel, jax.devices()[:7])
  found = dev.compile_placed(devices, drawn)(batch, jax.random.key(0))
  expected = [jax.random.normal(jax.random.fold_in(jax.random.key(0), i)) for i in index]
  np.testing.assert_allclose(found, expected, rtol=1e-6)
