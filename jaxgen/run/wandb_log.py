"""Metrics, results and pictures for Weights & Biases: files in the workdir, uploaded only on request.

Imports neither JAX nor W&B until a log is opened.
"""

import importlib.util
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.errors import ConfigError, UserError, first_line
from jaxgen.files import write_bytes

MODES = ('offline', 'online')
FOLDER, ID = 'wandb', 'run_id'


class Wanted(NamedTuple):
  """The user's W&B options.

  Attributes:
    project: the project that the run belongs to.
    mode: 'offline' uploads nothing; 'online' uploads during training.
  """

  project: str
  mode: str = 'offline'


def check() -> None:
  """Raises ConfigError if the package is not installed; imports nothing."""
  spec = importlib.util.find_spec('wandb')
  if (
    spec is None or spec.origin is None
  ):  # a folder of W&B's files looks like a package without code
    raise ConfigError("--wandb needs the package wandb: pip install 'jaxgen[wandb]'")


class WandbLog:
  """The W&B run of a workdir; a resume continues the same one. Only the first process of a job has it.

  Args:
    workdir: the run's folder; all files go to WORKDIR/wandb.
    config: logged with the run.
    wanted: project and mode.

  Raises:
    UserError: W&B does not start, for example online without a login.
  """

  def __init__(self, workdir: Path, config: ConfigDict, wanted: Wanted):
    folder = workdir / FOLDER
    folder.mkdir(exist_ok=True)
    self._before, self._drawn = _set_environment(folder, wanted.mode), -1
    import wandb

    self._wandb = wandb
    try:
      self._run = wandb.init(
        project=wanted.project,
        id=_run_id(folder),
        name=workdir.resolve().name,
        dir=str(workdir),
        config=configs.to_json(config),
        resume='allow' if wanted.mode == 'online' else None,
        settings=_settings(wandb, wanted.mode),
      )
    except Exception as error:  # W&B's own types, and those of its transport
      self._end()
      raise UserError(
        f'--wandb={wanted.project}: W&B did not start: {first_line(error)}'
      ) from error
    self._run.define_metric('*', step_metric='step')

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Logs metrics of a step, which is the x-axis of their curves."""
    self._run.log({'step': step, **values})

  def pictures(self, step: int, paths: Iterable[Path]) -> None:
    """Logs the pictures NAME_STEP.png of a step."""
    found = {f'samples/{path.stem.rpartition("_")[0]}': path for path in paths}
    if found and step != self._drawn:  # the end of training redraws what was due at its step
      self._drawn = step
      images = {name: self._wandb.Image(str(path)) for name, path in found.items()}
      self._run.log({'step': step, **images})

  def evaluation(self, figures: Mapping[str, Any]) -> None:
    """Logs the evaluation at the end of training, as the run's summary."""
    self._run.summary.update({f'evaluation/{name}': x for name, x in _numbers(figures)})

  def close(self, finished: bool) -> None:
    """Flushes everything and ends W&B's process.

    Args:
      finished: whether training ran to its end; otherwise W&B shows the run as failed until it is resumed.
    """
    self._run.finish(exit_code=0 if finished else 1)
    self._end()

  def _end(self) -> None:
    self._wandb.teardown()
    for name, value in self._before.items():
      if value is None:
        os.environ.pop(name, None)
      else:
        os.environ[name] = value


def _settings(wandb: Any, mode: str) -> Any:
  """Settings of a run that leaves the terminal, the source code and the machine alone."""
  return wandb.Settings(
    mode=mode,
    console='off',
    silent=True,
    save_code=False,
    disable_code=True,
    disable_git=True,
    x_disable_meta=True,
    x_disable_stats=True,  # it would query the cloud provider's metadata
    x_disable_machine_info=True,
    x_save_requirements=False,
  )


def _set_environment(folder: Path, mode: str) -> dict[str, str | None]:
  """Keeps W&B's files in a folder and disables its error reports; returns the previous settings.

  Online, its settings stay where they are: they say which server the user has logged in to.
  """
  own = {
    'WANDB_CACHE_DIR': str(folder / 'cache'),
    'WANDB_DATA_DIR': str(folder / 'data'),
    'WANDB_ARTIFACT_DIR': str(folder / 'artifacts'),
    'WANDB_ERROR_REPORTING': 'false',
  }
  if mode == 'offline':
    own['WANDB_CONFIG_DIR'] = str(folder / 'config')
  before = {name: os.environ.get(name) for name in own}
  os.environ.update(own)
  return before


def _run_id(folder: Path) -> str:
  """The W&B run id, created once per workdir."""
  path = folder / ID
  if not path.is_file():
    write_bytes(path, f'{uuid.uuid4().hex[:12]}\n'.encode())
  return path.read_text().strip()


def _numbers(figures: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, float]]:
  """(name, value) of all numbers, with those in groups as GROUP/NAME."""
  for name, value in figures.items():
    if isinstance(value, Mapping):
      yield from _numbers(value, f'{prefix}{name}/')
    elif isinstance(value, int | float):
      yield f'{prefix}{name}', value
