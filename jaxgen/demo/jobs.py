"""Work that a person starts on the page: in a thread of its own, with progress, until it ends or is stopped."""

import logging
import re
import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxgen.errors import UserError
from jaxgen.passes import Progress


class JobStopped(Exception):  # noqa: N818 (an event, not an error)
  """The person pressed Stop, or left the page."""


class JobsGoOn(Exception):  # noqa: N818 (an event, not an error)
  """The page is closed, and a job has not ended: the process is to end without waiting for its threads."""


class Job:
  """One piece of work of one person.

  Args:
    folder: for the files that it makes; made when the first one is.
  """

  def __init__(self, folder: Path):
    self.folder = folder
    self._stopped = threading.Event()

  def stop(self) -> None:
    """Ends the work where it next tells of its progress, or before it begins."""
    self._stopped.set()

  @property
  def stopped(self) -> bool:
    """Whether the work is to end."""
    return self._stopped.is_set()

  def check(self) -> None:
    """Raises JobStopped where the work is to end."""
    if self.stopped:
      raise JobStopped

  def clear(self) -> None:
    """Removes its files."""
    shutil.rmtree(self.folder, ignore_errors=True)


class Jobs:
  """The jobs that wait or run, and the newest finished one of each kind and person.

  Args:
    folder: for the files that they make.
  """

  def __init__(self, folder: Path):
    self._folder = folder
    self._lock, self._running, self._closed = threading.Lock(), 0, False
    self._idle = threading.Condition(self._lock)
    self._waiting: dict[tuple[str, str], Job] = {}
    self._begun: dict[tuple[str, str], Job] = {}
    self._here = threading.local()

  def wait(self, session: str, name: str) -> Job:
    """A job that a person has asked for: it can be stopped while it still waits for its turn."""
    with self._lock:
      job = self._waiting[session, name] = Job(self._folder / uuid.uuid4().hex)
    return job

  def stop(self, session: str, name: str) -> None:
    """Stops a person's job of a kind, whether it waits or runs."""
    with self._lock:
      found = [jobs.get((session, name)) for jobs in (self._waiting, self._begun)]
    for job in filter(None, found):
      job.stop()

  def leave(self, session: str) -> None:
    """Stops all that a person has asked for, and removes what was made: the page was closed."""
    with self._lock:
      keys = [key for key in {*self._waiting, *self._begun} if key[0] == session]
      found = [jobs.pop(key, None) for key in keys for jobs in (self._waiting, self._begun)]
    for job in filter(None, found):
      job.stop()
      job.clear()

  def stop_all(self) -> None:
    """Stops everything, what begins after this too: the server ends."""
    with self._lock:
      self._closed = True
      found = [*self._waiting.values(), *self._begun.values()]
    for job in found:
      job.stop()

  def wait_for_end(self, seconds: float) -> bool:
    """Waits until no job runs, and returns whether that came to be."""
    with self._idle:
      return self._idle.wait_for(lambda: not self._running, seconds)

  def run(self, session: str, name: str, work: Callable[[Progress], Any], tell: Progress) -> Any:
    """Does the work in this thread and returns what it does; earlier files of its kind go.

    Args:
      session: whose it is.
      name: its kind.
      work: takes the progress to be told of, which raises JobStopped.
      tell: shows a person how far it is.

    Raises:
      JobStopped: the person has stopped it.
      UserError: as `told`.
    """
    key = session, name
    with self._lock:
      job = self._waiting.pop(key, None) or Job(self._folder / uuid.uuid4().hex)
      before, self._begun[key] = self._begun.get(key), job
      self._running += 1
      if self._closed:
        job.stop()
    try:
      if before:
        before.clear()
      job.check()
      made = self._done(job, work, tell)
      job.check()
      return made
    except Exception as error:
      if not job.stopped:
        raise
      job.clear()
      raise JobStopped from error
    finally:
      with self._idle:
        self._running -= 1
        self._idle.notify_all()

  def _done(self, job: Job, work: Callable[[Progress], Any], tell: Progress) -> Any:
    """What the work does, with a place for its files."""

    def progress(done: int, total: int) -> None:
      job.check()
      tell(done, total)

    self._here.job = job
    try:
      return work(progress)
    finally:
      del self._here.job

  def new_folder(self) -> Path:
    """A new folder for files of the job that this thread does.

    Raises:
      RuntimeError: it does none.
    """
    job = getattr(self._here, 'job', None)
    if job is None:
      raise RuntimeError('files are made by jobs')
    folder = job.folder / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder


def told(error: Exception, folder: Path) -> str:
  """What a person is told of an error: the words of a UserError as a command has them, else a short line.

  Args:
    error: what ended the work.
    folder: the temporary one, whose names say nothing to a person: files in it are named without it.
  """
  if isinstance(error, UserError):
    words = str(error)
  elif isinstance(error, OSError) and error.strerror:
    words = f'{error.strerror}: {error.filename}' if error.filename else error.strerror
  elif isinstance(error, MemoryError):
    words = 'out of memory'
  else:
    logging.error('the page could not do what was asked', exc_info=error)
    words = f'{type(error).__name__}: the terminal of jaxgen demo shows where it was raised'
  return named_short(words, folder)


def named_short(words: str, folder: Path) -> str:
  """Words with the files of a folder named without it."""
  return re.sub(rf'{re.escape(str(folder))}/(?:[^\s/]+/)*', '', words)
