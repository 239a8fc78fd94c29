"""Evaluation on any number of devices: rows that cannot be split evenly give the same figures."""

import jax
import numpy as np
import pytest
import toy_system

from jaxgen.axis import example_keys
from jaxgen.run import devices as dev
from jaxgen.run.tools import make_tools
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import StopSignals

PARALLEL = pytest.mark.parametrize('parallel', ['jit', 'pmap'])


def tools_of(config, devices):
  return make_tools(config, devices, Reporter(quiet=True), StopSignals(), None, full=True)


def normal(key, n):
  return jax.vmap(lambda k: jax.random.normal(k, (2,)))(example_keys(key, n))


@PARALLEL
def test_seven_devices_report_what_eight_do(toy, parallel):
  config = toy(parallel=parallel)
  data = toy_system.make_data(config)
  task = toy_system.make_task(config, data.facts)
  state = task.init(jax.random.key(0))
  found = {}
  for count in (7, 8):
    devices = dev.make_devices(parallel, jax.devices()[:count])
    variables = dev.replicate(devices, task.export(state))
    found[count] = task.evaluate(variables, data, tools_of(config, devices))
  assert found[7]['num_examples'] == found[8]['num_examples'] == toy_system.NUM_TEST
  assert found[7]['loss'] == pytest.approx(found[8]['loss'], rel=1e-6)


@PARALLEL
@pytest.mark.parametrize(
  ('count', 'rows', 'a_device'), [(7, 16, 16), (8, 12, 3), (6, 3, 1), (8, 16, 2)]
)
def test_rows_lie_on_as_many_devices_as_go(toy, parallel, count, rows, a_device):
  devices = dev.make_devices(parallel, jax.devices()[:count])
  tools = tools_of(toy(parallel=parallel), devices)
  assert tools.rows(rows) == slice(0, rows)
  x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
  batch = {'x': x, 'mask': np.ones(rows, np.float32)}
  placed = dev._place(devices, batch)['x']
  assert {shard.data.shape for shard in placed.addressable_shards} == {(a_device, 2)}
  # Results have the batch's own rows, and what depends on all of them is exact.
  doubled, mean = tools.compile(lambda batch: (2 * batch['x'], batch['x'].mean(0)))(batch)
  np.testing.assert_array_equal(doubled, 2 * x)
  np.testing.assert_allclose(mean, x.mean(0), rtol=1e-6)
  # What a function makes itself, a row each, goes with them, and a number of rows of its own does too.
  noise = tools.compile(lambda batch, key: batch['x'] + normal(key, rows))(batch, jax.random.key(0))
  np.testing.assert_allclose(noise, x + normal(jax.random.key(0), rows), rtol=1e-5, atol=1e-6)
  for n in (count, 2 * count, 5):
    drawn = tools.compile(lambda batch, key, n=n: normal(key, n) + batch['mask'].sum())(
      batch, jax.random.key(0)
    )
    np.testing.assert_allclose(drawn, normal(jax.random.key(0), n) + rows, rtol=1e-5)


def test_a_run_is_evaluated_with_a_batch_that_eight_devices_cannot_share(toy, tmp_path):
  from helpers import train

  assert any('wrote' in line for line in train(toy(num_steps=8, eval__batch_size=12), tmp_path))
