"""Tracks outputs in folders, their sources and options: which exist, and which are to be made."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from jaxgen.errors import UserError
from jaxgen.files import is_there
from jaxgen.systems.lipgen.video.jobs import COLUMNS, DIGEST, VIDEO
from jaxgen.systems.lipgen.video.jobs import TABLE as MOUTHS
from jaxgen.systems.lipgen.video.ledger import Ledger, unbound
from jaxgen.words import counted

_OTHERWISE = 'choose another folder, or --overwrite'


class Table(NamedTuple):
  """The table that a command keeps in a folder of its outputs.

  Attributes:
    name: of its file.
    of: title of the source column.
    how: titles of columns of options and of other facts, which older tables lack.
    columns: the other titles, that of outputs first, `of` and DIGEST among them; (): only these three.
    empty: extension of outputs that may be empty files, such as subtitles; '' for none.
  """

  name: str
  of: str
  how: tuple[str, ...] = ()
  columns: tuple[str, ...] = ()
  empty: str = ''


# Of `jaxgen mouths`; older tables have the other columns alone.
CROPPED = Table(MOUTHS, VIDEO, ('begins', 'like', 'landmarks'), COLUMNS)


class Wanted(Protocol):
  """The outputs to be made from one video or picture.

  Attributes:
    source: the video or picture.
    files: of the outputs, by kind.
  """

  @property
  def source(self) -> Path:
    """See above."""
    ...

  @property
  def files(self) -> Mapping[str, Path]:
    """See above."""
    ...


class Outputs:
  """The outputs in folders: each folder has a table, see `Ledger`, and must be locked by the caller.

  Args:
    table: of the command.
    folders: of outputs.
    plan: all requested outputs.
    overwrite: whether existing outputs are written anew.

  Attributes:
    unknown: existing outputs that are in no table, so that their source is unknown; they are left alone.

  Raises:
    DataError: a folder has a different table in its place.
  """

  def __init__(
    self, table: Table, folders: Iterable[Path], plan: Sequence[Wanted], overwrite: bool
  ):
    self.unknown: list[Path] = []
    self._table, self._overwrite = table, overwrite
    self._named = ExitStack()
    self._roots = {folder: folder.resolve() for folder in folders}
    anew = [
      path for one in plan for path in one.files.values() if overwrite or not self._is_there(path)
    ]
    placed = [place for path in anew if (place := self._place(path))]
    columns = table.columns or ('file', table.of, DIGEST)
    self._ledgers = {
      root: Ledger(
        root / table.name, columns, [x for own, x in placed if own == root], table.of, table.how
      )
      for root in self._roots.values()
    }

  def knows(self, path: Path) -> bool:
    """See `Ledger.knows`."""
    place = self._place(path)
    return place is not None and self._ledgers[place[0]].knows(place[1])

  def made_of(self, path: Path, source: Path) -> bool | None:
    """See `Ledger.made_of`."""
    place = self._place(path)
    return self._ledgers[place[0]].made_of(place[1], source) if place else None

  def left(self, one: Wanted, how: Mapping[str, str]) -> Mapping[str, Path]:
    """The outputs of a video or picture that are still to be written, by kind.

    Args:
      one: its requested outputs.
      how: the requested options, see `Ledger.made_otherwise`.

    Raises:
      UserError: an existing one has another source, or was made with other options.
    """
    if self._overwrite:
      return one.files
    states = {kind: self._is_made(one.source, path, how) for kind, path in one.files.items()}
    if None in states.values():  # a run that was to overwrite them was interrupted
      return one.files
    return {kind: path for kind, path in one.files.items() if not states[kind]}

  def begin(self, written: Iterable[Path]) -> None:
    """Call before writing some outputs.

    Raises:
      UserError: one that is named individually is in a folder that another command fills, see `unbound`.
    """
    for ledger in self._ledgers.values():
      ledger.begin()
    for path in written:
      if place := self._place(path):
        self._ledgers[place[0]].mark(place[1])
      else:
        self._named.enter_context(unbound(path))

  def add(self, one: Wanted, written: Iterable[Path], how: Mapping[str, str]) -> None:
    """Records outputs that were written, and their options by title."""
    for path in written:
      if place := self._place(path):
        self._ledgers[place[0]].add(place[1], one.source, how)

  def end(self) -> None:
    """Call after the last output."""
    self._named.close()
    for ledger in self._ledgers.values():
      ledger.end()

  def notes(self) -> list[str]:
    """Messages for the user, after all outputs were checked."""
    if not self.unknown:
      return []
    files = f'{counted(len(self.unknown), "file")}, as {self.unknown[0]}'
    return [f'no {self._table.name} records the source {self._table.of}: kept {files}']

  def _is_made(self, source: Path, path: Path, how: Mapping[str, str]) -> bool | None:
    """Whether an output exists; None for one still to be written anew. Raises as `left` does."""
    place = self._place(path)
    if not place or not self._is_there(path):
      return is_there(path)
    root, name = place
    ledger = self._ledgers[root]
    made = ledger.made_of(name, source)
    if made is False:
      raise UserError(f'{source}: {path} comes from {ledger.source(name)}: {_OTHERWISE}')
    if made:
      if otherwise := ledger.made_otherwise(name, how):
        raise UserError(f'{source}: {path} was made with {otherwise}: {_OTHERWISE}')
      return True
    if ledger.knows(name):
      return None
    if is_there(path):
      self.unknown.append(path)
    return is_there(path)

  def _is_there(self, path: Path) -> bool:
    """Whether an output exists, even as an empty file if that is allowed."""
    return is_there(path) or (path.is_file() and path.suffix == self._table.empty)

  def _place(self, path: Path) -> tuple[Path, str] | None:
    """The folder of an output, and its name there; None for a file that was named individually."""
    whole = path.parent.resolve() / path.name
    for folder, root in self._roots.items():
      if folder in path.parents:  # as named, since subfolders may be links
        return root, path.relative_to(folder).as_posix()
      if root in whole.parents:
        return root, whole.relative_to(root).as_posix()
    return None
