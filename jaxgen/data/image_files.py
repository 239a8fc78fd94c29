"""Which files of a folder are images: one rule for training, evaluation and command lines."""

import heapq
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError
from jaxgen.words import counted, named

# What `jaxgen.photos` reads and writes, by Pillow's name of the format.
FORMATS = {
  'PNG': ('.png', '.apng'),
  'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'),
  'MPO': ('.mpo',),
  'TIFF': ('.tif', '.tiff'),
  'WEBP': ('.webp',),
  'AVIF': ('.avif', '.avifs'),
  'GIF': ('.gif',),
  'BMP': ('.bmp',),
  'DIB': ('.dib',),
  'PPM': ('.pnm', '.pbm', '.pgm', '.ppm'),
  'TGA': ('.tga', '.icb', '.vda', '.vst'),
  'JPEG2000': ('.jp2', '.j2k', '.j2c', '.jpc', '.jpf', '.jpx'),
  'PCX': ('.pcx',),
  'SGI': ('.sgi', '.rgb', '.rgba', '.bw'),
}
SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
_OTHERS = """
.heic .heif .hif .heics .heifs .avci .jxl .jxr .wdp .hdp
.psd .psb .xcf .kra .ora
.dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .srw .raf .orf .rw2 .rwl .pef .x3f .3fr .fff .iiq .erf .mef .mos
.mrw .kdc .dcr .raw
.svg .svgz .eps .wmf .emf
.exr .hdr .pfm .dpx .cin
.ico .icns .cur .dds .qoi .xbm .xpm .pam .mng .jng .jif .jfi .jph .jhc .jpm .jls .jps .pns
.fits .fit .fts .dcm .djvu .bpg .flif
"""
# Pictures that are not read here, or not written: a person who has them is told more than that there are other
# files. HEIF, JPEG XL and XR; of editors; raw ones of cameras; drawings; floating point; icons; of science.
FOREIGN = frozenset(_OTHERS.split())
_OWN, _LINKED, _HIDDEN = range(3)  # the order in which folders are visited


class Listing(NamedTuple):
  """All files of a folder and of the folders in it, each list sorted by path.

  Attributes:
    images: by their suffix, see FORMATS; and what only its suffix says not to be read here.
    others: any other files, hidden ones, and all that is in hidden folders.
    foreign: pictures of formats that are not read here.
    lost: links to nothing, and folders that may not be opened.
  """

  images: list[Path]
  others: list[Path]
  foreign: list[Path]
  lost: list[Path]

  @property
  def told(self) -> list[str]:
    """What a person should know of `foreign` and `lost`, a line each; [] where there is neither."""
    lines = []
    if self.foreign:
      them = 'it' if len(self.foreign) == 1 else 'them'
      lines.append(
        f'{counted(len(self.foreign), "file")} that cannot be read: {kinds(self.foreign)}; convert '
        f'{them} to PNG, JPEG or TIFF'
      )
    if self.lost:
      lines.append(f'links to nothing, or folders that may not be opened: {named(self.lost)}')
    return lines


def kinds(paths: Iterable[Path]) -> str:
  """'2 .heic, 1 .jxl': how many files there are of each suffix, the most first."""
  counts = Counter(path.suffix.lower() for path in paths)
  return ', '.join(f'{n:,} {name}' for name, n in sorted(counts.items(), key=lambda x: (-x[1], x)))


def image_files(folder: Path) -> list[Path]:
  """The image files of a folder and of the folders in it, sorted, see `sorted_files`."""
  return sorted_files(folder).images


def sorted_files(folder: Path) -> Listing:
  """All files of a folder and of the folders in it, by their paths.

  An image is one by its suffix, or by what is in it where that is of FOREIGN. Hidden files are others, and so
  is all that is in hidden folders, as the previews that file managers keep in `.thumbnails`. The folder itself
  may be hidden. Links to folders are followed, hidden ones excepted; each folder is visited once, by its own
  path where that is below `folder`.
  """
  found = Listing([], [], [], [])
  for here, hidden, content in _visited(folder):
    if content is None:
      found.lost.append(here)
    for entry in content or ():
      _put(here / entry.name, entry, hidden or entry.name.startswith('.'), found)
  for paths in found:
    paths.sort()
  return found


def visible_folders(folder: Path) -> list[Path]:
  """A folder and all in it that are not hidden, sorted; each once, as in `sorted_files`."""
  return sorted(here for here, hidden, _ in _visited(folder) if not hidden)


def _visited(folder: Path) -> Iterator[tuple[Path, bool, list[os.DirEntry] | None]]:
  """Each folder, whether it is hidden, and what is in it; None where it may not be opened."""
  seen = {_identity(above) for above in folder.resolve().parents}  # up there a circle would begin
  waiting = [(_OWN, folder)]
  while waiting:
    rank, here = heapq.heappop(waiting)
    identity = _identity(here)
    if identity in seen:
      continue
    seen.add(identity)
    try:
      with os.scandir(here) as entries:
        content = list(entries)
    except OSError:
      yield here, rank == _HIDDEN, None
      continue
    for entry in content:
      hidden = rank == _HIDDEN or entry.name.startswith('.')
      if _is_folder(entry) and not (hidden and entry.is_symlink()):
        kind = _HIDDEN if hidden else _LINKED if entry.is_symlink() else _OWN
        heapq.heappush(waiting, (kind, here / entry.name))
    yield here, rank == _HIDDEN, content


def _is_folder(entry: os.DirEntry) -> bool:
  try:
    return entry.is_dir()
  except OSError:  # links that lead to one another
    return False


def _put(path: Path, entry: os.DirEntry, hidden: bool, found: Listing) -> None:
  """Puts a file, or a link, where it belongs."""
  linked, suffix = entry.is_symlink(), path.suffix.lower()
  try:
    file, there = entry.is_file(), not linked or path.exists()
  except OSError:  # as above
    file, there = False, False
  if hidden and (file or linked):
    found.others.append(path)
  elif not there:
    found.lost.append(path)
  elif file:
    strange = suffix in FOREIGN
    if suffix in SUFFIXES or (strange and _is_image(path)):
      found.images.append(path)
    else:
      (found.foreign if strange else found.others).append(path)


def _is_image(path: Path) -> bool:
  """Whether a picture that is not read here, by its suffix, is one that is: phones name JPEG files .heic."""
  from jaxgen.photos.formats import known_format  # imports Pillow

  return known_format(path) not in (None, 'TIFF')  # raw photos begin as TIFF does


def _identity(folder: Path) -> tuple[int, int] | None:
  """What two paths of one folder have in common; None where it is gone."""
  try:
    status = folder.stat()
  except OSError:
    return None
  return status.st_dev, status.st_ino


def has_image_suffix(path: Path) -> bool:
  """Whether a file's name says that it is an image."""
  return path.suffix.lower() in SUFFIXES


def check_folder_name(option: str, folder: Path) -> None:
  """Refuses what a person may have thought to be a file where an option names a folder.

  Raises:
    ConfigError: the folder is not there yet, and has the name of an image.
  """
  if has_image_suffix(folder) and not folder.is_dir():
    raise ConfigError(
      f'{option}={folder} names a folder, and this is the name of an image: leave {folder.suffix} out'
    )


def is_named(path: Path, kind: str) -> bool:
  """Whether the name of a file lets it hold a format, by Pillow's name: suffixes of no format say nothing."""
  suffix, of_kind = path.suffix.lower(), FORMATS[kind]
  if kind == 'JPEG':  # the first picture of an MPO file is one
    of_kind += FORMATS['MPO']
  return suffix in of_kind or suffix not in (*SUFFIXES, *FOREIGN)
