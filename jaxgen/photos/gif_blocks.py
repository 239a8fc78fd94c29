"""What a GIF file says of itself: comments, XMP, its colour profile and the shape of its pixels."""

from pathlib import Path

_KEPT_APPLICATIONS = (b'XMP DataXMP', b'ICCRGBG1012')
_COMMENT, _APPLICATION = 0xFE, 0xFF


def read_blocks(path: Path) -> tuple[int, list[bytes]]:
  """The number for the shape of pixels, and the blocks to be written again as they are.

  Source: GIF89a, sections 18 and 24 to 26; XMP Specification part 3, section 1.1.2.
  """
  data, kept = path.read_bytes(), []
  at = 13 + _palette(data[10])
  while at < len(data) and data[at] in (0x21, 0x2C):
    begin, label = at, data[at + 1]
    if data[at] == 0x2C:  # the picture
      at += 11 + _palette(data[at + 9])
    else:
      at += 2
    end = _end_of_blocks(data, at)
    name = data[at + 1 : at + 12] if data[at] == 11 else b''
    extension = data[begin] == 0x21
    if extension and (label == _COMMENT or (label == _APPLICATION and name in _KEPT_APPLICATIONS)):
      kept.append(data[begin:end])
    at = end
  return data[12], kept


def _palette(flags: int) -> int:
  return 3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0


def _end_of_blocks(data: bytes, at: int) -> int:
  """Behind the empty block that ends a row of blocks.

  Raises:
    IndexError: the file ends before.
  """
  while data[at]:
    at += data[at] + 1
  return at + 1
