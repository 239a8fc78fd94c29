"""The files of a set: a folder, the zip files in it, or a single zip file, under the names that tables use."""

import functools
import lzma
import os
import tempfile
import unicodedata
import uuid
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jaxgen.data.image_files import has_image_suffix, sorted_files
from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real.picture_names import PictureNames

# A zip member that unpacks to more than this is not a picture of a word: it would fill the disk.
_LARGEST = 1 << 28
_IS_UTF8 = 0x800  # flag bit of a zip member
_READ_SUFFIXES = ('.csv', '.tsv', '.txt', '.xml')
# zipfile raises NotImplementedError for an unsupported method, RuntimeError for a password.
_UNREADABLE = (
  OSError,
  zipfile.BadZipFile,
  zlib.error,
  lzma.LZMAError,
  RuntimeError,
  ValueError,
  EOFError,
)


class _Place(NamedTuple):
  """The location of a file: in a zip, or in the folder (None). `stamp` changes with its content."""

  archive: zipfile.ZipFile | None
  path: str
  stamp: tuple[int, int]


class Store:
  """Files by name, read in place.

  Names are relative to the folder, or to the root of their zip file, with forward slashes, NFC. A file in the
  folder takes precedence over one of the same name in a zip. Hidden files are ignored.

  Args:
    root: a folder, or a zip file.

  Attributes:
    root: the same.
    names: of all images, tables, texts and XML files, sorted.
    images: names of the images.

  Raises:
    DataError: not a folder or zip file, or a zip file is damaged.
  """

  def __init__(self, root: Path):
    self.root = root
    places = _in_folder(root) if root.is_dir() else _in_zip(root)
    self._places = dict(sorted(places.items()))
    self.names = tuple(self._places)
    self.images = tuple(filter(_is_image, self.names))
    self._pictures = PictureNames(self.images, self.names)

  def stamp(self) -> list[str | int]:
    """A fingerprint of the files: the folder, and each name, size, and time or, in a zip, checksum."""
    stamp: list[str | int] = [str(self.root.absolute())]
    for name, place in self._places.items():
      stamp += [name, *place.stamp]
    return stamp

  def find(self, name: str, beside: str = '', any_case: bool = False) -> list[str]:
    """The image that a name in a table refers to: [] if there is none, several if the name is ambiguous.

    Looked up as given, relative to the folder of the table, those above it, or the root; else without its
    suffix; else by its last part, in the nearest folder above the table that has it. Folders in the name must
    then match: their path may begin anywhere in that of the image, and may have more parts before the set's
    root (an absolute path) or before the folder that all files are in. A bare name may be in any folder.

    Args:
      name: from the table.
      beside: the table's own name.
      any_case: whether to ignore case.
    """
    name = unicodedata.normalize('NFC', name.strip().replace('\\', '/'))
    if not any_case:
      return self._pictures.find(name, beside)
    pictures, images = self._in_lower_case
    return [x for lower in pictures.find(name.lower(), beside.lower()) for x in images[lower]]

  @functools.cached_property
  def _in_lower_case(self) -> tuple[PictureNames, dict[str, list[str]]]:
    """Pictures by their names in lower case, and the pictures with each such name."""
    images = defaultdict[str, list[str]](list)
    for image in self.images:
      images[image.lower()].append(image)
    return PictureNames(images, map(str.lower, self.names)), images

  def read(self, name: str) -> bytes:
    """The content of a file.

    Raises:
      DataError: it cannot be read.
    """
    place = self._places[name]
    try:
      if place.archive is None:
        return Path(place.path).read_bytes()
      if place.stamp[0] > _LARGEST:
        raise DataError(f'{name}: unpacks to {place.stamp[0]:,} bytes, more than {_LARGEST:,}')
      return place.archive.read(place.path)
    except _UNREADABLE as error:
      raise DataError(f'{self.shown(name)}: cannot be read: {error}') from error

  def shown(self, name: str) -> str:
    """The name as shown in messages."""
    archive = self._places[name].archive
    return name if archive is None else f'{Path(str(archive.filename)).name}/{name}'

  @contextmanager
  def paths(self) -> Iterator[Callable[[str], Path]]:
    """A function from a name to a file on disk, which for zip members exists until the next call."""
    with tempfile.TemporaryDirectory(prefix='jaxgen-') as folder:
      unpacked = Path(folder) / 'nothing'

      def path(name: str) -> Path:
        nonlocal unpacked
        place = self._places[name]
        if place.archive is None:
          return Path(place.path)
        # A new name each time: file systems take milliseconds to overwrite a file.
        unpacked.unlink(missing_ok=True)
        unpacked = Path(folder) / f'{uuid.uuid4().hex}{PurePosixPath(name).suffix}'
        unpacked.write_bytes(self.read(name))
        return unpacked

      yield path


def _is_image(name: str) -> bool:
  return has_image_suffix(Path(name))


def _is_wanted(name: str) -> bool:
  parts = PurePosixPath(name).parts
  hidden = any(part.startswith('.') or part == '__MACOSX' for part in parts)
  return not hidden and (_is_image(name) or name.lower().endswith(_READ_SUFFIXES))


def _in_folder(root: Path) -> dict[str, _Place]:
  listing = sorted_files(root)
  files = [*listing.images, *listing.others]
  places: dict[str, _Place] = {}
  for path in files:
    if path.suffix.lower() == '.zip' and _is_wanted(f'{path.stem}.txt'):
      places |= _in_zip(path)
  for path in files:
    parts = map(readable, path.relative_to(root).parts)
    name = unicodedata.normalize('NFC', '/'.join(parts))
    if _is_wanted(name):
      status = path.stat()
      places[name] = _Place(None, str(path), (status.st_size, status.st_mtime_ns))
  return places


def readable(name: str) -> str:
  """A file's name as a table can hold it: if it is not UTF-8, it is decoded as Latin-1."""
  try:
    name.encode()
  except UnicodeEncodeError:
    return os.fsencode(name).decode('latin-1')
  return name


def _in_zip(path: Path) -> dict[str, _Place]:
  try:
    archive = zipfile.ZipFile(path)
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such folder or zip file') from error
  except (OSError, zipfile.BadZipFile) as error:
    raise DataError(f'{path}: neither a folder nor a readable zip file ({error})') from error
  places = {}
  for member in archive.infolist():
    name = unicodedata.normalize('NFC', _as_written(member).replace('\\', '/'))
    if not member.is_dir() and _is_wanted(name):
      places[name] = _Place(archive, member.filename, (member.file_size, member.CRC))
  return places


def _as_written(member: zipfile.ZipInfo) -> str:
  """The name of a member: many programs write UTF-8 without the flag, so it is decoded as code page 437."""
  if not member.flag_bits & _IS_UTF8:
    with suppress(UnicodeError):
      return member.filename.encode('cp437').decode()
  return member.filename
