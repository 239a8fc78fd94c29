"""Files that are not quite whole, where the picture is: read, and told of."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import gif, png
from jaxgen.photos.formats import stream
from jaxgen.photos.pieces import Pieces
from jaxgen.photos.unended import END, Unended, follow_codestream, unended_jpeg
from jaxgen.photos.webp import unended_webp

# In the place of what may be missing: ones, and no pattern.
_TAILS = (b'\xff\x00' * 32, bytes((i * i * 37 + 11 * i + 90) % 251 for i in range(64)))


@contextmanager
def opened(path: Path, notes: list[str]) -> Iterator[tuple[BinaryIO, dict[Any, Any]]]:
  """A file for Pillow, without what would keep it from reading a picture that is there.

  Args:
    path: of the file.
    notes: gets what is wrong with it.

  Yields:
    What Pillow is to read, and what it then misses in an image's `info`.

  Raises:
    DataError: what the picture needs is damaged, or it is no file but a pipe or a device.
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
    elif head[:4] == b'GIF8' and not gif.is_ended(path):
      notes.append('its end mark is missing')
    if parts:
      yield io.BufferedReader(Pieces(file, parts)), info
    else:
      yield file, info


def check_pixels(path: Path, kind: str) -> None:
  """Refuses a file that lacks some of its pixels, where its decoder does not.

  Raises:
    DataError: says why.
  """
  if kind == 'PNG':
    png.scan_png(path, pixels=True)
  elif kind in ('JPEG', 'MPO') and (broken := unended_jpeg(path)) and not _is_drawn(path, broken):
    raise DataError(f'{path}: damaged: its end is missing, and a part of the picture with it')
  elif kind == 'JPEG2000' and (tiles := follow_codestream(path)) and not tiles.whole:
    raise DataError(f'{path}: damaged: some of its tiles are missing')


def _is_drawn(path: Path, broken: Unended) -> bool:
  """Whether the decoder needs nothing of what is missing: then it does not matter what stands there."""
  if not broken.whole:
    return False
  sums = set()
  for tail in (b'', *_TAILS):
    with path.open('rb') as file:
      source = io.BufferedReader(Pieces(file, [(0, broken.end), tail + END]))
      with Image.open(source, formats=['JPEG']) as image:
        sums.add(zlib.crc32(image.tobytes()))
  return len(sums) == 1
