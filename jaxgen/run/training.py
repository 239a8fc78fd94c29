"""Training a run in its folder: starting, resuming and finishing it."""

import time
from pathlib import Path

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.folders import cache_folder
from jaxgen.errors import UserError
from jaxgen.run import checkpoint, loop, results, stopping
from jaxgen.run import devices as dev
from jaxgen.run.job import Job
from jaxgen.run.tools import make_tools, prepare_precision
from jaxgen.run.workdir import (
  check_facts,
  make_workdir,
  refuse_imported,
  resolved,
  saved_config,
  write_config,
)
from jaxgen.task import Trained, TrainState
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import Stopped, StopSignals


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
  prepare_precision(config)
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
    tools = make_tools(
      config, devices, reporter, signals, lambda other: trained_asset(other, reporter), full=False
    )
    checkpoints = checkpoint.Checkpoints(
      workdir, config, data.facts, lambda state: dev.to_global(devices, state)
    )
    job = Job(
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
  ended = step >= config.num_steps or stopping.out_of_patience(
    config, stopping.past_evaluations(workdir, step)
  )
  return ended and results.evaluated_step(workdir) == step


def _start(job: Job, resuming: bool) -> tuple[TrainState, int]:
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


def _finish(job: Job, state: TrainState, step: int) -> None:
  """The cheap figures, the pictures and the table at the end of training."""
  variables = job.task.export(state)
  figures = job.task.evaluate(variables, job.data, job.tools)
  results.write_evaluation(job.workdir, figures, step, job.data.facts, job.reporter)
  if None in figures.values():
    job.reporter.say(f'the figures that take longer: jaxgen evaluate {job.workdir}')
  paths = results.draw(job.workdir, job.task, variables, job.data, job.tools, step)
  results.say_paths(job.reporter, paths)


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
