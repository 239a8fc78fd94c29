"""Training a run in its folder: starting, resuming and finishing it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.data.folders import cache_folder
from jaxgen.errors import UserError
from jaxgen.run import devices as dev
from jaxgen.run import loading, lock, loop, processes, results, stopping, wandb_log
from jaxgen.run.checkpoint import Checkpoints
from jaxgen.run.job import Job
from jaxgen.run.tools import check_stop, make_tools, prepare_precision
from jaxgen.run.workdir import (
  check_facts,
  make_workdir,
  refuse_imported,
  resolved,
  same_in_all_processes,
  saved_config,
  write_config,
)
from jaxgen.task import Trained, TrainState
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import Stopped, StopSignals
from jaxgen.words import counted


def train(
  config: ConfigDict,
  workdir: Path,
  reporter: Reporter | None = None,
  resume_command: str = '',
  wandb: wandb_log.Wanted | None = None,
  profile_steps: int = 0,
) -> None:
  """Trains a run to its end: starts it, resumes it, or reports that it is finished.

  Args:
    config: already checked; `steps_per_call` 0 means auto.
    workdir: created if missing.
    reporter: by default one that is quiet on all processes but the first.
    resume_command: the command to show the user after a stop.
    wandb: how to log to W&B as well; None: not at all.
    profile_steps: number of steps to trace to `profile/`.

  Raises:
    Stopped: a stop signal arrived; everything is saved.
    UserError: the workdir belongs to another run or is in use, the processes of a job differ, the data
      cannot be read, a value is not finite, or a save failed.
  """
  reporter = reporter or Reporter(quiet=not processes.is_first_process())
  refuse_imported(workdir)
  make_workdir(workdir)
  with StopSignals() as signals, lock.exclusive(workdir):
    try:
      devices = dev.make_devices(config.parallel)
      _train(config, workdir, reporter, signals, devices, wandb, profile_steps)
    except Stopped as stop:
      saved = loading.saved_steps(workdir)
      kept = f'step {saved[-1]} is saved' if saved else 'nothing is saved yet'
      reporter.say(f'stopped by {stop}; {kept}. To continue: {resume_command or "run again"}')
      raise


def trained_asset(
  config: ConfigDict, reporter: Reporter, signals: StopSignals | None = None
) -> Trained:
  """Another run as an asset of this one: trained once in the cache, shared by all workdirs.

  If another job is already training it, this one waits. It is trained on as many devices as can share its
  batch: a user who is training something else cannot be asked to change its batch size.

  Args:
    config: the asset's config; it names a run in $JAXGEN_CACHE/runs/<system>-<hash>.
    reporter: reports that it is training or waiting.
    signals: those of the run that needs it, if it listens to any.

  Raises:
    UserError: the processes of this job do not share $JAXGEN_CACHE.
    Stopped: a stop signal arrived; its training so far is saved.
  """
  signals = signals or StopSignals()
  configs.check(config)
  facts = processes.together(lambda: configs.system_module(config).make_data(config)).facts
  name = f'{config.system}-{configs.digest(saved_configs.identity(config), facts)}'
  workdir = cache_folder() / 'runs' / name
  if not processes.from_first_process(results.has_ended(workdir, config.num_steps)):
    make_workdir(workdir)
    processes.together(lambda: _check_shared(workdir))
    with lock.exclusive(workdir, wait=reporter.say, check=lambda: check_stop(signals)):
      if not processes.from_first_process(results.has_ended(workdir, config.num_steps)):
        reporter.say(f'training {name}, once, in {workdir}')
        devices = dev.dividing_devices(config.parallel, config.batch_size)
        _train(config, workdir, reporter, signals, devices)
  return loading.load(workdir)


def _check_shared(workdir: Path) -> None:
  """Raises UserError if this process does not see what the first one created in the cache."""
  if not workdir.is_dir():
    raise UserError(f'{workdir} does not exist: the processes of a job must share $JAXGEN_CACHE')


def _train(
  config: ConfigDict,
  workdir: Path,
  reporter: Reporter,
  signals: StopSignals,
  devices: dev.Devices,
  wandb: wandb_log.Wanted | None = None,
  profile_steps: int = 0,
) -> None:
  """`train` in a folder that this job has locked, on given devices."""
  prepare_precision(config)
  same_in_all_processes(config)
  saved = saved_config(workdir)
  config = resolved(config, saved, workdir)
  job = _make_job(config, workdir, reporter, signals, devices)
  try:
    state, step = _start(job, saved is not None)
    if _is_finished(job, step):
      _say_finished(job, step)
      return
    processes.together(lambda: write_config(workdir, config))
    with _logged(workdir, config, wandb) as log:
      job = job._replace(wandb=log, profile_steps=profile_steps)
      state, step = loop.train(job, state, step)
      _finish(job, state, step)
  except OSError as error:  # a full disk; failing saves already raise CheckpointError
    raise UserError(
      f'{error.strerror or error}: {error.filename or workdir}; '
      f'the last good checkpoint is step {job.checkpoints.latest()}'
    ) from error
  finally:
    job.checkpoints.close()


@contextmanager
def _logged(
  workdir: Path, config: ConfigDict, wanted: wandb_log.Wanted | None
) -> Iterator[wandb_log.WandbLog | None]:
  """The W&B log for the duration of training, in the first process; None if not requested."""
  if wanted is None:
    yield None
    return

  def start() -> wandb_log.WandbLog:
    return wandb_log.WandbLog(workdir, config, wanted)

  log, finished = processes.together(start, only_first=True), False
  try:
    yield log
    finished = True
  finally:
    if log:
      log.close(finished)


def _make_job(
  config: ConfigDict,
  workdir: Path,
  reporter: Reporter,
  signals: StopSignals,
  devices: dev.Devices,
) -> Job:
  """Devices, data, task and checkpoints of a run; whatever can be rejected is rejected here."""
  system = configs.system_module(config)
  dev.process_rows(devices, config.batch_size)
  dev.evaluation_rows(devices, config.eval.batch_size)
  # A run that goes on needs its initial weights no more.
  wanted = saved_configs.for_inference(config) if loading.saved_steps(workdir) else config
  data = processes.together(lambda: system.make_data(wanted))
  same_in_all_processes(config, data.facts)
  check_facts(workdir, data.facts)
  task = system.make_task(config, data.facts, devices.axis)
  tools = make_tools(
    config,
    devices,
    reporter,
    signals,
    lambda other: trained_asset(other, reporter, signals),
    full=False,
  )
  checkpoints = Checkpoints(
    workdir, config, data.facts, lambda state: dev.to_global(devices, state)
  )

  def draw(state: TrainState, step: int) -> list[Path]:
    return results.draw(workdir, task, task.export(state), data, tools, step)

  return Job(config, workdir, devices, task, data, tools, checkpoints, reporter, signals, draw=draw)


def _ended(job: Job, step: int) -> str:
  """Why training ends at a step; '' if it continues."""
  if step >= job.config.num_steps:
    return 'config.num_steps is reached'
  return stopping.out_of_patience(job.config, stopping.past_evaluations(job.workdir, step))


def _is_finished(job: Job, step: int) -> bool:
  """Whether nothing is left to do: training has ended and been evaluated at this step."""
  done = bool(_ended(job, step)) and results.is_finished(job.workdir, step)
  return bool(processes.from_first_process(done))


def _say_finished(job: Job, step: int) -> None:
  """Tells the user what they can do with a finished run."""
  config = job.config
  more = '' if _depends_on_num_steps(config) else 'Raise config.num_steps to continue. '
  if step < config.num_steps:
    more = f'It stopped early: {_ended(job, step)}. Raise config.stop.patience to continue. '
  job.reporter.say(
    f'{job.workdir} is finished at step {step}: nothing to do. '
    f'{more}Use --mode=evaluate or --mode=sample.'
  )


def _depends_on_num_steps(config: ConfigDict) -> bool:
  return configs.system_module(config).depends_on_num_steps(config)


def _start(job: Job, resuming: bool) -> tuple[TrainState, int]:
  """The newest saved state, or a fresh one; all processes start at the same step."""
  config = job.config
  began = time.monotonic()
  state = None
  if resuming:
    state = job.checkpoints.restore(job.abstract_state())
  if state is None:
    state = dev.make_state(job.devices, job.task.init, config.seed)
    count = sum(x.size for x in jax.tree.leaves(state.params))
    job.reporter.say(
      f'{config.system}: {counted(count, "parameter")}, batch {config.batch_size} on '
      f'{counted(job.devices.size, "device")} by {config.parallel}, '
      f'{counted(config.steps_per_call, "step")} per call'
    )
    return state, 0
  step = int(state.step)
  if step % config.steps_per_call:
    raise UserError(f'step {step} is not a multiple of config.steps_per_call: the run is damaged')
  if not _is_finished(job, step):
    job.reporter.say(f'resumed {job.workdir} at step {step} ({time.monotonic() - began:.1f} s)')
  return state, step


def _finish(job: Job, state: TrainState, step: int) -> None:
  """Produces the cheap metrics, the pictures and the table at the end of training."""
  if step < job.config.num_steps:
    job.reporter.say(f'stopped early at step {step}: {_ended(job, step)}')
  variables = job.task.export(state)
  figures = job.task.evaluate(variables, job.data, job.tools)
  left_out = figures.pop('left_out', ())
  figures = results.write_evaluation(job.workdir, figures, step, job.data.facts, job.reporter)
  results.mark_finished(job.workdir, step)
  if left_out:
    job.reporter.say(f'for the slower metrics: jaxgen evaluate {job.workdir}')
  paths = results.draw(job.workdir, job.task, variables, job.data, job.tools, step)
  if job.wandb:
    job.wandb.evaluation(figures)
    job.wandb.pictures(step, paths)
  results.say_paths(job.reporter, paths)
  best = job.checkpoints.best()
  if best:
    job.reporter.say(
      f'best by {job.config.checkpoint.best}: step {best[0]} ({best[1]:.4g}); --step=best selects it'
    )
