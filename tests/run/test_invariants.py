"""The house's invariants for a real task, the Compound VAE; kill -9 is in test_resume.py."""

import functools
import itertools

import compiling
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_close, assert_same, comvae, to_numpy
from jax.sharding import PartitionSpec
from programs import LAYOUTS, SEVERAL, Program, doubled, layout

from jaxgen import config as configs
from jaxgen.axis import example_keys, global_rows, psum, rows_over, split_rows
from jaxgen.run import checkpoint, loop
from jaxgen.run import devices as dev
from jaxgen.task import TrainState, name_key, step_rng, update_player


def small(**overrides):
  """A compound VAE with one dynamic layer, which has all that the three have, and compiles faster.

  With the single prior: the mixture's spike is so sharp (its curvature is e^12) that it turns float32
  rounding into 2e-5 of the gradient.
  """
  return comvae('no_latent_dbnn', **{'model__prior': 'single', **overrides})


# 1. Randomness is (rng, step, name).


def keys_by_layout(n=16):
  """Bits drawn for each of n rows under every layout."""
  key = jax.random.key(7)

  def draw(keys):
    return jax.vmap(lambda k: jax.random.bits(k, (3,)))(keys)

  found = {}
  for name in LAYOUTS:
    devices = layout(name)
    if devices.parallel == 'jit':

      def drawn(k, mesh=devices.mesh):
        with rows_over(mesh):
          return draw(example_keys(k, n))

      found[name] = jax.jit(drawn)(jax.device_put(key, devices.replicated))
      assert found[name].sharding.is_equivalent_to(devices.split(), 2)
    else:
      mapped = jax.pmap(
        lambda k, rows: draw(example_keys(k, len(rows), dev.AXIS)), dev.AXIS, in_axes=(None, 0)
      )
      found[name] = mapped(key, np.zeros((devices.size, n // devices.size))).reshape(n, -1)
  return found


def test_example_keys_are_bit_equal_in_every_layout():
  found = keys_by_layout()
  for name in SEVERAL:
    np.testing.assert_array_equal(found[name], found['one device'])
  assert len(np.unique(np.asarray(found['one device']).ravel())) == 16 * 3


def test_rows_that_do_not_divide_and_rows_without_a_mesh_stay_whole():
  eight, x = layout('8 by jit'), jnp.arange(13.0)

  def doubled(x):
    with rows_over(eight.mesh):
      return 2 * split_rows({'x': x})['x']

  np.testing.assert_array_equal(jax.jit(doubled)(jax.device_put(x, eight.replicated)), 2 * x)
  assert split_rows(x) is x
  mapped = jax.pmap(lambda x: split_rows(x) + global_rows(2), dev.AXIS)(x[:8].reshape(8, 1))
  assert mapped.shape == (8, 2)


def state_at(step, seed=0):
  return TrainState(jnp.int32(step), {}, {}, {}, {}, jax.random.key(seed))


def test_step_rng_is_a_function_of_rng_step_and_name_only():
  def bits(state, name):
    return jax.random.key_data(step_rng(state, name)).tolist()

  assert bits(state_at(3), 'latent') == bits(state_at(3), 'latent')
  expected = name_key(jax.random.fold_in(jax.random.key(0), 3), 'latent')
  assert bits(state_at(3), 'latent') == jax.random.key_data(expected).tolist()
  different = [(3, 0, 'latent'), (4, 0, 'latent'), (3, 1, 'latent'), (3, 0, 'weights')]
  drawn = {tuple(bits(state_at(step, seed), name)) for step, seed, name in different}
  assert len(drawn) == len(different)


def test_a_step_never_advances_the_key(trained):
  for program, states in trained.values():
    assert_same(states[-1].rng, jax.random.key_data(jax.random.key(program.config.seed)))


# 2. A batch is a function of (seed, step).


def decoded(config, first, count):
  data = configs.system_module(config).make_data(config)
  example = jax.jit(jax.vmap(data.example, in_axes=(None, 0, None)))
  batches = itertools.islice(data.batches(first, slice(0, config.batch_size)), count)
  return [np.asarray(example(data.arrays, b, jax.random.key(0))['image']) for b in batches]


def test_resident_and_streamed_batches_are_the_same_from_any_step_with_any_threads():
  # 179 batches an epoch: steps 177 to 181 cross its end.
  resident = decoded(comvae(data__placement='resident'), 177, 5)
  for threads in (1, 3):
    streamed = comvae(data__placement='stream', data__num_threads=threads)
    np.testing.assert_array_equal(decoded(streamed, 177, 5), resident)
  np.testing.assert_array_equal(decoded(comvae(), 179, 2), resident[2:4])
  assert not np.array_equal(decoded(comvae(seed=1), 177, 1)[0], resident[0])


def test_streamed_training_is_bit_equal_to_resident_training(monkeypatch):
  # Two programs, which round alike where XLA fuses as it does by default; of a net that compiles soon.
  with monkeypatch.context() as patch:
    compiling.make_usual(patch)
    resident, streamed = (
      Program(comvae('vanilla', data__placement=placement), layout('one device'), 1)
      for placement in ('resident', 'stream')
    )
  assert_same(*(program.run(program.state(), 3) for program in (resident, streamed)))


# 4. The layout does not change the result.


@pytest.fixture(scope='module')
def trained():
  """Layout -> (program, the states after each of three steps), in float32, one step a call."""
  found = {}
  for name in LAYOUTS:
    program = Program(small(), layout(name), 1)
    state, states = program.state(), []
    for _ in range(3):
      state = program.run(state, 1)
      states.append(to_numpy(state))
    found[name] = program, states
  return found


def relative_l2(a, b):
  a, b = (np.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in (a, b))
  return np.linalg.norm(a - b) / np.linalg.norm(a)


@pytest.mark.parametrize('name', SEVERAL)
def test_float32_gradients_agree_between_layouts(trained, name):
  # Adam's first moment after one step is the gradient times 1 - b1.
  mu = [trained[key][1][0].opt_state['model'][0].mu for key in ('one device', name)]
  assert relative_l2(*mu) < 1e-5


def five_steps(name, start):
  """The state after five float64 steps in one call, and the metrics."""
  config, metrics = small(model__prior='mixture', precision='float64'), []
  program = Program(config, layout(name), 5)
  state = program.run(program.placed(doubled(start)), 1, metrics)
  assert jax.tree.leaves(state.params)[0].dtype == jnp.float64
  return to_numpy(state), metrics


def test_the_whole_state_agrees_between_layouts_after_five_float64_steps(trained):
  start = trained['one device'][1][0]  # each layout begins by itself there
  jax.config.update('jax_enable_x64', True)
  found = five_steps('one device', start)
  for name in SEVERAL:
    assert_close(found, five_steps(name, start), rtol=1e-9)


def test_a_state_restores_to_another_number_of_devices(tmp_path, trained):
  program, states = trained['8 by jit']
  one, eight = layout('one device'), layout('8 by jit')
  config = small()
  state = program.run(program.state(), 3)
  for source, target in ((eight, one), (one, eight), (eight, layout('8 by pmap'))):
    state = jax.device_put(state, source.replicated)
    workdir = tmp_path / f'{source.size}-{target.parallel}{target.size}'
    saved = checkpoint.Checkpoints(workdir, config, program.data.facts)
    saved.save(state, 3)
    saved.wait()
    restored = saved.restore(dev.abstract_state(target, program.task.init))
    saved.close()
    assert_same(restored, states[-1])
    leaf = jax.tree.leaves(restored.params)[0]
    assert leaf.sharding == target.replicated and len(leaf.devices()) == target.size
    state = restored


# 5. One trace.


@pytest.mark.parametrize('name', LAYOUTS)
def test_a_step_is_traced_once_also_after_a_restore(trained, tmp_path, name):
  program, states = trained[name]
  assert program.traces == 1
  checkpoints = checkpoint.Checkpoints(tmp_path, program.config, program.data.facts)
  checkpoints.save(program.run(program.state(), 1), 1)
  checkpoints.wait()
  restored = checkpoints.restore(dev.abstract_state(program.devices, program.task.init))
  checkpoints.close()
  assert_same(program.run(restored, 2), states[-1])
  assert program.traces == 1


def test_scanned_steps_are_traced_once_and_agree_with_single_ones(trained):
  name = 'one device'
  program = Program(small(), layout(name), 3)
  metrics = []
  state = program.run(program.state(), 1, metrics)
  assert program.traces == 1
  assert metrics[0]['loss'].total.shape == (3,)
  assert_close(trained[name][1][-1].variables, to_numpy(state).variables, rtol=1e-3)
  program.run(state, 2)
  assert program.traces == 1


@pytest.mark.parametrize('num_steps', [1, 2])
def test_a_step_that_changes_a_dtype_is_refused(toy, num_steps):
  # It would be traced a second time at the second call, and nothing donated.
  program = Program(toy(), layout('one device'), num_steps)
  state = program.state()
  halved = state.replace(ema={'model': jnp.zeros(2, jnp.float16)})

  def train_step(state, batch):
    state, metrics = program.task.train_step(state, batch)
    return state.replace(ema={'model': state.ema['model'] + jnp.ones(2)}), metrics

  task = program.task._replace(train_step=train_step)
  call = dev.compile_steps(program.devices, task, program.data.example, num_steps)
  feed = loop.call_batches(program.devices, program.data, program.config, 0, num_steps)
  with pytest.raises((AssertionError, TypeError), match='float16'):
    call(halved, program.arrays, next(feed))


# 6. A loss moves only its own player.


@pytest.mark.parametrize('axis', [None, dev.AXIS])
def test_update_player_moves_one_player_and_sums_gradients_once(axis):
  optimizers = {'g': optax.sgd(0.5), 'd': optax.adam(0.1)}
  params = {name: {'w': jnp.arange(3.0)} for name in optimizers}
  opt_state = {name: optimizers[name].init(params[name]) for name in optimizers}
  state = TrainState(jnp.int32(0), params, opt_state, {'g': {}, 'd': {}}, {}, jax.random.key(0))
  update = functools.partial(update_player, optimizers=optimizers, name='g', axis=axis)
  if axis is None:
    moved = update(state, grads={'w': jnp.ones(3)})
  else:
    step = jax.pmap(lambda s, g: update(s, grads=g), axis, in_axes=(None, 0), out_axes=None)
    moved = step(state, {'w': jnp.full((8, 3), 1 / 8)})
  np.testing.assert_allclose(moved.params['g']['w'], np.arange(3.0) - 0.5)
  assert_same(moved.params['d'], params['d'])
  assert_same(moved.opt_state['d'], opt_state['d'])
  assert int(moved.step) == 0


# The rest of the contract.


def test_collectives_are_the_identity_without_an_axis_and_global_with_one():
  x = jnp.arange(16.0)
  assert psum(x) is x

  def step(x):
    return psum(x, dev.AXIS), global_rows(2, dev.AXIS)

  total, rows = jax.pmap(step, dev.AXIS)(x.reshape(8, 2))
  np.testing.assert_allclose(total[0], x.reshape(8, 2).sum(0))
  np.testing.assert_array_equal(rows.ravel(), np.arange(16))


def test_bfloat16_trains_to_finite_values_and_keeps_float32_parameters(trained):
  program = Program(small(precision='bfloat16'), layout('one device'), 1)
  metrics, start = [], trained['one device'][1][0]
  state = program.run(program.placed(start), 3, metrics)
  for leaf in jax.tree.leaves(to_numpy((state.params, state.opt_state, state.variables))):
    assert leaf.dtype in (np.float32, np.int32)
    assert np.isfinite(leaf).all()
  assert all(np.isfinite(m.total).all() for call in metrics for m in call.values())


def test_batches_are_split_over_devices_and_the_state_is_replicated():
  eight = layout('8 by jit')
  batches = dev.put_batches(eight, [{'index': np.arange(16)}] * 2)
  assert batches['index'].shape == (2, 16)
  assert batches['index'].sharding.spec == PartitionSpec(None, dev.AXIS)
  by_device = dev.put_batches(layout('8 by pmap'), [{'index': np.arange(16)}] * 2)['index']
  np.testing.assert_array_equal(by_device[3, 1], [6, 7])
