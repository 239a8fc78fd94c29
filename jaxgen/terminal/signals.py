"""Stop signals: finish what is running, save, and leave with the conventional exit status."""

import os
import signal
from types import FrameType


class Stopped(Exception):  # noqa: N818 (an event, not an error)
  """A stop signal arrived and the work in hand was ended cleanly.

  Attributes:
    signum: the signal's number.
  """

  def __init__(self, signum: int):
    super().__init__(signal.Signals(signum).name)
    self.signum = signum


class StopSignals:
  """Context in which SIGTERM and SIGINT set a flag; the second one ends the process at once.

  Attributes:
    received: the signal's number, or 0.
  """

  def __init__(self):
    self.received = 0
    self._previous = {}

  def __enter__(self) -> 'StopSignals':
    for signum in (signal.SIGTERM, signal.SIGINT):
      self._previous[signum] = signal.signal(signum, self._handle)
    return self

  def __exit__(self, *exc_info):
    for signum, handler in self._previous.items():
      signal.signal(signum, handler)

  def _handle(self, signum: int, frame: FrameType | None):
    del frame
    if self.received:
      os._exit(128 + signum)  # a checkpoint being written is never committed half
    self.received = signum
