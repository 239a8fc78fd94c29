"""The first stop signal is answered at once; the second is not waited for."""

import os
import signal
import threading

import pytest

from jaxgen.terminal import signals
from jaxgen.terminal.signals import StopSignals, interruptible


@pytest.mark.parametrize(
  ('signum', 'name'), [(signal.SIGINT, 'Ctrl-C'), (signal.SIGTERM, 'SIGTERM')]
)
def test_the_first_signal_is_answered_at_once(capfd, signum, name):
  with StopSignals() as received:
    signal.raise_signal(signum)
    said = f'{name} received: finishing the step and saving; a second one ends at once\n'
    assert capfd.readouterr() == ('', said)
  assert received.received == signum


def test_on_a_terminal_the_answer_takes_the_line_of_a_bar(capfd, monkeypatch):
  monkeypatch.setattr(os, 'isatty', lambda fd: True)
  with StopSignals('ending'):
    signal.raise_signal(signal.SIGINT)
  assert capfd.readouterr().err == '\r\x1b[2KCtrl-C received: ending; a second one ends at once\n'


def test_the_second_signal_shows_the_cursor_that_a_bar_has_hidden(capfd, monkeypatch):
  ended = []
  monkeypatch.setattr(os, 'isatty', lambda fd: True)
  monkeypatch.setattr(signals.os, '_exit', ended.append)
  with StopSignals('ending'):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
  assert ended == [128 + signal.SIGTERM]
  assert '\x1b[?25h' in capfd.readouterr().err


def test_where_standard_error_is_closed_the_signal_still_counts(monkeypatch):
  def closed(*args):
    raise OSError(9, 'Bad file descriptor')

  monkeypatch.setattr(os, 'write', closed)
  with StopSignals() as received:
    signal.raise_signal(signal.SIGTERM)
  assert received.received == signal.SIGTERM


def test_a_thread_besides_the_main_one_leaves_signals_alone():
  before, seen = signal.getsignal(signal.SIGTERM), []

  def work():
    with StopSignals() as received, interruptible():
      seen.append((received.received, signal.getsignal(signal.SIGTERM)))

  thread = threading.Thread(target=work)
  thread.start()
  thread.join()
  assert seen == [(0, before)] and signal.getsignal(signal.SIGTERM) is before


def test_ctrl_c_interrupts_where_it_may():
  before = signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    with pytest.raises(KeyboardInterrupt), interruptible():
      signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, before)
