"""What the end of a TGA file says: author, comments, software, gamma, the shape of its pixels.

Source: Truevision TGA file format specification, version 2.0, C.6 and C.7.
"""

import os
import struct
from pathlib import Path

_SIGNATURE = b'TRUEVISION-XFILE.\x00'
_FOOTER, _LENGTH = 26, 495
# Where tables of colours, the small picture and the rows lie: none of them holds for another picture.
_OFFSETS, _ALPHA = slice(482, 494), 494
_SEEN, _MULTIPLIED = 3, 4  # kinds of alpha


def read_extension(path: Path) -> bytes:
  """The area behind the pixels, without what holds for the old ones only; empty where there is none."""
  area = bytearray(_area(path))
  if not area:
    return b''
  area[_OFFSETS] = bytes(12)
  area[:2] = struct.pack('<H', _LENGTH)
  return bytes(area)


def is_multiplied_tga(path: Path) -> bool:
  """Whether colours are stored multiplied by alpha."""
  return _area(path)[_ALPHA:] == bytes([_MULTIPLIED])


def _area(path: Path) -> bytes:
  with path.open('rb') as file:
    size = file.seek(0, os.SEEK_END)
    if size < _FOOTER:
      return b''
    file.seek(-_FOOTER, os.SEEK_END)
    footer = file.read()
    (at,) = struct.unpack_from('<I', footer)
    if footer[8:] != _SIGNATURE or not at:
      return b''
    file.seek(at)
    area = file.read(_LENGTH)
  return area if len(area) == _LENGTH and struct.unpack_from('<H', area)[0] >= _LENGTH else b''


def put_extension(path: Path, area: bytes, alpha: bool) -> None:
  """Puts the area behind the pixels of a file that has a footer without one."""
  if not area:
    return
  kind = area[_ALPHA] if alpha else 0
  with path.open('r+b') as file:
    at = file.seek(-_FOOTER, os.SEEK_END)
    file.write(area[:_ALPHA] + bytes([_SEEN if kind == _MULTIPLIED else kind]))
    file.write(struct.pack('<II', at, 0) + _SIGNATURE)
