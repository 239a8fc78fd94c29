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


def read_extension(path: Path) -> bytes:
  """The area behind the pixels, without what holds for the old ones only; empty where there is none."""
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
    area = bytearray(file.read(_LENGTH))
  if len(area) < _LENGTH or struct.unpack_from('<H', area)[0] < _LENGTH:
    return b''
  area[_OFFSETS] = bytes(12)
  area[:2] = struct.pack('<H', _LENGTH)
  return bytes(area)


def put_extension(path: Path, area: bytes, alpha: bool) -> None:
  """Puts the area behind the pixels of a file that has a footer without one."""
  if not area:
    return
  with path.open('r+b') as file:
    at = file.seek(-_FOOTER, os.SEEK_END)
    file.write(area[:_ALPHA] + (b'\x03' if alpha else b'\x00'))
    file.write(struct.pack('<II', at, 0) + _SIGNATURE)
