"""JPEG 2000 properties that Pillow does not expose: depth, colour space, profile, alpha, and metadata boxes.

Source: ITU-T T.800, annexes A (codestream) and I (boxes).
"""

import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import ImagePalette

from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps
from jaxgen.photos.boxes import box_content, inner_boxes, outer_box, outer_boxes, packed_box
from jaxgen.photos.depth import full_range
from jaxgen.photos.positions import Frame, Growth

_CODESTREAM = b'\xff\x4f\xff\x51'
_TILE, _COMMENT, _END = 0x90, 0x64, 0xD9
# UUIDs of boxes.
_XMP = bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC')
_EXIF = b'JpgTiffExif->JP2'
_IPTC = bytes.fromhex('33C7A4D2B81D4723A0BAF1A3E097AD38')
_PLACES = tuple(
  map(bytes.fromhex, ('B14BF8BD083D4B43A5AE8CD7D5A6CE03', '96A9F1F1DC98402DA7AED68E34451809'))
)
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
  """Properties of the picture, from the file's boxes and codestream.

  Attributes:
    depths: bits of each channel; with a palette, of its colours.
    codestream: whether it is a bare codestream without boxes.
    profile: ICC profile, or empty.
    colours: what is not decoded, a colour space or a channel layout, or empty.
    inks: whether it is CMYK.
    multiplied: whether colours are premultiplied by alpha.
    opaque: whether the last of 2 or 4 channels is not transparency.
    order: order of the stored channels: colours, then the others; empty if already in this order.
    palette: 8-bit RGB or RGBA by index, or empty.
  """

  depths: tuple[int, ...] = (8,)
  codestream: bool = False
  profile: bytes = b''
  colours: str = ''
  inks: bool = False
  multiplied: bool = False
  opaque: bool = False
  order: tuple[int, ...] = ()
  palette: bytes = b''


def jpeg2000_facts(path: Path) -> Jpeg2000Facts:
  """Reads the boxes; damaged ones are ignored, since the decoder reports them."""
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
    )  # the first of several colour spaces counts
  stored = _depths(path)
  colr = boxes.get(b'colr', b'')
  profile, colours, inks = _colours(colr)
  palette, depths = b'', stored
  if b'pclr' in boxes:
    palette, depths, unread = _palette(boxes[b'pclr'], boxes.get(b'cmap', b''), stored, colr)
    colours = colours or unread
  channels = _channels(boxes.get(b'cdef', b''), len(depths))
  order = _order(channels, inks)
  if order is None or (order and _is_sycc(colr)):
    colours = colours or 'channels in an unusual order'
  if palette and order:
    columns = np.frombuffer(palette, np.uint8).reshape(-1, len(depths))
    palette, order = columns[:, order].tobytes(), ()
  kinds = {kind for kind, _ in channels}
  opaque = b'cdef' in boxes and len(stored) in (2, 4) and not inks and not kinds & {1, 2}
  return Jpeg2000Facts(
    depths, False, profile, colours, inks, 2 in kinds, opaque, order or (), palette
  )


def _colours(content: bytes) -> tuple[bytes, str, bool]:
  """The profile, the name of what is not decoded, and whether it is CMYK."""
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


def _is_sycc(colr: bytes) -> bool:
  return colr[:1] == b'\1' and colr[3:7] == struct.pack('>I', _SYCC)


def _palette(
  table: bytes, mapping: bytes, stored: tuple[int, ...], colr: bytes
) -> tuple[bytes, tuple[int, ...], str]:
  """The palette's colours over the full range, the bits of each channel, and what is not decoded.

  Args:
    table: content of the box `pclr`.
    mapping: content of the box `cmap`.
    stored: bits of the codestream's channels.
    colr: content of the colour space's box.
  """
  count, channels = struct.unpack_from('>HB', table)
  depths = tuple((x & 0x7F) + 1 for x in table[3 : 3 + channels])
  plain = b''.join(struct.pack('>HBB', 0, 1, i) for i in range(channels))
  if stored != (8,) or (mapping or plain) != plain:
    return b'', depths, 'a palette with indices stored in this way'
  if channels not in (3, 4) or (colr[:1] == b'\1' and colr[3:7] != struct.pack('>I', _SRGB)):
    return b'', depths, f'a palette of {channels} channels of this kind'
  if max(depths) > 8:
    return b'', depths, ''
  levels = np.frombuffer(table, np.uint8, count * channels, 3 + channels).reshape(count, channels)
  columns = [full_range(levels[:, i], bits) for i, bits in enumerate(depths)]
  return np.stack(columns, -1).tobytes(), depths, ''


def _channels(content: bytes, count: int) -> list[tuple[int, int]]:
  """The type of each channel, and the colour that it belongs to.

  Types are 0 colour, 1 alpha, 2 premultiplied alpha, 65535 unspecified; colours are 1-based, and 0 means all of
  them. Channels that are not listed are colours in order.
  """
  found = [(0, i + 1) for i in range(count)]
  for i in range((len(content) - 2) // 6):
    channel, kind, colour = struct.unpack_from('>3H', content, 2 + 6 * i)
    found[channel] = kind, colour
  return found


def _order(channels: list[tuple[int, int]], inks: bool) -> tuple[int, ...] | None:
  """The order of the stored channels; empty if already in order, None if unknown."""
  count = len(channels)
  wanted = 1 if count < 3 else 4 if inks else 3
  colours = {colour: i for i, (kind, colour) in enumerate(channels) if kind == 0}
  if all(kind == 0 for kind, _ in channels) and sorted(colours) == list(range(1, count + 1)):
    wanted = count
  if wanted == len(colours) == 1:  # grey may be assigned to all colours, or to the first
    colours = dict(zip([1], colours.values(), strict=True))
  others = [i for i, (kind, _) in enumerate(channels) if kind]
  # Alpha that belongs to a single colour does not apply to the others.
  partial = wanted > 1 and any(kind in (1, 2) and 0 < colour <= wanted for kind, colour in channels)
  if sorted(colours) != list(range(1, wanted + 1)) or len(others) != count - wanted or partial:
    return None
  order = (*(colours[i + 1] for i in range(wanted)), *others)
  if order == tuple(range(count)):
    return ()
  return None if inks else order


def _depths(path: Path) -> tuple[int, ...]:
  """The channels' bits, from the codestream's SIZ segment."""
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
  """The first comment of the codestream, wherever it is in the file."""
  box = outer_box(path, b'jp2c')
  with path.open('rb') as file:
    file.seek(box.start + 2 if box else 2)
    while len(mark := file.read(4)) == 4 and mark[0] == 0xFF and mark[1] not in (_TILE, _END):
      length = int.from_bytes(mark[2:], 'big') - 2
      if mark[1] == _COMMENT:
        return file.read(length)[2:]
      file.seek(max(length, 0), os.SEEK_CUR)
  return None


def read_boxes(path: Path, frame: Frame) -> tuple[bytes, list[bytes]]:
  """The resolution box, empty if there is none, and the boxes with EXIF, XMP, IPTC and other XML.

  They are independent of the picture's orientation.

  Args:
    path: path of the file.
    frame: how the picture is stored in it.
  """
  data, resolution, kept = path.read_bytes(), b'', []
  for box in inner_boxes(data):
    content = data[box.start : box.end]
    if box.name == b'jp2h':
      inner = {b.name: data[b.begin : b.end] for b in inner_boxes(data, box.start, box.end)}
      resolution = inner.get(b'res ', b'')
    elif box.name == b'uuid' and content.startswith(_EXIF):
      exif = content[16:].removeprefix(exifs.PREFIX)
      prefix = content[: len(content) - len(exif)]
      if exif := exifs.upright(exif, frame):
        kept.append(packed_box(b'uuid', prefix + exif))
    elif box.name == b'uuid' and content.startswith(_XMP):
      kept.append(packed_box(b'uuid', _XMP + xmps.upright(content[16:], frame)))
    elif box.name == b'xml ' or (box.name == b'uuid' and content.startswith(_IPTC)):
      kept.append(packed_box(box.name, content))
  return _turned_resolution(resolution) if frame.turned else resolution, kept


def _turned_resolution(resolution: bytes) -> bytes:
  """Swaps the resolutions along rows and along columns."""
  inside = b''
  for box in inner_boxes(resolution, 8):
    content = resolution[box.start : box.end]
    if len(content) == 10:
      content = content[4:8] + content[:4] + content[9:] + content[8:9]
    inside += packed_box(box.name, content)
  return packed_box(b'res ', inside) if resolution else b''


def complete(image: Any, path: Path) -> None:
  """Adds to an image opened by Pillow what that does not read: EXIF and XMP, and the unmodified palette."""
  for box in outer_boxes(path):
    content = box_content(path, box) if box.name == b'uuid' else b''
    if content[:16] in (_EXIF, _XMP):
      image.info.setdefault('exif' if content[:16] == _EXIF else 'xmp', content[16:])
  # Pillow merges equal colours, so that later indices would refer to wrong ones.
  if palette := jpeg2000_facts(path).palette:
    image.palette = ImagePalette.ImagePalette(image.palette.mode, palette)
    image.palette.dirty = 1


def left_out(path: Path) -> tuple[str, ...]:
  """Notes on georeferencing boxes that are dropped: GeoTIFF, world file or GML."""
  for box in outer_boxes(path):
    content = box_content(path, box) if box.name in (b'uuid', b'asoc') else b''
    label = content[:64] if box.name == b'asoc' else b''
    if content[:16] in _PLACES or b'gml.data' in label:
      return ('its place on the map is left out: it applies to the old size only',)
  return ()


def resized_boxes(
  boxes: list[bytes], height: int, width: int, by: Growth | None = None
) -> list[bytes]:
  """Updates the size in EXIF and XMP where the old one was stated, and positions in the larger picture."""
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
  """Adds a resolution to a file's header, replaces its colour space by a profile, and appends boxes.

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
