"""GIF: its blocks byte for byte, and its binary transparency."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxgen.photos import xmp as xmps
from jaxgen.photos.positions import Growth

_HALF = 128  # alpha from which a pixel is opaque

_XMP = b'XMP DataXMP'
_KEPT_APPLICATIONS = (_XMP, b'ICCRGBG1012')
_COMMENT, _APPLICATION = 0xFE, 0xFF
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B


def read_blocks(path: Path) -> tuple[int, list[bytes]]:
  """The pixel aspect ratio byte, and the blocks to be copied unchanged.

  Source: GIF89a, sections 18 and 24 to 26; XMP Specification part 3, section 1.1.2.
  """
  data = path.read_bytes()
  blocks = [data[begin:end] for begin, end in _blocks(data) if data[begin] == _EXTENSION]
  return data[12], [
    block
    for block in blocks
    if block[1] == _COMMENT or (block[1] == _APPLICATION and block[3:14] in _KEPT_APPLICATIONS)
  ]


def resized(blocks: list[bytes], height: int, width: int, by: Growth) -> list[bytes]:
  """Updates the size in XMP where the old one was stated, and positions in the larger picture.

  XMP is not split into sub-blocks: the bytes after it end it, however long it is.
  """
  return [
    xmps.resized(block, height, width, by) if block[3:14] == _XMP else block for block in blocks
  ]


def gif_end(path: Path) -> int | None:
  """Offset after the end marker that follows the last block; None if there is none."""
  data = path.read_bytes()
  end = max((end for _, end in _blocks(data)), default=0)
  return end + 1 if data[end : end + 1] == bytes([_END]) else None


def with_blocks(head: bytes, aspect: int, blocks: bytes) -> bytes:
  """Inserts the pixel aspect ratio into a file's beginning, and blocks after its palette."""
  end = 13 + palette_bytes(head[10])
  return b'GIF89a' + head[6:12] + bytes([aspect]) + head[13:end] + blocks + head[end:]


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
  """Begin and end of each complete extension and picture."""
  if len(data) < 13:
    return
  at = 13 + palette_bytes(data[10])
  while at < len(data) and data[at] in (_EXTENSION, _PICTURE):
    begin, flags = at, data[at + 9 : at + 10]
    at += 2 if data[at] == _EXTENSION else 11 + (palette_bytes(flags[0]) if flags else 0)
    while at < len(data) and data[at]:
      at += data[at] + 1
    at += 1  # the empty block
    if at > len(data):
      return
    yield begin, at


def palette_bytes(flags: int) -> int:
  """Length in bytes of the palette that a byte of flags declares."""
  return 3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0


def clear_outside(image: Any) -> tuple[int, int, int, int] | None:
  """The position of a frame smaller than its screen, which is transparent around it; else None.

  Args:
    image: opened by Pillow, not loaded yet.
  """
  if image.format != 'GIF' or not image.tile:
    return None
  left, top, right, bottom = image.tile[0].extents
  inside = left > 0 or top > 0 or right < image.width or bottom < image.height
  return (left, top, right, bottom) if inside else None


def with_clear_outside(image: Image.Image, place: tuple[int, int, int, int]) -> Image.Image:
  """Makes a loaded image transparent outside a frame, where Pillow fills in a colour."""
  image = image.convert('LA' if image.mode == 'L' else 'RGBA')
  alpha = Image.new('L', image.size)
  alpha.paste(image.getchannel('A').crop(place), place[:2])
  image.putalpha(alpha)
  return image


def gif_image(image: Image.Image) -> tuple[Image.Image, int | None]:
  """Converts an image to a palette; returns it and the index of transparent pixels (alpha below half).

  Args:
    image: 'LA' or 'RGBA'.
  """
  clear = image.getchannel('A').point([255] * _HALF + [0] * (256 - _HALF))
  rgb = image.convert('RGB')
  if not clear.getbbox():
    return rgb, None
  # Invisible colours should take no room in the palette.
  row, column = np.unravel_index(np.argmin(np.asarray(clear)), (image.height, image.width))
  one = rgb.crop((int(column), int(row), int(column) + 1, int(row) + 1))
  rgb.paste(one.resize(rgb.size), mask=clear)
  few = rgb.convert('P', palette=Image.Palette.ADAPTIVE, colors=255)
  palette = few.getpalette() or []
  index = len(palette) // 3
  few.putpalette([*palette, 0, 0, 0])
  few.paste(index, mask=clear)
  return few, index
