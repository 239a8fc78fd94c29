"""One job at a time in a folder: a lock that the system itself releases when its holder is killed."""

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

from jaxgen.errors import UserError
from jaxgen.run import processes

FILE = '.lock'
POLL_SECONDS = 1.0
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES)


@contextmanager
def exclusive(
  folder: Path,
  wait: Callable[[str], None] | None = None,
  check: Callable[[], None] = lambda: None,
  *,
  work: str = 'trained',
  option: str = '--workdir',
) -> Iterator[None]:
  """Holds a folder for this job: its first process has the lock for all of them.

  Where the file system knows no locks a warning says so, and nothing is held.

  Args:
    folder: it exists.
    wait: told once who holds the folder, where this job is to wait for it; None refuses instead.
    check: called while waiting; may raise to end it.
    work: what is done with the folder, for messages.
    option: names another folder.

  Raises:
    UserError: another job holds the folder, or its lock cannot be used.
  """
  lock = _Lock(folder)
  told = False
  try:
    while not processes.from_first_process(bool(processes.together(lock.take, only_first=True))):
      message = f'{folder} is being {work} by {_holder(folder)}'
      if wait is None:
        raise UserError(f'{message}: wait for it, stop it, or use another {option}')
      if not told:
        wait(f'{message}: waiting for it')
        told = True
      check()
      time.sleep(POLL_SECONDS)
    yield
  finally:
    lock.release()


class _Lock:
  """The open file that holds a folder while it is open."""

  def __init__(self, folder: Path):
    self._folder = folder
    self._descriptor: int | None = None

  def take(self) -> bool:
    """Whether nobody else holds the folder; it is held from then on, where there are locks."""
    try:
      self._descriptor = os.open(self._folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
      fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
      about = {'host': socket.gethostname(), 'pid': os.getpid(), 'since': time.strftime('%F %T')}
      os.ftruncate(self._descriptor, 0)
      os.pwrite(self._descriptor, json.dumps(about).encode(), 0)
      return True
    except OSError as error:
      opened = self._descriptor is not None
      self.release()
      if opened and error.errno in _HELD_BY_ANOTHER:
        return False
      if opened and error.errno in _UNSUPPORTED:
        logging.warning(
          '%s lies on a file system without locks: nothing keeps a second job out',
          self._folder,
        )
        return True
      raise UserError(f'{self._folder / FILE} cannot be used: {error.strerror or error}') from error

  def release(self) -> None:
    """Frees the folder."""
    if self._descriptor is not None:
      os.close(self._descriptor)
      self._descriptor = None


def _holder(folder: Path) -> str:
  """Who says to hold a folder."""
  try:
    about: Any = json.loads((folder / FILE).read_text())
    return f'process {about["pid"]} on {about["host"]} since {about["since"]}'
  except (OSError, ValueError, TypeError, KeyError):
    return 'another process'
