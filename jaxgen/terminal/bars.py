"""Progress of training: a live bar with ETA on a terminal, occasional plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)
from rich.table import Column

from jaxgen.terminal.plain import plain

PLAIN_LINE_SECONDS = 10.0
TERMINAL_METRICS = 3
OTHER_WIDTH = 44  # of a bar, besides its description


class StepsBar:
  """Training progress: a live bar, or a line every few seconds if the output is a file.

  Args:
    bar: a live bar, or None for lines.
    say: prints a line.
    total: total number of steps.
    start: steps already done.
    main: names of the metrics to show.
  """

  def __init__(
    self,
    bar: Progress | None,
    say: Callable[[str], None],
    total: int,
    start: int,
    main: Iterable[str] = (),
  ):
    self._bar, self._say, self._total, self._start = bar, say, total, start
    self._main = [f'train/{name}' for name in main]
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

  def __exit__(self, *exc_info: Any) -> None:
    if self._bar:
      self._bar.stop()

  def update(self, step: int) -> None:
    """Advances the bar."""
    if self._bar:
      self._bar.update(self._task, completed=step)

  def metrics(self, step: int, values: Mapping[str, float]) -> None:
    """Shows the main metrics; prints a plain line once the last one is a few seconds old."""
    names = [k for k in self._main if k in values] or [k for k in values if k.startswith('train/')]
    text = '  '.join(
      f'{k.removeprefix("train/")} {values[k]:.2f}' for k in names[:TERMINAL_METRICS]
    )
    if self._bar:
      rate = values.get('steps_per_second')  # the first line has none
      speed = '' if rate is None else f'{rate:.1f} steps/s  '
      self._bar.update(self._task, metrics=plain(f'{speed}{text}'))
      return
    now = time.monotonic()
    if (
      self._rated_from is None
    ):  # the first metrics come after compilation, which does not reflect the rate
      self._rated_from = step, now
    first_step, first_time = self._rated_from
    if (step > first_step and now - self._said >= PLAIN_LINE_SECONDS) or step == self._total:
      self._said = now
      speed = ''
      if step > first_step:  # else the time includes compilation
        rate = (step - first_step) / max(now - first_time, 1e-9)
        speed = f'{rate:.1f} steps/s  {duration((self._total - step) / max(rate, 1e-9))} left  '
      self._say(f'step {step}/{self._total}  {speed}{text}')


def make_bar(console: Console, transient: bool) -> Progress:
  """A live bar whose tasks have a field `metrics`; a transient one disappears at the end."""

  def fixed() -> Column:
    return Column(no_wrap=True)

  # A narrow terminal truncates the metrics and long file names, never the steps or the ETA.
  rest = Column(no_wrap=True, overflow='ellipsis', ratio=1)
  named = Column(no_wrap=True, overflow='ellipsis', max_width=max(8, console.width - OTHER_WIDTH))
  return Progress(
    TextColumn('{task.description}', table_column=named, markup=False),
    BarColumn(bar_width=12, table_column=Column(min_width=12)),
    MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=9)),
    TextColumn('eta', table_column=fixed(), markup=False),
    TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
    TextColumn('{task.fields[metrics]}', table_column=rest, markup=False),
    console=console,
    redirect_stderr=sys.stderr.isatty(),  # leave a redirected stream alone
    expand=True,
    transient=transient,
    refresh_per_second=4,
  )


def duration(seconds: float) -> str:
  """A duration as 3:02 or 1:03:02."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}' if hours else f'{minutes}:{seconds:02}'
