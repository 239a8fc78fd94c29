"""Shared code of commands that use a trained run: opening the run, and reading images for it.

Imports nothing heavy until it is called.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jaxgen.errors import ConfigError, UserError
from jaxgen.words import counted, named

if TYPE_CHECKING:
  from pathlib import Path

  import numpy as np

  from jaxgen.run.inference import Opened
  from jaxgen.task import Trained


def prepare() -> None:
  """Sets up JAX: the compilation cache, and the check that there is a device.

  Raises:
    UserError: JAX finds no device.
  """
  from jaxgen.run import startup

  startup.enable_compilation_cache()
  startup.check_platforms()


def load(weights: 'Path', step: int | str | None = None) -> 'Trained':
  """A trained model from a run folder, or from a file, without importing the checkpoint library.

  Args:
    weights: a run folder, or a file of `jaxgen export`.
    step: a saved step of a run, or 'best'; the newest by default.

  Raises:
    UserError: as in `prepare`.
    CheckpointError: there is no readable model.
  """
  prepare()
  if weights.is_file():
    from jaxgen.exchange import weight_files
    from jaxgen.run import tools

    trained = weight_files.load_weights(weights)
    tools.prepare_precision(trained.config)
    return trained
  from jaxgen.run import inference

  return inference.load(weights, step)


@contextmanager
def opened(args: argparse.Namespace, system: str, otherwise: str) -> Iterator['Opened']:
  """The opened run for a system's own command; a stop signal ends its bars.

  Args:
    args: with `workdir` and `step`, and `overrides` if the command takes them.
    system: the system whose runs the command accepts.
    otherwise: what to say about other systems, such as 'scores no images'.

  Raises:
    ConfigError: a run of another system.
  """
  prepare()
  from jaxgen.run import inference
  from jaxgen.run.workdir import required_config
  from jaxgen.terminal.signals import StopSignals

  found = required_config(args.workdir).get('system')
  if found != system:
    raise ConfigError(f'{args.workdir} is a run of {found}, which {otherwise}')
  given = inference.with_overrides(args.workdir, getattr(args, 'overrides', ()))
  with StopSignals('ending') as signals:
    yield inference.open_run(args.workdir, args.step, given, signals=signals)


def read_each(
  paths: Sequence[str], read: Callable[[str], 'np.ndarray'], warn: Callable[[str], None]
) -> tuple[dict[str, 'np.ndarray'], list[str]]:
  """Images by path, and the paths that cannot be read, each of which is reported."""
  images: dict[str, Any] = {}
  failed = []
  for path in paths:
    try:
      images[path] = read(path)
    except UserError as error:
      failed.append(path)
      warn(f'error: {error}')
  return images, failed


def tell_failed(failed: Sequence[str], paths: Sequence[str], one: str = 'image') -> None:
  """Raises UserError that names the paths that could not be read, if there are any."""
  if failed:
    of = counted(len(paths), one)
    raise UserError(f'{len(failed)} of {of} could not be read: {named(failed)}')
