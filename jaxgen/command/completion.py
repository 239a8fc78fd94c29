"""`jaxgen --completion SHELL`: a script by which a shell completes subcommands, options, choices, files."""

from __future__ import annotations

import argparse
import re
from typing import Any

from jaxgen.errors import ConfigError

SHELLS = ('bash', 'zsh', 'tcsh')
# Words of metavars that stand for something on a disk.
_FILES = {'FILE', 'DIR', 'RUN', 'WORKDIR', 'IMAGE', 'VIDEO', 'FACE', 'INPUT'}


class Completion(argparse.Action):
  """Prints the script of a shell and ends, as --version does."""

  def __call__(
    self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None
  ) -> None:
    """Prints it.

    Raises:
      ConfigError: shtab is not installed.
    """
    print(script(parser, values))
    parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
  """What a shell reads to complete the command lines of a parser.

  Args:
    parser: with all its subcommands; each argument that takes files is marked so.
    shell: one of SHELLS.

  Raises:
    ConfigError: shtab is not installed.
  """
  try:
    import shtab
  except ImportError as error:
    raise ConfigError(f'--completion needs shtab: pip install shtab ({error})') from error
  _mark(parser, shtab.FILE, shtab.DIRECTORY)
  return shtab.complete(parser, shell)


def _mark(parser: argparse.ArgumentParser, file: Any, folder: Any) -> None:
  """Tells shtab of each argument what is on a disk: a folder, or a file or folder."""
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for one in action.choices.values():
        _mark(one, file, folder)
    elif action.nargs != 0 and not action.choices and (names := _places(action)):
      action.complete = folder if names == {'DIR'} else file  # type: ignore[attr-defined]


def _places(action: argparse.Action) -> set[str]:
  """Which words of _FILES the metavar of an argument has; FILE where its type alone says that it is a path."""
  words = set(re.findall(r'[A-Z]+', action.metavar if isinstance(action.metavar, str) else ''))
  is_path = getattr(action.type, '__name__', '') in ('path', 'workdir')
  return words & _FILES or ({'FILE'} if is_path else set())
