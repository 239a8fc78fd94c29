"""A folder of generated words: one picture per text and style, and a table that makes it a training set."""

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
SIZE = 'mm'  # key in ABOUT: size of outlines in millimetres, 0 if in pixels; None for a folder without any
_HEADER = ['file', 'text', 'writer']


class Entry(NamedTuple):
  """A picture in the folder.

  Attributes:
    text: that it shows.
    style: from 0.
    seed: of the style.
  """

  text: str
  style: int
  seed: int

  @property
  def file(self) -> str:
    """Its file name, unique to text, style and seed."""
    return f'{file_stem(self.text)}_{self.seed}_{self.style + 1}.png'

  @property
  def writer(self) -> str:
    """The name of the style, which is a hand."""
    return f'{self.seed}_{self.style + 1}'


def known_options(root: Path) -> dict[str, Any] | None:
  """The options that the pictures of a folder share; None for a new folder.

  Raises:
    ConfigError: it holds other files, and was not filled by `SetFolder`.
  """
  if not root.is_dir() or not any(p.name[0] != '.' for p in root.iterdir()):
    return None
  try:
    known = json.loads((root / ABOUT).read_text())
  except (OSError, ValueError):
    known = None
  if not isinstance(known, dict):
    raise ConfigError(
      f'{root} holds other files and no {ABOUT} of jaxgen write: name a new or empty folder'
    )
  return known


def _told(options: list[str]) -> str:
  """The options of ABOUT as a command line has them."""
  names = {'lines': '--text', 'tries': '--verify, --tries'}
  return ', '.join(names.get(x, x if x == 'options' else f'--{x}') for x in options)


def _differing(known: dict[str, Any], about: dict[str, Any]) -> list[str]:
  """The options in which a folder differs; outlines of one size may be added to pictures without any."""
  free = {SIZE} if None in (known.get(SIZE), about.get(SIZE)) else set()
  others = [k for k in about if k not in free and known.get(k) != about[k]]
  return others or (['options'] if known.keys() - about.keys() - {SIZE} else [])


class SetFolder:
  """A folder that is filled over one or several runs of one net with the same options.

  Files are written atomically, the table after all of them. It keeps entries of earlier runs. Only one process
  at a time may fill a folder: the caller must hold its lock.

  Args:
    root: the folder, created if missing.
    about: JSON-like, the options by which pictures of the same name differ; its SIZE is None without outlines.
    overwrite: whether existing pictures are made again.

  Raises:
    ConfigError: it holds other files, or pictures by another net or with other options.
    UserError: its table cannot be read.
  """

  def __init__(self, root: Path, about: dict[str, Any], overwrite: bool):
    self.root, self._overwrite = root, overwrite
    self._entries: dict[str, list[str]] = {}
    known = known_options(root)
    others = [] if known is None else _differing(known, about)
    if others and not overwrite:
      raise ConfigError(
        f'{root} holds words written with other settings ({_told(others)}): name another folder, or '
        'add --overwrite'
      )
    self._fits = known is not None and not others
    size = known.get(SIZE) if known and self._fits else None
    self._has_outlines = size is not None
    self._about = about | {SIZE: size if about.get(SIZE) is None else about[SIZE]}
    self._declared = known == self._about
    if self._fits:
      self._entries = self._listed()

  def _listed(self) -> dict[str, list[str]]:
    """The table's lines by file, for files that exist."""
    path = self.root / TABLE
    if not path.is_file():
      return {}
    try:
      header, *lines = csv.reader(io.StringIO(path.read_text('utf-8'), newline=''), strict=True)
    except (UnicodeError, ValueError, csv.Error) as error:
      raise DataError(f'{path} is damaged: move it away') from error
    if header != _HEADER or any(len(line) != len(_HEADER) for line in lines):
      raise DataError(f'{path} was not written by jaxgen write: move it away')
    return {line[0]: line for line in lines if (self.root / line[0]).is_file()}

  def has(self, entry: Entry, svg: bool) -> bool:
    """Whether a picture, and its outlines if wanted, need not be made.

    Raises:
      UserError: something else has its path.
    """
    path = self.root / entry.file
    if path.is_dir():
      raise UserError(f'{path} is a folder where a picture belongs: move it away')
    if self._overwrite or not is_there(path) or self._is_of_before(path, entry):
      return False
    try:
      read_size(path)
    except DataError as error:
      raise UserError(
        f'{path} exists and is not an image: move it away, or add --overwrite'
      ) from error
    self._list(entry)
    return not svg or (self._has_outlines and path.with_suffix('.svg').is_file())

  def _is_of_before(self, path: Path, entry: Entry) -> bool:
    """Whether a picture is by a previous net or options, whose table was removed when ABOUT was overwritten."""
    about = self.root / ABOUT
    return entry.file not in self._entries and path.stat().st_mtime_ns < about.stat().st_mtime_ns

  def put(self, entry: Entry, pixels: np.ndarray, svg: bytes | None = None) -> list[Path]:
    """Writes a picture, uint8 [H, W] or with alpha [H, W, 2], and its outlines; returns the paths.

    Without outlines, those of an older picture of this name are removed.
    """
    if not self._declared:
      if not self._fits:
        # First, so that a kill leaves no table of pictures that do not belong to this set.
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
    """The paths of a picture, and of its outlines if wanted."""
    path = self.root / entry.file
    return [path, path.with_suffix('.svg')] if svg else [path]

  def _list(self, entry: Entry) -> None:
    self._entries[entry.file] = [entry.file, entry.text, entry.writer]

  def finish(self) -> Path | None:
    """Writes the table of all pictures; None if there are none."""
    if not self._entries:
      return None
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_HEADER)
    writer.writerows(self._entries.values())
    return write_bytes(self.root / TABLE, text.getvalue().encode())
