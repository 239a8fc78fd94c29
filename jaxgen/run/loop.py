"""The one training loop: calls of S compiled steps, and what happens between them.

The loop dispatches call t before it reads the metrics of call t - 1, so the device never waits for the
host. Everything periodic happens at a multiple of S.
"""

import collections
import itertools
import time
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.evaluation import passes
from jaxgen.metrics import Metrics, averages, fold
from jaxgen.run import devices as dev
from jaxgen.run import failure, processes
from jaxgen.run.finite import Finite
from jaxgen.run.job import Job
from jaxgen.run.metrics_log import MetricsLog
from jaxgen.run.profiling import Profile
from jaxgen.run.stopping import Evaluations, out_of_patience, past_evaluations
from jaxgen.run.tools import check_stop
from jaxgen.task import Batch, Data, PyTree, TrainState, name_key
from jaxgen.terminal.bars import StepsBar
from jaxgen.terminal.signals import Stopped

PREFETCHED_CALLS = 2
RATE_SECONDS = 1.0


class _Pending(NamedTuple):
  """A dispatched call whose metrics are still on the device."""

  step: int  # after the call
  metrics: Metrics
  finite: Finite


def train(job: Job, state: TrainState, start: int) -> tuple[TrainState, int]:
  """Trains from `start` to config.num_steps, or until early stopping.

  Args:
    job: the job to run.
    state: the state at `start`; its buffers are donated.
    start: completed updates.

  Returns:
    The last state, which is saved, and its step.

  Raises:
    Stopped: a stop signal arrived; the state is saved.
    failure.NonFiniteError: a metric or the state is not finite.
    CheckpointError: a save failed.
  """
  evaluations = past_evaluations(job.workdir, start)
  # Only the first process writes the log; every process makes the same decisions.
  log = processes.together(lambda: MetricsLog(job.workdir, start, job.wandb), only_first=True)
  try:
    main = configs.system_module(job.config).EVAL_METRICS
    with job.reporter.steps(job.config.num_steps, start, main) as bar:
      return _Loop(job, log, bar, evaluations).run(state, start)
  finally:
    if log:
      log.close()


class _Loop:
  """One run of the loop: the state that lives between calls."""

  def __init__(self, job: Job, log: MetricsLog | None, bar: StepsBar, evaluations: Evaluations):
    self.job, self.log, self.bar = job, log, bar
    self.evaluations = evaluations
    self.calls = job.config.steps_per_call
    self.window: list[Metrics] = []
    self.pending: _Pending | None = None
    self.clock = _Clock()
    self.profile = Profile(job.workdir, job.profile_steps, job.reporter.say)
    self.evaluate = dev.compile_placed(job.devices, job.task.eval_step)

  def run(self, state: TrainState, step: int) -> tuple[TrainState, int]:
    job, config = self.job, self.job.config
    arrays = dev.replicate(job.devices, job.data.arrays)
    calls = dev.compile_stages(job.devices, job.task, job.data.example, self.calls)
    feed = call_batches(job.devices, job.data, config, step, self.calls)
    try:
      if self.owes_evaluation(step):
        self.between_calls(state, step)
      while step < config.num_steps and not out_of_patience(config, self.evaluations):
        self.begin_stage(step)
        state, (metrics, finite) = calls(step)(state, arrays, next(feed))
        step += self.calls
        self.consume()
        self.pending = _Pending(step, metrics, finite)
        self.bar.update(step)
        if self.profile.is_due(step):
          self.consume()
          with self.clock.paused():
            self.profile.end(step)
        self.between_calls(state, step)
    except Stopped:
      self.end(state, step)
      raise
    finally:
      self.profile.end(step)
    self.end(state, step)
    return state, step

  def begin_stage(self, step: int) -> None:
    """Logs the metrics of one curriculum stage before the next begins, whose metrics may differ."""
    if step in (first for first, _ in self.job.task.curriculum):
      self.consume()
      self.write_log(step)
      self.clock.stop()  # compiling the next one does not count as steps

  def owes_evaluation(self, step: int) -> bool:
    """Whether a stop signal interrupted the evaluation that was due at the step resumed from."""
    every = self.job.config.eval_every
    return step > 0 and every > 0 and step % every == 0 and step not in dict(self.evaluations)

  def end(self, state: TrainState, step: int) -> None:
    """Checks, logs and saves everything outstanding."""
    self.profile.end(step)
    self.consume()
    self.write_log(step)
    self.save(state, step, None)
    self.job.checkpoints.wait()

  def between_calls(self, state: TrainState, step: int) -> None:
    """Evaluates, saves, draws pictures and checks for a stop signal, each when due."""
    job, config = self.job, self.job.config
    periods = ('eval_every', 'save_every', 'picture_every')
    due = {key: bool(config[key]) and step % config[key] == 0 for key in periods}
    if any(due.values()):
      self.consume()
      if due['save_every']:  # a resume from here then logs the same windows
        self.write_log(step)
      with self.clock.paused():
        evaluated = self.run_evaluation(state, step) if due['eval_every'] else None
        if due['save_every'] or (evaluated and config.checkpoint.best):
          self.save(state, step, evaluated)
        if due['picture_every']:
          paths = job.draw(state, step)
          if job.wandb:
            job.wandb.pictures(step, paths)
    self.check_signals(step)

  def check_signals(self, step: int) -> None:
    # With several processes the check is a sync, so it is not made at every call.
    if jax.process_count() == 1 or step % self.job.config.log_every == 0:
      check_stop(self.job.signals)

  def consume(self) -> None:
    """Fetches the metrics of the last dispatched call, checks them, and logs them when due."""
    if self.pending is None:
      return
    job, pending, self.pending = self.job, self.pending, None
    metrics, finite = jax.device_get((pending.metrics, pending.finite))
    bad = failure.first_bad(metrics, finite, pending.step - self.calls, job.task.reports)
    if bad:
      job.checkpoints.wait()
      failure.investigate(job, pending.step - self.calls, self.calls, bad)
    self.window.append(metrics)
    self.clock.start(pending.step)
    if pending.step % job.config.log_every == 0:
      self.write_log(pending.step)

  def write_log(self, step: int) -> None:
    if not self.window:
      return
    steps = self.calls * len(self.window)
    values = averages(fold(*self.window), 'train/')
    rate = self.clock.rate(step)
    if rate is not None:
      values['steps_per_second'] = rate
      values['examples_per_second'] = rate * self.job.config.batch_size
    self.window = []
    if self.log:
      self.log.write(step, values, window=steps)
    self.bar.metrics(step, values)
    self.profile.begin(step)

  def run_evaluation(self, state: TrainState, step: int) -> dict[str, float]:
    """Metrics on the split used during training, see `periodic_split`."""
    job = self.job
    split = periodic_split(job.data.splits)
    values = evaluate_split(job, self.evaluate, job.task.export(state), split)
    values = {f'eval/{name}': x for name, x in values.items()}
    for name in (job.config.checkpoint.best, job.config.stop.metric):
      if name and name not in values:
        raise failure.missing_metric(name, values)
    self.evaluations.append((step, values))
    if self.log:
      self.log.write(step, values, eval_split=split)
    return values

  def save(self, state: TrainState, step: int, evaluated: dict[str, float] | None) -> None:
    metrics = evaluated if self.job.config.checkpoint.best else None
    self.job.checkpoints.save(state, step, metrics)


def periodic_split(splits: Container[str]) -> str:
  """The split for metrics during training: validation, else test, else train."""
  return next(name for name in ('validation', 'test', 'train') if name in splits)


def call_batches(
  devices: dev.Devices, data: Data, config: ConfigDict, step: int, num_steps: int
) -> Iterator[PyTree]:
  """Device batches for calls of `num_steps` steps from `step` on, prefetched to the devices."""
  rows = dev.process_rows(devices, config.batch_size)
  batches = data.batches(step, rows)
  ahead: collections.deque = collections.deque()
  while True:
    while len(ahead) < PREFETCHED_CALLS:
      ahead.append(dev.put_batches(devices, list(itertools.islice(batches, num_steps))))
    yield ahead.popleft()


def evaluate_split(
  job: Job, eval_step: Callable, variables: PyTree, split: str
) -> dict[str, float]:
  """Metrics over a whole split; every evaluation uses the same random draws.

  Args:
    job: the running job.
    eval_step: `Task.eval_step`, compiled.
    variables: exported variables.
    split: its name in `Data.splits`.
  """
  rows = job.tools.rows(job.config.eval.batch_size)
  key = name_key(job.tools.rng, split)

  def batches() -> Iterator[Batch]:
    for batch in job.data.splits[split].batches(rows):
      check_stop(job.signals)
      yield batch

  return averages(passes.folded(eval_step, variables, batches(), key))


class _Clock:
  """Measures steps per second, excluding compilation, evaluation and saves.

  It starts after the first call, which compiles. Rates are averaged over at least RATE_SECONDS: the host
  sees when it reads a result, not when the device produced it.
  """

  def __init__(self) -> None:
    self._lost = 0.0
    self.stop()

  def stop(self) -> None:
    self._began: float | None = None
    self._rate: float | None = None

  def start(self, step: int) -> None:
    """Starts the clock if it is not running."""
    if self._began is None:
      self._began, self._lost, self._step = time.monotonic(), 0.0, step

  def paused(self) -> '_Paused':
    return _Paused(self)

  def lose(self, seconds: float) -> None:
    self._lost += seconds

  def rate(self, step: int) -> float | None:
    """Steps per second; None if there is no step to measure yet."""
    if self._began is None or step == self._step:
      return self._rate
    spent = time.monotonic() - self._began - self._lost
    if spent >= RATE_SECONDS or self._rate is None:
      self._rate = (step - self._step) / max(spent, 1e-9)
    if spent >= RATE_SECONDS:
      self._began = None
      self.start(step)
    return self._rate


class _Paused:
  def __init__(self, clock: _Clock):
    self._clock = clock

  def __enter__(self) -> None:
    self._began = time.monotonic()

  def __exit__(self, *exc_info: Any) -> None:
    self._clock.lose(time.monotonic() - self._began)
