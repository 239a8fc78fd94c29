"""Locks that give one process exclusive use of a folder; the OS releases them when their holder is killed."""

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgen.errors import UserError

FILE = '.lock'
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
_HELD_BY_ANOTHER = (errno.EAGAIN, errno.EACCES)


class Lock:
  """An open file that holds the lock on a folder for as long as it is open.

  Args:
    folder: must exist.
  """

  def __init__(self, folder: Path):
    self._folder = folder
    self._descriptor: int | None = None

  def take(self) -> bool:
    """Takes the lock, where the file system has locks; False if another process holds it.

    Raises:
      UserError: the lock file cannot be used.
    """
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
          '%s is on a file system without locks: nothing keeps a second job out',
          self._folder,
        )
        return True
      raise UserError(f'{self._folder / FILE} cannot be used: {error.strerror or error}') from error

  def release(self) -> None:
    """Releases the lock."""
    if self._descriptor is not None:
      os.close(self._descriptor)
      self._descriptor = None


@contextmanager
def held(folder: Path, work: str) -> Iterator[None]:
  """Holds the lock on a folder for this process.

  Args:
    folder: must exist.
    work: what is being done to the folder, such as 'filled'.

  Raises:
    UserError: another process holds the folder, or its lock cannot be used.
  """
  lock = Lock(folder)
  try:
    if not lock.take():
      raise UserError(f'{held_by(folder, work)}: wait for it, or stop it')
    yield
  finally:
    lock.release()


def held_by(folder: Path, work: str) -> str:
  """The start of a message that says who claims to hold a folder; `work` as for `held`."""
  return f'{folder} is being {work} by {_holder(folder)}'


def _holder(folder: Path) -> str:
  """The process that claims to hold a folder, in words."""
  try:
    about: Any = json.loads((folder / FILE).read_text())
    return f'process {about["pid"]} on {about["host"]} since {about["since"]}'
  except (OSError, ValueError, TypeError, KeyError):
    return 'another process'
