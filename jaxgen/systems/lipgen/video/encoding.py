"""Frames as video files that players show."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.errors import DataError
from jaxgen.files import temporary_beside
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.extras import av_module

QUALITY = 8  # constant rate factor of H.264: levels are off by less than 1 on average
# Of x264: its fastest functions make other files of equal frames now and then.
_ALIKE = 'cpu-independent=1'
# Says in a file's metadata that nobody was filmed; who made it and of what follows.
SYNTHETIC = 'synthetic: made by jaxgen'
# What mp4 has a place for; FFmpeg drops other titles without a word.
TITLES = frozenset({'title', 'artist', 'comment', 'description', 'date', 'copyright'})


def write_video(
  path: Path,
  frames: Iterable[np.ndarray],
  rate: int = RATE,
  quality: int = QUALITY,
  sound: tuple[np.ndarray, int] | None = None,
  metadata: Mapping[str, str] | None = None,
) -> int:
  """Writes an H.264 video in mp4, complete or not at all; odd sides are filled up by one line.

  Args:
    path: of the file.
    frames: uint8 [H, W] grey or [H, W, 3] RGB, all of one size; taken one by one.
    rate: frames a second.
    quality: H.264's constant rate factor; less is better and larger.
    sound: samples float32 [n] in [-1, 1] and how many there are a second; written as AAC. It begins with the
      first frame; what would go on after the last one is left out, and one that is shorter ends in silence.
    metadata: of the file, by names of TITLES.

  Returns:
    How many frames were written.

  Raises:
    DataError: there is no frame.
    OSError: the file cannot be written.
    ValueError: metadata that mp4 has no place for, or a sound of several channels.
  """
  if other := sorted(set(metadata or ()) - TITLES):
    raise ValueError(f'mp4 has no place for {other[0]!r}: {", ".join(sorted(TITLES))}')
  av = av_module()
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = temporary_beside(path)
  count = 0
  try:
    with av.open(
      str(temporary.absolute()), 'w', format='mp4', options={'movflags': 'faststart'}
    ) as out:
      out.metadata.update(metadata or {})
      stream, track = None, None
      for pixels in frames:
        even = _even(pixels)
        if stream is None:
          stream = out.add_stream('libx264', rate=rate)
          stream.height, stream.width = even.shape[:2]
          stream.pix_fmt = 'yuv420p'
          stream.options = {'crf': str(quality), 'preset': 'veryfast', 'x264-params': _ALIKE}
          track = _Track(av, out, *sound) if sound else None
        frame = av.VideoFrame.from_ndarray(even, format='gray' if even.ndim == 2 else 'rgb24')
        for packet in stream.encode(frame):
          out.mux(packet)
        count += 1
        if track:
          track.write_to(count / rate)
      if stream is None:
        raise DataError(f'{path}: there is no frame to write')
      for packet in stream.encode():
        out.mux(packet)
      if track:
        track.end()
    temporary.replace(path)
  except av.error.FFmpegError as error:
    raise OSError(error.errno, error.strerror, str(path)) from error
  finally:
    temporary.unlink(missing_ok=True)
  return count


class _Track:
  """The sound of a file, written as its frames are.

  Args:
    av: PyAV.
    out: the file.
    samples: [n].
    rate: samples a second.
  """

  def __init__(self, av: Any, out: Any, samples: np.ndarray, rate: int):
    if samples.ndim != 1:
      raise ValueError(f'a sound of one channel is expected, not {samples.shape}')
    self._av, self._out, self._rate, self._written = av, out, rate, 0
    self._samples = np.clip(samples, -1, 1).astype(np.float32)
    self._stream = out.add_stream('aac', rate=rate, layout='mono')

  def write_to(self, seconds: float) -> None:
    """The sound up to a time of the video."""
    end = round(seconds * self._rate)
    part = np.zeros((1, end - self._written), np.float32)
    known = self._samples[self._written : end]
    part[0, : len(known)] = known
    frame = self._av.AudioFrame.from_ndarray(part, format='fltp', layout='mono')
    frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
    frame.pts = self._written
    self._written = end
    for packet in self._stream.encode(frame):
      self._out.mux(packet)

  def end(self) -> None:
    """What the encoder still holds."""
    for packet in self._stream.encode():
      self._out.mux(packet)


def _even(pixels: np.ndarray) -> np.ndarray:
  """Even sides, which H.264 wants, by a repeated line."""
  more = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)][: pixels.ndim]
  return np.ascontiguousarray(
    np.pad(pixels, more, mode='edge') if any(x[1] for x in more) else pixels
  )
