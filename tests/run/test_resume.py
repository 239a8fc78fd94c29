"""Kill -9 at any moment, and stop signals: a resumed run ends where an uninterrupted one does, bit for bit."""

import contextlib
import itertools
import json
import random
import signal
import subprocess
import sys
from typing import NamedTuple

import pytest
import toy_system
from helpers import (
  ROOT,
  assert_same,
  environment,
  files,
  final_state,
  finish,
  metric_lines,
  quiet,
  start,
  steps_saved,
  tiny_flags,
  train,
)

from jaxgen.command.exits import guarded
from jaxgen.run import inference, training
from jaxgen.run.metrics_log import read_metrics
from jaxgen.terminal.signals import Stopped, StopSignals

# Where a process is killed: at a line of metrics.jsonl, or after a while, whatever it does then.
NUM_LINES = 12
MAX_SECONDS = 8.0


class Training(NamedTuple):
  """What a process is started with."""

  script: str
  config: str
  flags: list[str]

  def start(self, workdir, **options):
    return start(workdir, *self.flags, script=self.script, config=self.config, **options)


def periods(num_steps):
  return {'num_steps': num_steps, 'eval_every': 40, 'save_every': 20, 'log_every': 20}


TOY = Training(
  'tests/launch_toy.py',
  'tests/toy_system.py',
  [f'--config.{key}={value}' for key, value in periods(400).items()],
)
COMVAE = Training('launch.py', 'configs/comvae.py:no_latent_dbnn', tiny_flags(**periods(200)))


def trained(training, tmp_path_factory):
  workdir = tmp_path_factory.mktemp('uninterrupted') / 'run'
  finish(training.start(workdir))
  last = steps_saved(workdir)[-1]
  assert steps_saved(workdir) == [last - 20, last]
  return workdir


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  workdir = trained(TOY, tmp_path_factory)
  assert steps_saved(workdir) == [380, 400]
  return workdir


@pytest.fixture(scope='module')
def uninterrupted_comvae(tmp_path_factory):
  return trained(COMVAE, tmp_path_factory)


def kill_at(process, workdir, rng):
  """Kills a process at a drawn moment; whether it was still alive then."""
  lines, seconds = rng.randint(0, NUM_LINES), rng.uniform(0, 0.2)
  known = len(read_metrics(workdir))
  if rng.random() < 0.3:
    lines, seconds = 0, rng.uniform(0, MAX_SECONDS)
  while process.poll() is None and len(read_metrics(workdir)) - known < lines:
    wait(process, 0.005)
  wait(process, seconds)
  process.kill()
  return process.wait() == -signal.SIGKILL


def wait(process, seconds):
  """Waits for a process, but not longer."""
  with contextlib.suppress(subprocess.TimeoutExpired):
    process.wait(timeout=seconds)


def train_through_kills(training, folder, rng, num_kills, reference):
  """Trains run after run through `num_kills` kills in all; every run must end as the reference did."""
  kills = runs = 0
  while kills < num_kills:
    workdir, ended = folder / f'run{runs}', False
    while not ended and kills < num_kills:
      process = training.start(workdir, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
      ended = not kill_at(process, workdir, rng)
      kills += not ended
    finish(training.start(workdir))
    check_equal(workdir, reference)
    runs += 1


def check_equal(workdir, uninterrupted):
  assert_same(final_state(workdir), final_state(uninterrupted))
  for prefix in ('train/', 'eval/'):
    assert metric_lines(workdir, prefix) == metric_lines(uninterrupted, prefix)
  ours, theirs = (json.loads((w / 'evaluation.json').read_text()) for w in (workdir, uninterrupted))
  assert ours == theirs


def test_killed_and_resumed_training_equals_uninterrupted_training(toy, tmp_path, uninterrupted):
  train_through_kills(TOY, tmp_path, random.Random(0), 2, uninterrupted)


@pytest.mark.slow
def test_a_hundred_kills_change_nothing(tmp_path, uninterrupted_comvae):
  train_through_kills(COMVAE, tmp_path, random.Random(1), 100, uninterrupted_comvae)


# Stop signals.


def stop_at_line(process, text, signum):
  """Sends a signal when the process prints a line with `text`."""
  for line in process.stdout:
    if text in line:
      process.send_signal(signum)
      return line
  raise AssertionError(f'it never said {text!r}:\n{process.stderr.read()}')


def finish_stopped(process, signum):
  """Waits for a stopped process; everything it said after the signal."""
  out, err = finish(process, 128 + signum)
  assert 'Traceback' not in err
  return out


# SIGTERM, below in this process and in test_processes.py in another, is not another path.
@pytest.mark.parametrize(
  'signum', [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_stop_signal_in_training_saves_and_resumes_bit_equal(
  toy, tmp_path, uninterrupted, signum
):
  process = TOY.start(tmp_path / 'run')
  stop_at_line(process, 'parameters', signum)
  said = finish_stopped(process, signum)
  assert f'stopped by {signal.Signals(signum).name}' in said
  assert f'python {ROOT / TOY.script} --config={TOY.config}' in said
  *periodic, step = steps_saved(tmp_path / 'run')
  assert f'step {step} is saved' in said and step < 400
  assert len(periodic) <= 1 and not any(saved % 20 for saved in periodic)
  out, _ = finish(TOY.start(tmp_path / 'run'))
  assert f'at step {step} ' in out
  assert_same(final_state(tmp_path / 'run'), final_state(uninterrupted))


def stop_in_hook(name, after=0):
  """A hook that sends this process SIGTERM the (after + 1)-th time it is called."""
  calls = itertools.count()

  def hook(*_):
    if next(calls) == after:
      signal.raise_signal(signal.SIGTERM)

  toy_system.HOOKS[name] = hook


def train_to_stop(config, workdir):
  """Trains until a stop signal; what was said."""
  reporter = quiet()
  with pytest.raises(Stopped) as stopped:
    training.train(config, workdir, reporter, 'the same command')
  assert stopped.value.signum == signal.SIGTERM
  assert 'To continue: the same command' in reporter.lines[-1]
  return reporter.lines


def test_a_signal_between_calls_finishes_the_call(toy, tmp_path):
  stop_in_hook('batch', after=9)
  said = train_to_stop(toy(), tmp_path / 'a')
  assert steps_saved(tmp_path / 'a')[-1] % 4 == 0
  assert f'step {steps_saved(tmp_path / "a")[-1]} is saved' in said[-1]
  train(toy(), tmp_path / 'a')
  train(toy(), tmp_path / 'b')
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  assert metric_lines(tmp_path / 'a') == metric_lines(tmp_path / 'b')


def test_a_stop_between_logged_lines_leaves_windows_that_tile_the_epoch(toy, tmp_path):
  config = toy(log_every=8, steps_per_call=2, save_every=8)
  stop_in_hook('batch', after=14)
  train_to_stop(config, tmp_path)
  [step] = steps_saved(tmp_path)[-1:]
  assert step % 8
  train(config, tmp_path)
  windows = [(x['step'], x['window']) for x in read_metrics(tmp_path) if 'window' in x]
  assert sum(w for _, w in windows) == 24
  assert (step, step % 8) in windows
  assert json.loads((tmp_path / 'evaluation.json').read_text())['train_last_epoch']


def test_an_evaluation_in_training_cut_by_a_signal_is_made_up_for(toy, tmp_path):
  config = toy(
    eval_every=8, data__num_validation=16, checkpoint__best='eval/loss', checkpoint__keep=9
  )
  stop_in_hook('eval_batch')
  train_to_stop(config, tmp_path / 'a')
  assert steps_saved(tmp_path / 'a') == [4, 8]
  assert not metric_lines(tmp_path / 'a', 'eval/')
  train(config, tmp_path / 'a')
  train(config, tmp_path / 'b')
  for prefix in ('train/', 'eval/'):
    assert metric_lines(tmp_path / 'a', prefix) == metric_lines(tmp_path / 'b', prefix)
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  best = tmp_path / 'a' / 'checkpoints' / '8' / 'metrics'
  assert best.exists()  # saved again, with what the best is judged by


def test_a_signal_in_the_last_evaluation_leaves_a_finished_training(toy, tmp_path):
  stop_in_hook('evaluate')
  train_to_stop(toy(), tmp_path)
  assert not (tmp_path / 'evaluation.json').exists()
  before = final_state(tmp_path)
  train(toy(), tmp_path)
  assert (tmp_path / 'evaluation.json').exists()
  assert_same(final_state(tmp_path), before)


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_evaluate_mode_writes_nothing_says_so_and_sets_the_status(
  toy, tmp_path, signum
):
  train(toy(), tmp_path)
  before = files(tmp_path)
  toy_system.HOOKS['evaluate'] = lambda: signal.raise_signal(signum)
  reporter = quiet()
  status = guarded(lambda: inference.evaluate(tmp_path, reporter=reporter))
  assert status == 128 + signum
  assert f'stopped by {signal.Signals(signum).name}; nothing was written' in reporter.lines[-1]
  assert files(tmp_path) == before


def test_a_second_signal_ends_the_process_at_once(tmp_path):
  code = (
    'import signal; from jaxgen.terminal.signals import StopSignals\n'
    'with StopSignals() as s:\n'
    '  signal.raise_signal(signal.SIGINT); assert s.received == signal.SIGINT\n'
    '  signal.raise_signal(signal.SIGTERM); print("never")'
  )
  done = subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True)
  assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b'')


def test_the_handlers_before_are_put_back():
  before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
  with StopSignals():
    assert signal.getsignal(signal.SIGTERM) != before[0]
  assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
