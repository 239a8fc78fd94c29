"""What a person is told of work beside its result: notes of functions, and lines about how far it is."""

import logging
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

Warn = Callable[[str], None]
# The level of lines about work that takes a while, which is nothing to be warned of: commands print them.
PROGRESS = logging.WARNING - 5


class UserNote(UserWarning):
  """Something that a person is to know of what was made of what they gave."""


def stays(path: Path) -> str:
  """The note of a file that is not written since it is there."""
  return f'{path} is there already, nothing is written (overwrite=True writes anew)'


def tell(notes: Iterable[str], warn: Warn | None) -> None:
  """Tells of notes; called by the function that a person called, so that Python names the line of that call.

  Args:
    notes: a line each, with the name of what it is about.
    warn: is told of each; None: Python's `warnings` are, by a `UserNote`.
  """
  for note in notes:
    if warn:
      warn(note)
    else:
      warnings.warn(note, UserNote, stacklevel=3)


def progress(line: str) -> None:
  """Logs a line about work that takes a while, at the level PROGRESS."""
  logging.log(PROGRESS, '%s', line)


class Lines(logging.Formatter):
  """Lines of a log as commands print them: all but PROGRESS begin with their level."""

  def format(self, record: logging.LogRecord) -> str:
    """The line of a record."""
    line = super().format(record)
    return line if record.levelno == PROGRESS else f'{record.levelname}: {line}'
