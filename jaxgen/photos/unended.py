"""Files of JPEG and JPEG 2000 without their end mark, and whether that is all that they lack."""

import mmap
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

END = b'\xff\xd9'
# The next marker after pixels: neither a stuffed byte nor one that only starts the decoder anew.
_MARKER = re.compile(rb'\xff+[\x01-\xcf\xd8-\xfe]')
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA}
_PROGRESSIVE = {0xC2, 0xCA}
_CODESTREAM, _TILE = b'\xff\x4f\xff\x51', b'\xff\x90'


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
  with _mapped(path) as data:
    try:
      return _follow(data)
    except (struct.error, IndexError, ValueError):
      return None


class Codestream(NamedTuple):
  """The pixels of a JPEG 2000 file.

  Attributes:
    end: where the last part of a tile ends.
    ended: whether the end mark stands there, or nobody knows.
    whole: whether there are all parts of all tiles.
  """

  end: int
  ended: bool
  whole: bool


def follow_codestream(path: Path) -> Codestream | None:
  """Which tiles a JPEG 2000 file holds; None where it cannot be followed.

  Source: ITU-T T.800, A.4.2 (each part of a tile says how long it is) and A.5.1.
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
  found: dict[int, tuple[int, int]] = {}  # how many parts of a tile there are, and are said to be
  while length and at >= 0 and data[at : at + 2] == _TILE:
    _, tile, length, _, parts = struct.unpack_from('>HHIBB', data, at + 2)
    seen, of = found.get(tile, (0, 0))
    found[tile] = seen + 1, max(of, parts)
    at += length
  whole = len(found) == tiles and all(seen >= of for seen, of in found.values())
  if not length:  # up to the end mark
    return Codestream(len(data), True, whole)
  return Codestream(at, data[at : at + 2] == END, whole and at <= len(data))


@contextmanager
def _mapped(path: Path) -> Iterator[Any]:
  with path.open('rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
    yield data


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
      if not end and data.find(END, at) >= 0:  # not among pixels: they have a 0 behind each 255
        return None
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
