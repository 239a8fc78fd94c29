"""Decoding video files to frames at 25 per second, whatever their rate, size or rotation."""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from jaxgen.errors import DataError, first_line
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.clock import Clock, Stills
from jaxgen.systems.lipgen.video.deinterlacing import Deinterlacer
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.words import counted

if TYPE_CHECKING:
  import av

_MISSING = 0.06  # share of the declared frames that may be missing before a file counts as cut off
_AHEAD = 8  # frames inspected to see whether time stamps are in display order
# FFmpeg decodes any text file as a video of a terminal.
_NO_VIDEOS = ('tty',)


class Frame(NamedTuple):
  """One frame at the rate of all clips.

  Attributes:
    pixels: uint8 [H, W], or [H, W, 3] RGB.
    source: index, from 0, of the frame in the file that it was taken from.
    time: of that frame, in seconds from the first.
  """

  pixels: np.ndarray
  source: int
  time: float


class Seen(NamedTuple):
  """Properties of a decoded file.

  Attributes:
    frames: number of frames in the file.
    duration: in seconds, from the first frame to the end of the last.
    rate: frames per second, from the most common interval; 0 for a single frame.
    variable: whether many intervals differ from that by half or more, or one is more than twice as long.
    rotation: clockwise rotation in degrees that the file declares; already applied.
    size: height and width of the frames as shown.
    resampled: number of frames at 25 per second.
    notes: damage and other anomalies, one line each.
    begins: time of the first frame in seconds, as players count; the sound may begin earlier.
    still: start and exclusive end, in frames at 25 per second, of stretches without a new picture for a second
      or more.
  """

  frames: int
  duration: float
  rate: float
  variable: bool
  rotation: int
  size: tuple[int, int]
  resampled: int
  notes: tuple[str, ...] = ()
  begins: float = 0.0
  still: tuple[tuple[int, int], ...] = ()

  def line(self) -> str:
    """A summary: '75 frames at 25 a second, 360 x 288'."""
    height, width = self.size
    about = 'about ' if self.variable else ''
    frames = f'{self.frames} frames at {about}{self.rate:.4g} a second'
    parts = [f'{"one frame" if self.frames == 1 else frames}, {width} x {height}']
    other = self.frames > 1 and abs(self.rate - RATE) > 0.01
    if self.resampled != self.frames or other or self.variable:
      parts.append(f'{self.resampled} at {RATE}')
    if self.rotation:
      parts.append(f'rotated by {self.rotation} degrees')
    if self.begins >= 0.5 / RATE:
      parts.append(f'starting at {self.begins:.2f} seconds')
    return ', '.join(parts)


class Video:
  """A video file; may be read any number of times.

  Args:
    path: of the file.

  Attributes:
    path: of the file.
    seen: its properties; None until it has been read to its end.
  """

  def __init__(self, path: str | Path):
    self.path = Path(path)
    self.seen: Seen | None = None

  def frames(self, colour: bool = False) -> Iterator[Frame]:
    """The frames resampled to 25 per second, by nearest time.

    Args:
      colour: RGB instead of grey.

    Raises:
      DataError: it cannot be decoded; one line that names the file and what was found in it.
      ConfigError: PyAV is not installed.
    """
    times, stills = Clock(), Stills()
    last: np.ndarray | None = None
    at, emitted = 0.0, 0
    reader = _Reader(self.path)
    for index, (pixels, time, lasts) in enumerate(reader.decoded(colour)):
      now = times.add(time, reader.nominal_rate, lasts)
      if last is not None:
        while emitted / RATE < (at + now) / 2 - 1e-6:
          yield Frame(last, index - 1, at)
          emitted += 1
      stills.add(pixels, now)
      last, at = pixels, now
    if last is None:
      raise DataError(f'{self.path} has a video stream, but no frame can be decoded{reader.why()}')
    wanted = max(1, emitted, round(times.duration * RATE))
    for _ in range(emitted, wanted):
      yield Frame(last, times.count - 1, at)
    stills.end(wanted)
    self.seen = Seen(
      times.count,
      times.duration,
      times.rate,
      times.variable,
      reader.rotation,
      (last.shape[0], last.shape[1]),
      wanted,
      (*reader.notes(times), *times.notes(), *stills.notes(wanted)),
      reader.begins,
      tuple(stills.spans),
    )


class _Reader:
  """Reads the frames of a file at their own rate, rotated upright."""

  def __init__(self, path: Path):
    self._path = path
    self.rotation, self.nominal_rate, self.begins = 0, 0.0, 0.0
    self._size: tuple[int, ...] = ()
    self._resized, self._whole = 0, Deinterlacer()
    self._declared, self._damaged, self._broken, self._incomplete = 0.0, 0, '', False

  def decoded(self, colour: bool) -> Iterator[tuple[np.ndarray, float | None, float]]:
    """Pixels, time stamps and declared durations of frames, in order of time."""
    av = av_module()
    with self._opened(av) as container:
      stream = self._stream(container)
      self.nominal_rate = float(stream.guessed_rate or stream.average_rate or 0)
      if stream.duration and stream.time_base:
        self._declared = stream.duration * float(stream.time_base)
      unit = float(stream.time_base or 0)
      frames = self._frames(av, container, stream)
      ahead = list(islice(frames, _AHEAD))
      sent = _out_of_order(ahead, container.format.name)
      self.begins = _begins(
        av, container, stream.start_time if sent or not ahead else ahead[0].pts, unit
      )
      for frame, shown in self._whole.frames(chain(ahead, frames)):
        self._incomplete = frame.is_corrupt
        time = frame.time
        if sent:
          time = None if frame.dts is None else frame.dts * unit
        pixels = self._pixels(shown, frame.rotation, stream, colour)
        yield self._alike(pixels), time, (frame.duration or 0) * unit

  def _opened(self, av: Any) -> 'av.container.InputContainer':
    path = self._path
    if path.is_dir():
      raise DataError(f'{path} is a folder: pass a video in it')
    if not path.exists():
      raise DataError(f'{path}: no such file')
    size = path.stat().st_size
    if not size:
      raise DataError(f'{path} is empty (0 bytes)')
    try:
      container = opened(av, path)
    except (av.error.FFmpegError, ValueError, OSError) as error:
      raise DataError(
        f'{path} is not a readable video, or is truncated ({size:,} bytes; {reason(error)})'
      ) from error
    if container.format.name in _NO_VIDEOS:
      container.close()
      raise DataError(f'{path} is a text file, not a video ({size:,} bytes)')
    return container

  def _stream(self, container: Any) -> Any:
    """The first real video stream: cover art is a video stream too."""
    cover = _cover_flag()
    films = [s for s in container.streams.video if not int(s.disposition) & cover]
    if films and films[0].codec_context is not None:
      films[0].thread_type = 'AUTO'
      return films[0]
    if films:
      raise DataError(f'{self._path}: its video codec cannot be decoded')
    kinds = {s.type for s in container.streams}
    sound = 'sound only' if 'audio' in kinds else f'streams: {", ".join(sorted(kinds))}'
    only = sound if kinds else 'no streams: it may be truncated'
    raise DataError(f'{self._path} has no video stream ({only})')

  def _frames(self, av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """Yields the frames that can be decoded, and counts packets that cannot."""
    packets = container.demux(stream)
    while True:
      try:
        packet = next(packets, None)
      except (av.error.FFmpegError, OSError) as error:
        self._broken = reason(error)
        break
      if packet is None:
        return
      try:
        yield from packet.decode()
      except av.error.EOFError:
        return
      except av.error.FFmpegError:
        self._damaged += 1
    try:  # flush the decoder
      yield from stream.codec_context.decode(None)
    except av.error.FFmpegError:
      return

  def _pixels(self, frame: Any, rotation: int, stream: Any, colour: bool) -> np.ndarray:
    """Converts a frame to uint8, rotated upright, with square pixels."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if aspect != 1 and 0.2 < aspect < 5:
      frame = frame.reformat(width=max(1, round(frame.width * aspect)), height=frame.height)
    turns = round(rotation / 90) % 4  # counter-clockwise
    self.rotation = (-90 * turns) % 360
    pixels = frame.to_ndarray(format='rgb24' if colour else 'gray')
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels

  def _alike(self, pixels: np.ndarray) -> np.ndarray:
    """Resizes to fit the size of the first frame, with black bars if the aspect ratio differs."""
    size = self._size = self._size or pixels.shape[:2]
    if pixels.shape[:2] == size:
      return pixels
    self._resized += 1
    factor = min(a / b for a, b in zip(size, pixels.shape[:2], strict=True))
    height, width = (max(1, round(factor * n)) for n in pixels.shape[:2])
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    found = np.zeros((*size, *pixels.shape[2:]), np.uint8)
    found[top : top + height, left : left + width] = np.asarray(
      Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR)
    )
    return found

  def why(self) -> str:
    """Why there may be no frame, as the end of a message: what is damaged, or the size of the file."""
    size = f'{self._path.stat().st_size:,} bytes'
    if self._declared:
      return f': the file may be truncated ({size}, {self._declared:.2f} seconds declared)'
    return f' ({self._broken or size})'

  def notes(self, times: Clock) -> list[str]:
    """Messages about a damaged, truncated or unusual file."""
    found = []
    missing = self._declared - max(times.duration, times.lasts)
    if self._incomplete and missing <= 0:
      found.append(
        f'it is truncated: its last frame, at {times.duration:.2f} seconds, is incomplete'
      )
    elif self._broken or missing > max(_MISSING * self._declared, 2.5 / RATE):
      of = f' of {self._declared:.2f}' if missing > 0 else ''
      why = f' ({self._broken})' if self._broken else ''
      found.append(f'it is truncated: {times.duration:.2f}{of} seconds could be read{why}')
    if self._whole.count:
      found.append(f'{counted(self._whole.count, "interlaced frame")} (two fields) deinterlaced')
    if self._resized:
      count = counted(self._resized, 'frame')
      found.append(f'{count} resized to match the first')
    if self._damaged:
      found.append(f'{counted(self._damaged, "piece")} could not be decoded')
    return found


def opened(av: Any, path: Path) -> Any:
  """Opens a file whose metadata may be in any encoding: PyAV 19 accepts all, and has no such option."""
  place = str(
    path.absolute()
  )  # FFmpeg takes the part before a colon, as in 12:30.mp4, for a protocol
  try:
    return av.open(place, metadata_errors='replace')
  except TypeError:
    return av.open(place)


def _begins(av: Any, container: Any, start: int | None, unit: float) -> float:
  """Seconds from the beginning of a file to its first frame, given that one's time stamp in units of `unit`.

  AVI has no time stamps: those that FFmpeg makes up start late if decoding order differs from display order.
  """
  if start is None or container.start_time is None or container.format.name == 'avi':
    return 0.0
  return max(0.0, start * unit - container.start_time / av.time_base)


def _out_of_order(frames: Sequence[Any], container: str) -> bool:
  """Whether only the decoding time stamps are in the order of frames.

  AVI stores no others. FFmpeg makes up the rest, wrongly for H.264 with B-frames, the first of which may come
  late: it is counted by decoding times always. In ASF and old Matroska files the first frames show it.
  """
  shown = [frame.pts for frame in frames if frame.pts is not None]
  sent = [frame.dts for frame in frames if frame.dts is not None]
  if sent != sorted(set(sent)):
    return False
  return (container == 'avi' and len(sent) == len(frames)) or shown != sorted(shown)


def _cover_flag() -> int:
  """The disposition flag of cover art."""
  return int(av_module().stream.Disposition.attached_pic)


def reason(error: Exception) -> str:
  """FFmpeg's message without the file name, which ours contains already."""
  text = getattr(error, 'strerror', None) or first_line(error)
  return str(text).split('\n')[0][:200]
