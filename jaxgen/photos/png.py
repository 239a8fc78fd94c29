"""PNG chunks: which are intact, which are kept, which the decoder gets; and files with 16-bit colour.

Source: Portable Network Graphics (third edition), sections 5 (chunks), 11.3 (ancillary ones) and 14 (editors).
"""

import struct
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps
from jaxgen.photos.positions import Frame, Growth

PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
TEXT_LIMIT = 64 * 2**20
DAMAGED_PROFILE = 'its colour profile is damaged and is left out'
_TEXTS = (b'tEXt', b'zTXt', b'iTXt')
# Required to draw the picture; chunks that the standard does not know are left to the decoder.
_NEEDED = (b'IHDR', b'PLTE', b'IDAT', b'tRNS', b'IEND')
_INDEXED = 3  # the colour type whose palette is mandatory
_OF_ANIMATIONS = (b'acTL', b'fcTL', b'fdAT')  # by which a decoder recognises one
# Colour chunks that remain valid for an image of another size, with their lengths; light levels are spelt as in
# the standard and as in its draft.
_COLOURS = {b'gAMA': 4, b'cHRM': 32, b'sRGB': 1, b'cICP': 4}
_COLOURS |= {b'mDCV': 24, b'mDCv': 24, b'cLLI': 8, b'cLLi': 8}
_GAIN_MAPS = {b'gmAP', b'gDAT'}
# Marked as safe to copy, but in units of pixels, or written separately.
_OF_THE_SIZE = (b'pHYs', b'eXIf', b'oFFs', b'vpAg', b'caNv')
_XMP = b'XML:com.adobe.xmp'
_RAW_EXIF = (b'Raw profile type exif', b'Raw profile type APP1')
_STEP = 2**20


class PngScan(NamedTuple):
  """Contents of a PNG file.

  Attributes:
    chunks: names and contents, except pixels and damaged chunks.
    parts: offset and length of what a decoder needs: only chunks for the pixels, nothing after the end.
    notes: defects of the file.
  """

  chunks: list[tuple[bytes, bytes]]
  parts: list[tuple[int, int]]
  notes: list[str]

  @property
  def kind_of_colour(self) -> int:
    """The colour type, from the header, which comes first; -1 without one."""
    name, content = next(iter(self.chunks), (b'', b''))
    return content[9] if name == b'IHDR' and len(content) > 9 else -1


def scan_png(path: Path, pixels: bool = False) -> PngScan:
  """Reads everything except the pixels.

  Args:
    path: path of the file.
    pixels: also verify the checksums of the pixels' chunks.

  Raises:
    DataError: something that the picture needs is damaged, or texts are longer than 64 MB.
  """
  scan, texts, name, drawn = PngScan([], [], []), 0, b'', False
  size = path.stat().st_size
  scan.parts.append((0, len(PNG_SIGNATURE)))
  with path.open('rb') as file:
    at = file.seek(len(PNG_SIGNATURE))
    while name != b'IEND' and len(head := file.read(8)) == 8:
      length, name = struct.unpack('>I4s', head)
      drawn = drawn or name == b'IDAT'
      if not (name.isalpha() and name.isascii()) or at + 8 + length > size:
        break
      texts += length if name in _TEXTS else 0
      if texts > TEXT_LIMIT:
        raise DataError(
          f'{path}: its text chunks exceed {TEXT_LIMIT // 2**20} MB: save it without them'
        )
      whole = _take(file, path, name, length, scan, pixels)
      if whole and (name[:1].isupper() or name in (b'tRNS', *_OF_ANIMATIONS)):
        scan.parts.append((at, 12 + length))
      at = file.seek(at + 12 + length)
  if name == b'IEND':
    if at < size:
      scan.notes.append(f'{size - at} bytes after its end are left out')
  else:
    if drawn:
      scan.notes.append('its end mark (IEND) is missing')
    if name == b'IDAT' or not drawn:  # the decoder tells whether the picture is complete
      scan.parts.append((at, max(size - at, 0)))
  return scan


def _take(
  file: BinaryIO, path: Path, name: bytes, length: int, scan: PngScan, pixels: bool
) -> bool:
  """Reads one chunk; returns whether it is intact.

  Raises:
    DataError: it is damaged, and the picture needs it.
  """
  total = zlib.crc32(name)
  if (name == b'IDAT' and not pixels) or (name[:1].isupper() and name not in _NEEDED):
    return True
  if name == b'IDAT':
    for start in range(0, length, _STEP):
      total = zlib.crc32(file.read(min(_STEP, length - start)), total)
    content = b''
  else:
    content = file.read(length)
    total = zlib.crc32(content, total)
  stored = file.read(4)
  shown = name.decode()
  if len(stored) == 4 and struct.unpack('>I', stored)[0] != total:
    if name in _NEEDED and (name != b'PLTE' or scan.kind_of_colour == _INDEXED):
      raise DataError(f'{path}: damaged: its {shown} chunk has a bad checksum')
    if name in _TEXTS:
      shown += f' ({content.split(bytes(1))[0][:79].decode("latin-1")})'
    scan.notes.append(f'its chunk {shown} has a bad checksum and is left out')
    return False
  if name not in (b'IDAT', b'IEND'):
    scan.chunks.append((name, content))
  return True


def told(chunks: list[tuple[bytes, bytes]]) -> dict[str, Any]:
  """What a file's decoder does not get: EXIF and XMP under Pillow's names, and all chunks as `chunks`."""
  info: dict[str, Any] = {'chunks': chunks}
  for name, content in chunks:
    if name == b'eXIf':
      info['exif'] = exifs.PREFIX + content.removeprefix(exifs.PREFIX)
    elif name in _TEXTS:
      found = _raw_exif(name, content)
      if found:
        info.setdefault('exif', exifs.PREFIX + found)
      elif content.startswith(_XMP + b'\x00'):
        info['xmp'] = _text(name, content)[1]
  return info


def colour_profile(chunks: list[tuple[bytes, bytes]]) -> bytes | None:
  """The ICC profile; empty if it is damaged or longer than 64 MB, None if there is none."""
  for name, content in chunks:
    if name == b'iCCP':
      at = content.find(b'\x00') + 1
      return _unpacked(content[at + 1 :]) if content[at : at + 1] == b'\x00' else b''
  return None


def has_gain_map(chunks: list[tuple[bytes, bytes]]) -> bool:
  """Whether the file contains a gain map."""
  return any(name in _GAIN_MAPS for name, _ in chunks)


def kept(chunks: list[tuple[bytes, bytes]], frame: Frame) -> list[tuple[bytes, bytes]]:
  """The chunks that remain valid for another picture: colour, texts, resolution, EXIF, and those safe to copy.

  Chunks that an editor must not copy are dropped: the time of the last change, a background, palettes and
  their use, the number of significant bits. The profile is stored elsewhere.

  Args:
    chunks: chunks of the file.
    frame: how the picture is stored in it.
  """
  every, exif = [], told(chunks).get('exif', b'')
  exif = exifs.upright(exif, frame)
  for name, content in chunks:
    if name in _TEXTS:
      if _raw_exif(name, content):
        continue  # written as eXIf instead
      if content.startswith(_XMP + b'\x00'):
        content = edited_text(name, content, lambda xmp: xmps.upright(xmp, frame))
      every.append((name, content))
    elif name in _COLOURS:
      if len(content) == _COLOURS[name]:
        every.append((name, content))
    elif name == b'pHYs' and len(content) == 9:
      every.append((name, content[4:8] + content[:4] + content[8:] if frame.turned else content))
    elif name[:1].islower() and name[3:].islower() and name not in _OF_THE_SIZE:
      every.append((name, content))
  return every + ([(b'eXIf', exif)] if exif else [])


def resized(
  chunks: list[tuple[bytes, bytes]], height: int, width: int, by: Growth | None = None
) -> list[tuple[bytes, bytes]]:
  """Updates the size in EXIF and XMP where the old one was stated, and positions in the larger picture."""
  every = []
  for name, content in chunks:
    if name == b'eXIf':
      content = exifs.resized(content, height, width, by)
    elif name in _TEXTS and content.startswith(_XMP + b'\x00'):
      content = edited_text(name, content, lambda xmp: xmps.resized(xmp, height, width, by))
    every.append((name, content))
  return every


def edited_text(name: bytes, content: bytes, edit: Callable[[bytes], bytes]) -> bytes:
  """The content of a text chunk with edited text; unchanged if the text is the same or damaged."""
  head, text = _text(name, content)
  new = edit(text)
  if new == text:
    return content
  flag = content.find(b'\x00') + 1
  packed = name == b'zTXt' or (name == b'iTXt' and content[flag : flag + 1] == b'\x01')
  return head + (zlib.compress(new) if packed else new)


def _text(name: bytes, content: bytes) -> tuple[bytes, bytes]:
  """The part of a chunk before its text, and the decompressed text; no text if it is damaged."""
  at = content.find(b'\x00') + 1
  packed = name == b'zTXt'
  if name == b'zTXt':
    at += 1
  elif name == b'iTXt':
    packed = content[at : at + 1] == b'\x01'
    at += 2
    for _ in range(2):  # language, translated keyword
      at = content.find(b'\x00', at) + 1
  text = content[at:]
  return content[:at], _unpacked(text) if packed else text


def _unpacked(packed: bytes) -> bytes:
  """Decompresses; empty if the data is damaged, or longer than 64 MB."""
  packer = zlib.decompressobj()
  try:
    found = packer.decompress(packed, TEXT_LIMIT)
  except zlib.error:
    return b''
  return found if packer.eof and not packer.unconsumed_tail else b''


def _raw_exif(name: bytes, content: bytes) -> bytes:
  """EXIF that ImageMagick wrote as hexadecimal text; empty if it is not that."""
  if content.split(b'\x00')[0] not in _RAW_EXIF:
    return b''
  try:
    found = bytes.fromhex(b''.join(_text(name, content)[1].split(b'\n')[3:]).decode('ascii'))
  except ValueError:
    return b''
  found = found.removeprefix(exifs.PREFIX)
  return found if found[:4] in (b'II*\x00', b'MM\x00*') else b''


def packed_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
  """Serialises chunks with their lengths and checksums."""
  return b''.join(
    struct.pack('>I', len(data))
    + name
    + data
    + struct.pack('>I', zlib.crc32(data, zlib.crc32(name)))
    for name, data in chunks
  )


def write_png16(
  path: Path, pixels: np.ndarray, profile: bytes | None, more: list[tuple[bytes, bytes]]
) -> None:
  """Writes a PNG file with 16 bits per channel, an ICC profile and further chunks."""
  height, width, channels = pixels.shape
  colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
  head = [(b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colour_type, 0, 0, 0)), *more]
  if profile:
    head.append((b'iCCP', b'ICC Profile\x00\x00' + zlib.compress(profile)))
  with path.open('wb') as file:
    file.write(PNG_SIGNATURE + packed_chunks(head))
    packer = zlib.compressobj(6)
    rows = max(1, 2**22 // (width * channels))
    for top in range(0, height, rows):
      part = pixels[top : top + rows].astype('>u2').view(np.uint8).reshape(-1, width, 2 * channels)
      lines = np.ones((len(part), 1 + width * 2 * channels), np.uint8)  # 1: filter type Sub
      lines[:, 1:] = np.diff(part, axis=1, prepend=np.uint8(0)).reshape(len(part), -1)
      if packed := packer.compress(lines.tobytes()):
        file.write(packed_chunks([(b'IDAT', packed)]))
    file.write(packed_chunks([(b'IDAT', packer.flush()), (b'IEND', b'')]))
