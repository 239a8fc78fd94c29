"""What each file in a folder was made from, and how: a table with one row per file, written along with them."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jaxgen import digests
from jaxgen.errors import DataError
from jaxgen.files import write_bytes
from jaxgen.locks import held
from jaxgen.systems.lipgen.video import jobs
from jaxgen.systems.lipgen.video.jobs import DIGEST, VIDEO, encoded, read_table, tab_lines

# The tables of folders, and the title of each one's first column.
_TABLES = {jobs.TABLE: jobs.COLUMNS[0], jobs.READ: 'file', jobs.TALKED: 'file'}
# What files were made with whose tables lack a column, by its title; otherwise that is unknown.
_BEFORE = {'like': 'mouths'}


class Ledger:
  """The table of a folder. Rows of files from earlier runs are kept; the caller must hold the folder's lock.

  Args:
    path: of the table, in the folder of the files.
    columns: its titles: that of files first, `of` and DIGEST among the others.
    again: files to be made anew, even if they exist.
    of: the title of the source column.
    how: further titles, of options that files are made with, which older tables lack.

  Raises:
    DataError: there is a different table in its place.
  """

  def __init__(
    self,
    path: Path,
    columns: Sequence[str],
    again: Iterable[str] = (),
    of: str = VIDEO,
    how: Sequence[str] = (),
  ):
    self.path = path
    self._columns, self._again, self._of = (*columns, *how), tuple(again), of
    self._begun = False
    self._digest_of = functools.cache(digest_of)
    rows = _whole_rows(path, [x for x in columns if x != DIGEST])
    self._rows = {row[self._columns[0]]: row for row in rows}

  def knows(self, file: str) -> bool:
    """Whether a file has a row; one that is still to be made anew has a row with nothing but its name."""
    return file in self._rows

  def source(self, file: str) -> str:
    """The path of the video or picture that a file was made from; '' if unknown."""
    return self._rows.get(file, {}).get(self._of, '')

  def made_of(self, file: str, source: Path) -> bool | None:
    """Whether a file was made from a video or picture, by its contents; in older tables by its path.

    None: the file's source is unknown.
    """
    row, known_path = self._rows.get(file, {}), self.source(file)
    if not known_path:
      return None
    known, own = row.get(DIGEST), self._digest_of(source)
    if known and own:
      return known == own
    written = encoded(str(source)).decode()
    return known_path == written or Path(known_path).resolve() == source.resolve()

  def made_otherwise(self, file: str, how: Mapping[str, str]) -> str:
    """The first option in which a file differs from the request, as 'seed = 0, not 1'; '' if none is known.

    Args:
      file: its name in the folder.
      how: requested values by title; '' accepts any.
    """
    row = self._rows.get(file, {})
    for title, own in how.items():
      known = row.get(title) or _BEFORE.get(title)
      if known and own and known != own:
        return f'{title} = {known}, not {own}'
    return ''

  def begin(self) -> None:
    """Call before writing a file, takes effect once: clears the rows of files to be made anew.

    So after an interruption a run continues with these, even without being told again to overwrite them.
    """
    if self._begun:
      return
    title = self._columns[0]
    for file in self._again:
      if file in self._rows or (self.path.parent / file).is_file():
        self._rows[file] = {title: file}
    self._begun = True
    self._write()

  def mark(self, file: str) -> None:
    """Call before writing a new file: if the run is killed before its row is added, the file is still known."""
    if file not in self._rows:
      self._append({self._columns[0]: file})

  def add(self, file: str, source: Path, about: Mapping[str, str] | None = None) -> None:
    """Records a file that was written.

    Args:
      file: its name in the folder.
      source: the video or picture that it was made from.
      about: cells of the other columns.
    """
    own = {self._columns[0]: file, self._of: str(source), DIGEST: self._digest_of(source)}
    self._append({**(about or {}), **own})

  def end(self) -> None:
    """Call after the last file: sorts the rows by name; removes a table without rows."""
    for file in [file for file in self._rows if not self.source(file)]:
      if not (self.path.parent / file).is_file():  # it could not be made
        del self._rows[file]
    if self._begun and self._rows:
      self._write()
    elif self._begun:
      self.path.unlink(missing_ok=True)

  def _append(self, row: Mapping[str, str]) -> None:
    with self.path.open('ab') as out:
      out.write(tab_lines(self._columns, [row]))
    self._rows[row[self._columns[0]]] = row

  def _write(self) -> None:
    rows = (self._rows[x] for x in sorted(self._rows))
    write_bytes(self.path, tab_lines(self._columns, rows, titles=True))


@contextmanager
def unbound(path: Path) -> Iterator[None]:
  """Context for writing a file by its own name, not as one of a folder: drops outdated rows about it.

  Folders that have a table with a row for it are locked meanwhile.

  Args:
    path: of the file.

  Raises:
    UserError: such a folder is locked by another process.
  """
  with ExitStack() as folders:
    tables = _tables_of(path)
    for folder in dict.fromkeys(table.parent for table, _ in tables):
      folders.enter_context(held(folder, 'filled'))
    for table, name in tables:
      title = _TABLES[table.name]
      rows = _whole_rows(table, (title,))
      kept = [row for row in rows if row[title] != name]
      columns = [x for x in rows[0] if x] if rows else []
      if kept:
        write_bytes(table, tab_lines(columns, kept, titles=True))
      else:
        table.unlink(missing_ok=True)
    yield


def _tables_of(path: Path) -> list[tuple[Path, str]]:
  """The tables that have a row for a file, with its name in each; unrelated tables are skipped."""
  found: dict[Path, tuple[Path, str]] = {}
  for whole in (path.absolute(), path.parent.resolve() / path.name):
    for folder in whole.parents:
      for table, title in _TABLES.items():
        name = encoded(whole.relative_to(folder).as_posix()).decode()
        try:
          names = [row[title] for row in _whole_rows(folder / table, (title,))]
        except DataError:
          continue
        if name in names:
          found[folder.resolve() / table] = folder.resolve() / table, name
  return list(found.values())


def digest_of(file: Path) -> str:
  """A digest of the contents of a video or picture; '' if it cannot be read."""
  try:
    return digests.name_of_file(file)
  except OSError:
    return ''


def _whole_rows(path: Path, columns: Sequence[str]) -> list[Mapping[str, str]]:
  """The rows of a table, none if it does not exist; raises as `read_table` does."""
  if not path.is_file():
    return []
  rows = read_table(path, columns)
  if rows and path.read_bytes()[-1:] not in (b'\n', b'\r'):
    rows.pop()  # if a run was killed, the last line may be incomplete
  return rows
