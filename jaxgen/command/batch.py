"""Several inputs of one command: a bad one is told of, and the rest goes on."""

import json
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jaxgen.errors import UserError
from jaxgen.passes import Bars
from jaxgen.terminal.plain import plain
from jaxgen.words import counted, named

if TYPE_CHECKING:
  from jaxgen.terminal.reporter import Reporter


class Batch:
  """Several inputs, one after the other: a bad one is told of, and the rest goes on.

  Args:
    reporter: is told.
    as_json: whether standard output is for JSON objects alone.
    kind: the key of JSON objects for an input, as 'video'.
    check: called before each frame; may raise to stop.
    source: the key for inputs that fail or are left out, where `kind` is that of what is made of them.

  Attributes:
    done: how many inputs were worked on.
    there: how many had their outputs already.
    failed: names of inputs that could not be worked on.
    check: as given.
  """

  def __init__(
    self,
    reporter: 'Reporter',
    as_json: bool,
    kind: str,
    check: Callable[[], None],
    source: str = '',
  ):
    self._reporter, self._as_json, self._kind, self.check = reporter, as_json, kind, check
    self._source = source or kind
    self.done = self.there = 0
    self.failed: list[str] = []
    if as_json:
      reporter.console.quiet = True

  def bars(self, name: str, total: int | None = None) -> Bars:
    """Progress over the frames of one input: `total` or so, where their own length does not say it."""

    def show(items: Iterable, description: str, number: int | None = None) -> Iterator:
      of = number or (None if isinstance(items, Sized) else total)
      return self._reporter.progress(items, f'{description} of {name}', of, self.check)

    return show

  def skip(self, name: str, found: dict[str, Any]) -> None:
    """An input whose outputs are there; `found` names them as for `tell`."""
    self.there += 1
    self._print({self._kind: name, **found, 'skipped': True})

  def fail(self, name: str, error: Exception | str) -> None:
    """An input that could not be worked on."""
    self.failed.append(name)
    self._reporter.warn(f'error: {error}')
    self._print({self._source: name, 'error': str(error)})

  def drop(self, name: str, why: str) -> None:
    """An input that has nothing to work on, which is no mistake."""
    self.note(why)
    self._print({self._source: name, 'dropped': why})

  def tell(self, name: str, line: str, notes: Iterable[str], found: dict[str, Any]) -> None:
    """An input that was worked on."""
    self.done += 1
    self._reporter.say(line)
    for note in notes:
      self._reporter.warn(f'warning: {name}: {note}')
    self._print({self._kind: name, **found})

  def made(self, name: str, found: dict[str, Any]) -> None:
    """One of very many outputs, of which a bar tells: counted, and a JSON object where those are asked for."""
    self.done += 1
    self._print({self._kind: name, **found})

  def print(self, lines: Iterable[str]) -> None:
    """Results as lines of text; none where they are JSON objects."""
    if not self._as_json:
      for line in lines:
        _put(plain(line, lines=True))

  def note(self, line: str) -> None:
    """Something to know before the work begins."""
    self._reporter.warn(f'warning: {line}')

  def end(self, did: str, total: int, failing: str = '', more: Iterable[str] = ()) -> None:
    """Sums up.

    Args:
      did: what was done to inputs, as 'read'.
      total: how many inputs there are.
      failing: what could not be done to those that failed, where that is something else.
      more: parts of the line besides.

    Raises:
      UserError: some inputs could not be worked on; names them.
    """
    parts = [f'{counted(self.done, self._kind)} {did}']
    if self.there:
      were = counted(self.there, 'was', 'were')
      parts.append(f'{were} there already (--overwrite writes anew)')
    self._reporter.say('; '.join([*parts, *more]))
    if self.failed:
      of = counted(total, self._source)
      raise UserError(
        f'{len(self.failed)} of {of} could not be {failing or did}: {named(self.failed)}'
      )

  def _print(self, found: dict[str, Any]) -> None:
    if self._as_json:
      _put(json.dumps(found, ensure_ascii=False))


def _put(line: str) -> None:
  from jaxgen.terminal.signals import named_output

  with named_output():
    print(line, flush=True)


def how_to_go_on(overwrite: bool) -> str:
  """What a person is told of a command that was stopped; with --overwrite the same one would begin anew."""
  how = ' without --overwrite, which begins anew,' if overwrite else ''
  return f'Run the same command{how} to go on.'


@contextmanager
def batch(
  as_json: bool,
  kind: str,
  aside: bool = False,
  overwrite: bool = False,
  source: str = '',
  kept: bool = True,
) -> Iterator[Batch]:
  """A batch that a stop signal ends between two frames.

  Args:
    as_json: see `Batch`.
    kind: see `Batch`.
    aside: whether standard output is for results, and all else goes to standard error.
    overwrite: whether what is there is written anew.
    source: see `Batch`.
    kept: whether files keep what was done, so that the same command would not do it again.
  """
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.terminal.signals import Stopped, StopSignals

  reporter = Reporter()
  reporter.console.stderr = aside
  with StopSignals('ending') as signals:

    def check() -> None:
      if signals.received:
        raise Stopped(signals.received)

    work = Batch(reporter, as_json, kind, check, source)
    try:
      yield work
    except Stopped as stop:
      how = how_to_go_on(overwrite) if kept else 'The same command begins anew.'
      reporter.warn(f'stopped by {stop}; {work.done} done. {how}')
      raise
