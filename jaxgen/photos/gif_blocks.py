"""What a GIF file says of itself: comments, XMP, its colour profile and the shape of its pixels."""

from collections.abc import Iterator
from pathlib import Path

_KEPT_APPLICATIONS = (b'XMP DataXMP', b'ICCRGBG1012')
_COMMENT, _APPLICATION = 0xFE, 0xFF
_EXTENSION, _PICTURE, _END = 0x21, 0x2C, 0x3B


def read_blocks(path: Path) -> tuple[int, list[bytes]]:
  """The number for the shape of pixels, and the blocks to be written again as they are.

  Source: GIF89a, sections 18 and 24 to 26; XMP Specification part 3, section 1.1.2.
  """
  data = path.read_bytes()
  blocks = [data[begin:end] for begin, end in _blocks(data) if data[begin] == _EXTENSION]
  return data[12], [
    block
    for block in blocks
    if block[1] == _COMMENT or (block[1] == _APPLICATION and block[3:14] in _KEPT_APPLICATIONS)
  ]


def is_ended(path: Path) -> bool:
  """Whether the end mark stands behind the last block."""
  data = path.read_bytes()
  end = max((end for _, end in _blocks(data)), default=0)
  return data[end : end + 1] == bytes([_END])


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
  """Begin and end of each extension and picture that is whole."""
  if len(data) < 13:
    return
  at = 13 + _palette(data[10])
  while at < len(data) and data[at] in (_EXTENSION, _PICTURE):
    begin, flags = at, data[at + 9 : at + 10]
    at += 2 if data[at] == _EXTENSION else 11 + (_palette(flags[0]) if flags else 0)
    while at < len(data) and data[at]:
      at += data[at] + 1
    at += 1  # the empty block
    if at > len(data):
      return
    yield begin, at


def _palette(flags: int) -> int:
  return 3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0
