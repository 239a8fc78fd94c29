"""One training at a time in a folder: a lock that the system itself releases when its holder is killed."""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxgen.errors import UserError
from jaxgen.run import devices as dev

FILE = '.lock'
POLL_SECONDS = 1.0
HELD, TAKEN, BUSY = range(3)
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def exclusive(
  folder: Path,
  wait: Callable[[str], None] | None = None,
  check: Callable[[], None] = lambda: None,
) -> Iterator[None]:
  """Holds a folder for this job: its first process has the lock for all of them.

  Where the file system knows no locks a warning says so, and nothing is held.

  Args:
    folder: it exists.
    wait: told once who holds the folder, where this job is to wait for it; None refuses instead.
    check: called while waiting; may raise to end it.

  Raises:
    UserError: another training holds the folder.
  """
  descriptor = None
  told = False
  try:
    while True:
      status = BUSY
      if jax.process_index() == 0:
        descriptor, status = _try(folder)
      status = dev.from_first_process(status)
      if status != BUSY:
        break
      if wait is None:
        raise UserError(
          f'{folder} is being trained by {_holder(folder)}: wait for it, stop it, or use another --workdir'
        )
      if not told:
        wait(f'{folder} is being trained by {_holder(folder)}: waiting for it')
        told = True
      check()
      time.sleep(POLL_SECONDS)
    yield
  finally:
    if descriptor is not None:
      os.close(descriptor)


def _try(folder: Path) -> tuple[int | None, int]:
  """Takes the lock if it is free; the open file that holds it, and how it went."""
  descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
  try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except OSError as error:
    os.close(descriptor)
    if error.errno in _UNSUPPORTED:
      logging.warning(
        '%s lies on a file system without locks: nothing keeps a second training out', folder
      )
      return None, TAKEN
    return None, BUSY
  about = {'host': socket.gethostname(), 'pid': os.getpid(), 'since': time.strftime('%F %T')}
  os.ftruncate(descriptor, 0)
  os.pwrite(descriptor, json.dumps(about).encode(), 0)
  return descriptor, HELD


def _holder(folder: Path) -> str:
  """Who says to hold a folder."""
  try:
    about: Any = json.loads((folder / FILE).read_text())
    return f'process {about["pid"]} on {about["host"]} since {about["since"]}'
  except (OSError, ValueError, TypeError, KeyError):
    return 'another process'
