"""The extension area of a TGA file: author, comments, software, gamma, pixel aspect ratio.

Source: Truevision TGA file format specification, version 2.0, C.6 and C.7.
"""

import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageChops

_SIGNATURE = b'TRUEVISION-XFILE.\x00'
_FOOTER, _LENGTH = 26, 495
# Offsets of colour tables, the thumbnail and the rows: none of them is valid for another picture.
_OFFSETS, _ALPHA = slice(482, 494), 494
_SEEN, _MULTIPLIED = 3, 4  # types of alpha
# Offsets in the header, and the bits of the descriptor that give the number of alpha bits.
_MAP_DEPTH, _DESCRIPTOR, _ATTRIBUTES = 7, 17, 15
_FIVE_BITS = 'BGRA;15Z'  # Pillow's name for five bits per colour and one of alpha, which it inverts


def read_extension(path: Path) -> bytes:
  """The extension area without fields that hold for the old pixels only; empty if there is none."""
  area = bytearray(_area(path))
  if not area:
    return b''
  area[_OFFSETS] = bytes(12)
  area[:2] = struct.pack('<H', _LENGTH)
  return bytes(area)


def is_multiplied_tga(path: Path) -> bool:
  """Whether colours are premultiplied by alpha."""
  return _area(path)[_ALPHA:] == bytes([_MULTIPLIED])


class TgaAlpha(NamedTuple):
  """The meaning of the last channel of pixels, or of a palette.

  Attributes:
    kept: it is transparency.
    inverted: Pillow inverts it.
    undefined: the extension area says that it is meaningless.
  """

  kept: bool = False
  inverted: bool = False
  undefined: bool = False


def tga_alpha(image: Any, path: Path) -> TgaAlpha:
  """By the extension area, if there is one; for 16 bits per pixel also by the header's number of alpha bits.

  Args:
    image: opened by Pillow, not loaded yet; its palette's mode is corrected to the channels that it has.
    path: path of its file.
  """
  with path.open('rb') as file:
    header = file.read(_DESCRIPTOR + 1)
  deep = header[_MAP_DEPTH] if image.mode == 'P' else 0
  if deep == 32:
    image.palette.mode = 'RGBA'
  if not (deep in (16, 32) or 'A' in image.getbands()):
    return TgaAlpha()
  raw = image.palette.rawmode if deep else image.tile[0].args[0]
  kind = _area(path)[_ALPHA:]
  undefined = bool(kind) and 0 < kind[0] < _SEEN
  void = raw == _FIVE_BITS and not header[_DESCRIPTOR] & _ATTRIBUTES
  kept = not (void or undefined or kind == b'\0')
  return TgaAlpha(kept, raw == _FIVE_BITS, undefined and not void)


def with_alpha(image: Image.Image, alpha: TgaAlpha) -> Image.Image:
  """Gives a loaded image the transparency that its file intends, or none."""
  if not alpha.kept:
    return image.convert('L' if image.mode in ('1', 'L', 'LA') else 'RGB')
  image = image if image.mode == 'LA' else image.convert('RGBA')
  if alpha.inverted:
    image.putalpha(ImageChops.invert(image.getchannel('A')))
  return image


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
  """Appends the extension area to a file that has a footer without one."""
  if not area:
    return
  kind = area[_ALPHA] if alpha else 0
  with path.open('r+b') as file:
    at = file.seek(-_FOOTER, os.SEEK_END)
    file.write(area[:_ALPHA] + bytes([_SEEN if kind == _MULTIPLIED else kind]))
    file.write(struct.pack('<II', at, 0) + _SIGNATURE)
