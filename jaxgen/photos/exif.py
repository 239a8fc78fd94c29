"""EXIF of a picture that was turned upright and made larger, changed in place.

Nothing is encoded anew and nothing moves: types, unknown tags and the notes of camera makers, whose own offsets
count from the beginning of EXIF, stay byte by byte.
"""

import struct
from contextlib import suppress

from jaxgen.photos.ifd import LONG, SHORT, Directories, Entry
from jaxgen.photos.positions import SUBJECTS, Frame, Growth, grown_area, turned_area

PREFIX = b'Exif\x00\x00'
ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
# Pairs of what holds along the rows and along the columns.
PAIRS = ((0x011A, 0x011B), (0xA20E, 0xA20F))
# Where and how long the small picture is, as JPEG or as strips.
_SMALL = ((0x0201, 0x0202), (0x0111, 0x0117))


def upright(exif: bytes, frame: Frame | None = None) -> bytes:
  """EXIF without the orientation and without the small picture, which would be that of before.

  Args:
    exif: with or without its prefix.
    frame: how the picture lies, for positions in it, and resolutions along rows and columns; None where it
      stays so.

  Returns:
    Without the prefix; empty where it is damaged.
  """
  data = bytearray(exif.removeprefix(PREFIX))
  try:
    found = Directories(data)
    entries, link = found.read(found.first)
    if found.big:
      return b''
  except ValueError:
    return b''
  with suppress(ValueError):  # damaged: it is not referred to any more all the same
    _erase_small(found, entries, found.next(link))
  with suppress(ValueError):
    if frame and frame.turned:
      for one in (entries, _inner(found, entries, EXIF_IFD)):
        _swap_pairs(found, one)
  with suppress(ValueError):
    if frame:
      for entry, values in _subjects(found, entries):
        _put_area(found, entry, turned_area(values, frame))
  records = b''.join(bytes(data[e.at : e.at + 12]) for e in entries if e.tag != ORIENTATION)
  if not records:
    return b''
  table = struct.pack(found.order + 'H', len(records) // 12) + records
  end = min(link + 4, len(data))
  data[found.first : end] = table.ljust(end - found.first, b'\x00')
  return bytes(data)


def is_readable(exif: bytes) -> bool:
  """Whether there is a first directory."""
  try:
    found = Directories(exif.removeprefix(PREFIX))
    found.read(found.first)
  except ValueError:
    return False
  return not found.big


def resized(exif: bytes, height: int, width: int, by: Growth | None = None) -> bytes:
  """EXIF that says the new size where it said the old one, and where the subject is in the larger picture.

  Takes and returns it without the prefix. A position that its type cannot hold is left out.
  """
  data = bytearray(exif)
  with suppress(ValueError):  # a damaged part stays as it is
    found = Directories(data)
    entries, _ = found.read(found.first)
    for entry in (*entries, *_inner(found, entries, EXIF_IFD)):
      if entry.tag in _WIDTHS + _HEIGHTS and entry.type in (SHORT, LONG) and entry.count == 1:
        value = width if entry.tag in _WIDTHS else height
        kind = SHORT if entry.type == SHORT and value < 2**16 else LONG
        packed = struct.pack(
          found.order + ('HH' if kind == SHORT else 'I'), value, *[0] * (kind == SHORT)
        )
        struct.pack_into(f'{found.order}H', data, entry.at + 2, kind)
        data[entry.start : entry.start + 4] = packed
    for entry, values in _subjects(found, entries):
      if by and not _put_area(found, entry, grown_area(values, by)):
        _remove(found, _inner(found, entries, EXIF_IFD), entry.tag)
  return bytes(data)


def _subjects(found: Directories, entries: list[Entry]) -> list[tuple[Entry, list[int]]]:
  """The positions that EXIF tells of, of the last one first: one may be removed."""
  inner = _inner(found, entries, EXIF_IFD)
  every = [(e, found.numbers(e)) for e in inner[::-1] if e.tag in SUBJECTS]
  return [(entry, values) for entry, values in every if 2 <= len(values) <= 4]


def _put_area(found: Directories, entry: Entry, values: list[int]) -> bool:
  """Puts numbers in the place of as many; not where they are too large for it."""
  if entry.type == SHORT and max(values) >= 2**16:
    return False
  kind = found.order + str(len(values)) + ('H' if entry.type == SHORT else 'I')
  if entry.type in (SHORT, LONG):
    struct.pack_into(kind, found.data, entry.start, *values)
  return True


def _remove(found: Directories, entries: list[Entry], code: int) -> None:
  """Takes a tag out of a directory; the others move up."""
  begin, end = entries[0].at - 2, entries[-1].at + 12
  records = [bytes(found.data[e.at : e.at + 12]) for e in entries if e.tag != code]
  link = bytes(found.data[end : end + 4])
  table = struct.pack(found.order + 'H', len(records)) + b''.join(records) + link
  found.data[begin : end + len(link)] = table.ljust(end + len(link) - begin, b'\x00')


def _inner(found: Directories, entries: list[Entry], code: int) -> list[Entry]:
  """The entries of the directory that a tag points to; none where there is none."""
  at = found.number(next((e for e in entries if e.tag == code), None))
  return found.read(at)[0] if at else []


def _swap_pairs(found: Directories, entries: list[Entry]) -> None:
  """Type, count and value or offset of two tags change places."""
  tags = {e.tag: e for e in entries}
  for x, y in PAIRS:
    if x in tags and y in tags and found.bytes_of(tags[x]) != found.bytes_of(tags[y]):
      one, other = tags[x].at, tags[y].at
      first, second = found.data[one + 2 : one + 12], found.data[other + 2 : other + 12]
      found.data[one + 2 : one + 12], found.data[other + 2 : other + 12] = second, first


def _erase_small(found: Directories, entries: list[Entry], at: int) -> None:
  """Bytes of the small picture become 0, or are cut off at the end; none that another tag refers to."""
  if not at:
    return
  small = {e.tag: e for e in found.read(at)[0]}
  used = list(entries)
  for code in (EXIF_IFD, GPS_IFD):
    with suppress(ValueError):
      used += _inner(found, entries, code)
  ranges = [(e.start, e.end) for e in used]
  for starts, lengths in _SMALL:
    for start, length in zip(
      found.numbers(small.get(starts)), found.numbers(small.get(lengths)), strict=False
    ):
      end = min(start + length, len(found.data))
      if start < found.first + 2 or any(a < end and start < b for a, b in ranges):
        continue
      found.data[start:end] = b'\x00' * (end - start)
      if len(found.data) - end <= 1 and start > found.first + 2 + 12 * len(entries) + 4:
        del found.data[start:]
