"""Metrics, figures and pictures for Weights & Biases: files in the workdir, sent only where that is asked for.

Imports neither JAX nor W&B before a log is opened.
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
  """What a person asks for.

  Attributes:
    project: that the run belongs to.
    mode: 'offline' sends nothing; 'online' sends as training goes on.
  """

  project: str
  mode: str = 'offline'


def check() -> None:
  """Raises ConfigError where the package is not installed; imports nothing."""
  spec = importlib.util.find_spec('wandb')
  if (
    spec is None or spec.origin is None
  ):  # a folder of W&B's files looks like a package without code
    raise ConfigError("--wandb needs the package wandb: pip install 'jaxgen[wandb]'")


class WandbLog:
  """The W&B run of a workdir; a resume goes on with the same one. Of a job's processes the first alone has it.

  Args:
    workdir: the run's folder; all files go to WORKDIR/wandb.
    config: is logged.
    wanted: project and mode.

  Raises:
    UserError: W&B does not start, as online where nobody has logged in.
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
    except Exception as error:  # W&B's own kinds, and those of what it sends by
      self._end()
      raise UserError(
        f'--wandb={wanted.project}: W&B does not start: {first_line(error)}'
      ) from error
    self._run.define_metric('*', step_metric='step')

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """Metrics of a step, which is the axis of their curves."""
    self._run.log({'step': step, **values})

  def pictures(self, step: int, paths: Iterable[Path]) -> None:
    """Pictures NAME_STEP.png of a step."""
    found = {f'samples/{path.stem.rpartition("_")[0]}': path for path in paths}
    if found and step != self._drawn:  # the end of training draws again what was due at its step
      self._drawn = step
      images = {name: self._wandb.Image(str(path)) for name, path in found.items()}
      self._run.log({'step': step, **images})

  def evaluation(self, figures: Mapping[str, Any]) -> None:
    """The figures at the end of training, as the run's summary."""
    self._run.summary.update({f'evaluation/{name}': x for name, x in _numbers(figures)})

  def close(self, finished: bool) -> None:
    """Writes all that is left, and ends W&B's process.

    Args:
      finished: whether training came to its end; else W&B shows the run as failed, until it is resumed.
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
  """Of a run that leaves the terminal, the sources and the machine alone."""
  return wandb.Settings(
    mode=mode,
    console='off',
    silent=True,
    save_code=False,
    disable_code=True,
    disable_git=True,
    x_disable_meta=True,
    x_disable_stats=True,  # it would ask the machine's cloud where it runs
    x_disable_machine_info=True,
    x_save_requirements=False,
  )


def _set_environment(folder: Path, mode: str) -> dict[str, str | None]:
  """Keeps W&B's files in a folder and its reports of errors at home; returns what was set before.

  Online its settings stay where they are: they say to which server a person has logged in.
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
  """The name of the run for W&B, made once a workdir."""
  path = folder / ID
  if not path.is_file():
    write_bytes(path, f'{uuid.uuid4().hex[:12]}\n'.encode())
  return path.read_text().strip()


def _numbers(figures: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, float]]:
  """(name, value) of all numbers, those of groups as GROUP/NAME."""
  for name, value in figures.items():
    if isinstance(value, Mapping):
      yield from _numbers(value, f'{prefix}{name}/')
    elif isinstance(value, int | float):
      yield f'{prefix}{name}', value
