"""What a run tells: progress on the terminal, metrics.jsonl, TensorBoard events, tables and pictures."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

from rich.console import Console
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)
from rich.table import Column, Table

PLAIN_LINE_SECONDS = 10.0
TERMINAL_METRICS = 3
FILE_WIDTH = 160  # of tables where the output is no terminal
FIRST_COLUMN = 16  # characters that a narrow terminal leaves to it


class Reporter:
  """Talks to a person: a bar with ETA on a terminal, plain lines now and then elsewhere.

  Args:
    quiet: say nothing (processes other than the first).
  """

  def __init__(self, quiet: bool = False):
    self.console = Console(quiet=quiet, soft_wrap=True, highlight=False)
    self._live = self.console.is_terminal and not quiet
    if not self.console.is_terminal:
      self.console.width = FILE_WIDTH
    self._plain_at = time.monotonic()

  def say(self, text: str) -> None:
    """One line."""
    self.console.print(text, markup=False)

  def warn(self, text: str) -> None:
    """One line on standard error."""
    if not self.console.quiet:
      print(text, file=sys.stderr, flush=True)

  def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table; floats with two decimals, or two digits where those would be 0, None as a dash.

    No value is cut: where the terminal is narrow the first column goes on in further lines.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    table = Table(title=title, title_justify='left')
    for i, name in enumerate(columns):
      widest = max((len(row[i]) for row in cells), default=0)
      first = i == 0
      table.add_column(
        name,
        justify='left' if first else 'right',
        overflow='fold',
        min_width=min(widest, FIRST_COLUMN) if first else widest,
      )
    for row in cells:
      table.add_row(*row)
    self.console.print(table, soft_wrap=False)

  def steps(self, total: int, start: int, main: Iterable[str] = ()) -> 'StepsBar':
    """A context that shows training progress from `start` to `total`, with the `main` metrics."""
    return StepsBar(self, total, start, main)

  def progress(self, items: Iterable, description: str, check=lambda: None) -> Iterator:
    """Iterates with a bar; `check` is called before each item and may raise to stop."""
    total = len(items) if isinstance(items, Sized) else None
    if not self._live:
      for i, item in enumerate(items):
        check()
        if time.monotonic() - self._plain_at > PLAIN_LINE_SECONDS:
          self._plain_at = time.monotonic()
          self.say(f'{description}: {i}/{total}' if total else f'{description}: {i}')
        yield item
      return
    with _bar(self.console, transient=True) as bar:
      task = bar.add_task(description, total=total, metrics='')
      for item in items:
        check()
        yield item
        bar.advance(task)


class StepsBar:
  """Training progress: a live bar, or a line every few seconds where the output is a file."""

  def __init__(self, reporter: Reporter, total: int, start: int, main: Iterable[str]):
    self._reporter, self._total, self._start = reporter, total, start
    self._main = [f'train/{name}' for name in main]
    self._bar = _bar(reporter.console, transient=False) if reporter._live else None
    self._said = time.monotonic()
    self._rated_from: tuple[int, float] | None = None
    self._task: Any = None

  def __enter__(self) -> 'StepsBar':
    if self._bar:
      self._bar.start()
      self._task = self._bar.add_task(
        'train', total=self._total, completed=self._start, metrics='compiling'
      )
    return self

  def __exit__(self, *exc_info):
    if self._bar:
      self._bar.stop()

  def update(self, step: int) -> None:
    """Moves the bar."""
    if self._bar:
      self._bar.update(self._task, completed=step)

  def metrics(self, step: int, values: Mapping[str, float]) -> None:
    """Shows the main metrics; prints a plain line when the last one is some seconds old."""
    names = [k for k in self._main if k in values] or [k for k in values if k.startswith('train/')]
    text = '  '.join(
      f'{k.removeprefix("train/")} {values[k]:.2f}' for k in names[:TERMINAL_METRICS]
    )
    if self._bar:
      rate = values.get('steps_per_second', 0.0)
      self._bar.update(self._task, metrics=f'{rate:.1f} steps/s  {text}')
      return
    now = time.monotonic()
    if (
      self._rated_from is None
    ):  # the first metrics come after compilation, which says nothing of the rate
      self._rated_from = step, now
    first_step, first_time = self._rated_from
    if (step > first_step and now - self._said >= PLAIN_LINE_SECONDS) or step == self._total:
      self._said = now
      rate = (step - first_step) / max(now - first_time, 1e-9)
      left = (self._total - step) / max(rate, 1e-9)
      self._reporter.say(
        f'step {step}/{self._total}  {rate:.1f} steps/s  {_duration(left)} left  {text}'
      )


def _bar(console: Console, transient: bool) -> Progress:
  def fixed() -> Column:
    return Column(no_wrap=True)

  # A narrow terminal cuts the metrics, never the steps or the ETA.
  rest = Column(no_wrap=True, overflow='ellipsis', ratio=1)
  return Progress(
    TextColumn('{task.description}', table_column=fixed()),
    BarColumn(bar_width=12, table_column=Column(min_width=12)),
    MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
    TextColumn('eta', table_column=fixed()),
    TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
    TextColumn('{task.fields[metrics]}', table_column=rest),
    console=console,
    expand=True,
    transient=transient,
    refresh_per_second=4,
  )


def _duration(seconds: float) -> str:
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'


def _cell(value: Any) -> str:
  if value is None:
    return '-'
  if isinstance(value, float):
    return f'{value:.2g}' if 0 < abs(value) < 0.005 else f'{value:,.2f}'
  return f'{value:,}' if isinstance(value, int) else str(value)
