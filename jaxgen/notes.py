"""What functions for people tell of their work beside what they return: what commands print as warnings."""

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

Warn = Callable[[str], None]


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
