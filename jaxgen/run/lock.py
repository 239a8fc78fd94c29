"""Exclusive use of a folder by one job, of however many processes."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxgen.errors import UserError
from jaxgen.files import remove_temporary
from jaxgen.locks import Lock, held_by
from jaxgen.run import processes

POLL_SECONDS = 1.0


@contextmanager
def exclusive(
  folder: Path,
  wait: Callable[[str], None] | None = None,
  check: Callable[[], None] = lambda: None,
  *,
  work: str = 'trained',
  option: str = '--workdir',
) -> Iterator[None]:
  """Locks a folder for this job: its first process holds the lock for all of them.

  On a file system without locks, this warns and holds nothing.

  Args:
    folder: must exist.
    wait: called once with who holds the folder, before waiting for it; None: raise instead of waiting.
    check: called while waiting; may raise to stop waiting.
    work: what is done with the folder, for messages.
    option: the option that selects another folder, for messages.

  Raises:
    UserError: another job holds the folder, or its lock cannot be used.
  """
  lock = Lock(folder)
  told = False
  try:
    while not processes.from_first_process(bool(processes.together(lock.take, only_first=True))):
      message = held_by(folder, work)
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


@contextmanager
def filling(folder: Path, option: str = '--output') -> Iterator[None]:
  """Locks a folder that a command fills, and removes unfinished files in it of one that was killed.

  Args:
    folder: must exist.
    option: the option that selects another folder, for messages.

  Raises:
    UserError: see `exclusive`.
  """
  with exclusive(folder, work='filled', option=option):
    remove_temporary(folder)
    yield
