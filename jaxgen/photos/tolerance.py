"""Files that are not quite whole, where the picture is: read, and told of."""

import io
import mmap
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import png_parts
from jaxgen.photos.pieces import Pieces

_END = b'\xff\xd9'
# The next marker after pixels: neither a stuffed byte nor one that only starts the decoder anew.
_MARKER = re.compile(rb'\xff+[\x01-\xcf\xd8-\xfe]')
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_PROGRESSIVE = {0xC2, 0xCA}
# In the place of what may be missing: ones, and no pattern.
_TAILS = (b'\xff\x00' * 32, bytes((i * i * 37 + 11 * i + 90) % 251 for i in range(64)))


@contextmanager
def opened(path: Path, notes: list[str]) -> Iterator[tuple[BinaryIO, dict[str, Any]]]:
  """A file for Pillow, without what would keep it from reading a picture that is there.

  Args:
    path: of the file.
    notes: gets what is wrong with it.

  Yields:
    What Pillow is to read, and what it then misses in an image's `info`.

  Raises:
    DataError: what the picture needs is damaged.
  """
  with path.open('rb') as file:
    head, info = file.read(8), {}
    file.seek(0)
    parts: list[tuple[int, int] | bytes] = []
    if head == png_parts.PNG_SIGNATURE:
      scan = png_parts.scan_png(path)
      parts, info = list(scan.parts), png_parts.told(scan.chunks)
      notes += scan.notes
    elif head[:3] == b'\xff\xd8\xff':
      broken = unended_jpeg(path)
      if broken:
        parts = [(0, broken.end), _END]
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
    png_parts.scan_png(path, pixels=True)
  elif kind == 'JPEG' and (broken := unended_jpeg(path)) and not _is_drawn(path, broken):
    raise DataError(f'{path}: damaged: its end is missing, and a part of the picture with it')


class Unended(NamedTuple):
  """A JPEG file without its end mark.

  Attributes:
    end: where the pixels end.
    whole: whether all scans were begun, and all restarts of the last one.
  """

  end: int
  whole: bool


class _Frame(NamedTuple):
  """Of a JPEG file: height and width, and the sampling of each component, across and down."""

  progressive: bool
  height: int
  width: int
  sampling: dict[int, tuple[int, int]]

  def units(self, components: list[int]) -> int:
    """How many units of one scan are coded one after the other."""
    across = max(h for h, _ in self.sampling.values())
    down = max(v for _, v in self.sampling.values())
    h, v = self.sampling.get(components[0], (1, 1)) if len(components) == 1 else (1, 1)
    if len(components) == 1:
      wide, high = -(-self.width * h // across), -(-self.height * v // down)
      return -(-wide // 8) * -(-high // 8)
    return -(-self.width // (8 * across)) * -(-self.height // (8 * down))


def unended_jpeg(path: Path) -> Unended | None:
  """What a JPEG file lacks; None where it has its end mark, or is none that can be followed.

  Source: ITU-T T.81, B.1 (markers) and G.1 (progressive scans).
  """
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    try:
      return _follow(data)
    except (struct.error, IndexError, ValueError):
      return None


def _follow(data: Any) -> Unended | None:
  frame, interval, seen, end, restarts = None, 0, {}, 0, True
  at = 2
  while found := _MARKER.match(data, at):
    marker, at = data[found.end() - 1], found.end()
    if marker == 0xD9:
      return None
    if marker in (0x01, 0xD8):
      continue
    (length,) = struct.unpack_from('>H', data, at)
    content, at = data[at + 2 : at + length], at + length
    if at > len(data):
      break
    if marker in _FRAMES:
      frame = _frame(marker, content)
    elif marker == 0xDD:
      (interval,) = struct.unpack('>H', content)
    elif marker == 0xDA and frame:
      after = _MARKER.search(data, at)
      end = after.start() if after else len(data)
      while not after and data[end - 1] == 0xFF:
        end -= 1
      components = [content[1 + 2 * i] for i in range(content[0])]
      _mark(seen, components, content[-3:])
      wanted = (frame.units(components) - 1) // interval if interval else 0
      restarts = len(re.findall(rb'\xff[\xd0-\xd7]', data[at:end])) >= wanted
      at = end
  if frame is None or not end:
    return None
  bands = range(64) if frame.progressive else (0,)
  return Unended(
    end, restarts and all(seen.get((c, k)) == 0 for c in frame.sampling for k in bands)
  )


def _frame(marker: int, content: bytes) -> _Frame:
  height, width, count = struct.unpack_from('>HHB', content, 1)
  sampling = {
    content[6 + 3 * i]: (content[7 + 3 * i] >> 4, content[7 + 3 * i] & 15) for i in range(count)
  }
  return _Frame(marker in _PROGRESSIVE, height, width, sampling)


def _mark(seen: dict[tuple[int, int], int], components: list[int], bands: bytes) -> None:
  """Notes down to which bit each coefficient was sent."""
  for component in components:
    for band in range(bands[0], bands[1] + 1):
      seen[component, band] = bands[2] & 15


def _is_drawn(path: Path, broken: Unended) -> bool:
  """Whether the decoder needs nothing of what is missing: then it does not matter what stands there."""
  if not broken.whole:
    return False
  sums = set()
  for tail in (b'', *_TAILS):
    with path.open('rb') as file:
      source = io.BufferedReader(Pieces(file, [(0, broken.end), tail + _END]))
      with Image.open(source, formats=['JPEG']) as image:
        sums.add(zlib.crc32(image.tobytes()))
  return len(sums) == 1
