"""BMP files with transparency or a colour space, whose headers Pillow neither reads completely nor writes."""

import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos.depth import full_range
from jaxgen.photos.pixels import Photo

DIB_HEADERS = (40, 52, 56, 108, 124)  # bytes; bitmaps without a file header begin with this length
_FILE_HEADER = 14
_V4, _V5 = 108, 124
_PLAIN, _BIT_FIELDS, _ALPHA_BIT_FIELDS = 0, 3, 6
_CALIBRATED, _SRGB = 0, 0x73524742
_EMBEDDED, _LINKED = 0x4D424544, 0x4C494E4B
_INCH = 39.3701  # inches per metre
_ENDPOINTS = 48  # bytes, including the three gammas


class BmpColour(NamedTuple):
  """A colour space as specified in the header.

  Attributes:
    kind: colour space type, four letters as a number.
    endpoints: primaries and gammas, as stored in the file.
    intent: rendering intent.
    profile: embedded ICC profile.
  """

  kind: int
  endpoints: bytes
  intent: int = 0
  profile: bytes = b''


class BmpPixels(NamedTuple):
  """Pixels described by bit masks.

  Attributes:
    height: in pixels.
    width: in pixels.
    bits: bits per pixel, 16 or 32.
    masks: masks of red, green, blue and alpha.
    start: offset of the pixels in the file.
    downwards: whether the first row is the top one.
    dpi: horizontal and vertical; None if not specified.
    format: Pillow's name of the format, BMP or DIB.
  """

  height: int
  width: int
  bits: int
  masks: tuple[int, ...]
  start: int
  downwards: bool
  dpi: tuple[float, float] | None
  format: str

  @property
  def channels(self) -> int:
    """3 or 4."""
    return 4 if self.masks[3] else 3

  def decode(self, path: Path) -> np.ndarray:
    """[H, W, 3 or 4] uint8."""
    stride = (self.width * self.bits + 31) // 32 * 4
    with path.open('rb') as file:
      file.seek(self.start)
      data = file.read(stride * self.height)
    if len(data) < stride * self.height:
      raise struct.error(f'{stride * self.height - len(data)} bytes of pixels are missing')
    rows = np.frombuffer(data, np.uint8).reshape(self.height, stride)[
      :, : self.width * self.bits // 8
    ]
    rows = rows if self.downwards else rows[::-1]
    pixels = np.empty((self.height, self.width, self.channels), np.uint8)
    at_once = max(1, 2**20 // max(self.width, 1))
    for top in range(0, self.height, at_once):  # a few rows at a time: each mask makes copies
      values = np.ascontiguousarray(rows[top : top + at_once]).view(f'<u{self.bits // 8}')
      for i, mask in enumerate(self.masks[: self.channels]):
        low = (mask & -mask).bit_length() - 1
        levels = full_range((values & mask) >> low, (mask >> low).bit_length())
        pixels[top : top + at_once, :, i] = levels
    return pixels


def bmp_pixels(path: Path) -> BmpPixels | None:
  """The pixels if masks describe them and one is for alpha, or Pillow does not support them; else None.

  Raises:
    DataError: channels of more than 8 bits, or no pixels at all.
  """
  header, at = _header(path)
  if len(header) < 40:
    return None
  width, height = struct.unpack_from('<ii', header, 4)
  if width < 1 or not height:
    raise DataError(f'{path}: damaged: its header says {width} x {abs(height)} pixels')
  bits, compression = struct.unpack_from('<HI', header, 14)
  if compression not in (_BIT_FIELDS, _ALPHA_BIT_FIELDS) or bits not in (16, 32):
    return None
  # After a header of 40 bytes, or at the same offset in a longer one.
  with path.open('rb') as file:
    file.seek(at + 40)
    masks = struct.unpack('<4I', file.read(16).ljust(16, b'\0'))
  if len(header) < 56 and compression == _BIT_FIELDS:
    masks = (*masks[:3], 0)
  if not all(masks[:3]) or not _are_runs(masks):
    return None
  if any((mask >> (mask & -mask).bit_length() - 1).bit_length() > 8 for mask in masks if mask):
    raise DataError(
      f'{path}: BMP of more than 8 bits a channel, of which 8 can be written: save it as PNG or TIFF'
    )
  across, down = struct.unpack_from('<ii', header, 24)
  dpi = (across / _INCH, down / _INCH) if across > 0 and down > 0 else None
  inside = len(header) + (16 if compression == _ALPHA_BIT_FIELDS else 12) * (len(header) == 40)
  start = at + inside
  if at:
    with path.open('rb') as file:
      start = struct.unpack('<10xI', file.read(14))[0]
  kind = 'BMP' if at else 'DIB'
  return BmpPixels(abs(height), width, bits, masks, start, height < 0, dpi, kind)


def bmp_leaves_out(path: Path) -> bool:
  """Whether a run-length encoded file ends, by its own marker, before the last pixel, or skips some."""
  header, at = _header(path)
  if len(header) < 40 or not at:
    return False
  bits, compression = struct.unpack_from('<HI', header, 14)
  if (bits, compression) not in ((8, 1), (4, 2)):
    return False
  data = path.read_bytes()
  (at,) = struct.unpack_from('<I', data, 10)
  while at + 1 < len(data):
    count, value = data[at], data[at + 1]
    at += 2
    if not count and value in (1, 2):
      return True
    if not count and value > 2:  # literal values, padded to whole words
      at += (value * bits + 15) // 16 * 2
  return False


def _are_runs(masks: tuple[int, ...]) -> bool:
  """Whether each mask's bits are contiguous, and no bit belongs to two masks."""
  runs = (mask // (mask & -mask) + 1 for mask in masks if mask)
  return all(x & (x - 1) == 0 for x in runs) and sum(masks).bit_count() == sum(
    mask.bit_count() for mask in masks
  )


def _header(path: Path) -> tuple[bytes, int]:
  """The bitmap's header and its offset."""
  with path.open('rb') as file:
    head = file.read(_FILE_HEADER + 4)
    at = _FILE_HEADER if head[:2] == b'BM' else 0
    (size,) = struct.unpack('<I', head[at : at + 4].ljust(4, b'\0'))
    if size > _V5:
      return b'', at
    file.seek(at)
    return file.read(size), at


def read_bmp(pixels: BmpPixels, path: Path) -> Photo:
  """Reads a photo whose pixels are described by masks."""
  info: dict[str, Any] = {'bmp_colour': bmp_colour(path)}
  if pixels.dpi:
    info['dpi'] = pixels.dpi
  return Photo(pixels.decode(path), pixels.format, info)


def bmp_colour(path: Path) -> BmpColour | None:
  """The colour space that a file specifies, or None.

  Raises:
    DataError: the profile is in another file.
  """
  header, at = _header(path)
  if len(header) < _V4:
    return None
  (kind,) = struct.unpack_from('<I', header, 56)
  endpoints = header[60 : 60 + _ENDPOINTS]
  if kind == _LINKED:
    raise DataError(f'{path}: its colour profile is another file: embed it, or save it as PNG')
  if kind == _CALIBRATED and not any(endpoints):
    return None
  intent, profile = 0, b''
  if len(header) >= _V5:
    intent, start, size = struct.unpack_from('<3I', header, 108)
    if kind == _EMBEDDED and size:
      with path.open('rb') as file:
        file.seek(at + start)
        profile = file.read(size)
  return BmpColour(kind, endpoints, intent, profile)


def write_bmp(
  path: Path,
  image: Image.Image,
  dpi: tuple[float, float] | None,
  colour: BmpColour | None,
  file_header: bool = True,
) -> None:
  """Writes a BMP file with the header that supports alpha and a colour space (BITMAPV5HEADER).

  Args:
    path: path of the file.
    image: 'L', 'RGB' or 'RGBA'.
    dpi: horizontal and vertical; None: 96.
    colour: the colour space; None: sRGB.
    file_header: whether to write a file header; DIB has none.
  """
  colour = colour or BmpColour(_SRGB, bytes(_ENDPOINTS))
  raw, bits = {'L': ('L', 8), 'RGB': ('BGR', 24), 'RGBA': ('BGRA', 32)}[image.mode]
  masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if image.mode == 'RGBA' else (0, 0, 0, 0)
  palette = b''.join(bytes((i, i, i, 0)) for i in range(256)) if bits == 8 else b''
  stride = (image.width * bits + 31) // 32 * 4
  size = stride * image.height
  per_metre = [round(x * _INCH) for x in dpi or (96, 96)]
  before = _FILE_HEADER if file_header else 0
  start = before + _V5 + len(palette)
  total = start + size + len(colour.profile)
  if total >= 2**32:
    raise ValueError('a BMP file holds no more than 4 GiB: save it as PNG or TIFF first')
  fields = struct.pack(
    '<IiiHHIIiiII', _V5, image.width, image.height, 1, bits,
    _BIT_FIELDS if any(masks) else _PLAIN, size, *per_metre, len(palette) // 4, 0,
  )  # fmt: skip
  profile = (_V5 + len(palette) + size, len(colour.profile)) if colour.profile else (0, 0)
  space = struct.pack('<4I', *masks) + struct.pack('<I', colour.kind) + colour.endpoints
  with path.open('wb') as file:
    if before:
      file.write(struct.pack('<2sIII', b'BM', total, 0, start))
    file.write(fields + space + struct.pack('<4I', colour.intent, *profile, 0) + palette)
    rows = max(1, 2**22 // stride)
    for end in range(image.height, 0, -rows):
      part = image.crop((0, max(0, end - rows), image.width, end))
      file.write(part.tobytes('raw', raw, stride, -1))
    file.write(colour.profile)
