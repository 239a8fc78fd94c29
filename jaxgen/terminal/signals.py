"""Stop signals: finish what is running, save, and leave with the conventional exit status."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

_STDERR = 2
_ERASE_LINE, _SHOW_CURSOR = '\x1b[2K', '\x1b[?25h'  # bars hide the cursor


class Stopped(Exception):  # noqa: N818 (an event, not an error)
  """A stop signal arrived and the work in hand was ended cleanly.

  Attributes:
    signum: the signal's number.
  """

  def __init__(self, signum: int):
    super().__init__(signal.Signals(signum).name)
    self.signum = signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
  """Context in which Ctrl-C raises KeyboardInterrupt, so that a file that is not finished is removed.

  Nothing changes in a thread besides the main one, which alone may listen to signals.
  """
  if not _may_listen():
    yield
    return
  previous = signal.signal(signal.SIGINT, signal.default_int_handler)
  try:
    yield
  finally:
    signal.signal(signal.SIGINT, previous)


class StopSignals:
  """Context in which SIGTERM and SIGINT set a flag; the second one ends the process at once.

  Standard output that nothing reads any more (`| head`) sets the flag too, to SIGPIPE; where nothing has ended
  the work for it, the end of the context raises Stopped. In a thread besides the main one, which alone may
  listen to signals, these stay as they are.

  Args:
    promise: what happens after the first, as a person is told at once.

  Attributes:
    received: the signal's number, or 0.
  """

  def __init__(self, promise: str = 'finishing the step and saving'):
    self.received = 0
    self._promise = promise
    self._previous: dict[int, Any] = {}

  def __enter__(self) -> 'StopSignals':
    for signum in (signal.SIGTERM, signal.SIGINT) if _may_listen() else ():
      self._previous[signum] = signal.signal(signum, self._handle)
    _listening.append(self)
    return self

  def __exit__(self, *exc_info: Any) -> None:
    _listening.remove(self)
    for signum, handler in self._previous.items():
      signal.signal(signum, handler)
    if self.received == signal.SIGPIPE and exc_info[0] is None:
      raise Stopped(self.received)

  def _handle(self, signum: int, frame: FrameType | None) -> None:
    del frame
    if self.received:
      _write('', show_cursor=True)
      os._exit(128 + signum)  # a checkpoint being written is never committed half
    self.received = signum
    name = 'Ctrl-C' if signum == signal.SIGINT else signal.Signals(signum).name
    _write(f'{name} heard: {self._promise}; a second one ends at once\n')


_listening: list[StopSignals] = []


def _may_listen() -> bool:
  return threading.current_thread() is threading.main_thread()


def reader_gone() -> None:
  """Tells once that nothing reads standard output any more, and ends the work: at its next check for a stop.

  Raises:
    Stopped: nothing listens to stop signals here, so there is no such check.
  """
  silence(sys.stdout)
  _write('standard output is closed, nothing reads it any more: ending\n')
  for signals in _listening:
    signals.received = signals.received or signal.SIGPIPE
  if not _listening:
    raise Stopped(signal.SIGPIPE)


@contextlib.contextmanager
def named_output() -> Iterator[None]:
  """What cannot be written inside is standard output: an error of the system names it."""
  try:
    yield
  except BrokenPipeError:
    raise
  except OSError as error:
    error.filename = error.filename or 'standard output'
    raise


def silence(stream: TextIO) -> None:
  """Leads a stream whose reader has gone to nowhere: else Python complains in the end of what is left in it."""
  with contextlib.suppress(OSError, ValueError):  # a stream without a file
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _write(text: str, show_cursor: bool = False) -> None:
  """Writes to standard error past all buffers, which the code that was interrupted may hold.

  On a terminal the text takes the line of a bar, which draws itself again below.
  """
  with contextlib.suppress(OSError):
    if os.isatty(_STDERR):
      text = f'\r{_ERASE_LINE}{text}{_SHOW_CURSOR if show_cursor else ""}'
    if text:
      os.write(_STDERR, text.encode())
