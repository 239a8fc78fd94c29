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

  User mistakes are told in one line, with status 1 (2 for configs); a stop has 128 + signal.
  """
  try:
    return _told(action)
  except KeyboardInterrupt:
    return 130


def _told(action: Callable[[], object]) -> int:
  import io
  import logging

  from jaxgen.errors import ConfigError, UserError
  from jaxgen.terminal.signals import Stopped

  logging.basicConfig(format='%(levelname)s: %(message)s')
  for stream in (sys.stdout, sys.stderr):  # a file may have a name that a terminal cannot show
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='backslashreplace')
  try:
    status = action()
    return status if isinstance(status, int) else 0
  except ConfigError as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  except UserError as error:
    print(f'error: {error}', file=sys.stderr)
    return 1
  except OSError as error:
    if error.errno is None:
      raise
    where = f': {error.filename}' if error.filename else ''
    print(f'error: {error.strerror}{where}', file=sys.stderr)
    return 1
  except Stopped as stop:
    return 128 + stop.signum
