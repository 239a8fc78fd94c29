"""Exit statuses: a mistake of a person is one line, a stop signal ends as shells expect it.

Imports next to nothing before it listens for Ctrl-C.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing itself takes milliseconds
if TYPE_CHECKING:
  from collections.abc import Callable


def listen() -> None:
  """Ends the process at once on Ctrl-C, silently and with status 130, until something else listens.

  Python's own KeyboardInterrupt is lost where it is raised in a callback, of which imports have many. Nothing
  is done where the shell has the signal ignored.
  """
  import os
  import signal

  if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda signum, frame: os._exit(128 + signum))


def guarded(action: Callable[[], object]) -> int:
  """Runs an action and returns its status: a number that it returns, or else 0.

  User mistakes are told in one line, with status 1 (2 for configs); a stop has 128 + signal. Standard output
  that nothing reads any more is a stop by SIGPIPE.
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
  for stream in (sys.stdout, sys.stderr):  # a file may have a name that a terminal cannot show
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
  """What an action returns, once all that it printed is gone.

  Raises:
    Stopped: nothing reads standard output any more, as after `| head`.
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
  """Tells a person, where standard error has a reader."""
  import contextlib

  from jaxgen.terminal.plain import plain

  with contextlib.suppress(BrokenPipeError):
    print(plain(f'error: {text}'), file=sys.stderr, flush=True)
  return status
