"""Which files of a folder are images: one rule for training, evaluation and command lines."""

import heapq
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError
from jaxgen.words import counted, named

# Suffixes of the formats that `jaxgen.photos` reads and writes, by Pillow's name of the format.
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
# Picture formats that are not read or written here: they are reported to the user separately from other
# files. HEIF, JPEG XL and XR; editors; camera raw; vector graphics; floating point; icons; scientific.
FOREIGN = frozenset(_OTHERS.split())
_OWN, _LINKED, _HIDDEN = range(3)  # the order in which folders are visited


class Listing(NamedTuple):
  """All files of a folder and its subfolders, each list sorted by path.

  Attributes:
    images: by their suffix, see FORMATS; also readable images under a foreign suffix.
    others: any other files, hidden ones, and everything in hidden folders.
    foreign: pictures of formats that are not read here.
    lost: broken links, and folders without permission.
  """

  images: list[Path]
  others: list[Path]
  foreign: list[Path]
  lost: list[Path]

  @property
  def told(self) -> list[str]:
    """Messages to the user about `foreign` and `lost`, one line each; [] if there are neither."""
    lines = []
    if self.foreign:
      them = 'it' if len(self.foreign) == 1 else 'them'
      lines.append(
        f'{counted(len(self.foreign), "file")} that cannot be read: {kinds(self.foreign)}; convert '
        f'{them} to PNG, JPEG or TIFF'
      )
    if self.lost:
      lines.append(f'broken links, or folders that cannot be opened: {named(self.lost)}')
    return lines


def kinds(paths: Iterable[Path]) -> str:
  """'2 .heic, 1 .jxl': the number of files of each suffix, most frequent first."""
  counts = Counter(path.suffix.lower() for path in paths)
  return ', '.join(f'{n:,} {name}' for name, n in sorted(counts.items(), key=lambda x: (-x[1], x)))


def image_files(folder: Path) -> list[Path]:
  """The image files of a folder and its subfolders, sorted, see `sorted_files`."""
  return sorted_files(folder).images


def sorted_files(folder: Path) -> Listing:
  """All files of a folder and its subfolders, sorted by path.

  An image is recognised by its suffix, or by its content if the suffix is in FOREIGN. Hidden files count as
  others, and so does everything in hidden folders, such as the previews in `.thumbnails`. The folder itself
  may be hidden. Links to folders are followed, except hidden ones; each folder is visited once, by its own
  path if that is below `folder`.
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
  """A folder and all its subfolders that are not hidden, sorted; each once, as in `sorted_files`."""
  return sorted(here for here, hidden, _ in _visited(folder) if not hidden)


def _visited(folder: Path) -> Iterator[tuple[Path, bool, list[os.DirEntry] | None]]:
  """Each folder, whether it is hidden, and its entries; None without permission to open it."""
  seen = {_identity(above) for above in folder.resolve().parents}  # links to these are cycles
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
  """Adds a file or a link to the list it belongs to."""
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
  """Whether a picture with a foreign suffix is in fact of a readable format: phones name JPEG files .heic."""
  from jaxgen.photos.formats import known_format  # imports Pillow

  return known_format(path) not in (None, 'TIFF')  # raw photos start like TIFF files


def _identity(folder: Path) -> tuple[int, int] | None:
  """An identity shared by all paths of the same folder; None if it is gone."""
  try:
    status = folder.stat()
  except OSError:
    return None
  return status.st_dev, status.st_ino


def has_image_suffix(path: Path) -> bool:
  """Whether a file has the suffix of an image."""
  return path.suffix.lower() in SUFFIXES


def check_folder_name(option: str, folder: Path) -> None:
  """Rejects what the user may have meant as a file where an option names a folder.

  Raises:
    ConfigError: the folder does not exist yet, and has an image suffix.
  """
  if has_image_suffix(folder) and not folder.is_dir():
    raise ConfigError(
      f'{option}={folder} must name a folder, but this is the name of an image: leave out {folder.suffix}'
    )


def is_named(path: Path, kind: str) -> bool:
  """Whether a file's name is compatible with a format, by Pillow's name; an unknown suffix fits any format."""
  suffix, of_kind = path.suffix.lower(), FORMATS[kind]
  if kind == 'JPEG':  # the first picture of an MPO file is a JPEG
    of_kind += FORMATS['MPO']
  return suffix in of_kind or suffix not in (*SUFFIXES, *FOREIGN)
