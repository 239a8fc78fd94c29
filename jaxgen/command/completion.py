"""`jaxgen --completion SHELL`: a script for shell completion of subcommands, options, choices and files."""

from __future__ import annotations

import argparse
import re
from typing import Any

from jaxgen.errors import ConfigError

SHELLS = ('bash', 'zsh', 'tcsh')
# Words in metavars that stand for files or folders.
_FILES = {'FILE', 'DIR', 'RUN', 'WORKDIR', 'IMAGE', 'VIDEO', 'FACE', 'INPUT'}


class Completion(argparse.Action):
  """Prints the script for a shell and exits, like --version."""

  def __call__(
    self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None
  ) -> None:
    """Prints the script and exits.

    Raises:
      ConfigError: shtab is not installed.
    """
    print(script(parser, values))
    parser.exit()


def script(parser: argparse.ArgumentParser, shell: str) -> str:
  """The script that a shell sources to complete a parser's command lines.

  Args:
    parser: with all its subcommands; arguments that take files get marked as such.
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
  """Tells shtab which arguments are folders, and which are files or folders."""
  for action in parser._actions:
    if isinstance(action, argparse._SubParsersAction):
      for one in action.choices.values():
        _mark(one, file, folder)
    elif action.nargs != 0 and not action.choices and (names := _places(action)):
      action.complete = folder if names == {'DIR'} else file  # type: ignore[attr-defined]  # read by shtab


def _places(action: argparse.Action) -> set[str]:
  """The words of _FILES in an argument's metavar; FILE if only its type says that it is a path."""
  words = set(re.findall(r'[A-Z]+', action.metavar if isinstance(action.metavar, str) else ''))
  is_path = getattr(action.type, '__name__', '') in ('path', 'workdir')
  return words & _FILES or ({'FILE'} if is_path else set())
