"""Video files as frames at 25 a second, whatever their rate, size or rotation, and what was seen of them."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgen.errors import DataError, first_line
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.words import counted

if TYPE_CHECKING:
  import av

RATE = 25  # frames a second of all clips
LONGEST_GAP = 60.0  # seconds between two frames; more is a jump of the clock
_MISSING = 0.06  # share of the declared frames that may be missing before a file counts as cut off
# FFmpeg shows any text as a film of a terminal.
_NO_VIDEOS = ('tty',)


class Frame(NamedTuple):
  """One frame at the rate of all clips.

  Attributes:
    pixels: uint8 [H, W], or [H, W, 3] RGB.
    source: number of the frame in the file, from 0, that it was taken from.
  """

  pixels: np.ndarray
  source: int


class Seen(NamedTuple):
  """What a file turned out to hold.

  Attributes:
    frames: how many the file has.
    duration: in seconds, from the first frame to the end of the last.
    rate: frames a second, by their median distance in time; 0 for a single frame.
    variable: whether distances between frames differ by half or more.
    rotation: degrees, clockwise, by which the file says it is to be turned; done already.
    size: height and width of the frames as shown.
    resampled: frames at 25 a second.
    notes: what was wrong with the file, or is unusual, a line each.
  """

  frames: int
  duration: float
  rate: float
  variable: bool
  rotation: int
  size: tuple[int, int]
  resampled: int
  notes: tuple[str, ...] = ()

  def line(self) -> str:
    """In words: '75 frames at 25 a second, 360 x 288'."""
    height, width = self.size
    if self.frames == 1:
      return f'one frame, {width} x {height}'
    about = 'about ' if self.variable else ''
    parts = [f'{self.frames} frames at {about}{self.rate:.4g} a second, {width} x {height}']
    if self.resampled != self.frames or abs(self.rate - RATE) > 0.01 or self.variable:
      parts.append(f'{self.resampled} at {RATE}')
    if self.rotation:
      parts.append(f'turned by {self.rotation} degrees')
    return ', '.join(parts)


class Video:
  """A video file; may be read any number of times.

  Args:
    path: of the file.

  Attributes:
    path: of the file.
    seen: what was seen; None until it has been read to its end.
  """

  def __init__(self, path: str | Path):
    self.path = Path(path)
    self.seen: Seen | None = None

  def frames(self, colour: bool = False) -> Iterator[Frame]:
    """The frames at 25 a second, each the nearest in time of the file's.

    Args:
      colour: RGB in place of grey.

    Raises:
      DataError: one line that names the file and what was seen in it.
      ConfigError: PyAV is not installed.
    """
    times = _Times()
    last: np.ndarray | None = None
    at, emitted = 0.0, 0
    reader = _Reader(self.path)
    for index, (pixels, time) in enumerate(reader.decoded(colour)):
      now = times.add(time, reader.nominal_rate)
      if last is not None:
        while emitted / RATE < (at + now) / 2 - 1e-6:
          yield Frame(last, index - 1)
          emitted += 1
      last, at = pixels, now
    if last is None:
      raise DataError(
        f'{self.path} has a video stream, and no frame of it can be decoded{reader.why()}'
      )
    wanted = max(1, emitted, round(times.duration * RATE))
    for _ in range(emitted, wanted):
      yield Frame(last, times.count - 1)
    self.seen = Seen(
      times.count,
      times.duration,
      times.rate,
      times.variable,
      reader.rotation,
      (last.shape[0], last.shape[1]),
      wanted,
      (*reader.notes(times), *times.notes()),
    )


class _Times:
  """The clock of a file: seconds from its first frame, always forward."""

  def __init__(self) -> None:
    self.count, self._now, self._first, self._offset = 0, 0.0, 0.0, 0.0
    self._steps: list[float] = []
    self._jumps = 0

  def add(self, time: float | None, nominal: float) -> float:
    """The time of the next frame, by its stamp; by the nominal rate where that is missing or goes back."""
    step = self._step() or (1 / nominal if nominal else 1 / RATE)
    if self.count == 0:
      self._first = time or 0.0
      now = 0.0
    else:
      now = self._now + step if time is None else time - self._first + self._offset
      if now <= self._now or now - self._now > LONGEST_GAP:
        self._jumps += time is not None
        self._offset += self._now + step - now
        now = self._now + step
      self._steps.append(now - self._now)
    self._now, self.count = now, self.count + 1
    return now

  def _step(self) -> float:
    return median(self._steps[-9:]) if self._steps else 0.0

  @property
  def duration(self) -> float:
    """Seconds to the end of the last frame."""
    return self._now + (median(self._steps) if self._steps else 1 / RATE)

  @property
  def rate(self) -> float:
    """Frames a second; the mean where distances are nearly equal, as stamps are often rounded."""
    if not self._steps:
      return 0.0
    return 1 / median(self._steps) if self.variable else len(self._steps) / sum(self._steps)

  @property
  def variable(self) -> bool:
    """Whether a tenth of the distances differ by half or more from the middle one."""
    middle = median(self._steps) if self._steps else 0.0
    odd = sum(abs(x - middle) >= middle / 2 for x in self._steps)
    return odd > len(self._steps) / 10

  def notes(self) -> list[str]:
    """What to say of a clock that jumps."""
    if not self._jumps:
      return []
    return [f'its clock jumps {counted(self._jumps, "time")}; the frames were joined']


class _Reader:
  """The frames of a file as they are stored, turned upright."""

  def __init__(self, path: Path):
    self._path = path
    self.rotation, self.nominal_rate = 0, 0.0
    self._declared, self._damaged, self._broken, self._incomplete = 0.0, 0, '', False

  def decoded(self, colour: bool) -> Iterator[tuple[np.ndarray, float | None]]:
    """Pixels and time stamps, in order of time."""
    av = av_module()
    with self._opened(av) as container:
      stream = self._stream(container)
      self.nominal_rate = float(stream.guessed_rate or stream.average_rate or 0)
      if stream.duration and stream.time_base:
        self._declared = stream.duration * float(stream.time_base)
      for frame in self._frames(av, container, stream):
        self._incomplete = frame.is_corrupt
        yield self._pixels(frame, stream, colour), frame.time

  def _opened(self, av: Any) -> 'av.container.InputContainer':
    path = self._path
    if path.is_dir():
      raise DataError(f'{path} is a folder: name a video in it')
    if not path.exists():
      raise DataError(f'{path}: no such file')
    size = path.stat().st_size
    if not size:
      raise DataError(f'{path} is empty (0 bytes)')
    try:
      container = opened(av, path)
    except (av.error.FFmpegError, ValueError, OSError) as error:
      raise DataError(
        f'{path} is no video that can be read, or is cut off ({size:,} bytes; {_reason(error)})'
      ) from error
    if container.format.name in _NO_VIDEOS:
      container.close()
      raise DataError(f'{path} is a text and no video ({size:,} bytes)')
    return container

  def _stream(self, container: Any) -> Any:
    """The first that is a film: the cover of a record is a video stream too."""
    cover = _cover_flag()
    films = [s for s in container.streams.video if not int(s.disposition) & cover]
    if films and films[0].codec_context is not None:
      films[0].thread_type = 'AUTO'
      return films[0]
    if films:
      raise DataError(f'{self._path}: its video is of a kind that cannot be decoded')
    kinds = {s.type for s in container.streams}
    sound = 'sound only' if 'audio' in kinds else f'streams: {", ".join(sorted(kinds))}'
    only = sound if kinds else 'no stream at all: it may be cut off'
    raise DataError(f'{self._path} has no video stream ({only})')

  def _frames(self, av: Any, container: Any, stream: Any) -> Iterator[Any]:
    """What can be decoded; what cannot is counted."""
    packets = container.demux(stream)
    while True:
      try:
        packet = next(packets, None)
      except (av.error.FFmpegError, OSError) as error:
        self._broken = _reason(error)
        break
      if packet is None:
        return
      try:
        yield from packet.decode()
      except av.error.EOFError:
        return
      except av.error.FFmpegError:
        self._damaged += 1
    try:  # what the decoder still holds
      yield from stream.codec_context.decode(None)
    except av.error.FFmpegError:
      return

  def _pixels(self, frame: Any, stream: Any, colour: bool) -> np.ndarray:
    """uint8, turned upright, with square pixels."""
    aspect = float(stream.sample_aspect_ratio or 1)
    if aspect != 1 and 0.2 < aspect < 5:
      frame = frame.reformat(width=max(1, round(frame.width * aspect)), height=frame.height)
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    self.rotation = (-90 * turns) % 360
    pixels = frame.to_ndarray(format='rgb24' if colour else 'gray')
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels

  def why(self) -> str:
    """Why there may be no frame, in parentheses; '' where nothing is known."""
    size = f'{self._path.stat().st_size:,} bytes'
    if self._declared:
      return f': the file may be cut off ({size}, {self._declared:.2f} seconds declared)'
    return f' ({self._broken or size})'

  def notes(self, times: _Times) -> list[str]:
    """What to say of a file that is damaged or cut off."""
    found = []
    missing = self._declared - times.duration
    if self._incomplete and missing <= 0:
      found.append(f'it is cut off: its last frame, at {times.duration:.2f} seconds, is incomplete')
    elif self._broken or missing > max(_MISSING * self._declared, 2.5 / RATE):
      of = f' of {self._declared:.2f}' if missing > 0 else ''
      why = f' ({self._broken})' if self._broken else ''
      found.append(f'it is cut off: {times.duration:.2f}{of} seconds could be read{why}')
    if self._damaged:
      found.append(f'{counted(self._damaged, "piece")} of it could not be decoded')
    return found


def opened(av: Any, path: Path) -> Any:
  """Opens a file whose titles may be in any encoding: PyAV 19 minds none, and knows no such option."""
  try:
    return av.open(str(path), metadata_errors='replace')
  except TypeError:
    return av.open(str(path))


def _cover_flag() -> int:
  """The flag of a stream that is the picture of a record."""
  return int(av_module().stream.Disposition.attached_pic)


def _reason(error: Exception) -> str:
  """FFmpeg's words without the name of the file, which the message has already."""
  text = getattr(error, 'strerror', None) or first_line(error)
  return str(text).split('\n')[0][:200]
