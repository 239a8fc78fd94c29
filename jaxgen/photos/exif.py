"""Edits the EXIF of a picture that was turned upright and upscaled, in place.

Nothing is re-encoded and nothing moves: types, unknown tags and makernotes, whose own offsets are relative to
the beginning of EXIF, are preserved byte for byte.
"""

import struct
from contextlib import suppress

from jaxgen.photos.ifd import LONG, SHORT, Directories, Entry
from jaxgen.photos.positions import SUBJECTS, Frame, Growth, grown_area, turned_area

PREFIX = b'Exif\x00\x00'
ORIENTATION, EXIF_IFD, GPS_IFD, INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)
# Pairs of tags for the directions along rows and along columns.
PAIRS = ((0x011A, 0x011B), (0xA20E, 0xA20F))
# Offset and length of the thumbnail, as JPEG or as strips.
_SMALL = ((0x0201, 0x0202), (0x0111, 0x0117))


def upright(exif: bytes, frame: Frame | None = None) -> bytes:
  """Removes the orientation and the thumbnail, which would be outdated.

  Args:
    exif: with or without its prefix.
    frame: how the picture is stored, for positions in it, and resolutions along rows and columns; None if its
      orientation does not change.

  Returns:
    EXIF without the prefix; empty if it is damaged.
  """
  data = bytearray(exif.removeprefix(PREFIX))
  try:
    found = Directories(data)
    entries, link = found.read(found.first)
    if found.big:
      return b''
  except ValueError:
    return b''
  with suppress(ValueError):  # damaged: the reference to it is removed all the same
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
  """Whether the first directory can be read."""
  try:
    found = Directories(exif.removeprefix(PREFIX))
    found.read(found.first)
  except ValueError:
    return False
  return not found.big


def resized(exif: bytes, height: int, width: int, by: Growth | None = None) -> bytes:
  """Updates the size where the old one was stated, and the subject's position in the larger picture.

  Takes and returns EXIF without the prefix. A position that does not fit its type is removed.
  """
  data = bytearray(exif)
  with suppress(ValueError):  # a damaged part is left unchanged
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
  """The subject positions in EXIF, in reverse order, as one may be removed."""
  inner = _inner(found, entries, EXIF_IFD)
  every = [(e, found.numbers(e)) for e in inner[::-1] if e.tag in SUBJECTS]
  return [(entry, values) for entry, values in every if 2 <= len(values) <= 4]


def _put_area(found: Directories, entry: Entry, values: list[int]) -> bool:
  """Overwrites an entry's numbers by as many new ones, unless they are too large for its type."""
  if entry.type == SHORT and max(values) >= 2**16:
    return False
  kind = found.order + str(len(values)) + ('H' if entry.type == SHORT else 'I')
  if entry.type in (SHORT, LONG):
    struct.pack_into(kind, found.data, entry.start, *values)
  return True


def _remove(found: Directories, entries: list[Entry], code: int) -> None:
  """Removes a tag from a directory; the following ones move up."""
  begin, end = entries[0].at - 2, entries[-1].at + 12
  records = [bytes(found.data[e.at : e.at + 12]) for e in entries if e.tag != code]
  link = bytes(found.data[end : end + 4])
  table = struct.pack(found.order + 'H', len(records)) + b''.join(records) + link
  found.data[begin : end + len(link)] = table.ljust(end + len(link) - begin, b'\x00')


def _inner(found: Directories, entries: list[Entry], code: int) -> list[Entry]:
  """The entries of the directory to which a tag points; empty if there is none."""
  at = found.number(next((e for e in entries if e.tag == code), None))
  return found.read(at)[0] if at else []


def _swap_pairs(found: Directories, entries: list[Entry]) -> None:
  """Swaps type, count and value or offset of the two tags of each pair."""
  tags = {e.tag: e for e in entries}
  for x, y in PAIRS:
    if x in tags and y in tags and found.bytes_of(tags[x]) != found.bytes_of(tags[y]):
      one, other = tags[x].at, tags[y].at
      first, second = found.data[one + 2 : one + 12], found.data[other + 2 : other + 12]
      found.data[one + 2 : one + 12], found.data[other + 2 : other + 12] = second, first


def _erase_small(found: Directories, entries: list[Entry], at: int) -> None:
  """Zeroes the thumbnail's bytes, or cuts them off at the end, except those to which another tag refers."""
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
