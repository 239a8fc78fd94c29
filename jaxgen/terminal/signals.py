"""Stop signals: finish what is running, save, and exit with the conventional status."""

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
  """A stop signal arrived, and the work in progress was ended cleanly.

  Attributes:
    signum: the signal's number.
  """

  def __init__(self, signum: int):
    super().__init__(signal.Signals(signum).name)
    self.signum = signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
  """Context in which Ctrl-C raises KeyboardInterrupt, so that an unfinished file is removed.

  Does nothing outside the main thread, the only one that may handle signals.
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
  """Context in which SIGTERM and SIGINT set a flag; a second one ends the process at once.

  A closed standard output (`| head`) also sets the flag, to SIGPIPE; if that has not ended the work by the
  end of the context, the context raises Stopped. Signal handlers are left alone outside the main thread,
  the only one that may handle signals.

  Args:
    promise: what happens after the first signal, shown to the user right away.

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
      os._exit(128 + signum)  # a half-written checkpoint is never committed
    self.received = signum
    name = 'Ctrl-C' if signum == signal.SIGINT else signal.Signals(signum).name
    _write(f'{name} received: {self._promise}; a second one ends at once\n')


_listening: list[StopSignals] = []


def _may_listen() -> bool:
  return threading.current_thread() is threading.main_thread()


def reader_gone() -> None:
  """Reports once that standard output is closed, and ends the work at its next check for a stop.

  Raises:
    Stopped: stop signals are not handled here, so there is no such check.
  """
  silence(sys.stdout)
  _write('standard output was closed by its reader: ending\n')
  for signals in _listening:
    signals.received = signals.received or signal.SIGPIPE
  if not _listening:
    raise Stopped(signal.SIGPIPE)


@contextlib.contextmanager
def named_output() -> Iterator[None]:
  """Context in which an OS error on writing names standard output."""
  try:
    yield
  except BrokenPipeError:
    raise
  except OSError as error:
    error.filename = error.filename or 'standard output'
    raise


def silence(stream: TextIO) -> None:
  """Redirects a stream without a reader to the null device: else Python complains at exit about its buffer."""
  with contextlib.suppress(OSError, ValueError):  # a stream without a file
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _write(text: str, show_cursor: bool = False) -> None:
  """Writes to standard error bypassing all buffers, which the interrupted code may be using.

  On a terminal the text replaces the line of a bar, which redraws itself below.
  """
  with contextlib.suppress(OSError):
    if os.isatty(_STDERR):
      text = f'\r{_ERASE_LINE}{text}{_SHOW_CURSOR if show_cursor else ""}'
    if text:
      os.write(_STDERR, text.encode())
