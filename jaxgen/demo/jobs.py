"""Jobs started from the page: each in its own thread, with progress, until it ends or is stopped."""

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
  """The user pressed Stop, or left the page."""


class JobsGoOn(Exception):  # noqa: N818 (an event, not an error)
  """The page is closed, but a job is still running: the process must exit without waiting for its threads."""


class Job:
  """One piece of work of one user.

  Args:
    folder: for its output files; created with the first one.
  """

  def __init__(self, folder: Path):
    self.folder = folder
    self._stopped = threading.Event()

  def stop(self) -> None:
    """Ends the work at its next progress report, or before it begins."""
    self._stopped.set()

  @property
  def stopped(self) -> bool:
    """Whether the work should stop."""
    return self._stopped.is_set()

  def check(self) -> None:
    """Raises JobStopped if the work should stop."""
    if self.stopped:
      raise JobStopped

  def clear(self) -> None:
    """Removes its files."""
    shutil.rmtree(self.folder, ignore_errors=True)


class Jobs:
  """The waiting and running jobs, and the most recent finished one of each kind and user.

  Args:
    folder: for their output files.
  """

  def __init__(self, folder: Path):
    self._folder = folder
    self._lock, self._running, self._closed = threading.Lock(), 0, False
    self._idle = threading.Condition(self._lock)
    self._waiting: dict[tuple[str, str], Job] = {}
    self._begun: dict[tuple[str, str], Job] = {}
    self._here = threading.local()

  def wait(self, session: str, name: str) -> Job:
    """Registers a requested job, so that it can be stopped while it is still queued."""
    with self._lock:
      job = self._waiting[session, name] = Job(self._folder / uuid.uuid4().hex)
    return job

  def stop(self, session: str, name: str) -> None:
    """Stops a user's job of a kind, whether queued or running."""
    with self._lock:
      found = [jobs.get((session, name)) for jobs in (self._waiting, self._begun)]
    for job in filter(None, found):
      job.stop()

  def leave(self, session: str) -> None:
    """Stops all of a user's jobs and removes their output, because the page was closed."""
    with self._lock:
      keys = [key for key in {*self._waiting, *self._begun} if key[0] == session]
      found = [jobs.pop(key, None) for key in keys for jobs in (self._waiting, self._begun)]
    for job in filter(None, found):
      job.stop()
      job.clear()

  def stop_all(self) -> None:
    """Stops all jobs, including those that begin after this, because the server is shutting down."""
    with self._lock:
      self._closed = True
      found = [*self._waiting.values(), *self._begun.values()]
    for job in found:
      job.stop()

  def wait_for_end(self, seconds: float) -> bool:
    """Waits until no job is running, and returns whether that happened in time."""
    with self._idle:
      return self._idle.wait_for(lambda: not self._running, seconds)

  def run(self, session: str, name: str, work: Callable[[Progress], Any], tell: Progress) -> Any:
    """Does the work in this thread and returns its result; earlier output files of its kind are removed.

    Args:
      session: the user's session.
      name: its kind.
      work: takes a progress callback, which raises JobStopped.
      tell: shows progress to the user.

    Raises:
      JobStopped: the user has stopped it.
      UserError: see `told`.
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
    """The result of the work, which is given a place for its files."""

    def progress(done: int, total: int) -> None:
      job.check()
      tell(done, total)

    self._here.job = job
    try:
      return work(progress)
    finally:
      del self._here.job

  def new_folder(self) -> Path:
    """A new folder for files of the job that runs in this thread.

    Raises:
      RuntimeError: there is no such job.
    """
    job = getattr(self._here, 'job', None)
    if job is None:
      raise RuntimeError('files can be created only within a job')
    folder = job.folder / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder


def told(error: Exception, folder: Path) -> str:
  """The message for an error: that of a UserError, as from a command, else a short line.

  Args:
    error: the error that ended the work.
    folder: the temporary folder, which means nothing to the user: files in it are named without it.
  """
  if isinstance(error, UserError):
    words = str(error)
  elif isinstance(error, OSError) and error.strerror:
    words = f'{error.strerror}: {error.filename}' if error.filename else error.strerror
  elif isinstance(error, MemoryError):
    words = 'out of memory'
  else:
    logging.error('a request of the page failed', exc_info=error)
    words = f'{type(error).__name__}: see the terminal of jaxgen demo for the traceback'
  return named_short(words, folder)


def named_short(words: str, folder: Path) -> str:
  """A text in which files of a folder are named without it."""
  return re.sub(rf'{re.escape(str(folder))}/(?:[^\s/]+/)*', '', words)
