"""Boxes of JPEG 2000 files that say something of the picture, byte by byte.

Source: ITU-T T.800, annex I.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps

_XMP = bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC')
_EXIF = b'JpgTiffExif->JP2'
_IPTC = bytes.fromhex('33C7A4D2B81D4723A0BAF1A3E097AD38')


def read_boxes(path: Path) -> tuple[bytes, list[bytes]]:
  """The box of the resolution, empty where there is none, and those of EXIF, XMP, IPTC and other XML."""
  data, resolution, kept = path.read_bytes(), b'', []
  for name, begin, start, end in _boxes(data, 0, len(data)):
    if name == b'jp2h':
      inner = {n: data[b:e] for n, b, _, e in _boxes(data, start, end)}
      resolution = inner.get(b'res ', b'')
    elif name == b'xml ' or (name == b'uuid' and data[start : start + 16] in (_XMP, _EXIF, _IPTC)):
      kept.append(data[begin:end])
  return resolution, kept


def resized(boxes: list[bytes], height: int, width: int) -> list[bytes]:
  """With the new size in EXIF and XMP where they said the old one."""
  every = []
  for box in boxes:
    kind, content = box[8:24], box[24:]
    if kind == _EXIF:
      exif = content.removeprefix(exifs.PREFIX)
      prefix = content[: len(content) - len(exif)]
      box = _box(b'uuid', kind + prefix + exifs.resized(exif, height, width))
    elif kind == _XMP:
      box = _box(b'uuid', kind + xmps.resized(content, height, width))
    every.append(box)
  return every


def put_boxes(path: Path, resolution: bytes, boxes: list[bytes]) -> None:
  """Adds the box of the resolution to a file's header, and the others to its end."""
  if not resolution and not boxes:
    return
  data = path.read_bytes()
  header = next((b, s, e) for n, b, s, e in _boxes(data, 0, len(data)) if n == b'jp2h')
  begin, start, end = header
  new = data[:begin] + _box(b'jp2h', data[start:end] + resolution) + data[end:]
  path.write_bytes(new + b''.join(boxes))


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
  """Name, begin, begin of the content, and end of each box; what is cut off ends the row."""
  while at + 8 <= end:
    length, name = struct.unpack_from('>I4s', data, at)
    start = at + 8
    if length == 1 and at + 16 <= end:
      (length,) = struct.unpack_from('>Q', data, start)
      start += 8
    length = length or end - at
    if length < start - at or at + length > end:
      return
    yield name, at, start, at + length
    at += length


def _box(name: bytes, content: bytes) -> bytes:
  return struct.pack('>I', len(content) + 8) + name + content
