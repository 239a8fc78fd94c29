"""Where the pixels of JPEG and JPEG 2000 files end, whether there is an end marker, and what is missing."""

import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

END = b'\xff\xd9'
# The next marker after pixels: neither a stuffed byte nor a restart marker.
_MARKER = re.compile(rb'\xff+[\x01-\xcf\xd8-\xfe]')
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_PROGRESSIVE, _ARITHMETIC = {0xC2, 0xCA}, {0xC9, 0xCA}
_FILLING = b'\0\xff\r\n '
_CODESTREAM, _TILE = b'\xff\x4f\xff\x51', b'\xff\x90'


class Scans(NamedTuple):
  """The pixels of a JPEG file.

  Attributes:
    end: where they end.
    behind: offset after the end marker, or None.
    whole: whether all scans have begun, and all restart intervals of the last one.
    coarse: whether some scan of each component has begun, and all restart intervals of the last one.
    zeros: number of zero bytes at the end of the pixels.
    arithmetic: whether coding is arithmetic, so that zero bytes may be omitted at the end.
  """

  end: int
  behind: int | None
  whole: bool
  coarse: bool
  zeros: int
  arithmetic: bool


class _Frame(NamedTuple):
  """A JPEG file's height and width, and the horizontal and vertical sampling of each component."""

  marker: int
  height: int
  width: int
  sampling: dict[int, tuple[int, int]]

  def units(self, components: list[int]) -> int:
    """The number of units coded sequentially in one scan."""
    across = max(h for h, _ in self.sampling.values())
    down = max(v for _, v in self.sampling.values())
    h, v = self.sampling.get(components[0], (1, 1)) if len(components) == 1 else (1, 1)
    if len(components) == 1:
      wide, high = -(-self.width * h // across), -(-self.height * v // down)
      return -(-wide // 8) * -(-high // 8)
    return -(-self.width // (8 * across)) * -(-self.height // (8 * down))


def unended_jpeg(path: Path) -> Scans | None:
  """The pixels of a JPEG file that lacks its end marker; None if it has one, or cannot be parsed."""
  with _mapped(path) as data:
    if data[-2:] == END:
      return None
  scans = follow_jpeg(path)
  return scans if scans and scans.behind is None else None


def follow_jpeg(path: Path) -> Scans | None:
  """The pixels of a JPEG file; None if it cannot be parsed.

  Source: ITU-T T.81, B.1 (markers) and G.1 (progressive scans).
  """
  with _mapped(path) as data:
    try:
      return _follow(data)
    except (struct.error, IndexError, ValueError):
      return None


def behind(path: Path, end: int) -> bytes:
  """The data after the end of an image; empty if it is only padding."""
  with path.open('rb') as file:
    file.seek(end)
    more = file.read()
  return more if more.strip(_FILLING) else b''


def told_behind(more: bytes) -> str:
  """A note on such data."""
  return f'{len(more)} bytes after its end are left out'


class Codestream(NamedTuple):
  """The pixels of a JPEG 2000 file.

  Attributes:
    end: where the last tile-part ends.
    ended: whether the end marker follows, or this is unknown.
    whole: whether all parts of all tiles are present.
  """

  end: int
  ended: bool
  whole: bool


def follow_codestream(path: Path) -> Codestream | None:
  """Which tiles a JPEG 2000 file contains; None if it cannot be parsed.

  Source: ITU-T T.800, A.4.2 (each tile-part states its length) and A.5.1.
  """
  with _mapped(path) as data:
    try:
      return _follow_tiles(data)
    except (struct.error, ZeroDivisionError):
      return None


def _follow_tiles(data: Any) -> Codestream | None:
  start = data.find(_CODESTREAM)
  if start < 0:
    return None
  right, bottom, _, _, wide, high, left, top = struct.unpack_from('>8I', data, start + 8)
  tiles = -(-(right - left) // wide) * -(-(bottom - top) // high)
  at, length = data.find(_TILE, start), 1
  found: dict[int, tuple[int, int]] = {}  # numbers of a tile's parts: present, and declared
  while length and at >= 0 and data[at : at + 2] == _TILE:
    _, tile, length, _, parts = struct.unpack_from('>HHIBB', data, at + 2)
    seen, of = found.get(tile, (0, 0))
    found[tile] = seen + 1, max(of, parts)
    at += length
  whole = len(found) == tiles and all(seen >= of for seen, of in found.values())
  if not length:  # extends to the end marker
    return Codestream(len(data), True, whole)
  return Codestream(at, data[at : at + 2] == END, whole and at <= len(data))


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    yield data


def _follow(data: Any) -> Scans | None:
  seen: dict[Any, Any] = {}
  frame, interval, end, restarts, zeros = None, 0, 0, True, 0
  at, behind = 2, None
  while found := _MARKER.match(data, at):
    marker, at = data[found.end() - 1], found.end()
    if marker == 0xD9:
      behind = at
      break
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
      pixels = data[at:end]
      wanted = (frame.units(components) - 1) // interval if interval else 0
      restarts = len(re.findall(rb'\xff[\xd0-\xd7]', pixels)) >= wanted
      zeros = len(pixels) - len(pixels.rstrip(b'\0'))
      at = end
  if frame is None or not end or (behind is None and data.find(END, end) >= 0):
    return None
  bands = range(64) if frame.marker in _PROGRESSIVE else (0,)
  whole = all(seen.get((c, k)) == 0 for c in frame.sampling for k in bands)
  coarse = all((c, 0) in seen for c in frame.sampling)
  arithmetic = frame.marker in _ARITHMETIC
  return Scans(end, behind, restarts and whole, restarts and coarse, zeros, arithmetic)


def _frame(marker: int, content: bytes) -> _Frame:
  height, width, count = struct.unpack_from('>HHB', content, 1)
  sampling = {
    content[6 + 3 * i]: (content[7 + 3 * i] >> 4, content[7 + 3 * i] & 15) for i in range(count)
  }
  return _Frame(marker, height, width, sampling)


def _mark(seen: dict[tuple[int, int], int], components: list[int], bands: bytes) -> None:
  """Records down to which bit each coefficient was sent."""
  for component in components:
    for band in range(bands[0], bands[1] + 1):
      seen[component, band] = bands[2] & 15
