"""A value that is not finite: the step and metric are named, the evidence is kept, the run stops."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_system
from helpers import assert_same, comvae, finish, metric_lines, start_toy, steps_saved, train

from jaxgen.command.exits import guarded
from jaxgen.metrics import Mean
from jaxgen.run import checkpoint, failure, loading
from jaxgen.run import devices as dev
from jaxgen.run.finite import Finite, finite_of
from jaxgen.task import TrainState

pytestmark = pytest.mark.usefixtures('quick_compilation')


def saved_state(config, workdir):
  """failure/state."""
  task = toy_system.make_task(config, {})
  one = dev.make_devices('jit', jax.devices()[:1])
  return checkpoint.load_pytree(workdir / 'failure' / 'state', dev.abstract_state(one, task.init))


@pytest.mark.parametrize('parallel', ['jit', 'pmap'])
@pytest.mark.parametrize('placement', ['resident', 'stream'])
def test_an_infinite_value_is_traced_to_its_step_inside_a_call_of_four(
  toy, tmp_path, parallel, placement
):
  config = toy(toy__infinity_at=13, parallel=parallel, data__placement=placement)
  with pytest.raises(failure.NonFiniteError) as error:
    train(config, tmp_path)
  message = str(error.value)
  assert 'train/loss is not finite at step 14' in message
  assert 'step 12 is the last good checkpoint' in message and '\n' not in message
  assert str(tmp_path / 'failure') in message
  assert steps_saved(tmp_path) == [8, 12]
  batch = np.load(tmp_path / 'failure' / 'batch.npz')
  assert batch['x'].shape == (8, 3) and np.isinf(batch['y']).all()
  assert np.isinf(batch['row_poison']).all()
  told = json.loads((tmp_path / 'failure' / 'failure.json').read_text())
  assert told == {'step': 14, 'metric': 'train/loss', 'state_step': 13, 'came_again': True}
  state = saved_state(config, tmp_path)
  assert int(state.step) == 13
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))


def test_the_evidence_reproduces_the_failure(toy, tmp_path):
  config = toy(toy__infinity_at=13)
  with pytest.raises(failure.NonFiniteError):
    train(config, tmp_path)
  batch = dict(np.load(tmp_path / 'failure' / 'batch.npz'))
  task = toy_system.make_task(config, {})
  step = jax.jit(task.train_step)
  rows = {name: batch[name] for name in ('x', 'y')}
  _, metrics = step(saved_state(config, tmp_path), rows)
  assert not np.isfinite(metrics['loss'].total)
  _, metrics = step(saved_state(config, tmp_path), {**rows, 'y': np.zeros(8, np.float32)})
  assert np.isfinite(metrics['loss'].total)


def test_the_batch_is_the_one_the_step_saw(toy, tmp_path):
  config = toy(toy__infinity_at=6)
  with pytest.raises(failure.NonFiniteError):
    train(config, tmp_path)
  batch = np.load(tmp_path / 'failure' / 'batch.npz')
  data = toy_system.make_data(config)
  raw = next(data.batches(6, slice(0, 8)))
  np.testing.assert_array_equal(batch['row_index'], raw['index'])
  # Augmented with the keys of that step: close to the plain rows, and not equal.
  plain = data.arrays['x'][raw['index']]
  assert 0 < np.abs(batch['x'] - plain).max() < 0.1


def test_a_failure_before_any_checkpoint_says_so(toy, tmp_path):
  with pytest.raises(failure.NonFiniteError, match=r'step 2; .*no checkpoint was saved before'):
    train(toy(toy__infinity_at=1), tmp_path)
  assert (tmp_path / 'failure' / 'state').is_dir()


def test_training_goes_on_after_the_cause_is_gone(toy, tmp_path, monkeypatch):
  config = toy(toy__infinity_at=13)
  with pytest.raises(failure.NonFiniteError):
    train(config, tmp_path / 'a')
  real = toy_system.make_data

  def repaired(config):
    data = real(config)

    def batches(*args):
      for batch in data.batches(*args):
        yield {**batch, 'poison': np.zeros(8, np.float32)}

    return data._replace(batches=batches)

  monkeypatch.setattr(toy_system, 'make_data', repaired)
  train(config, tmp_path / 'a')
  train(config, tmp_path / 'b')
  a, b = (loading.load(tmp_path / name).variables for name in 'ab')
  assert_same(a, b)


@pytest.mark.parametrize('again', [True, False])
def test_where_single_steps_stay_finite_the_failing_call_is_repeated(
  toy, tmp_path, monkeypatch, again
):
  # Scanned and single steps round differently: here, single ones never fail, and calls the first time alone.
  real, made, replayed = dev.compile_steps, [], []

  def compile_steps(devices, task, example, num_steps, *args):
    call = real(devices, task, example, num_steps, *args)
    made.append(num_steps)

    def replay(state, arrays, batches):
      replayed.append((int(state.step), num_steps))
      if num_steps == 1 or not again:
        batches = {**batches, 'poison': jnp.zeros_like(batches['poison'])}
      return call(state, arrays, batches)

    return replay if len(made) > 1 else call

  monkeypatch.setattr(dev, 'compile_steps', compile_steps)
  config = toy(toy__infinity_at=14, save_every=24)
  with pytest.raises(failure.NonFiniteError, match='train/loss is not finite at step 15') as error:
    train(config, tmp_path)
  assert made == [4, 4, 1]  # up to the failing call by calls
  steps = [(0, 4), (4, 4), (8, 4), (12, 1), (13, 1), (14, 1), (15, 1), (12, 4)]
  assert replayed == steps
  assert ('was finite when these steps were repeated' in str(error.value)) != again
  told = json.loads((tmp_path / 'failure' / 'failure.json').read_text())
  assert told == {'step': 15, 'metric': 'train/loss', 'state_step': 12, 'came_again': again}
  assert int(saved_state(config, tmp_path).step) == 12


def test_a_parameter_that_is_not_finite_is_found_where_no_loss_is_and_a_report_ends_nothing(
  toy, tmp_path, monkeypatch
):
  real = toy_system.make_task

  def make_task(*args):
    task = real(*args)

    def train_step(state, batch):
      state, _ = task.train_step(state, batch)
      params = {'model': {**state.params['model']}}
      params['model']['b'] = jnp.where(state.step == 10, jnp.nan, params['model']['b'])
      metrics = {'steps': Mean.of(jnp.ones(8)), 'quality': Mean.of(jnp.full(8, jnp.inf))}
      return state.replace(params=params), metrics

    return task._replace(train_step=train_step, reports=('quality',))

  monkeypatch.setattr(toy_system, 'make_task', make_task)
  with pytest.raises(failure.NonFiniteError, match='params/model/b is not finite at step 10'):
    train(toy(), tmp_path)
  assert [x['train/quality'] for _, x in metric_lines(tmp_path)] == [None, None]


def test_every_floating_array_of_the_state_is_looked_at():
  def state(**parts):
    found = {'params': 1.0, 'opt_state': (3, 1.0), 'variables': 1.0, 'ema': 1.0} | parts
    arrays = {k: jax.tree.map(jnp.asarray, {'model': {'w': x}}) for k, x in found.items()}
    return TrainState(step=jnp.zeros((), jnp.int32), rng=jax.random.key(0), **arrays)

  finite = finite_of(state())
  assert finite and finite.first_bad() is None
  for name in ('params', 'variables', 'ema'):
    finite = finite_of(state(**{name: np.nan}))
    assert not finite and finite.first_bad() == f'{name}/model/w'
  assert finite_of(state(opt_state=(3, np.inf))).first_bad() == 'opt_state/model/w/1'


def test_the_exit_status_is_one_and_the_last_line_the_error(tmp_path):
  out, err = finish(start_toy(tmp_path, '--config.toy.infinity_at=9'), 1)
  assert 'looking for the cause' in err
  assert err.strip().splitlines()[-1].startswith('error: train/loss is not finite at step 10')
  assert 'Traceback' not in err + out


def test_a_signal_ends_the_search_and_does_not_save_the_bad_state(toy, tmp_path, monkeypatch):
  real = failure.investigate

  def interrupted(job, *args):
    job.signals.received = 15
    real(job, *args)

  monkeypatch.setattr(failure, 'investigate', interrupted)
  said = 'not finite at step 14; SIGTERM ended the search for the cause; step 12 is the last good'
  with pytest.raises(failure.NonFiniteError, match=said):
    train(toy(toy__infinity_at=13), tmp_path)
  assert steps_saved(tmp_path) == [8, 12] and not (tmp_path / 'failure').exists()


def test_the_real_task_names_the_step_too(tmp_path, monkeypatch):
  from jaxgen.systems.comvae import task as comvae_task

  real = comvae_task.make_task

  def make_task(*args):
    task = real(*args)

    def train_step(state, batch):
      bad = jnp.where(state.step == 6, jnp.inf, 0.0)
      return task.train_step(state, {'image': batch['image'] + bad})

    return task._replace(train_step=train_step)

  monkeypatch.setattr(comvae_task, 'make_task', make_task)
  config = comvae('vanilla')
  status = guarded(lambda: train(config, tmp_path))
  assert status == 1
  told = json.loads((tmp_path / 'failure' / 'failure.json').read_text())
  assert told['step'] == 7
  image = np.load(tmp_path / 'failure' / 'batch.npz')['image']
  assert image.shape == (8, 64) and image.max() <= 1


def test_the_first_bad_value_is_first_in_steps_then_in_names():
  def metrics(a, b):
    return {'a': Mean(np.array(a), np.ones(3)), 'b': Mean(np.array(b), np.ones(3))}

  nan, inf = np.nan, np.inf
  good, bad = (Finite(np.array([True, flag]), ('params/w', 'ema/w')) for flag in (True, False))
  assert failure.first_bad(metrics([1, 2, 3], [1, 2, 3]), good, 6) is None
  assert failure.first_bad(metrics([1, 2, nan], [1, inf, 3]), good, 6) == (8, 'train/b')
  assert failure.first_bad(metrics([1, 2, nan], [1, inf, 3]), good, 6, ('b',)) == (9, 'train/a')
  assert failure.first_bad(metrics([1, nan, 3], [1, inf, 3]), bad, 6) == (8, 'train/a')
  assert failure.first_bad(metrics([1, 2, 3], [1, inf, 3]), bad, 6, ('b',)) == (9, 'ema/w')
