"""What Pillow does not tell of JPEG 2000 files: depth, colour space, profile, alpha, and boxes of metadata.

Source: ITU-T T.800, annexes A (codestream) and I (boxes).
"""

import os
import struct
from pathlib import Path
from typing import NamedTuple

from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps
from jaxgen.photos.boxes import box_content, inner_boxes, outer_box, packed_box
from jaxgen.photos.positions import Growth

_CODESTREAM = b'\xff\x4f\xff\x51'
_TILE, _COMMENT, _END = 0x90, 0x64, 0xD9
# Of boxes of any kind.
_XMP = bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC')
_EXIF = b'JpgTiffExif->JP2'
_IPTC = bytes.fromhex('33C7A4D2B81D4723A0BAF1A3E097AD38')
_SRGB, _GREY, _SYCC, _CMYK, _BILEVEL = 16, 17, 18, 12, (0, 15)
_NAMES = {
  1: 'YCbCr (1)',
  3: 'YCbCr (2)',
  4: 'YCbCr (3)',
  9: 'PhotoYCC',
  11: 'CMY',
  13: 'YCCK',
  14: 'CIELab',
  19: 'CIEJab',
  20: 'e-sRGB',
  21: 'ROMM-RGB',
  22: 'YPbPr 1125/60',
  23: 'YPbPr 1250/50',
  24: 'e-sYCC',
}


class Jpeg2000Facts(NamedTuple):
  """What the boxes of a file and its codestream say of its picture.

  Attributes:
    depths: bits of each channel; with a palette, of its colours.
    codestream: no boxes around it.
    profile: ICC, or nothing.
    colours: the name of a colour space that is not decoded, or nothing.
    inks: CMYK.
    multiplied: colours are stored multiplied by alpha.
    opaque: the last of 2 or 4 channels is no transparency.
  """

  depths: tuple[int, ...] = (8,)
  codestream: bool = False
  profile: bytes = b''
  colours: str = ''
  inks: bool = False
  multiplied: bool = False
  opaque: bool = False


def jpeg2000_facts(path: Path) -> Jpeg2000Facts:
  """Reads the boxes; what is damaged is left out, since the decoder tells of it."""
  try:
    with path.open('rb') as file:
      head = file.read(4)
    if head == _CODESTREAM:
      return Jpeg2000Facts(_depths(path), codestream=True)
    return _boxed(path)
  except (struct.error, IndexError):
    return Jpeg2000Facts()


def _boxed(path: Path) -> Jpeg2000Facts:
  header = box_content(path, outer_box(path, b'jp2h'))
  boxes: dict[bytes, bytes] = {}
  for box in inner_boxes(header):
    boxes.setdefault(
      box.name, header[box.start : box.end]
    )  # of several colour spaces the first counts
  depths = _depths(path)
  count = len(depths)
  if b'pclr' in boxes:
    depths = tuple((x & 0x7F) + 1 for x in boxes[b'pclr'][3 : 3 + boxes[b'pclr'][2]])
  profile, colours, inks = _colours(boxes.get(b'colr', b''))
  kinds = _alphas(boxes.get(b'cdef', b''))
  opaque = bool(kinds) and count in (2, 4) and not inks and not set(kinds) & {1, 2}
  return Jpeg2000Facts(depths, False, profile, colours, inks, 2 in kinds, opaque)


def _colours(content: bytes) -> tuple[bytes, str, bool]:
  """Profile, name of what is not decoded, whether it is CMYK."""
  if not content:
    return b'', '', False
  if content[0] != 1:
    profile = content[3:] if content[0] in (2, 3) else b''
    space = profile[16:20]
    known = space in (b'RGB ', b'GRAY')
    return profile, '' if known else (space.decode('latin-1').strip() or 'an unknown kind'), False
  (number,) = struct.unpack_from('>I', content, 3)
  if number in (_SRGB, _GREY, _SYCC, _CMYK, *_BILEVEL):
    return b'', '', number == _CMYK
  return b'', _NAMES.get(number, f'an unknown kind ({number})'), False


def _alphas(content: bytes) -> list[int]:
  """The kind of each channel: 0 colour, 1 alpha, 2 alpha by which colours are multiplied, 65535 none."""
  return [
    struct.unpack_from('>H', content, 2 + 6 * i + 2)[0] for i in range((len(content) - 2) // 6)
  ]


def _depths(path: Path) -> tuple[int, ...]:
  """Of the channels, by the codestream's SIZ segment."""
  box = outer_box(path, b'jp2c')
  with path.open('rb') as file:
    file.seek(box.start if box else 0)
    if file.read(4) != _CODESTREAM:
      return (8,)
    (length,) = struct.unpack('>H', file.read(2))
    siz = file.read(length - 2)
  (count,) = struct.unpack_from('>H', siz, 34)
  return tuple((siz[36 + 3 * i] & 0x7F) + 1 for i in range(count))


def read_comment(path: Path) -> bytes | None:
  """The first comment of the codestream, wherever in the file that lies."""
  box = outer_box(path, b'jp2c')
  with path.open('rb') as file:
    file.seek(box.start + 2 if box else 2)
    while len(mark := file.read(4)) == 4 and mark[0] == 0xFF and mark[1] not in (_TILE, _END):
      length = int.from_bytes(mark[2:], 'big') - 2
      if mark[1] == _COMMENT:
        return file.read(length)[2:]
      file.seek(max(length, 0), os.SEEK_CUR)
  return None


def read_boxes(path: Path) -> tuple[bytes, list[bytes]]:
  """The box of the resolution, empty where there is none, and those of EXIF, XMP, IPTC and other XML."""
  data, resolution, kept = path.read_bytes(), b'', []
  for box in inner_boxes(data):
    if box.name == b'jp2h':
      inner = {b.name: data[b.begin : b.end] for b in inner_boxes(data, box.start, box.end)}
      resolution = inner.get(b'res ', b'')
    elif box.name == b'xml ' or (
      box.name == b'uuid' and data[box.start : box.start + 16] in (_XMP, _EXIF, _IPTC)
    ):
      kept.append(packed_box(box.name, data[box.start : box.end]))
  return resolution, kept


def resized_boxes(
  boxes: list[bytes], height: int, width: int, by: Growth | None = None
) -> list[bytes]:
  """With the new size in EXIF and XMP where they said the old one, and positions in the larger picture."""
  every = []
  for box in boxes:
    kind, content = box[8:24], box[24:]
    if kind == _EXIF:
      exif = content.removeprefix(exifs.PREFIX)
      prefix = content[: len(content) - len(exif)]
      box = packed_box(b'uuid', kind + prefix + exifs.resized(exif, height, width, by))
    elif kind == _XMP:
      box = packed_box(b'uuid', kind + xmps.resized(content, height, width, by))
    every.append(box)
  return every


def put_boxes(path: Path, resolution: bytes, boxes: list[bytes], profile: bytes | None) -> None:
  """Adds the resolution to a file's header, a profile in the place of its colour space, and boxes to its end.

  Raises:
    ValueError: the file has no header.
  """
  if not (resolution or boxes or profile):
    return
  data = path.read_bytes()
  header = outer_box(path, b'jp2h')
  if header is None:
    raise ValueError('a JPEG 2000 file without a header holds no profile')
  inside = [
    packed_box(b'colr', b'\x02\0\0' + profile)
    if profile and box.name == b'colr'
    else data[box.begin : box.end]
    for box in inner_boxes(data, header.start, header.end)
  ]
  new = packed_box(b'jp2h', b''.join(inside) + resolution)
  path.write_bytes(data[: header.begin] + new + data[header.end :] + b''.join(boxes))
