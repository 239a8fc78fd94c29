"""Of which video each file of a folder was made: a table with a row a file, which grows as files are made."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxgen import digests
from jaxgen.files import write_bytes
from jaxgen.systems.lipgen.video.jobs import DIGEST, VIDEO, encoded, read_table, tab_lines


class Ledger:
  """The table of a folder. Rows of files of earlier runs stay; who makes this holds the folder.

  Args:
    path: of the table, in the folder of the files.
    columns: its titles: that of files first, VIDEO and DIGEST among the others.
    again: files that are to be made anew, also those that are there.

  Attributes:
    there: whether the folder had a table.

  Raises:
    DataError: there is another table in its place.
  """

  def __init__(self, path: Path, columns: Sequence[str], again: Iterable[str] = ()):
    self.path, self.there = path, path.is_file()
    self._columns, self._again = tuple(columns), tuple(again)
    self._begun = False
    self._digest_of = functools.cache(digest_of)
    rows = read_table(path, [x for x in columns if x != DIGEST]) if self.there else []
    if rows and not _is_whole(path):
      rows.pop()  # the last line of a run that was killed may be a piece of one
    self._rows = {row[self._columns[0]]: row for row in rows}

  def knows(self, file: str) -> bool:
    """Whether a file has a row; one that is to be made anew, and was not, has one of which nothing is known."""
    return file in self._rows

  def source(self, file: str) -> str:
    """The path of the video that a file was made of; '' where that is not known."""
    return self._rows.get(file, {}).get(VIDEO, '')

  def made_of(self, file: str, video: Path) -> bool | None:
    """Whether a file was made of a video: one of the same contents, in tables of before of the same path.

    None: it is not known of which it was made.
    """
    row = self._rows.get(file, {})
    if not row.get(VIDEO):
      return None
    known, own = row.get(DIGEST), self._digest_of(video)
    if known and own:
      return known == own
    written = encoded(str(video)).decode()
    return row[VIDEO] == written or Path(row[VIDEO]).resolve() == video.resolve()

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

  def add(self, file: str, video: Path, about: Mapping[str, str] | None = None) -> None:
    """A file that was written.

    Args:
      file: its name in the folder.
      video: that it was made of.
      about: of the other columns.
    """
    own = {self._columns[0]: file, VIDEO: str(video), DIGEST: self._digest_of(video)}
    row = {**(about or {}), **own}
    with self.path.open('ab') as out:
      out.write(tab_lines(self._columns, [row]))
    self._rows[file] = row

  def end(self) -> None:
    """After the last file: the rows in the order of names; no table where there is no row."""
    if self._begun and self._rows:
      self._write()
    elif self._begun:
      self.path.unlink(missing_ok=True)

  def _write(self) -> None:
    titles = dict(zip(self._columns, self._columns, strict=True))
    rows = (self._rows[x] for x in sorted(self._rows))
    write_bytes(self.path, tab_lines(self._columns, [titles, *rows]))


def digest_of(file: Path) -> str:
  """Tells the contents of a video or picture from others; '' where they cannot be read."""
  try:
    return digests.name_of_file(file)
  except OSError:
    return ''


def _is_whole(path: Path) -> bool:
  """Whether the last line of a file is ended."""
  return path.read_bytes()[-1:] in (b'\n', b'\r', b'')
