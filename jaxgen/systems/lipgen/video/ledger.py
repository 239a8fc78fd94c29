"""Of what each file of a folder was made, and how: a table with a row a file, which grows as files are made."""

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

# Tables of folders with their first titles.
_TABLES = {jobs.TABLE: jobs.COLUMNS[0], jobs.READ: 'file', jobs.TALKED: 'file'}


class Ledger:
  """The table of a folder. Rows of files of earlier runs stay; who makes this holds the folder.

  Args:
    path: of the table, in the folder of the files.
    columns: its titles: that of files first, `of` and DIGEST among the others.
    again: files that are to be made anew, also those that are there.
    of: the title of what files are made of.
    how: further titles, of how they are made, which tables of before lack.

  Raises:
    DataError: there is another table in its place.
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
    """Whether a file has a row; one that is to be made anew, and was not, has one of which nothing is known."""
    return file in self._rows

  def source(self, file: str) -> str:
    """The path of the video or picture that a file was made of; '' where that is not known."""
    return self._rows.get(file, {}).get(self._of, '')

  def made_of(self, file: str, source: Path) -> bool | None:
    """Whether a file was made of a video or picture, by its contents; in tables of before by its path.

    None: it is not known of which it was made.
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
    """How a file was made in another way than is asked for, as 'seed = 0, not 1'; '' where in none known.

    Args:
      file: its name in the folder.
      how: values by title; '' where any will do.
    """
    row = self._rows.get(file, {})
    for title, own in how.items():
      known = row.get(title)
      if known and own and known != own:
        return f'{title} = {known}, not {own}'
    return ''

  def begin(self) -> None:
    """Before a file is written, once: what is known of those to be made anew is forgotten.

    So a run that is killed goes on with them, also where it is not told again to write them anew.
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
    """Before a new file is written: where a kill leaves it without its row, it is known to be of a run."""
    if file not in self._rows:
      self._append({self._columns[0]: file})

  def add(self, file: str, source: Path, about: Mapping[str, str] | None = None) -> None:
    """A file that was written.

    Args:
      file: its name in the folder.
      source: the video or picture that it was made of.
      about: of the other columns.
    """
    own = {self._columns[0]: file, self._of: str(source), DIGEST: self._digest_of(source)}
    self._append({**(about or {}), **own})

  def end(self) -> None:
    """After the last file: the rows in the order of names; no table where there is no row."""
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
  """While a file is written by its own name, not as one of a folder: no table tells of what it was made before.

  Folders that have a table with a row of it are held.

  Args:
    path: of the file.

  Raises:
    UserError: such a folder is held by another.
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
  """The tables that have a row of a file, with its name in each; tables of others are passed over."""
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
  """Tells the contents of a video or picture from others; '' where they cannot be read."""
  try:
    return digests.name_of_file(file)
  except OSError:
    return ''


def _whole_rows(path: Path, columns: Sequence[str]) -> list[Mapping[str, str]]:
  """The rows of a table, none where it is not there; errors as `read_table`."""
  if not path.is_file():
    return []
  rows = read_table(path, columns)
  if rows and path.read_bytes()[-1:] not in (b'\n', b'\r'):
    rows.pop()  # the last line of a run that was killed may be a piece of one
  return rows
