"""Tag directories (IFDs), the structure of TIFF files and EXIF, at the byte level.

Source: TIFF 6.0, section 2; BigTIFF (magic 43) has counts and offsets of 8 bytes.
"""

import struct
from typing import Any, NamedTuple

# Bytes per value of each type: BYTE, ASCII, SHORT, LONG, RATIONAL, SBYTE, UNDEFINED, SSHORT, SLONG,
# SRATIONAL, FLOAT, DOUBLE, IFD, and BigTIFF's LONG8, SLONG8, IFD8.
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
WIDTHS |= {16: 8, 17: 8, 18: 8}
SHORT, LONG, RATIONAL, LONG8 = 3, 4, 5, 16
_UNSIGNED = {1: 'B', SHORT: 'H', LONG: 'I', 13: 'I', LONG8: 'Q', 18: 'Q'}


class Entry(NamedTuple):
  """One record of a directory.

  Attributes:
    tag: its number.
    type: type of its values.
    count: number of its values.
    at: offset of the record.
    start: offset of its values.
    length: size of its values in bytes; 0 if the type is unknown.
  """

  tag: int
  type: int
  count: int  # type: ignore[assignment]  # tuples have a method of this name
  at: int
  start: int
  length: int

  @property
  def end(self) -> int:
    """Offset after its values."""
    return self.start + self.length


class Directories:
  """The directories of a TIFF file, or of EXIF.

  Args:
    data: anything that can be sliced into bytes, with a TIFF header at the beginning.

  Attributes:
    order: '<' or '>'.
    big: whether it is a BigTIFF.
    first: offset of the first directory.
    record: size of a record in bytes.

  Raises:
    ValueError: there is no such header.
  """

  def __init__(self, data: Any):
    self.data = data
    order = {b'II': '<', b'MM': '>'}.get(bytes(data[:2]))
    if order is None or len(data) < 8:
      raise ValueError('no TIFF header')
    self.order = order
    magic = self.unpack('H', 2)
    if magic not in (42, 43):
      raise ValueError(f'{magic} is not the TIFF magic number')
    self.big = magic == 43
    self.record, self._word = (20, 'Q') if self.big else (12, 'I')
    self.first = self.unpack('Q', 8) if self.big else self.unpack('I', 4)

  def unpack(self, kind: str, at: int) -> int:
    """Reads one integer.

    Raises:
      ValueError: it is outside the data.
    """
    end = at + struct.calcsize(f'={kind}')
    if not 0 <= at < end <= len(self.data):
      raise ValueError(f'offset {at} is outside of the data')
    return struct.unpack(self.order + kind, self.data[at:end])[0]

  def read(self, at: int) -> tuple[list[Entry], int]:
    """A directory's entries, and the offset of the link to the next directory.

    Raises:
      ValueError: it is outside the data.
    """
    count = self.unpack('Q' if self.big else 'H', at)
    begin = at + (8 if self.big else 2)
    end = begin + count * self.record
    if end > len(self.data):
      raise ValueError(f'a directory of {count} entries at {at} is longer than the data')
    return [self._entry(i) for i in range(begin, end, self.record)], end

  def _entry(self, at: int) -> Entry:
    tag, kind = self.unpack('H', at), self.unpack('H', at + 2)
    count = self.unpack(self._word, at + 4)
    start, room = (at + 12, 8) if self.big else (at + 8, 4)
    length = count * WIDTHS.get(kind, 0)
    if length > room:
      start = self.unpack(self._word, start)
    return Entry(tag, kind, count, at, start, length)

  def next(self, link: int) -> int:
    """Offset of the next directory, given that of the link to it; 0 if there is none."""
    try:
      return self.unpack(self._word, link)
    except ValueError:  # the last link is often omitted
      return 0

  def bytes_of(self, entry: Entry) -> bytes:
    """An entry's values as stored.

    Raises:
      ValueError: they are outside the data.
    """
    if entry.end > len(self.data):
      raise ValueError(f'the values of tag {entry.tag} are outside of the data')
    return bytes(self.data[entry.start : entry.end])

  def number(self, entry: Entry | None, default: int = 0) -> int:
    """The first of an entry's integers; the default for no entry or for other types."""
    if entry is None or entry.type not in _UNSIGNED or not entry.count:
      return default
    return self.unpack(_UNSIGNED[entry.type], entry.start)

  def numbers(self, entry: Entry | None) -> list[int]:
    """All of an entry's integers; empty for no entry or for other types."""
    if entry is None or entry.type not in _UNSIGNED:
      return []
    raw = self.bytes_of(entry)
    return [n for (n,) in struct.iter_unpack(self.order + _UNSIGNED[entry.type], raw)]


class Tag(NamedTuple):
  """A tag independent of any file.

  Attributes:
    code: its number.
    type: type of its values.
    count: number of its values.
    data: the values, little-endian.
    inner: the tags of the directory to which it points, if any.
  """

  code: int
  type: int
  count: int  # type: ignore[assignment]  # tuples have a method of this name
  data: bytes
  inner: tuple['Tag', ...] = ()


def swapped(data: bytes, kind: int) -> bytes:
  """Swaps the byte order of values of a given type."""
  width = 4 if kind in (RATIONAL, 10) else WIDTHS[kind]
  if width == 1:
    return data
  return b''.join(data[i : i + width][::-1] for i in range(0, len(data), width))


def directory(
  tags: list[Tag], at: int, big: bool, records: dict[int, bytes] | None = None
) -> bytes:
  """Serialises a little-endian directory, followed by its values and inner directories.

  Args:
    tags: its tags.
    at: its offset in the file; even.
    big: whether the file is a BigTIFF.
    records: by tag, records already in the file; a tag in `tags` replaces one.
  """
  records = dict(records or {})
  record, word, room = (20, 'Q', 8) if big else (12, 'I', 4)
  size = (8 if big else 2) + record * len(records.keys() | {t.code for t in tags}) + room
  behind = bytearray()
  for tag in tags:
    kind, count, data = tag.type, tag.count, tag.data
    if tag.inner:
      kind, count = (LONG8 if big else LONG), 1
      inner = at + size + len(behind)
      behind += directory(list(tag.inner), inner, big)
      data = struct.pack(f'<{word}', inner)
    elif len(data) > room:
      place = at + size + len(behind)
      behind += data + b'\x00' * (len(data) % 2)
      data = struct.pack(f'<{word}', place)
    records[tag.code] = struct.pack(f'<HH{word}', tag.code, kind, count) + data.ljust(room, b'\x00')
  table = b''.join(records[code] for code in sorted(records))
  return struct.pack('<Q' if big else '<H', len(records)) + table + b'\x00' * room + bytes(behind)
