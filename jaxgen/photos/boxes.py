"""Boxes of ISO files (AVIF, HEIF, JPEG 2000): a length, a name of four bytes, and the content."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_PICTURES = (b'jp2c', b'mdat')
_HEADER_LIMIT = 2**26  # bytes: a header may include a profile or a thumbnail


class Box(NamedTuple):
  """A box.

  Attributes:
    name: four bytes.
    begin: offset of the box.
    start: offset of its content.
    end: offset after it.
  """

  name: bytes
  begin: int
  start: int
  end: int


def inner_boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
  """Yields the boxes between two offsets; stops at a damaged one."""
  end = len(data) if end is None else end
  while start + 8 <= end:
    length, name = struct.unpack_from('>I4s', data, start)
    head = 8
    if length == 1 and start + 16 <= end:
      length, head = struct.unpack_from('>Q', data, start + 8)[0], 16
    length = length or end - start
    if length < head or start + length > end:
      return
    yield Box(name, start, start + head, start + length)
    start += length


def outer_box(path: Path, name: bytes) -> Box | None:
  """The first top-level box of a given name in a file."""
  return next((box for box in outer_boxes(path) if box.name == name), None)


def boxes_end(path: Path) -> int | None:
  """End of a file's last top-level box; None if no complete box contains a picture."""
  boxes = list(outer_boxes(path))
  return boxes[-1].end if any(box.name in _PICTURES for box in boxes) else None


def outer_boxes(path: Path) -> Iterator[Box]:
  """Yields the top-level boxes of a file; stops at a damaged one."""
  with path.open('rb') as file:
    size, start = file.seek(0, os.SEEK_END), 0
    while start + 8 <= size:
      file.seek(start)
      length, found = struct.unpack('>I4s', file.read(8))
      head = 8
      if length == 1:
        length, head = struct.unpack('>Q', file.read(8).rjust(8, b'\0'))[0], 16
      length = length or size - start
      if length < head or start + length > size:
        break
      yield Box(found, start, start + head, start + length)
      start += length


def box_content(path: Path, box: Box | None) -> bytes:
  """The content of a box; empty if there is no box, or one too large to be a header."""
  if box is None or box.end - box.start > _HEADER_LIMIT:
    return b''
  with path.open('rb') as file:
    file.seek(box.start)
    return file.read(box.end - box.start)


def packed_box(name: bytes, content: bytes) -> bytes:
  """Serialises a box."""
  return struct.pack('>I4s', len(content) + 8, name) + content
