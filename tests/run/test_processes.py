"""Several processes on this machine: they agree with one, resume, stop, fail and write once."""

import json
import shutil
import signal
import socket
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import toy_system
from helpers import (
  assert_close,
  comvae,
  environment,
  final_state,
  finish,
  metric_lines,
  override,
  start,
  steps_saved,
  tiny_flags,
  train,
)

from jaxgen.command import launcher
from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.run import processes, startup
from jaxgen.run.workdir import same_in_all_processes
from jaxgen.systems import SYSTEMS
from jaxgen.terminal.signals import Stopped

sys.path.insert(0, str(Path(__file__).parents[1] / 'data'))
from idx_files import write_set

pytestmark = pytest.mark.usefixtures('quick_compilation')

COMVAE = {
  'config': 'configs/comvae.py:vanilla',  # compiles soonest
  'script': 'launch.py',
}
TOY = {'config': 'tests/toy_system.py', 'script': 'tests/launch_toy.py'}


def free_port():
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


def start_job(workdir, *flags, program=TOY, num_processes=2, num_devices=2, own_flags=None, **env):
  """Starts the processes of one job; `own_flags` are those of each alone."""
  port = free_port()
  return [
    start(
      workdir,
      *flags,
      *(own_flags[i] if own_flags else []),
      f'--coordinator=127.0.0.1:{port}',
      f'--num_processes={num_processes}',
      f'--process_id={i}',
      env=environment(num_devices, **env),
      **program,
    )
    for i in range(num_processes)
  ]


def finish_job(processes, status=0):
  """Waits for all; [(stdout, stderr)]."""
  try:
    return [finish(process, status) for process in processes]
  finally:
    for process in processes:
      process.kill()


@pytest.fixture
def double():
  """float64 in this process, to compare float64 checkpoints."""
  jax.config.update('jax_enable_x64', True)


@pytest.mark.slow
def test_two_processes_agree_with_one_on_the_real_task_after_five_steps(tmp_path, double):
  flags = [
    *tiny_flags(num_steps=5, log_every=5, save_every=5, steps_per_call=5),
    '--config.precision=float64',
  ]
  finish_job(start_job(tmp_path / 'two', *flags, program=COMVAE))
  config = comvae(
    'vanilla', num_steps=5, log_every=5, save_every=5, steps_per_call=5, precision='float64'
  )
  train(config, tmp_path / 'one')
  assert_close(final_state(tmp_path / 'one'), final_state(tmp_path / 'two'), rtol=1e-9)
  one, two = (metric_lines(tmp_path / name) for name in ('one', 'two'))
  assert [step for step, _ in one] == [5]
  assert_close(one, two, rtol=1e-9)
  one, two = (json.loads((tmp_path / n / 'evaluation.json').read_text()) for n in ('one', 'two'))
  for key in ('reconstruction', 'latent_kl', 'weight_kl'):
    np.testing.assert_allclose(two[key], one[key], rtol=1e-6)
  assert two['num_examples'] == one['num_examples'] == 360


@pytest.fixture(scope='module')
def one_process(tmp_path_factory):
  """The toy run of one process."""
  workdir = tmp_path_factory.mktemp('one') / 'run'
  values = {'precision': 'float64', 'num_steps': 32, 'checkpoint__keep': 3}
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(SYSTEMS, 'toy', 'toy_system')
    train(override(toy_system.get_config(), values), workdir)
  return workdir


def test_jobs_agree_with_one_process_go_on_in_another_layout_and_are_resumed_by_one(
  toy, tmp_path, double, one_process
):
  flags = ('--config.precision=float64',)
  finish_job(start_job(tmp_path, *flags, '--config.parallel=pmap', '--config.num_steps=12'))
  assert steps_saved(tmp_path) == [8, 12]
  told = finish_job(start_job(tmp_path, *flags, '--config.parallel=jit'))
  assert 'at step 12 ' in told[0][0]
  assert 'step' not in told[1][0]  # only the first process talks; Gloo's lines may be torn
  assert steps_saved(tmp_path) == [20, 24]
  assert_close(final_state(one_process, 24), final_state(tmp_path), rtol=1e-9)
  assert_close(metric_lines(one_process)[:6], metric_lines(tmp_path), rtol=1e-9)
  assert len(list((tmp_path / 'tensorboard').iterdir())) == 2  # one process writes
  train(toy(precision='float64', num_steps=32), tmp_path)  # on its own
  assert_close(final_state(one_process), final_state(tmp_path), rtol=1e-9)


def test_a_job_goes_on_with_what_one_process_began_without_a_damaged_checkpoint(
  tmp_path, one_process
):
  workdir = tmp_path / 'run'
  shutil.copytree(one_process, workdir)
  shutil.rmtree(workdir / 'checkpoints' / '32' / 'state')
  flags = ('--config.precision=float64', '--config.parallel=pmap', '--config.num_steps=36')
  told = finish_job(start_job(workdir, *flags))
  assert 'at step 28 ' in told[0][0] and 'checkpoint 32 cannot be read' in told[0][1]
  assert (workdir / 'failure' / 'checkpoint-32').is_dir()
  assert steps_saved(workdir) == [32, 36]
  told = finish_job(start_job(workdir, *flags))
  assert 'nothing to do' in told[0][0]


def test_processes_with_different_configs_are_refused_before_a_step(tmp_path):
  processes = start_job(tmp_path, own_flags=[['--config.seed=0'], ['--config.seed=1']])
  told = finish_job(processes, status=2)
  for _, err in told:
    assert 'config.seed: 0 in process 0, 1 in 1' in err and 'Traceback' not in err
  assert not (tmp_path / 'checkpoints').exists()


def test_facts_and_configs_of_processes_are_compared_by_name(toy, tmp_path, monkeypatch):
  config = toy()
  same_in_all_processes(config, {'classes': 3})

  def two(other):
    monkeypatch.setattr(processes, 'gather_texts', lambda text: [text, text.replace(*other)])

  two(('"fact classes": 3', '"fact classes": 4'))
  with pytest.raises(ConfigError, match='fact classes: 3 in process 0, 4 in 1'):
    same_in_all_processes(config, {'classes': 3})
  two(('"config.seed": 0', '"config.seed": 7'))
  with pytest.raises(ConfigError, match=r'config\.seed: 0 in process 0, 7 in 1'):
    same_in_all_processes(config)
  monkeypatch.setattr(processes, 'gather_texts', lambda text: [text, text])
  same_in_all_processes(config, {'classes': 3})
  own = {'data.dir', 'data.num_threads'}
  said = []
  monkeypatch.setattr(processes, 'gather_texts', lambda text: said.append(text) or [text])
  same_in_all_processes(config)
  assert not own & {key.removeprefix('config.') for key in json.loads(said[0])}


def test_what_fails_in_one_process_fails_in_all(monkeypatch):
  def fail():
    raise DataError('no such folder')

  assert processes.together(lambda: 3) == 3
  with pytest.raises(DataError, match='no such folder'):
    processes.together(fail)
  monkeypatch.setattr(processes, 'gather_texts', lambda text: [text, 'no such folder'])
  with pytest.raises(UserError, match='process 1 of this job failed: no such folder'):
    processes.together(lambda: 3)
  monkeypatch.setattr(processes, 'is_first_process', lambda: False)
  monkeypatch.setattr(processes, 'gather_texts', lambda text: ['', text])
  assert processes.together(fail, only_first=True) is None


def test_data_that_one_host_lacks_ends_the_job_before_a_step(tmp_path):
  flags = ['--config.model.num_hidden=8', '--config.num_steps=8']
  write_set(tmp_path / 'data' / 'mnist', sizes=(64, 16))
  own = [['--config.data.dir='], [f'--config.data.dir={tmp_path / "nowhere"}']]
  program = {**COMVAE, 'config': 'configs/comvae.py:mnist_vanilla'}
  told = finish_job(
    start_job(
      tmp_path / 'run',
      *flags,
      program=program,
      own_flags=own,
      JAXGEN_DATA=str(tmp_path / 'data'),
    ),
    status=1,
  )
  assert 'process 1 of this job failed: mnist: config.data.dir' in told[0][1]
  assert 'nowhere' in told[1][1]
  assert not (tmp_path / 'run' / 'checkpoints').exists()


def test_a_value_that_is_not_finite_stops_all_processes(tmp_path):
  flags = ('--config.parallel=pmap', '--config.toy.infinity_at=13')
  told = finish_job(start_job(tmp_path, *flags), status=1)
  for _, err in told:
    assert 'train/loss is not finite at step 14' in err
  assert steps_saved(tmp_path) == [8, 12]
  assert np.load(tmp_path / 'failure' / 'batch.npz')['x'].shape == (4, 3)
  assert (tmp_path / 'failure' / 'state').is_dir()


def test_an_error_in_one_process_ends_all_that_wait_for_it(tmp_path):
  told = finish_job(start_job(tmp_path, '--config.toy.unread_at=13'), status=1)
  why = 'Input/output error: rows; the last good checkpoint is step 8'
  assert told[0][1].splitlines()[-1] == f'error: {why}'
  assert told[1][1].splitlines()[-1] == f'error: process 0 of this job failed: {why}'
  assert not any('Traceback' in err or 'stack trace' in err for _, err in told)
  assert steps_saved(tmp_path) == [4, 8]


@pytest.mark.parametrize(
  ('error', 'status', 'why'),
  [
    (ConfigError('no such key'), 2, 'no such key'),
    (RuntimeError('a bug'), 1, 'a bug'),
    (
      jax.errors.JaxRuntimeError('UNKNOWN: Gloo all-reduce failed'),
      1,
      'another process of this job has ended: UNKNOWN: Gloo all-reduce failed',
    ),
    (Stopped(signal.SIGTERM), 143, None),
    (None, 0, None),
  ],
)
def test_what_fails_in_a_process_of_several_is_told_to_the_others(
  monkeypatch, capsys, error, status, why
):
  left = []
  monkeypatch.setattr(processes, 'watch', lambda: None)
  monkeypatch.setattr(processes, 'leave', lambda *args: left.append(args))

  def work():
    if error:
      raise error

  assert launcher._one_of_several(work) == status
  assert left == ([(status, why)] if why else [])
  assert ('Traceback' in capsys.readouterr().err) == (type(error) is RuntimeError)


def test_a_signal_to_one_process_stops_all_and_saves_once(toy, tmp_path):
  processes = start_job(tmp_path, '--config.num_steps=400000', '--config.save_every=100000')
  for line in processes[0].stdout:
    if 'parameters' in line:
      processes[1].send_signal(signal.SIGTERM)
      break
  told = finish_job(processes, 128 + signal.SIGTERM)
  [step] = steps_saved(tmp_path)
  assert f'step {step} is saved' in told[0][0]
  assert step % 4 == 0


def test_evaluate_mode_runs_in_a_job(toy, tmp_path, one_process):
  shutil.copytree(one_process, tmp_path / 'run')
  path = tmp_path / 'run' / 'evaluation.json'
  alone = json.loads(path.read_text())
  flags = ('--config.precision=float64', '--config.num_steps=32')
  finish_job(start_job(tmp_path / 'run', '--mode=evaluate', *flags))
  together = json.loads(path.read_text())
  assert together.pop('samples') == 1 and alone.pop('samples') is None
  np.testing.assert_allclose(together.pop('loss'), alone.pop('loss'), rtol=1e-6)
  assert together == alone


@pytest.mark.parametrize(
  'flags',
  [
    {'coordinator': 'localhost:1'},
    {'coordinator': 'localhost:1', 'num_processes': 2},
    {'num_processes': 2, 'process_id': 0},
    {'process_id': 0},
  ],
)
def test_the_three_flags_come_together_or_not_at_all(flags, monkeypatch):
  monkeypatch.setattr(jax.distributed, 'initialize', None)  # would fail if it were called
  missing = {'coordinator', 'num_processes', 'process_id'} - flags.keys()
  with pytest.raises(ConfigError, match='several processes need all of') as error:
    startup.initialize(**flags)
  assert all(f'--{name}' in str(error.value).split('add')[1] for name in missing)


def test_auto_and_explicit_flags_exclude_each_other(monkeypatch):
  monkeypatch.setattr(jax.distributed, 'initialize', None)
  with pytest.raises(ConfigError, match='--distributed=auto detects the processes itself'):
    startup.initialize('localhost:1', 2, 0, auto=True)


def test_nothing_is_initialised_without_flags(monkeypatch):
  calls = []
  monkeypatch.setattr(jax.distributed, 'initialize', lambda *args: calls.append(args))
  startup.initialize()
  assert calls == []
  startup.initialize(auto=True)
  startup.initialize('localhost:1', 2, 0)
  assert calls == [(), ('localhost:1', 2, 0)]
