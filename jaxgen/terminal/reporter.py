"""The output of a run to the user: lines, bars, tables."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

from rich.console import Console
from rich.segment import Segment, Segments

from jaxgen.terminal import signals
from jaxgen.terminal.bars import PLAIN_LINE_SECONDS, StepsBar, duration, make_bar
from jaxgen.terminal.plain import plain
from jaxgen.terminal.tables import make_table

FILE_WIDTH = 160  # of tables if the output is not a terminal


class _Console(Console):
  """A console that prints text verbatim and detects a closed pipe.

  Attributes:
    closed: whether a pipe that it wrote to has lost its reader.
  """

  closed = False

  def on_broken_pipe(self) -> None:
    """Called by rich, whose own version would silently exit the process."""
    self.quiet = self.closed = True


class Reporter:
  """Prints for the user: a bar with ETA on a terminal, occasional plain lines elsewhere.

  Control characters are escaped everywhere: file names may contain terminal commands.

  Args:
    quiet: print nothing (processes other than the first).
  """

  def __init__(self, quiet: bool = False):
    self._quiet = quiet
    # File names may contain what rich would take for markup or an emoji.
    self.console = _Console(quiet=quiet, soft_wrap=True, highlight=False, markup=False, emoji=False)
    self._live = self.console.is_terminal and not quiet
    if not self.console.is_terminal:
      self.console.width = FILE_WIDTH
    self._plain_at = time.monotonic()

  def say(self, text: str) -> None:
    """Prints one line verbatim."""
    self._print(Segments([Segment(plain(text)), Segment.line()]), end='')

  def warn(self, text: str) -> None:
    """Prints one line to standard error."""
    if not self._quiet:
      try:
        print(plain(text), file=sys.stderr, flush=True)
      except BrokenPipeError:
        signals.silence(sys.stderr)
        signals.reader_gone()

  def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Prints a table made by `tables.make_table`."""
    self._print(make_table(title, columns, rows), soft_wrap=False)

  def _print(self, *what: Any, **options: Any) -> None:
    closed = self.console.closed
    with signals.named_output():
      self.console.print(*what, **options)
    if self.console.closed and not closed:
      signals.reader_gone()

  def steps(self, total: int, start: int, main: Iterable[str] = ()) -> StepsBar:
    """A context that shows training progress from `start` to `total`, with the `main` metrics."""
    bar = make_bar(self.console, transient=False) if self._live else None
    return StepsBar(bar, self.say, total, start, main)

  def progress(
    self,
    items: Iterable,
    description: str,
    total: int | None = None,
    check: Callable[[], None] = lambda: None,
  ) -> Iterator:
    """Iterates with a progress bar.

    Args:
      items: consumed one by one, without keeping references.
      description: text of the bar.
      total: how many there are; by default their length, if they have one.
      check: called before each item; may raise to stop.
    """
    if total is None and isinstance(items, Sized):
      total = len(items)
    if not self._live:
      began = time.monotonic()
      for i, item in enumerate(items):
        check()
        now = time.monotonic()
        if now - self._plain_at > PLAIN_LINE_SECONDS:
          self._plain_at = now
          left = f'  {duration((total - i) * (now - began) / i)} left' if total and i else ''
          self.say(f'{description}: {i}/{total}{left}' if total else f'{description}: {i}')
        yield item
      return
    with make_bar(self.console, transient=True) as bar:
      task = bar.add_task(plain(description), total=total, metrics='')
      for item in items:
        check()
        yield item
        bar.advance(task)
