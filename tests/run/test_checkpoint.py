"""Checkpoints: which are kept, damage, other devices, inference, a full disk."""

import asyncio
import errno
import gc
import json
import logging
import os
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from helpers import (
  assert_same,
  files,
  final_state,
  finish,
  metric_lines,
  quiet,
  start_toy,
  steps_saved,
  to_numpy,
  train,
)

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, ConfigError, UserError
from jaxgen.run import devices as dev
from jaxgen.run import inference, loading, metrics_log, seal
from jaxgen.run.checkpoint import Checkpoints

# TensorStore reports what a failed read has abandoned to whatever loop runs then.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


def data_files(workdir, step):
  """Files that hold the arrays of a checkpoint, largest first."""
  folder = workdir / 'checkpoints' / str(step) / 'state'
  found = [p for p in folder.rglob('*') if p.is_file() and 'd' in p.relative_to(folder).parts]
  return sorted(found, key=lambda p: -p.stat().st_size)


def truncate(workdir, step):
  for path in data_files(workdir, step):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_bits(workdir, step):
  for path in data_files(workdir, step):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def drop(workdir, step):
  shutil.rmtree(workdir / 'checkpoints' / str(step) / 'state')


def forge(workdir, step):
  """Another run's arrays, whole and in the right place: only the fingerprint tells."""
  other = workdir / 'checkpoints' / str(step - 4) / 'state'
  drop(workdir, step)
  shutil.copytree(other, workdir / 'checkpoints' / str(step) / 'state')


FACTS = {'steps_per_epoch': 8, 'shape': [3]}
DAMAGE = [truncate, flip_bits, drop, forge]


# Which are kept.


def test_the_last_k_are_kept(toy, copy_run, tmp_path):
  copy_run(tmp_path, checkpoint__keep=3)
  assert steps_saved(tmp_path) == [16, 20, 24]


@pytest.mark.parametrize('mode', ['min', 'max'])
def test_the_best_by_a_metric_is_kept_beside_the_last(toy, tmp_path, mode):
  config = toy(
    eval_every=4,
    num_steps=40,
    data__num_validation=16,
    checkpoint__keep=1,
    checkpoint__best='eval/loss',
    checkpoint__mode=mode,
    optim__learning_rate=0.9,
  )
  said = train(config, tmp_path)
  history = {step: x['eval/loss'] for step, x in metric_lines(tmp_path, 'eval/')}
  best = (min if mode == 'min' else max)(history, key=history.get)
  assert steps_saved(tmp_path) == sorted({best, 40})
  assert said[-1] == f'best by eval/loss: step {best} ({history[best]:.4g}); --step=best selects it'
  assert loading.load(tmp_path, 'best').step == best
  assert inference.evaluate(tmp_path, 'best', reporter=quiet())['step'] == best


def test_the_best_from_before_a_resume_is_not_forgotten(toy, tmp_path):
  options = {
    'eval_every': 4,
    'data__num_validation': 16,
    'checkpoint__keep': 1,
    'checkpoint__best': 'eval/loss',
    'checkpoint__mode': 'max',  # the loss falls: the first is the largest
  }
  train(toy(num_steps=12, **options), tmp_path)
  assert steps_saved(tmp_path) == [4, 12]
  train(toy(num_steps=24, **options), tmp_path)
  assert steps_saved(tmp_path) == [4, 24]


def test_an_evaluated_step_can_be_best_though_no_save_is_due(toy, tmp_path):
  config = toy(
    eval_every=4,
    save_every=24,
    data__num_validation=16,
    checkpoint__keep=1,
    checkpoint__best='eval/loss',
    checkpoint__mode='max',
  )
  train(config, tmp_path)
  history = {step: x['eval/loss'] for step, x in metric_lines(tmp_path, 'eval/')}
  assert steps_saved(tmp_path) == sorted({max(history, key=history.get), 24})


def test_an_evaluation_that_is_no_number_is_not_kept_as_the_best(toy, tmp_path):
  config = toy(checkpoint__keep=1, checkpoint__best='eval/loss', checkpoint__mode='min')
  devices = dev.make_devices('jit')
  task = configs.system_module(config).make_task(config, FACTS)
  state = dev.make_state(devices, task.init, 0)
  saved = Checkpoints(tmp_path, config, FACTS)
  for step, value in ((4, 2.0), (8, float('nan')), (12, 3.0), (16, -float('inf'))):
    saved.save(state, step, {'eval/loss': value})
  saved.wait()
  assert saved.best() == (4, 2.0) and steps_saved(tmp_path) == [4, 16]
  saved.close()


def test_best_is_refused_where_none_is_kept(toy, copy_run, tmp_path):
  copy_run(tmp_path, num_steps=8)
  with pytest.raises(CheckpointError, match=r'keeps no best checkpoint: config\.checkpoint\.best'):
    loading.load(tmp_path, 'best')


def test_a_best_metric_that_is_not_evaluated_is_named(toy, tmp_path):
  config = toy(eval_every=4, data__num_validation=16, checkpoint__best='eval/los')
  with pytest.raises(ConfigError, match=r"unknown evaluation metric 'eval/los'.*eval/loss"):
    train(config, tmp_path)


# Damage.


@pytest.mark.parametrize('damage', DAMAGE)
def test_a_damaged_newest_is_reported_moved_away_and_trained_again(
  toy, copy_run, tmp_path, caplog, damage
):
  copy_run(tmp_path / 'a', num_steps=16, checkpoint__keep=3)
  damage(tmp_path / 'a', 16)
  said = train(toy(checkpoint__keep=3), tmp_path / 'a')
  assert 'checkpoint 16 cannot be read' in caplog.text
  assert (tmp_path / 'a' / 'failure' / 'checkpoint-16').is_dir()
  assert any('at step 12' in line for line in said)
  copy_run(tmp_path / 'b', checkpoint__keep=3)
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  assert metric_lines(tmp_path / 'a') == metric_lines(tmp_path / 'b')


@pytest.mark.parametrize('damage', DAMAGE)
def test_inference_uses_the_one_before_a_damaged_one_and_moves_nothing(
  toy, copy_run, tmp_path, damage
):
  copy_run(tmp_path)
  expected = loading.load(tmp_path, 20).variables
  damage(tmp_path, 24)
  before = files(tmp_path)
  trained = loading.load(tmp_path)
  assert trained.step == 20
  assert_same(trained.variables, expected)
  with pytest.raises(CheckpointError, match=r'checkpoint 24 of .* cannot be read'):
    loading.load(tmp_path, 24)
  assert files(tmp_path) == before


def test_where_none_can_be_read_all_stay_and_no_run_starts_over(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  for step in (20, 24):
    truncate(tmp_path, step)
  before = files(tmp_path)
  for _ in range(2):
    with pytest.raises(
      CheckpointError, match=r'none of the checkpoints \[24, 20\] in .* can be read'
    ):
      train(toy(num_steps=32), tmp_path)
  with pytest.raises(CheckpointError, match=r'none of the checkpoints \[20, 24\]'):
    loading.load(tmp_path)
  assert files(tmp_path) == before


def test_what_a_killed_save_left_behind_is_no_checkpoint(toy, copy_run, tmp_path):
  copy_run(tmp_path, num_steps=16)
  left = tmp_path / 'checkpoints' / '20.orbax-checkpoint-tmp'
  shutil.copytree(tmp_path / 'checkpoints' / '16', left)
  assert loading.load(tmp_path).step == 16
  train(toy(), tmp_path)
  assert steps_saved(tmp_path) == [20, 24] and not left.exists()


def test_the_fingerprint_sees_a_bit_a_place_and_a_key():
  def tree(x, seed=0):
    return {'x': np.asarray(x), 'key': jax.random.key(seed), 'flag': np.array([True, False])}

  def fingerprint(t):
    return int(seal.fingerprint(t))

  x = np.arange(4, dtype=np.float32)
  base = fingerprint(tree(x))
  assert base == fingerprint(tree(x.copy()))
  assert base != fingerprint(tree(x[::-1]))
  assert base != fingerprint(tree(np.nextafter(x, 1.0)))
  assert base != fingerprint(tree(x, seed=1))
  assert base != fingerprint({**tree(x), 'flag': np.array([False, True])})
  replicated = jax.device_put(
    x,
    jax.NamedSharding(
      jax.make_mesh((8,), ('data',), axis_types=(jax.sharding.AxisType.Auto,)),
      jax.sharding.PartitionSpec(),
    ),
  )
  assert base == fingerprint({**tree(x), 'x': replicated})


def test_a_checkpoint_holds_config_facts_and_the_whole_state(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  step, config, facts = loading.read_items(tmp_path)
  assert step == 24 and config.optim.learning_rate == 0.1 and config.steps_per_call == 4
  assert facts == {'steps_per_epoch': 8, 'shape': [3]}
  state = final_state(tmp_path)
  assert int(state.step) == 24 and float(state.variables['model']['statistics']['mean'])
  assert int(jax.tree.leaves(state.opt_state)[0]) == 24


# Inference.


def test_load_gives_what_the_state_exports(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  trained = loading.load(str(tmp_path))
  state = final_state(tmp_path)
  assert_same(trained.variables['params'], state.params['model'])
  assert_same(trained.variables['statistics'], state.variables['model']['statistics'])


def test_an_unknown_step_is_named_beside_those_there_are(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  with pytest.raises(CheckpointError, match=r'no checkpoint of step 21; it has \[20, 24\]'):
    inference.evaluate(tmp_path, 21, reporter=quiet())
  with pytest.raises(CheckpointError, match='no checkpoint: train there first'):
    loading.load(tmp_path / 'nowhere')
  with pytest.raises(CheckpointError, match=r'is not a run: it has no config\.json'):
    inference.sample(tmp_path / 'nowhere', reporter=quiet())


def test_evaluate_and_sample_take_a_step_and_never_rewrite_config_json(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  config = (tmp_path / 'config.json').stat().st_mtime_ns
  kept = {p: x for p, x in files(tmp_path).items() if 'checkpoints' in p.parts}
  figures = inference.evaluate(tmp_path, 20, toy(eval__samples=7), quiet())
  assert figures['step'] == 20 and figures['samples'] == 7
  assert json.loads((tmp_path / 'evaluation.json').read_text()) == figures
  assert figures['train_last_epoch'].keys() == {'loss', 'mean_y'}
  inference.sample(tmp_path, 20, toy(), quiet())
  assert (tmp_path / 'samples' / 'weights_000020.png').is_file()
  assert (tmp_path / 'config.json').stat().st_mtime_ns == config
  assert kept == {p: x for p, x in files(tmp_path).items() if 'checkpoints' in p.parts}


def test_a_sample_that_has_no_picture_without_data_says_so(toy, copy_run, tmp_path, monkeypatch):
  copy_run(tmp_path, num_steps=4)
  monkeypatch.setattr(inference.results, 'draw', lambda *_: [])
  reporter = quiet()
  assert inference.sample(tmp_path, reporter=reporter) == []
  assert any('nothing drawn: all pictures of toy need data' in line for line in reporter.lines)


def test_an_evaluation_of_an_older_step_leaves_a_finished_run_finished(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  assert inference.evaluate(tmp_path, 20, reporter=quiet())['step'] == 20
  before = files(tmp_path)
  said = train(toy(), tmp_path)
  assert len(said) == 1 and 'finished at step 24: nothing to do' in said[0]
  assert files(tmp_path) == before
  (tmp_path / 'evaluation.json').unlink()
  train(toy(), tmp_path)
  assert json.loads((tmp_path / 'evaluation.json').read_text())['step'] == 24


def test_a_repeated_evaluation_is_bit_equal(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  assert inference.evaluate(tmp_path, reporter=quiet()) == inference.evaluate(
    tmp_path, reporter=quiet()
  )


def test_evaluate_refuses_a_config_of_another_model(toy, copy_run, tmp_path):
  copy_run(tmp_path)
  before = files(tmp_path)
  with pytest.raises(ConfigError, match=r'cannot be evaluated .*optim.learning_rate: 0.1 -> 0.3'):
    inference.evaluate(tmp_path, None, toy(optim__learning_rate=0.3), quiet())
  assert files(tmp_path) == before


# Other devices.


@pytest.mark.parametrize('before, after', [(8, 1), (1, 8)])
@pytest.mark.parametrize('parallel', ['jit', 'pmap'])
def test_a_run_goes_on_with_another_number_of_devices(
  toy, copy_run, tmp_path, monkeypatch, before, after, parallel
):
  devices = jax.devices()
  for count, num_steps in ((before, 12), (after, 24)):
    monkeypatch.setattr(jax, 'devices', lambda count=count: devices[:count])
    monkeypatch.setattr(jax, 'local_devices', lambda count=count: devices[:count])
    said = train(toy(num_steps=num_steps, parallel=parallel), tmp_path / 'a')
  assert any('at step 12' in line for line in said)
  copy_run(tmp_path / 'b')
  a, b = final_state(tmp_path / 'a'), final_state(tmp_path / 'b')
  for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-4)


# Disks.


def test_a_file_in_place_of_the_workdir_is_an_error_of_one_line(tmp_path):
  (tmp_path / 'run').write_text('')
  _, err = finish(start_toy(tmp_path / 'run'), 1)
  assert err.strip() == f'error: --workdir={tmp_path / "run"} is a file, not a folder'


def test_a_save_that_fails_is_told_and_leaves_the_last_good_one(toy, tmp_path):
  workdir = tmp_path / 'run'
  flags = ('--config.toy.features=50000',)
  finish(start_toy(workdir, *flags, '--config.num_steps=8'))
  assert steps_saved(workdir) == [4, 8]
  before = to_numpy(loading.load(workdir).variables)
  # The compiled programs are cached by now: only the checkpoint is too large.
  process = start_toy(workdir, *flags, before='ulimit -f 100')
  _, err = finish(process, 1)
  last = err.strip().splitlines()[-1]
  assert last.startswith('error: ') and 'File too large' in last
  assert f'could not be written to {workdir / "checkpoints"}' in last
  assert 'the last good one is step 8' in last
  assert 'Traceback' not in err
  assert steps_saved(workdir)[-1] == 8
  assert_same(to_numpy(loading.load(workdir).variables), before)
  said = train(toy(toy__features=50000), workdir)
  assert any('at step 8 ' in line for line in said) and steps_saved(workdir) == [20, 24]


def test_of_several_arrays_that_cannot_be_written_one_is_told(caplog):
  # Whether asyncio finds the errors of the others before the process ends is a matter of luck.
  async def left():
    of_orbax = ocp.StandardCheckpointHandler().async_save(None, None)
    for coroutine in (of_orbax, int_of('no number')):
      await asyncio.wait([asyncio.ensure_future(coroutine)])
    of_tensorstore = asyncio.get_running_loop().create_future()
    of_tensorstore.set_exception(ValueError('Error writing "w/0" in OCDBT database at local file'))
    del of_tensorstore

  async def int_of(text):
    return int(text)

  with caplog.at_level(logging.ERROR, 'asyncio'):
    asyncio.run(left())
    gc.collect()
  assert caplog.text.count('never retrieved') == 1 and 'no number' in caplog.text


def test_a_disk_that_is_full_for_the_log_is_told_with_the_last_good_step(
  toy, tmp_path, monkeypatch
):
  real = metrics_log.MetricsLog.write

  def write(self, step, *args, **more):
    if step == 16:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    real(self, step, *args, **more)

  monkeypatch.setattr(metrics_log.MetricsLog, 'write', write)
  expected = f'No space left on device: {tmp_path}; the last good checkpoint is step 12'
  with pytest.raises(UserError, match=expected):
    train(toy(), tmp_path)
  assert steps_saved(tmp_path) == [8, 12]
