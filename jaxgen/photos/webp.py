"""WebP properties that Pillow does not expose, and the end of a file that was truncated after its pixels."""

import os
import struct
from collections.abc import Iterator
from pathlib import Path

_PICTURES = (b'VP8 ', b'VP8L')


def is_lossless_webp(path: Path) -> bool:
  """Whether the first picture of a WebP file is stored losslessly."""
  return next((name for name, _ in _chunks(path) if name in _PICTURES), b'') == b'VP8L'


def unended_webp(path: Path) -> int | None:
  """The end of the last complete chunk of a file shorter than it declares; None if the picture is damaged."""
  size = path.stat().st_size
  whole = [(name, end) for name, end in _chunks(path) if end <= size]
  if webp_end(path) <= size or not any(name in _PICTURES for name, _ in whole):
    return None
  return whole[-1][1]


def webp_end(path: Path) -> int:
  """The end of a file according to its header."""
  with path.open('rb') as file:
    return 8 + int.from_bytes(file.read(8)[4:], 'little')


def _chunks(path: Path) -> Iterator[tuple[bytes, int]]:
  """Yields name and end of each chunk, complete or not."""
  with path.open('rb') as file:
    at = file.seek(12)
    while len(head := file.read(8)) == 8:
      name, length = struct.unpack('<4sI', head)
      at += 8 + length + length % 2
      yield name, at
      file.seek(at, os.SEEK_SET)
