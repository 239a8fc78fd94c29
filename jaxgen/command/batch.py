"""Processing of several inputs by one command: a bad one is reported, and the rest continue."""

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
  """Several inputs, one after the other: a bad one is reported, and the rest continue.

  Args:
    reporter: prints the messages.
    as_json: whether standard output is for JSON objects only.
    kind: the key for an input in JSON objects, such as 'video'.
    check: called before each frame; may raise to stop.
    source: the key for inputs that fail or are skipped, if `kind` is the key for outputs.

  Attributes:
    done: how many inputs were processed.
    there: how many already had their outputs.
    failed: names of inputs that could not be processed.
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
    """Progress over the frames of one input; `total` is their approximate number if they have no length."""

    def show(items: Iterable, description: str, number: int | None = None) -> Iterator:
      of = number or (None if isinstance(items, Sized) else total)
      return self._reporter.progress(items, f'{description} of {name}', of, self.check)

    return show

  def skip(self, name: str, found: dict[str, Any]) -> None:
    """Reports an input whose outputs already exist; `found` names them as for `tell`."""
    self.there += 1
    self._print({self._kind: name, **found, 'skipped': True})

  def fail(self, name: str, error: Exception | str) -> None:
    """Reports an input that could not be processed."""
    self.failed.append(name)
    self._reporter.warn(f'error: {error}')
    self._print({self._source: name, 'error': str(error)})

  def drop(self, name: str, why: str) -> None:
    """Reports an input that contains nothing to process, which is not an error."""
    self.note(why)
    self._print({self._source: name, 'dropped': why})

  def tell(self, name: str, line: str, notes: Iterable[str], found: dict[str, Any]) -> None:
    """Reports an input that was processed."""
    self.done += 1
    self._reporter.say(line)
    for note in notes:
      self._reporter.warn(f'warning: {name}: {note}')
    self._print({self._kind: name, **found})

  def made(self, name: str, found: dict[str, Any]) -> None:
    """Counts one of very many outputs, which a bar shows; prints a JSON object if those are requested."""
    self.done += 1
    self._print({self._kind: name, **found})

  def print(self, lines: Iterable[str]) -> None:
    """Prints results as lines of text, unless the output is JSON."""
    if not self._as_json:
      for line in lines:
        _put(plain(line, lines=True))

  def note(self, line: str) -> None:
    """Prints a warning."""
    self._reporter.warn(f'warning: {line}')

  def end(self, did: str, total: int, failing: str = '', more: Iterable[str] = ()) -> None:
    """Prints a summary.

    Args:
      did: what was done to inputs, such as 'read'.
      total: how many inputs there are.
      failing: what could not be done to those that failed, if that is something else.
      more: further parts of the line.

    Raises:
      UserError: some inputs could not be processed; names them.
    """
    parts = [f'{counted(self.done, self._kind)} {did}']
    if self.there:
      were = counted(self.there, 'was', 'were')
      parts.append(f'{were} there already (--overwrite replaces them)')
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
  """The advice after a command was stopped; with --overwrite the same command would start over."""
  how = ' without --overwrite, which starts over,' if overwrite else ''
  return f'Run the same command{how} to continue.'


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
    aside: whether standard output is for results only, with everything else on standard error.
    overwrite: whether existing outputs are overwritten.
    source: see `Batch`.
    kept: whether finished work is kept in files, so that the same command would not repeat it.
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
      how = how_to_go_on(overwrite) if kept else 'The same command starts over.'
      reporter.warn(f'stopped by {stop}; {work.done} done. {how}')
      raise
