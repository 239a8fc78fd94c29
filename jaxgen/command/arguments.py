"""Arguments shared by several commands, and a parser that reports mistakes in one line."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jaxgen import files
from jaxgen.config import near_matches
from jaxgen.errors import ConfigError, UserError
from jaxgen.exchange import hub
from jaxgen.terminal.signals import named_output

BEST = 'best'


class Parser(argparse.ArgumentParser):
  """An argparse parser that raises ConfigError for mistakes and explains file names that look like options."""

  def __init__(self, **options: Any):
    super().__init__(formatter_class=_Formatter, **options)
    self._given: list[str] = []

  # argparse declares overloads by the type of the namespace.
  def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
    """Remembers the arguments, for messages, and rejects unknown ones right away."""
    self._given = list(args or ())
    found, unknown = super().parse_known_args(args, namespace)
    if unknown:
      self.error(f'unrecognized arguments: {" ".join(unknown)}')
    return found, unknown

  def error(self, message: str) -> NoReturn:
    """Raises ConfigError, which `guarded` shows in one line, with exit status 2."""
    raise ConfigError(f'{message}{self._dashes()}.{self._near()} See {self.prog} --help.')

  def _print_message(self, message: str, file: Any = None) -> None:
    """Prints help and version; only some releases of Python raise if these cannot be written."""
    with named_output():
      super()._print_message(message, file)

  def _options(self) -> list[str]:
    """Arguments before '--' that look like options but are not known ones."""
    given = self._given[: self._given.index('--')] if '--' in self._given else self._given
    known = self._option_string_actions
    return [x for x in given if x.startswith('-') and len(x) > 1 and x.split('=')[0] not in known]

  def _near(self) -> str:
    """A hint at known options similar to an unknown one."""
    known = [x for x in self._option_string_actions if x.startswith('--')]
    for text in self._options():
      if text.startswith('--') and (near := near_matches(text.split('=')[0], known)):
        return near
    return ''

  def _dashes(self) -> str:
    """A hint at how to pass a file name that starts with a dash, if one seems to be given."""
    for text in self._options():
      if not text.startswith('--') or os.path.lexists(text):
        return f' ({text} is read as an option; for a file of that name, write ./{text} or put -- before it)'
    return ''


class _Formatter(argparse.HelpFormatter):
  """A help formatter that leaves room for one line next to the longest command name."""

  def __init__(self, prog: str):
    super().__init__(prog)
    self._action_max_length = 18  # argparse ignores the indentation of commands


def path(text: str) -> Path:
  """A path with ~ expanded: shells do not expand it after an equals sign."""
  return Path(os.path.expanduser(text))  # noqa: PTH111, whose alternative fails for unknown homes


def titles(*roles: str) -> Callable[[str], dict[str, str]]:
  """A parser of column titles of a table, as ROLE=TITLE,..., into titles by role.

  Args:
    roles: the known ones, in the order of messages.
  """

  def columns(text: str) -> dict[str, str]:
    pairs = [pair.partition('=') for pair in text.split(',')]
    found = {role.strip(): title.strip() for role, _, title in pairs}
    if not all(found.values()) or not found.keys() <= set(roles) or len(found) < len(pairs):
      known = ', '.join(f'{role}=TITLE' for role in roles)
      raise argparse.ArgumentTypeError(
        f'{text!r} must be one or more of {known}, each at most once'
      )
    if len(set(found.values())) < len(found):
      raise argparse.ArgumentTypeError(f'{text!r} names a column twice')
    return found

  return columns


def weights(text: str) -> Path | hub.Name:
  """The weights given to an option: a run folder, an exported file, or a name such as hf://OWNER/NAME, which
  `fetch` turns into a file once the whole command line is known to be valid.

  Raises:
    ConfigError: it starts like such a name, but is not one.
  """
  return hub.parse(text) if hub.is_name(text) else hub.located(path(text))


def fetch(args: argparse.Namespace) -> None:
  """Replaces hub names with local files, downloading them if needed.

  Raises:
    UserError: see `hub.fetched`.
  """
  for option, value in vars(args).items():
    if isinstance(value, hub.Name):
      setattr(args, option, hub.fetched(value))


def workdir(text: str) -> Path:
  """A run folder or an exported file, whose name must be one from which checkpoints can be read.

  Raises:
    ConfigError: a hub name, where no results could be written.
  """
  if hub.is_name(text):
    raise ConfigError(
      f'{text}: expected a local folder or file, since results are written beside it; '
      'hub names are for --weights'
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
  """A saved step as typed: its number, or 'best'.

  Raises:
    ConfigError: it is neither.
  """
  if text == BEST:
    return BEST
  if not (text.isascii() and text.isdigit()):
    raise ConfigError(f'--step={text} is neither the number of a saved step nor {BEST}')
  return int(text)


def add_workdir(parser: argparse.ArgumentParser, read_only: bool = False) -> None:
  """Adds WORKDIR and --step; `read_only`: nothing is written next to it, so hub names are accepted too."""
  parser.add_argument(
    'workdir',
    metavar='WORKDIR',
    type=_readable if read_only else workdir,
    help='the folder of a trained run, or a .safetensors file from jaxgen export'
    + (', or a Hugging Face Hub name, hf://OWNER/NAME' if read_only else ''),
  )
  add_step(parser)


def add_step(parser: argparse.ArgumentParser, of: str = '') -> None:
  """Adds --step; `of` says of which run, if that is not WORKDIR."""
  parser.add_argument(
    '--step', type=step, help=f'{of}a saved step, or {BEST}; the newest by default'
  )


def check_weights(args: argparse.Namespace) -> None:
  """Checks --weights and --step of commands that take both.

  Raises:
    ConfigError: the weights do not exist, or a step is requested of something that is not a run.
  """
  if args.weights and not args.weights.exists():
    raise ConfigError(f'--weights={args.weights}: no such file or folder')
  if args.step is not None and not (args.weights and args.weights.is_dir()):
    raise ConfigError('--step applies to a trained run: name its folder with --weights')


def add_images(parser: argparse.ArgumentParser, folders: bool = False) -> None:
  """Adds IMAGE..., --invert and --json; `folders`: the command accepts folders too."""
  more = ', or a folder, searched recursively' if folders else ''
  parser.add_argument('images', metavar='IMAGE', nargs='+', help=f'any file Pillow reads{more}')
  parser.add_argument(
    '--invert',
    action='store_true',
    help='the images show dark ink on white paper; the model expects light on black',
  )
  and_folder = ', and one per folder' if folders else ''
  parser.add_argument('--json', action='store_true', help=f'one JSON object per image{and_folder}')
