"""A run in a workdir: train or resume it, evaluate it, draw its samples. Behind launch.py and the CLI."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxgen import checkpoint, loop, results
from jaxgen import config as configs
from jaxgen import devices as dev
from jaxgen.data.folders import cache_folder
from jaxgen.errors import ConfigError, UserError
from jaxgen.report import Reporter
from jaxgen.signals import Stopped, StopSignals
from jaxgen.task import Task, Tools, Trained, TrainState, name_key
from jaxgen.workdir import (
  check_facts,
  make_workdir,
  refuse,
  refuse_imported,
  required_config,
  resolved,
  same_facts,
  saved_config,
  with_free,
  write_config,
)


class Opened(NamedTuple):
  """A trained run, ready for inference.

  Attributes:
    workdir: its folder.
    trained: config, facts, exported variables, step.
    task: pure functions.
    tools: lent by the host.
    reporter: talks to a person.
  """

  workdir: Path
  trained: Trained
  task: Task
  tools: Tools
  reporter: Reporter


def train(
  config: ConfigDict,
  workdir: Path,
  reporter: Reporter | None = None,
  resume_command: str = '',
) -> None:
  """Trains a run to its end: starts it, resumes it, or says that it is finished.

  Args:
    config: checked; `steps_per_call` 0 stands for auto.
    workdir: made where it is missing.
    reporter: by default one that is quiet on all processes but the first.
    resume_command: what to tell a person to type after a stop.

  Raises:
    Stopped: a stop signal arrived; everything is saved.
    UserError: the workdir belongs to another run, the data cannot be read, a value is not finite, a save
      failed.
  """
  reporter = reporter or Reporter(quiet=jax.process_index() > 0)
  refuse_imported(workdir)
  make_workdir(workdir)
  _prepare_precision(config)
  saved = saved_config(workdir)
  config = resolved(config, saved, workdir)
  with StopSignals() as signals:
    system = configs.system_module(config)
    devices = dev.make_devices(config.parallel)
    dev.process_rows(devices, config.batch_size)
    dev.evaluation_rows(devices, config.eval.batch_size)
    data = system.make_data(config)
    check_facts(workdir, data.facts)
    task = system.make_task(config, data.facts, devices.axis)
    tools = _tools(config, devices, reporter, signals, full=False)
    checkpoints = checkpoint.Checkpoints(
      workdir, config, data.facts, lambda state: dev.to_global(devices, state)
    )
    job = loop.Job(
      config,
      workdir,
      devices,
      task,
      data,
      tools,
      checkpoints,
      reporter,
      signals,
      draw=lambda state, step: results.draw(workdir, task, task.export(state), data, tools, step),
    )
    try:
      state, step = _start(job, saved is not None)
      if _finished(workdir, config, step):
        longer = '' if system.depends_on_num_steps(config) else 'Raise config.num_steps to go on. '
        reporter.say(
          f'{workdir} is finished at step {step}: nothing to do. '
          f'{longer}There are --mode=evaluate and --mode=sample.'
        )
        return
      write_config(workdir, config)
      state, step = loop.train(job, state, step)
      _finish(job, state, step)
    except Stopped as stop:
      saved_step = checkpoints.latest()
      reporter.say(
        f'stopped by {stop}; step {saved_step} is saved. To go on: {resume_command or "run again"}'
      )
      raise
    except OSError as error:  # a full disk; what saves raise is a CheckpointError already
      raise UserError(
        f'{error.strerror or error}: {error.filename or workdir}; '
        f'the last good checkpoint is step {checkpoints.latest()}'
      ) from error
    finally:
      checkpoints.close()


def _finished(workdir: Path, config: ConfigDict, step: int) -> bool:
  """Whether nothing is left to do: trained to the end or out of patience, and evaluated there."""
  ended = step >= config.num_steps or loop.out_of_patience(
    config, loop.past_evaluations(workdir, step)
  )
  return ended and results.evaluated_step(workdir) == step


def _start(job: loop.Job, resuming: bool) -> tuple[TrainState, int]:
  """The newest saved state, or a fresh one."""
  config = job.config
  began = time.monotonic()
  state = None
  if resuming:
    state = job.checkpoints.restore(job.abstract_state())
  if state is None:
    state = dev.make_state(job.devices, job.task.init, config.seed)
    count = sum(x.size for x in jax.tree.leaves(state.params))
    job.reporter.say(
      f'{config.system}: {count:,} parameters, batch {config.batch_size} on {job.devices.count} '
      f'device(s) by {config.parallel}, {config.steps_per_call} steps a call'
    )
    return state, 0
  step = int(state.step)
  if step % config.steps_per_call:
    raise UserError(f'step {step} is no multiple of config.steps_per_call: the run is damaged')
  if not _finished(job.workdir, config, step):
    job.reporter.say(f'resumed {job.workdir} at step {step} ({time.monotonic() - began:.1f} s)')
  return state, step


def _finish(job: loop.Job, state: TrainState, step: int) -> None:
  """The cheap figures, the pictures and the table at the end of training."""
  variables = job.task.export(state)
  figures = job.task.evaluate(variables, job.data, job.tools)
  results.write_evaluation(job.workdir, figures, step, job.data.facts, job.reporter)
  if None in figures.values():
    job.reporter.say(f'the figures that take longer: jaxgen evaluate {job.workdir}')
  paths = results.draw(job.workdir, job.task, variables, job.data, job.tools, step)
  results.say_paths(job.reporter, paths)


def with_overrides(workdir: Path, assignments: Iterable[str]) -> ConfigDict | None:
  """The config of a trained run with 'eval.sets=DIR' and the like, as `evaluate` takes it; None without any.

  Raises:
    ConfigError: not KEY=VALUE, an unknown key, one that evaluation cannot change, or a value of another type.
  """
  values: dict[str, str] = {}
  for text in assignments:
    key, equals, value = text.partition('=')
    key = key.removeprefix('--').removeprefix('config.')
    if not equals:
      raise ConfigError(f'{text!r} is not KEY=VALUE, as eval.batch_size=64')
    values[key] = value
  if not values:
    return None
  saved = required_config(workdir)
  return configs.overridden(saved, values, configs.EVALUATE_FREE)


def evaluate(
  workdir: Path, step: int | None = None, given: ConfigDict | None = None, reporter=None
) -> dict[str, Any]:
  """Computes every figure of a trained run and writes evaluation.json.

  Args:
    workdir: the run's folder.
    step: a saved step; the newest by default.
    given: the config as the user gives it now; eval.* and data.dir are taken from it.
    reporter: talks to a person.

  Returns:
    The contents of evaluation.json.
  """
  with _stoppable(reporter) as (reporter, signals):
    opened = open_run(workdir, step, given, reporter, signals)
    system = configs.system_module(opened.trained.config)
    data = None
    if not getattr(system, 'EVALUATES_WITHOUT_DATA', False):
      data = system.make_data(opened.trained.config)
      same_facts(opened.trained.facts, data.facts, workdir)
    figures = opened.task.evaluate(opened.trained.variables, data, opened.tools)
    return results.write_evaluation(
      workdir, figures, opened.trained.step, opened.trained.facts, opened.reporter
    )


def sample(
  workdir: Path, step: int | None = None, given: ConfigDict | None = None, reporter=None
) -> list[Path]:
  """Draws what needs no data into samples/ and returns the paths."""
  with _stoppable(reporter) as (reporter, signals):
    opened = open_run(workdir, step, given, reporter, signals)
    trained = opened.trained
    paths = results.draw(workdir, opened.task, trained.variables, None, opened.tools, trained.step)
    results.say_paths(opened.reporter, paths)
    return paths


@contextmanager
def _stoppable(reporter: Reporter | None) -> Iterator[tuple[Reporter, StopSignals]]:
  """A stop signal ends the evaluation of a trained run, and a person is told so."""
  reporter = reporter or Reporter(quiet=jax.process_index() > 0)
  with StopSignals() as signals:
    try:
      yield reporter, signals
    except Stopped as stop:
      reporter.say(f'stopped by {stop}; nothing was written. Run the same command to start over.')
      raise


def open_run(
  workdir: Path,
  step: int | None = None,
  given: ConfigDict | None = None,
  reporter: Reporter | None = None,
  signals: StopSignals | None = None,
) -> Opened:
  """Loads a trained run for inference; never writes.

  Raises:
    CheckpointError: nothing to load.
    ConfigError: `given` differs from the run in more than eval.* and data.dir.
  """
  reporter = reporter or Reporter(quiet=jax.process_index() > 0)
  saved = required_config(workdir)
  _prepare_precision(saved)
  trained = checkpoint.load(workdir, step)
  config = trained.config
  if given is not None:
    free = (*configs.RESUME_FREE, *configs.EVALUATE_FREE)
    free += ('num_steps', 'steps_per_call', 'init_from')  # of no use any more
    refuse(configs.differing(config, given, free), workdir, 'evaluated or sampled')
    config = with_free(config, given, configs.EVALUATE_FREE)
  devices = dev.make_devices(config.parallel)
  task = configs.system_module(config).make_task(config, trained.facts)
  tools = _tools(config, devices, reporter, signals or StopSignals(), full=True)
  variables = dev.replicate(devices, trained.variables)
  return Opened(
    workdir, trained._replace(config=config, variables=variables), task, tools, reporter
  )


def load(path: Path, step: int | None = None) -> Trained:
  """`checkpoint.load` in the precision of what is loaded."""
  saved = saved_config(path) if path.is_dir() else None
  if saved is not None:
    _prepare_precision(saved)
  trained = checkpoint.load(path, step)
  _prepare_precision(trained.config)
  return trained


def trained_asset(config: ConfigDict, reporter: Reporter) -> Trained:
  """Another run as an asset of this one: trained once in the cache, shared by all workdirs.

  Args:
    config: of the asset; it names a run in $JAXGEN_CACHE/runs/<system>-<hash>.
    reporter: says that it trains.
  """
  configs.check(config)
  facts = configs.system_module(config).make_data(config).facts
  name = f'{config.system}-{configs.digest(configs.to_json(config), facts)}'
  workdir = cache_folder() / 'runs' / name
  if results.evaluated_step(workdir) is None:
    reporter.say(f'training {name}, once, in {workdir}')
    train(config, workdir, reporter)
  return checkpoint.load(workdir)


def _prepare_precision(config: ConfigDict) -> None:
  if config.precision == 'float64':
    jax.config.update('jax_enable_x64', True)


def _tools(
  config: ConfigDict, devices: dev.Devices, reporter: Reporter, signals: StopSignals, full: bool
) -> Tools:
  def progress(items: Iterable, description: str) -> Iterator:
    return reporter.progress(items, description, check=lambda: loop.check_stop(signals))

  def compile_function(fn: Callable) -> Callable:
    return dev.compile_function(devices, fn)

  return Tools(
    compile=compile_function,
    rows=lambda batch_size: dev.evaluation_rows(devices, batch_size),
    progress=progress,
    trained=lambda other: trained_asset(other, reporter),
    rng=name_key(jax.random.key(config.seed), 'evaluate'),
    full=full,
  )
