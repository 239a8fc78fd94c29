"""Messages to the user besides the result: notes from functions, and progress lines."""

import logging
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

Warn = Callable[[str], None]
# The log level of progress lines, which are no warnings: commands print them.
PROGRESS = logging.WARNING - 5


class UserNote(UserWarning):
  """Something a user should know about how their input was handled."""


def stays(path: Path) -> str:
  """The note that a file is not written because it already exists."""
  return f'{path} already exists: nothing was written (overwrite=True replaces it)'


def tell(notes: Iterable[str], warn: Warn | None) -> None:
  """Emits notes; called directly by the public function, so that Python reports the line of the user's call.

  Args:
    notes: a line each, with the name of what it is about.
    warn: called with each; None: issues each as a Python warning, `UserNote`.
  """
  for note in notes:
    if warn:
      warn(note)
    else:
      warnings.warn(note, UserNote, stacklevel=3)


def progress(line: str) -> None:
  """Logs a progress line, at the level PROGRESS."""
  logging.log(PROGRESS, '%s', line)


class Lines(logging.Formatter):
  """Formats log lines as commands print them: all but PROGRESS start with their level."""

  def format(self, record: logging.LogRecord) -> str:
    """Formats a record as a line."""
    line = super().format(record)
    return line if record.levelno == PROGRESS else f'{record.levelname}: {line}'
