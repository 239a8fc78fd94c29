"""Exit statuses: user mistakes are reported in one line, stop signals end with the status that shells expect.

Imports next to nothing before Ctrl-C is handled.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
  from collections.abc import Callable


def listen() -> None:
  """Makes Ctrl-C end the process at once, silently and with status 130, until another handler is installed.

  Python's own KeyboardInterrupt is lost if raised in a callback, of which imports have many. Does nothing
  if the shell has the signal ignored.
  """
  import os
  import signal

  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda signum, frame: os._exit(128 + signum))


def guarded(action: Callable[[], object]) -> int:
  """Runs an action and returns the exit status: the number that it returns, else 0.

  User mistakes are reported in one line, with status 1 (2 for configs); a stop has 128 + signal. A closed
  standard output counts as a stop by SIGPIPE.
  """
  try:
    return _told(action)
  except KeyboardInterrupt:
    return 130


def _told(action: Callable[[], object]) -> int:
  import io
  import logging

  from jaxgen.errors import ConfigError, UserError
  from jaxgen.notes import PROGRESS, Lines
  from jaxgen.terminal.signals import Stopped

  handler = logging.StreamHandler()
  handler.setFormatter(Lines())
  logging.basicConfig(level=PROGRESS, handlers=[handler])
  for stream in (sys.stdout, sys.stderr):  # terminals may be unable to show a file's name
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')
  try:
    status = _flushed(action)
    return status if isinstance(status, int) else 0
  except ConfigError as error:
    return _error(error, 2)
  except UserError as error:
    return _error(error, 1)
  except OSError as error:
    if error.errno is None:
      raise
    where = f': {error.filename}' if error.filename else ''
    return _error(f'{error.strerror}{where}', 1)
  except Stopped as stop:
    return 128 + stop.signum


def _flushed(action: Callable[[], object]) -> object:
  """The result of an action, once all its output is flushed.

  Raises:
    Stopped: standard output has been closed, as by `| head`.
  """
  from jaxgen.terminal.signals import named_output, reader_gone

  try:
    try:
      status = action()
    except SystemExit:  # --help
      with named_output():
        print(end='', flush=True)
      raise
    with named_output():
      print(end='', flush=True)
  except BrokenPipeError:
    reader_gone()
    raise
  return status


def _error(text: object, status: int) -> int:
  """Prints an error, if standard error is open, and returns the status."""
  import contextlib

  from jaxgen.terminal.plain import plain

  with contextlib.suppress(BrokenPipeError):
    print(plain(f'error: {text}'), file=sys.stderr, flush=True)
  return status
