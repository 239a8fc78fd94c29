"""A folder of generated words: a picture a text and style, and the table by which it is a set to learn from."""

import csv
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.files import is_there, write_bytes, write_json
from jaxgen.photos import read_size
from jaxgen.pictures.png import write_image
from jaxgen.systems.handwriting.writing.texts import file_stem

TABLE, ABOUT = 'words.csv', 'write.json'
SIZE = 'mm'  # of ABOUT: of outlines, in millimetres, 0 where pixels are their unit; None of a folder without
_HEADER = ['file', 'text', 'writer']


class Entry(NamedTuple):
  """A picture of the folder.

  Attributes:
    text: what it shows.
    style: from 0.
    seed: of the style.
  """

  text: str
  style: int
  seed: int

  @property
  def file(self) -> str:
    """Its name; another one for another text, style or seed."""
    return f'{file_stem(self.text)}_{self.seed}_{self.style + 1}.png'

  @property
  def writer(self) -> str:
    """The style's name, since a style is a hand."""
    return f'{self.seed}_{self.style + 1}'


def known_options(root: Path) -> dict[str, Any] | None:
  """What the pictures of a folder have in common; None of a new one.

  Raises:
    ConfigError: it holds other files, and is none that `SetFolder` filled.
  """
  if not root.is_dir() or not any(p.name[0] != '.' for p in root.iterdir()):
    return None
  try:
    known = json.loads((root / ABOUT).read_text())
  except (OSError, ValueError):
    known = None
  if not isinstance(known, dict):
    raise ConfigError(
      f'{root} holds other files and no {ABOUT} of jaxgen write: name a folder of its own'
    )
  return known


def _differing(known: dict[str, Any], about: dict[str, Any]) -> list[str]:
  """The options in which a folder is another one; outlines of one size may come to pictures without."""
  free = {SIZE} if None in (known.get(SIZE), about.get(SIZE)) else set()
  others = [k for k in about if k not in free and known.get(k) != about[k]]
  return others or (['options'] if known.keys() - about.keys() - {SIZE} else [])


class SetFolder:
  """A folder that is filled over one or many runs of one net with the same options.

  Files are written whole or not at all, and the table when all of them are there. What the table has of
  earlier runs stays in it. One at a time may fill a folder: who makes this holds it.

  Args:
    root: the folder, made where it is not there.
    about: JSON-like, what makes pictures differ that have one name; SIZE of it is None without outlines.
    overwrite: whether pictures that are there are made again.

  Raises:
    ConfigError: it holds other files, or pictures of another net or of other options.
    UserError: its table cannot be read.
  """

  def __init__(self, root: Path, about: dict[str, Any], overwrite: bool):
    self.root, self._overwrite = root, overwrite
    self._entries: dict[str, list[str]] = {}
    known = known_options(root)
    others = [] if known is None else _differing(known, about)
    if others and not overwrite:
      raise ConfigError(
        f'{root} holds words that were written otherwise ({", ".join(others)}): name another folder, or '
        'take --overwrite'
      )
    self._fits = known is not None and not others
    size = known.get(SIZE) if known and self._fits else None
    self._has_outlines = size is not None
    self._about = about | {SIZE: size if about.get(SIZE) is None else about[SIZE]}
    self._declared = known == self._about
    if self._fits:
      self._entries = self._listed()

  def _listed(self) -> dict[str, list[str]]:
    """The table's lines by file, of files that are there."""
    path = self.root / TABLE
    if not path.is_file():
      return {}
    try:
      header, *lines = csv.reader(io.StringIO(path.read_text('utf-8'), newline=''), strict=True)
    except (UnicodeError, ValueError, csv.Error) as error:
      raise DataError(f'{path} is damaged: move it away') from error
    if header != _HEADER or any(len(line) != len(_HEADER) for line in lines):
      raise DataError(f'{path} is none of jaxgen write: move it away')
    return {line[0]: line for line in lines if (self.root / line[0]).is_file()}

  def has(self, entry: Entry, svg: bool) -> bool:
    """Whether a picture, and its outlines where they are wanted, need not be made.

    Raises:
      UserError: something else is in its place.
    """
    path = self.root / entry.file
    if path.is_dir():
      raise UserError(f'{path} is a folder, and a picture goes there: move it away')
    if self._overwrite or not is_there(path) or self._is_of_before(path, entry):
      return False
    try:
      read_size(path)
    except DataError as error:
      raise UserError(
        f'{path} is there and is no image: move it away, or take --overwrite'
      ) from error
    self._list(entry)
    return not svg or (self._has_outlines and path.with_suffix('.svg').is_file())

  def _is_of_before(self, path: Path, entry: Entry) -> bool:
    """Whether a picture is of another net or other options, whose table was overwritten with ABOUT."""
    about = self.root / ABOUT
    return entry.file not in self._entries and path.stat().st_mtime_ns < about.stat().st_mtime_ns

  def put(self, entry: Entry, pixels: np.ndarray, svg: bytes | None = None) -> list[Path]:
    """Writes a picture, uint8 [H, W] or with alpha [H, W, 2], and its outlines; returns the paths.

    Without outlines those of another picture of this name are removed.
    """
    if not self._declared:
      if not self._fits:
        # First, so that a kill leaves no table of pictures that are not of this set.
        (self.root / TABLE).unlink(missing_ok=True)
      write_json(self.root / ABOUT, self._about)
      self._declared = True
    path = self.root / entry.file
    if svg is None:
      path.with_suffix('.svg').unlink(missing_ok=True)
    else:
      write_bytes(path.with_suffix('.svg'), svg)
    write_image(path, pixels)
    self._list(entry)
    return self.paths(entry, svg is not None)

  def paths(self, entry: Entry, svg: bool) -> list[Path]:
    """Of a picture, and of its outlines where they are wanted."""
    path = self.root / entry.file
    return [path, path.with_suffix('.svg')] if svg else [path]

  def _list(self, entry: Entry) -> None:
    self._entries[entry.file] = [entry.file, entry.text, entry.writer]

  def finish(self) -> Path | None:
    """Writes the table of all pictures; None where there is none."""
    if not self._entries:
      return None
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_HEADER)
    writer.writerows(self._entries.values())
    return write_bytes(self.root / TABLE, text.getvalue().encode())
