"""Arguments that several commands share, and a parser whose mistakes are one line."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from jaxgen import files
from jaxgen.config import near_matches
from jaxgen.errors import ConfigError, UserError
from jaxgen.exchange import hub
from jaxgen.terminal.signals import named_output

BEST = 'best'


class Parser(argparse.ArgumentParser):
  """Argparse, with ConfigError for mistakes; it explains a file name that looks like an option."""

  def __init__(self, **options: Any):
    super().__init__(formatter_class=_Formatter, **options)
    self._given: list[str] = []

  def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
    """Remembers what was given, for messages, and refuses at once what it does not know."""
    self._given = list(args or ())
    found, unknown = super().parse_known_args(args, namespace)
    if unknown:
      self.error(f'unrecognized arguments: {" ".join(unknown)}')
    return found, unknown

  def error(self, message: str) -> NoReturn:
    """Raises ConfigError: `guarded` shows it in one line and ends with status 2."""
    raise ConfigError(f'{message}{self._dashes()}.{self._near()} See {self.prog} --help.')

  def _print_message(self, message: str, file: Any = None) -> None:
    """Help and version; some releases of Python raise where these cannot be written, others do not."""
    with named_output():
      super()._print_message(message, file)

  def _options(self) -> list[str]:
    """What was given before '--' and looks like an option, but is none."""
    given = self._given[: self._given.index('--')] if '--' in self._given else self._given
    known = self._option_string_actions
    return [x for x in given if x.startswith('-') and len(x) > 1 and x.split('=')[0] not in known]

  def _near(self) -> str:
    """Options that come near one that there is not."""
    known = [x for x in self._option_string_actions if x.startswith('--')]
    for text in self._options():
      if text.startswith('--') and (near := near_matches(text.split('=')[0], known)):
        return near
    return ''

  def _dashes(self) -> str:
    """How to name a file that begins with a dash, where one seems to be given."""
    for text in self._options():
      if not text.startswith('--') or os.path.lexists(text):
        return (
          f' ({text} is read as an option; for a file of this name write ./{text}, or -- before it)'
        )
    return ''


class _Formatter(argparse.HelpFormatter):
  """Leaves room for one line beside the longest name of a command."""

  def __init__(self, prog: str):
    super().__init__(prog)
    self._action_max_length = 18  # argparse forgets that commands are indented


def path(text: str) -> Path:
  """A path whose ~ stands for a home: shells leave it as it is after an equals sign."""
  return Path(os.path.expanduser(text))  # noqa: PTH111, which fails where there is no such home


def weights(text: str) -> Path | hub.Name:
  """What an option names as weights: the folder of a run, an exported file, or a name as hf://OWNER/NAME, which
  `fetch` makes a file of when the whole command line is known to be right.

  Raises:
    ConfigError: it begins as such a name, and is none.
  """
  return hub.parse(text) if hub.is_name(text) else hub.located(path(text))


def fetch(args: argparse.Namespace) -> None:
  """Puts files of this machine in the place of names of the hub.

  Raises:
    UserError: see `hub.fetched`.
  """
  for option, value in vars(args).items():
    if isinstance(value, hub.Name):
      setattr(args, option, hub.fetched(value))


def workdir(text: str) -> Path:
  """The folder of a run, or an exported file, whose name must be one that checkpoints can be read from.

  Raises:
    ConfigError: a name of the hub, which is nowhere that results could be written to.
  """
  if hub.is_name(text):
    raise ConfigError(
      f'{text}: a folder or file of this machine is wanted here, beside which results are written; '
      'names of the hub are for --weights'
    )
  folder = hub.located(path(text))
  try:
    files.check_name(folder)
  except UserError as error:
    raise argparse.ArgumentTypeError(str(error)) from error
  return folder


def _readable(text: str) -> Path | hub.Name:
  return hub.parse(text) if hub.is_name(text) else workdir(text)


def step(text: str) -> int | str:
  """A saved step as it is typed: its number, or 'best'.

  Raises:
    ConfigError: neither.
  """
  if text == BEST:
    return BEST
  if not (text.isascii() and text.isdigit()):
    raise ConfigError(f'--step={text} is neither the number of a saved step nor {BEST}')
  return int(text)


def add_workdir(parser: argparse.ArgumentParser, read_only: bool = False) -> None:
  """WORKDIR and --step; `read_only` says that nothing is written beside it: names of the hub are taken too."""
  parser.add_argument(
    'workdir',
    metavar='WORKDIR',
    type=_readable if read_only else workdir,
    help='the folder of a trained run, or a .safetensors file of jaxgen export'
    + (', or a name as hf://OWNER/NAME' if read_only else ''),
  )
  add_step(parser)


def add_step(parser: argparse.ArgumentParser, of: str = '') -> None:
  """--step; `of` says of which run where that is not WORKDIR."""
  parser.add_argument(
    '--step', type=step, help=f'{of}a saved step, or {BEST}; the newest by default'
  )


def check_weights(args: argparse.Namespace) -> None:
  """Of commands that choose what is used by --weights, and a saved step of it by --step.

  Raises:
    ConfigError: there is nothing of the name, or a step is asked for of what is no run.
  """
  if args.weights and not args.weights.exists():
    raise ConfigError(f'--weights={args.weights}: no such file or folder')
  if args.step is not None and not (args.weights and args.weights.is_dir()):
    raise ConfigError('--step is of a trained run: name its folder with --weights')


def add_images(parser: argparse.ArgumentParser, folders: bool = False) -> None:
  """IMAGE..., --invert and --json; `folders` says that a command takes folders too."""
  more = ', or a folder with all below it' if folders else ''
  parser.add_argument('images', metavar='IMAGE', nargs='+', help=f'any file Pillow reads{more}')
  parser.add_argument(
    '--invert',
    action='store_true',
    help='dark ink on white paper, for a model of light ink on black',
  )
  and_folder = ', and one a folder' if folders else ''
  parser.add_argument('--json', action='store_true', help=f'one JSON object an image{and_folder}')
