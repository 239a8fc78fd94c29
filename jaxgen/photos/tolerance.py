"""Tolerates files that are slightly damaged but contain the whole picture: they are read, with a note."""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import gif, png
from jaxgen.photos.bmp import bmp_leaves_out
from jaxgen.photos.formats import stream
from jaxgen.photos.pieces import Pieces
from jaxgen.photos.tiff_tags import as_unsigned
from jaxgen.photos.unended import END, Scans, follow_codestream, follow_jpeg, unended_jpeg
from jaxgen.photos.webp import unended_webp

# Substitutes for what may be missing: ones, and an irregular sequence.
_TAILS = (b'\xff\x00' * 32, bytes((i * i * 37 + 11 * i + 90) % 251 for i in range(64)))

# Pillow's messages on files that it recognises but does not decode.
_UNREAD = re.compile(
  r'(?i)^(unsupported|unknown|unrecognized|cannot handle) .*(mode|depth|compression|layout|per pixel|'
  r'layers|layer images|organization)'
)
_FEW_ZEROS = 16  # fewer zero bytes at the end are accepted as pixels without further checks
_GREY = range(126, 131)  # levels of blocks that are missing, as decoded


@contextmanager
def opened(path: Path, notes: list[str]) -> Iterator[tuple[BinaryIO, dict[Any, Any]]]:
  """Opens a file for Pillow, without what would keep it from reading an intact picture.

  Args:
    path: path of the file.
    notes: extended by the file's defects.

  Yields:
    What Pillow should read, and what an image's `info` will then lack.

  Raises:
    DataError: something that the picture needs is damaged, or the path is a pipe or a device.
  """
  if what := stream(path):
    raise DataError(f'{path}: {what}')
  with path.open('rb') as file:
    head, info = file.read(8), {}
    file.seek(0)
    parts: list[tuple[int, int] | bytes] = []
    if head == png.PNG_SIGNATURE:
      scan = png.scan_png(path)
      parts, info = list(scan.parts), png.told(scan.chunks)
      notes += scan.notes
      if (profile := png.colour_profile(scan.chunks)) is not None:
        info |= {'icc_profile': profile} if profile else {}
        notes += [] if profile else [png.DAMAGED_PROFILE]
    elif head[:3] == b'\xff\xd8\xff':
      broken = unended_jpeg(path)
      if broken:
        parts = [(0, broken.end), END]
        notes.append('its end mark is missing')
    elif head[4:8] == b'jP  ' or head[:4] == b'\xff\x4f\xff\x51':
      tiles = follow_codestream(path)
      if tiles and tiles.whole and not tiles.ended:
        parts = [(0, tiles.end), END]
        notes.append('its end mark is missing')
    elif head[:4] == b'RIFF' and (end := unended_webp(path)):
      parts = [b'RIFF' + struct.pack('<I', end - 8), (8, end - 8)]
      notes.append('its end is missing, and metadata with it')
    elif head[:4] in (b'II*\0', b'MM\0*', b'II+\0'):
      parts = as_unsigned(path)
    elif head[:4] == b'GIF8' and gif.gif_end(path) is None:
      notes.append('its end mark is missing')
    if parts:
      yield io.BufferedReader(Pieces(file, parts)), info
    else:
      yield file, info


def check_pixels(path: Path, kind: str) -> tuple[str, ...]:
  """Rejects a file that lacks some of its pixels if its decoder does not.

  Args:
    path: path of the file.
    kind: its format, by Pillow's name.

  Returns:
    Notes on the file.

  Raises:
    DataError: says why.
  """
  if kind == 'PNG':
    png.scan_png(path, pixels=True)
  elif kind in ('JPEG', 'MPO') and (scans := follow_jpeg(path)):
    return _check_scans(path, scans)
  elif kind == 'JPEG2000' and (tiles := follow_codestream(path)) and not tiles.whole:
    raise DataError(f'{path}: damaged: some of its tiles are missing')
  return ()


def check_drawn(path: Path, image: Image.Image) -> None:
  """Rejects a JPEG file with an end marker whose last blocks had to be made up by the decoder.

  Args:
    path: path of the file.
    image: opened by Pillow; loaded, and not turned.

  Raises:
    DataError: says why.
  """
  if image.format not in ('JPEG', 'MPO') or not _ends_grey(image):
    return
  scans = follow_jpeg(path)
  if scans and scans.behind and not scans.arithmetic and not _is_drawn(path, scans.end):
    raise _missing(path, scans)


def _check_scans(path: Path, scans: Scans) -> tuple[str, ...]:
  if not scans.coarse or _is_filled(path, scans):
    raise _missing(path, scans)
  if scans.behind and scans.whole:
    return ()
  if (scans.behind is None and not scans.whole) or not _is_drawn(path, scans.end):
    raise _missing(path, scans)
  return () if scans.whole else ('it has fewer scans than a full-quality progressive JPEG',)


def _missing(path: Path, scans: Scans) -> DataError:
  if scans.behind is None:
    return DataError(f'{path}: damaged: its end is missing, and a part of the picture with it')
  return DataError(f'{path}: damaged: a part of the picture is missing before its end mark')


def _is_filled(path: Path, scans: Scans) -> bool:
  """Whether zero bytes stand in for pixels, as left by file recovery programs.

  Zeros at the end of a uniform picture are accepted as its own if it needs every one of them.
  """
  if scans.zeros < _FEW_ZEROS or scans.arithmetic or _is_drawn(path, scans.end - scans.zeros):
    return False
  return not _is_drawn(path, scans.end) or _is_drawn(path, scans.end - 1)


def _ends_grey(image: Image.Image) -> bool:
  """Whether the last block is of one grey, whatever its hue: colours spill over from the block before."""
  width, height = image.size
  last = image.crop(((width - 1) // 8 * 8, (height - 1) // 8 * 8, width, height))
  last = last.convert('L') if last.mode == 'RGB' else last
  return all(set(_GREY) >= set(np.unique(np.asarray(band))) for band in last.split())


def _is_drawn(path: Path, end: int) -> bool:
  """Whether the decoder needs nothing after an offset: then it does not matter what follows."""
  sums = set()
  for tail in (b'', *_TAILS):
    with path.open('rb') as file:
      source = io.BufferedReader(Pieces(file, [(0, end), tail + END]))
      with Image.open(source, formats=['JPEG']) as image:
        sums.add(zlib.crc32(image.tobytes()))
  return len(sums) == 1


def is_unread(path: Path, error: Exception) -> bool:
  """Whether an error means that the decoder does not support the file, rather than damage."""
  if isinstance(error, struct.error) or not path.is_file():
    return False
  return bool(_UNREAD.search(str(error))) or bmp_leaves_out(path)
