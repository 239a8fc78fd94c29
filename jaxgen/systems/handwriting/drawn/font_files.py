"""The characters of a font file, from its `cmap` table, which Pillow does not expose."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from jaxgen.errors import DataError, first_line

# (platform, encoding) of Unicode subtables, the most complete first.
_UNICODE = [(3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0)]


def font_characters(path: Path) -> frozenset[str]:
  """Reads the characters that a font has glyphs for.

  Args:
    path: a TrueType or OpenType font, bare (.ttf, .otf), in a collection (the first of .ttc) or as WOFF.

  Returns:
    Its characters, as strings of length one.

  Raises:
    DataError: no such file, not a font of these kinds, or damaged.
  """
  try:
    content = path.read_bytes()
  except OSError as error:
    raise DataError(f'{path}: cannot read this font: {error.strerror}') from error
  if content[:4] == b'wOF2':
    raise DataError(f'{path} is WOFF2: convert it to .ttf, .otf or .woff')
  try:
    return frozenset(chr(code) for code in _codes(_table(content, b'cmap')))
  except (struct.error, zlib.error, IndexError, ValueError) as error:
    raise DataError(f'{path}: not a readable font: {first_line(error)}') from error


def _table(content: bytes, name: bytes) -> bytes:
  if content[:4] == b'wOFF':
    (count,) = struct.unpack_from('>H', content, 12)
    for i in range(count):
      tag, at, packed, length = struct.unpack_from('>4sIII', content, 44 + 20 * i)
      if tag == name:
        table = content[at : at + packed]
        return zlib.decompress(table) if packed < length else table
  start = struct.unpack_from('>I', content, 12)[0] if content[:4] == b'ttcf' else 0
  if content[start : start + 4] in (b'\0\1\0\0', b'OTTO', b'true'):
    (count,) = struct.unpack_from('>H', content, start + 4)
    for i in range(count):
      tag, _, at, length = struct.unpack_from('>4sIII', content, start + 12 + 16 * i)
      if tag == name:
        return content[at : at + length]
  raise ValueError(f'no table {name.decode()}')


def _codes(cmap: bytes) -> Iterator[int]:
  (count,) = struct.unpack_from('>H', cmap, 2)
  places = {}
  for i in range(count):
    platform, encoding, at = struct.unpack_from('>HHI', cmap, 4 + 8 * i)
    places[platform, encoding] = at
  for kind in _UNICODE:
    if kind in places:
      return _FORMATS.get(struct.unpack_from('>H', cmap, places[kind])[0], _unknown)(
        cmap, places[kind]
      )
  raise ValueError('no Unicode characters')


def _unknown(cmap: bytes, at: int) -> Iterator[int]:
  raise ValueError(f'unsupported cmap format {struct.unpack_from(">H", cmap, at)[0]}')


def _segments(cmap: bytes, at: int) -> Iterator[int]:
  """Format 4: ranges of the first 65,536 code points."""
  n = struct.unpack_from('>H', cmap, at + 6)[0] // 2
  ends = struct.unpack_from(f'>{n}H', cmap, at + 14)
  starts = struct.unpack_from(f'>{n}H', cmap, at + 16 + 2 * n)
  deltas = struct.unpack_from(f'>{n}H', cmap, at + 16 + 4 * n)
  offsets_at = at + 16 + 6 * n
  offsets = struct.unpack_from(f'>{n}H', cmap, offsets_at)
  for i in range(n):
    for code in range(starts[i], min(ends[i], 0xFFFE) + 1):
      glyph = code
      if offsets[i]:
        where = offsets_at + 2 * i + offsets[i] + 2 * (code - starts[i])
        (glyph,) = struct.unpack_from('>H', cmap, where)
      if (glyph + deltas[i]) % 65536 if glyph or not offsets[i] else 0:
        yield code


def _trimmed(cmap: bytes, at: int) -> Iterator[int]:
  """Format 6: one range."""
  first, count = struct.unpack_from('>HH', cmap, at + 6)
  glyphs = struct.unpack_from(f'>{count}H', cmap, at + 10)
  return (first + i for i, glyph in enumerate(glyphs) if glyph)


def _groups(cmap: bytes, at: int) -> Iterator[int]:
  """Format 12: ranges of all code points."""
  (count,) = struct.unpack_from('>I', cmap, at + 12)
  for i in range(count):
    first, last, glyph = struct.unpack_from('>III', cmap, at + 16 + 12 * i)
    yield from range(first + (glyph == 0), min(last, 0x10FFFF) + 1)


_FORMATS = {4: _segments, 6: _trimmed, 12: _groups}
