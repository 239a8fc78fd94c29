"""Using a trained run: loading, evaluating and sampling it. Its training state is never modified.

Functions that take a run folder also take a file written by `jaxgen export`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.errors import ConfigError
from jaxgen.run import devices as dev
from jaxgen.run import loading, processes, results
from jaxgen.run.tools import make_tools, prepare_precision
from jaxgen.run.training import trained_asset
from jaxgen.run.workdir import refuse, required_config, results_folder, same_facts, saved_config
from jaxgen.task import Task, Tools, Trained
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import Stopped, StopSignals


class Opened(NamedTuple):
  """A trained run, ready for inference.

  Attributes:
    folder: where results are written.
    trained: config, facts, exported variables, step.
    task: pure functions.
    tools: provided by the host.
    reporter: prints messages for the user.
  """

  folder: Path
  trained: Trained
  task: Task
  tools: Tools
  reporter: Reporter


def evaluate(
  workdir: Path,
  step: int | str | None = None,
  given: ConfigDict | None = None,
  reporter: Reporter | None = None,
) -> dict[str, Any]:
  """Computes all evaluation metrics of a trained run and writes evaluation.json.

  Args:
    workdir: the run's folder, or an exported file.
    step: a saved step, or 'best'; the newest by default.
    given: the config that the user gives now; eval.* and data.dir are taken from it.
    reporter: prints messages for the user.

  Returns:
    The contents of evaluation.json.
  """
  with _stoppable(reporter) as (reporter, signals):
    opened = open_run(workdir, step, given, reporter, signals)
    system = configs.system_module(opened.trained.config)
    data = None
    if not getattr(system, 'EVALUATES_WITHOUT_DATA', False):
      config, saved = saved_configs.for_inference(opened.trained.config), opened.trained.facts
      make = getattr(system, 'make_evaluation_data', lambda config, facts: system.make_data(config))
      data = processes.together(lambda: make(config, saved))
      same_facts(saved, {**saved, **data.facts}, workdir)
    figures = opened.task.evaluate(opened.trained.variables, data, opened.tools)
    figures.pop('left_out', None)
    return results.write_evaluation(
      opened.folder, figures, opened.trained.step, opened.trained.facts, opened.reporter
    )


def sample(
  workdir: Path,
  step: int | str | None = None,
  given: ConfigDict | None = None,
  reporter: Reporter | None = None,
) -> list[Path]:
  """Draws the pictures that need no data into samples/ and returns their paths."""
  with _stoppable(reporter) as (reporter, signals):
    opened = open_run(workdir, step, given, reporter, signals)
    trained = opened.trained
    paths = results.draw(
      opened.folder, opened.task, trained.variables, None, opened.tools, trained.step
    )
    if not paths and processes.is_first_process():
      opened.reporter.say(
        f'nothing drawn: all pictures of {trained.config.system} need data and are drawn when training ends'
      )
    results.say_paths(opened.reporter, paths)
    return paths


def with_overrides(workdir: Path, assignments: Iterable[str]) -> ConfigDict | None:
  """The config of a trained run with overrides such as 'eval.sets=DIR', for `evaluate`; None without any.

  Raises:
    ConfigError: not KEY=VALUE, an unknown key, one that evaluation cannot change, or a value of another type.
  """
  values: dict[str, str] = {}
  for text in assignments:
    key, equals, value = text.partition('=')
    key = key.removeprefix('--').removeprefix('config.')
    if not equals:
      raise ConfigError(f'{text!r} is not KEY=VALUE, e.g. eval.batch_size=64')
    values[key] = value
  if not values:
    return None
  saved = required_config(workdir)
  return saved_configs.overridden(saved, values, saved_configs.EVALUATE_FREE)


def with_given(
  workdir: Path, config: ConfigDict | None, overrides: Mapping[str, str]
) -> ConfigDict | None:
  """The config of a trained run with the overrides of a launch.py command line; None if there are none.

  A config file only states which system the run is expected to be of.

  Args:
    workdir: the run's folder.
    config: the config of --config, or None.
    overrides: the text of each --config.KEY=VALUE, by key.

  Raises:
    ConfigError: a config of another system, an unknown key, or a value of another type.
  """
  saved = required_config(workdir)
  if config is not None and config.system != saved.system:
    raise ConfigError(
      f'{workdir} is a run of {saved.system}, and --config names {config.system}: leave --config out'
    )
  if not overrides:
    return None
  return saved_configs.overridden(saved, overrides, configs.flatten(saved))


@contextmanager
def _stoppable(reporter: Reporter | None) -> Iterator[tuple[Reporter, StopSignals]]:
  """Context in which a stop signal ends the evaluation of a trained run, with a message to the user."""
  reporter = reporter or Reporter(quiet=not processes.is_first_process())
  with StopSignals('ending without writing anything') as signals:
    try:
      yield reporter, signals
    except Stopped as stop:
      reporter.say(f'stopped by {stop}; nothing was written. Run the same command to start over.')
      raise


def open_run(
  workdir: Path,
  step: int | str | None = None,
  given: ConfigDict | None = None,
  reporter: Reporter | None = None,
  signals: StopSignals | None = None,
) -> Opened:
  """Loads a trained run, or an exported file, for inference; never writes.

  Raises:
    CheckpointError: nothing to load.
    ConfigError: `given` differs from the run in more than eval.* and data.dir.
  """
  reporter = reporter or Reporter(quiet=not processes.is_first_process())
  signals = signals or StopSignals()
  saved = required_config(workdir)
  prepare_precision(saved)
  trained = loading.load(workdir, step)
  config = trained.config
  if given is not None:
    of_no_use = ('num_steps', 'steps_per_call', 'init_from')  # after training
    free = (*saved_configs.RESUME_FREE, *saved_configs.EVALUATE_FREE, *of_no_use)
    refuse(saved_configs.differing(config, given, free), workdir, 'evaluated or sampled')
    config = saved_configs.with_free(config, given, saved_configs.EVALUATE_FREE)
  devices = dev.make_devices(config.parallel)
  task = configs.system_module(config).make_task(config, trained.facts)
  tools = make_tools(
    config,
    devices,
    reporter,
    signals,
    lambda other: trained_asset(other, reporter, signals),
    full=True,
  )._replace(card=loading.card(workdir))
  variables = dev.replicate(devices, trained.variables)
  trained = trained._replace(config=config, variables=variables)
  return Opened(results_folder(workdir), trained, task, tools, reporter)


def load(path: Path, step: int | str | None = None) -> Trained:
  """`loading.load` in the precision of the loaded model."""
  saved = saved_config(path) if path.is_dir() else None
  if saved is not None:
    prepare_precision(saved)
  trained = loading.load(path, step)
  prepare_precision(trained.config)
  return trained
