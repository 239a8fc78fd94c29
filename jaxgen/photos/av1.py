"""Colour information in an AV1 stream's sequence header (AV1 Bitstream Specification, 5.5)."""

from typing import NamedTuple

_SEQUENCE_HEADER = 1
_UNSTATED = 2


class CodePoints(NamedTuple):
  """Code points of ITU-T H.273; 2 where a stream specifies none.

  Attributes:
    primaries: colour primaries.
    transfer: transfer characteristics.
    matrix: matrix coefficients, which convert the planes to RGB.
  """

  primaries: int = _UNSTATED
  transfer: int = _UNSTATED
  matrix: int = _UNSTATED


class Bits:
  """Reads the bits of a stream, most significant bit first.

  Args:
    data: the stream; reading past its end raises IndexError.
  """

  def __init__(self, data: bytes):
    self._data, self._at = data, 0

  def read(self, count: int = 1) -> int:
    """Reads a number of `count` bits."""
    value = 0
    for _ in range(count):
      value = value << 1 | self._data[self._at // 8] >> 7 - self._at % 8 & 1
      self._at += 1
    return value

  def skip(self, count: int) -> None:
    """Skips bits."""
    self._at += count

  def skip_exponential(self) -> None:
    """Skips a number of variable length (uvlc)."""
    zeros = 0
    while not self.read():
      zeros += 1
    self.skip(zeros if zeros < 32 else 0)


def stated_colours(stream: bytes) -> CodePoints | None:
  """The code points of a stream's sequence header; None if there is no complete one."""
  try:
    header = _sequence_header(stream)
    return None if header is None else _colours(Bits(header))
  except IndexError:
    return None


def _sequence_header(stream: bytes) -> bytes | None:
  """Its content: units (OBU) have a header of one or two bytes, a length and a payload."""
  at = 0
  while at < len(stream):
    head = stream[at]
    at += 2 if head & 4 else 1
    length = len(stream) - at
    if head & 2:
      length, at = _length(stream, at)
    if head >> 3 & 15 == _SEQUENCE_HEADER:
      return stream[at : at + length]
    at += length
  return None


def _length(stream: bytes, at: int) -> tuple[int, int]:
  """Parses a number of seven bits per byte (leb128); returns it and its end."""
  value = 0
  for i in range(8):
    value |= (stream[at] & 127) << 7 * i
    at += 1
    if not stream[at - 1] & 128:
      break
  return value, at


def _colours(bits: Bits) -> CodePoints:
  """Parses `color_config` after skipping everything before it."""
  profile = bits.read(3)
  bits.skip(1)  # still_picture
  reduced = bits.read()
  if reduced:
    bits.skip(5)
  else:
    _skip_operating_points(bits)
  sizes = bits.read(4) + 1, bits.read(4) + 1
  bits.skip(sum(sizes))
  if not reduced and bits.read():  # frame_id_numbers_present_flag
    bits.skip(7)
  bits.skip(3)
  if not reduced:
    _skip_tools(bits)
  bits.skip(3)
  deep = bits.read()
  if profile == 2 and deep:
    bits.skip(1)
  if profile != 1:
    bits.skip(1)  # mono_chrome
  if not bits.read():
    return CodePoints()
  return CodePoints(bits.read(8), bits.read(8), bits.read(8))


def _skip_operating_points(bits: Bits) -> None:
  """Skips timing, the decoder model and the operating points."""
  delay = 0
  if bits.read():  # timing_info
    bits.skip(64)
    if bits.read():
      bits.skip_exponential()
    if bits.read():  # decoder_model_info
      delay = bits.read(5) + 1
      bits.skip(42)
  displayed = bits.read()
  for _ in range(bits.read(5) + 1):
    bits.skip(12)
    if bits.read(5) > 7:
      bits.skip(1)
    if delay and bits.read():
      bits.skip(2 * delay + 1)
    if displayed and bits.read():
      bits.skip(4)


def _skip_tools(bits: Bits) -> None:
  """Skips the tools used by sequences of several frames."""
  bits.skip(4)
  ordered = bits.read()
  bits.skip(2 if ordered else 0)
  screen = 2 if bits.read() else bits.read()  # 2: each frame specifies it
  if screen and not bits.read():
    bits.skip(1)
  if ordered:
    bits.skip(3)
