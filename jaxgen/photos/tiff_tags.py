"""Tags of TIFF files that are kept, byte for byte, and pages that do not count as separate pictures."""

import mmap
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxgen.errors import DataError
from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps
from jaxgen.photos.ifd import (
  LONG,
  SHORT,
  WIDTHS,
  Directories,
  Entry,
  Tag,
  directory,
  swapped,
)
from jaxgen.photos.jpeg import without_small_pictures
from jaxgen.photos.pixels import known_orientation
from jaxgen.photos.positions import SUBJECTS, Frame, Growth, grown_area, turned_area

# Tags independent of how pixels are stored: document name to model, page name, resolution, unit, transfer
# function, software, date, artist, host, white point, primaries, rating, copyright, Photoshop's resources,
# Windows' own.
KEPT_TAGS = {269, 270, 271, 272, 282, 283, 285, 296, 301, 305, 306, 315, 316, 318, 319}
KEPT_TAGS |= {18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095}
_XMP, _IPTC, _PHOTOSHOP, _ORIENTATION = 700, 33723, 34377, 274
KEPT_TAGS |= {_XMP, _IPTC, _PHOTOSHOP, exifs.EXIF_IFD, exifs.GPS_IFD}
_INNER = (exifs.EXIF_IFD, exifs.GPS_IFD, exifs.INTEROP_IFD)
_RESOLUTION = (282, 283)
_WIDTH, _HEIGHT, _KIND, _OLD_KIND = 256, 257, 254, 255
_SAMPLE_FORMAT, _UNDEFINED = 339, 4
# Tags of volumes, whose slices share one directory: SGI's depth, MetaMorph's planes.
_DEPTH, _PLANES, _DESCRIPTION = 32997, 33629, 270
_IMAGEJ = re.compile(rb'ImageJ=(?s:.*?)^images=(\d+)', re.MULTILINE)
# Descriptions that state sizes: those of tifffile, and OME's.
_STATES_SIZE = re.compile(rb'\s*\{"shape": \[|(?s:.*?)<OME\b')
_GEO = {33550, 33922, 34264, 34735}
_SMALL = 4  # an unmarked page whose sides are at most 1/4 of the first one's is its thumbnail


@contextmanager
def _directories(path: Path) -> Iterator[Directories]:
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    yield Directories(data)


def read_tags(path: Path) -> list[Tag]:
  """The tags of the first page that are kept; damaged ones are dropped."""
  with _directories(path) as found:
    entries, _ = found.read(found.first)
    left_out = {_DESCRIPTION} if _states_size(found, entries) else set()
    tags = _tags(found, [e for e in entries if e.tag in KEPT_TAGS - left_out], deep=True)
    orientation = found.number(_entry(entries, _ORIENTATION), 1)
    _, width, height = _page(found, entries)
  if known_orientation(orientation) >= 5:
    tags = _with_pairs_swapped(tags)
  if known_orientation(orientation) >= 2:
    tags = _with_places_turned(tags, Frame(orientation, height, width))
  known = {tag.code: tag for tag in tags}
  sides = [
    struct.unpack('<II', known[c].data)
    for c in _RESOLUTION
    if c in known and len(known[c].data) == 8
  ]
  if len(sides) < 2 or not all(number and divisor for number, divisor in sides):
    tags = [tag for tag in tags if tag.code not in (*_RESOLUTION, 296)]
  return tags


def _entry(entries: list[Entry], code: int) -> Entry | None:
  return next((e for e in entries if e.tag == code), None)


def _tags(found: Directories, entries: list[Entry], deep: bool) -> list[Tag]:
  tags = []
  for entry in entries:
    with suppress(ValueError):
      if entry.tag in _INNER:
        if deep:
          inner, _ = found.read(found.number(entry))
          below = _tags(found, inner, deep=entry.tag == exifs.EXIF_IFD)
          if below:
            tags.append(Tag(entry.tag, LONG, 1, b'', tuple(below)))
      elif entry.type in WIDTHS:
        tags.append(_kept(entry, found.bytes_of(entry), found.order))
  return tags


def _kept(entry: Entry, data: bytes, order: str) -> Tag:
  if entry.tag == _XMP:
    data = xmps.upright(data)
  elif entry.tag == _PHOTOSHOP:
    data = without_small_pictures(data)
  elif order == '>' and entry.tag != _IPTC:  # IPTC is bytes, even if declared as LONG
    data = swapped(data, entry.type)
  return Tag(entry.tag, entry.type, len(data) // WIDTHS[entry.type], data)


def _with_pairs_swapped(tags: list[Tag]) -> list[Tag]:
  """Swaps the tags for the directions along rows and along columns."""
  known, other = {tag.code: tag for tag in tags}, dict[int, Tag]()
  for x, y in exifs.PAIRS:
    if x in known and y in known:
      other |= {x: known[y]._replace(code=x), y: known[x]._replace(code=y)}
  every = [other.get(tag.code, tag) for tag in tags]
  return [tag._replace(inner=tuple(_with_pairs_swapped(list(tag.inner)))) for tag in every]


def _with_places_turned(tags: list[Tag], frame: Frame) -> list[Tag]:
  """Converts tags' positions to those in the upright picture."""
  every = []
  for tag in tags:
    if tag.code == exifs.EXIF_IFD:
      inner = [_with_area(one, lambda values: turned_area(values, frame)) for one in tag.inner]
      tag = tag._replace(inner=tuple(one for one in inner if one))
    elif tag.code == _XMP:
      data = xmps.upright(tag.data, frame)
      tag = tag._replace(data=data, count=len(data) // WIDTHS[tag.type])
    every.append(tag)
  return every


def _with_area(tag: Tag, change: Callable[[list[int]], list[int]]) -> Tag | None:
  """Changes a tag's position, if it has one; None if its type cannot hold the new one."""
  if tag.code not in SUBJECTS or tag.type not in (SHORT, LONG) or not 2 <= tag.count <= 4:
    return tag
  kind = f'<{tag.count}{"H" if tag.type == SHORT else "I"}'
  values = change(list(struct.unpack(kind, tag.data)))
  if tag.type == SHORT and max(values) >= 2**16:
    return None
  return tag._replace(data=struct.pack(kind, *values))


def resized(tags: list[Tag], height: int, width: int, by: Growth | None = None) -> list[Tag]:
  """Updates the size where the old one was stated, and positions in the larger picture."""
  every = []
  for tag in tags:
    if tag.code == exifs.EXIF_IFD:
      inner = []
      for one in tag.inner:
        if one.code in (0xA002, 0xA003):
          value = width if one.code == 0xA002 else height
          kind = SHORT if one.type == SHORT and value < 2**16 else LONG
          one = Tag(one.code, kind, 1, struct.pack('<H' if kind == SHORT else '<I', value))
        kept = _with_area(one, lambda values: grown_area(values, by)) if by else one
        inner += [kept] if kept else []
      tag = tag._replace(inner=tuple(inner))
    elif tag.code == _XMP:
      data = xmps.resized(tag.data, height, width, by)
      tag = tag._replace(data=data, count=len(data) // WIDTHS[tag.type])
    every.append(tag)
  return every


def as_unsigned(path: Path) -> list[tuple[int, int] | bytes]:
  """Parts that make a file of undefined number format declare unsigned numbers; [] for other files.

  TIFF 6.0 has them read so (tag 339), but Pillow does not.
  """
  with suppress(ValueError), _directories(path) as found:
    entry = _entry(found.read(found.first)[0], _SAMPLE_FORMAT)
    kinds = found.numbers(entry)
    if entry and entry.type == SHORT and _UNDEFINED in kinds:
      packed = [struct.pack(found.order + 'H', 1 if k == _UNDEFINED else k) for k in kinds]
      return [(0, entry.start), b''.join(packed), (entry.end, len(found.data) - entry.end)]
  return []


def put_tags(path: Path, tags: list[Tag]) -> None:
  """Adds tags to a little-endian TIFF file: a new first directory at its end replaces the old one."""
  if not tags:
    return
  with _directories(path) as found:
    entries, _ = found.read(found.first)
    records = {e.tag: bytes(found.data[e.at : e.at + found.record]) for e in entries}
    big, size = found.big, len(found.data)
  if any(tag.code in _RESOLUTION for tag in tags) and all(tag.code != 296 for tag in tags):
    tags = [*tags, Tag(296, SHORT, 1, b'\x02\x00')]  # inches by default
  with path.open('r+b') as file:
    at = size + size % 2
    file.seek(at)
    file.write(directory(tags, at, big, records))
    file.seek(8 if big else 4)
    file.write(struct.pack('<Q' if big else '<I', at))


def check_pages(path: Path, notes: list[str]) -> None:
  """Rejects a file of several pictures. Smaller copies of the first one do not count.

  Args:
    path: path of the file.
    notes: extended by what is dropped without being marked as such a copy.

  Raises:
    DataError: there are several pictures, or the first one is the copy.
  """
  pages: list[tuple[bool, int, int]] = []
  geo, sized, below, slices = False, False, [], 1
  with _directories(path) as found:
    at, seen = found.first, set()
    while at and at not in seen:
      seen.add(at)
      try:
        entries, link = found.read(at)
      except ValueError:
        if not pages:
          raise
        break
      pages.append(_page(found, entries))
      slices = max(slices, _slices(found, entries))
      if len(pages) == 1:
        geo = any(e.tag in _GEO for e in entries)
        sized = _states_size(found, entries)
        below = found.numbers(_entry(entries, 330))
        turned = found.number(_entry(entries, _ORIENTATION), 1) in range(2, 9)
        xmp = _entry(entries, _XMP) if turned else None
        with suppress(ValueError):
          if xmp and xmps.has_places(found.bytes_of(xmp)):
            notes.append(xmps.PLACES_LEFT_OUT)
      at = found.next(link)
    small, width, height = pages[0]
    if small and (len(pages) > 1 or below):
      raise DataError(
        f'{path}: its first picture is the thumbnail of another: save it as PNG or TIFF'
      )
  own = sum(not reduced and not _is_copy((w, h), (width, height)) for reduced, w, h in pages[1:])
  if own or slices > 1:
    count = max(own + 1, slices)
    raise DataError(f'{path}: has {count} frames or pages: only single images are read')
  unmarked = sum(not reduced for reduced, _, _ in pages[1:])
  if unmarked:
    notes.append(
      f'{unmarked} smaller pages with the shape of the first are left out as its thumbnails'
    )
  if geo:
    notes.append('its place on the map (GeoTIFF) is left out: it applies to the old size only')
  if sized:
    notes.append('its description (ImageDescription) is left out: it states the old size')


def _states_size(found: Directories, entries: list[Entry]) -> bool:
  """Whether the description is machine-readable, and states the old size."""
  text = _entry(entries, _DESCRIPTION)
  with suppress(ValueError):
    return text is not None and bool(_STATES_SIZE.match(found.bytes_of(text)))
  return False


def _slices(found: Directories, entries: list[Entry]) -> int:
  """The number of pictures in one directory."""
  planes, text = _entry(entries, _PLANES), _entry(entries, _DESCRIPTION)
  counts = [found.number(_entry(entries, _DEPTH), 1), planes.count if planes else 1]
  with suppress(ValueError):
    of_imagej = _IMAGEJ.match(found.bytes_of(text)) if text else None
    counts += [int(of_imagej[1])] if of_imagej else []
  return max(counts)


def _page(found: Directories, entries: list[Entry]) -> tuple[bool, int, int]:
  """Whether it is marked as a smaller copy, and its width and height."""
  kind = found.number(_entry(entries, _KIND))
  old = found.number(_entry(entries, _OLD_KIND))
  width, height = (found.number(_entry(entries, code)) for code in (_WIDTH, _HEIGHT))
  return bool(kind & 1) or old == 2, width, height


def _is_copy(size: tuple[int, int], of: tuple[int, int]) -> bool:
  """Whether a page has the aspect ratio of a much larger one, to within a pixel."""
  (w, h), (width, height) = size, of
  if not 0 < max(w, h) * _SMALL <= max(width, height):
    return False
  return abs(w * height - h * width) <= max(width, height)
