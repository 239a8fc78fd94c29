"""What Pillow does not tell of the parts of PNG and WebP files, and PNG files of 16 bits of colour."""

import io
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from jaxgen.photos.png_parts import PNG_SIGNATURE, scan_png

_OWN_CHUNKS = (b'IHDR', b'IDAT', b'IEND')


def png_chunks(path: Path) -> list[tuple[bytes, bytes]]:
  """The chunks of a PNG file that are whole, but for its pixels.

  Raises:
    DataError: a chunk that the picture needs is damaged, or texts are too long.
  """
  return scan_png(path).chunks


def is_lossless_webp(path: Path) -> bool:
  """Whether the first picture of a WebP file is stored without loss."""
  with path.open('rb') as file:
    file.seek(12)
    while len(head := file.read(8)) == 8:
      name, length = struct.unpack('<4sI', head)
      if name in (b'VP8 ', b'VP8L'):
        return name == b'VP8L'
      file.seek(length + length % 2, os.SEEK_CUR)
  return False


def packed_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
  """Chunks with their lengths and checksums, as they stand in a file."""
  packed = io.BytesIO()
  for name, content in chunks:
    _put_chunk(packed, name, content)
  return packed.getvalue()


def write_png16(
  path: Path, pixels: np.ndarray, options: dict[str, Any], more: list[tuple[bytes, bytes]]
) -> None:
  """A PNG file of 16 bits a channel with Pillow's chunks of metadata, and with `more` of them."""
  height, width, channels = pixels.shape
  small = io.BytesIO()
  Image.new('L', (1, 1)).save(small, 'PNG', **options)
  with path.open('wb') as file:
    file.write(PNG_SIGNATURE)
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    _put_chunk(file, b'IHDR', struct.pack('>IIBBBBB', width, height, 16, colour_type, 0, 0, 0))
    file.write(packed_chunks(more))
    _copy_chunks(small.getvalue(), file)
    packer = zlib.compressobj(6)
    rows = max(1, 2**22 // (width * channels))
    for top in range(0, height, rows):
      part = pixels[top : top + rows].astype('>u2').view(np.uint8).reshape(-1, width, 2 * channels)
      lines = np.ones((len(part), 1 + width * 2 * channels), np.uint8)  # 1: each less its left one
      lines[:, 1:] = np.diff(part, axis=1, prepend=np.uint8(0)).reshape(len(part), -1)
      if packed := packer.compress(lines):
        _put_chunk(file, b'IDAT', packed)
    _put_chunk(file, b'IDAT', packer.flush())
    _put_chunk(file, b'IEND', b'')


def insert_chunks(path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
  """Puts chunks before all others of a PNG file but its header."""
  content = path.read_bytes()
  header = len(PNG_SIGNATURE) + 25
  with path.open('wb') as file:
    file.write(content[:header])
    for name, data in chunks:
      _put_chunk(file, name, data)
    file.write(content[header:])


def _copy_chunks(png: bytes, file: io.BufferedWriter) -> None:
  """All but the picture's own."""
  at = len(PNG_SIGNATURE)
  while at < len(png):
    length, name = struct.unpack_from('>I4s', png, at)
    if name not in _OWN_CHUNKS:
      file.write(png[at : at + length + 12])
    at += length + 12


def _put_chunk(file: BinaryIO, name: bytes, data: bytes) -> None:
  file.write(struct.pack('>I', len(data)) + name + data)
  file.write(struct.pack('>I', zlib.crc32(data, zlib.crc32(name))))
