"""Encoding frames as video files that players can show."""

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
# For x264: its fastest functions occasionally encode equal frames differently.
_ALIKE = 'cpu-independent=1'
# States in a file's metadata that nobody was filmed; followed by what made it and from what.
SYNTHETIC = 'synthetic: made by jaxgen'
# Metadata keys that mp4 supports; FFmpeg silently drops others.
TITLES = frozenset({'title', 'artist', 'comment', 'description', 'date', 'copyright'})


def write_video(
  path: Path,
  frames: Iterable[np.ndarray],
  rate: int = RATE,
  quality: int = QUALITY,
  sound: tuple[np.ndarray, int] | None = None,
  metadata: Mapping[str, str] | None = None,
) -> int:
  """Atomically writes an H.264 video as mp4; odd sides are padded by one line.

  Args:
    path: of the file.
    frames: uint8 [H, W] grey or [H, W, 3] RGB, all of one size; consumed one by one.
    rate: frames per second.
    quality: H.264's constant rate factor; less is better and larger.
    sound: samples float32 [n] in [-1, 1] and their rate per second; written as AAC. It starts with the first
      frame, and is cut or padded with silence to the length of the video.
    metadata: of the file, by names of TITLES.

  Returns:
    The number of frames written.

  Raises:
    DataError: there is no frame.
    OSError: the file cannot be written.
    ValueError: metadata that mp4 does not support, or a sound of several channels.
  """
  if other := sorted(set(metadata or ()) - TITLES):
    raise ValueError(f'mp4 has no tag for {other[0]!r}; known: {", ".join(sorted(TITLES))}')
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
        raise DataError(f'{path}: no frames to write')
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
  """The audio track of a file, interleaved with its frames.

  Args:
    av: PyAV.
    out: the file.
    samples: [n].
    rate: samples per second.
  """

  def __init__(self, av: Any, out: Any, samples: np.ndarray, rate: int):
    if samples.ndim != 1:
      raise ValueError(f'expected mono sound, got shape {samples.shape}')
    self._av, self._out, self._rate, self._written = av, out, rate, 0
    self._samples = np.clip(samples, -1, 1).astype(np.float32)
    self._stream = out.add_stream('aac', rate=rate, layout='mono')

  def write_to(self, seconds: float) -> None:
    """Writes the sound up to a time of the video."""
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
    """Flushes the encoder."""
    for packet in self._stream.encode():
      self._out.mux(packet)


def _even(pixels: np.ndarray) -> np.ndarray:
  """Makes both sides even, as H.264 requires, by repeating a line."""
  more = [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)][: pixels.ndim]
  return np.ascontiguousarray(
    np.pad(pixels, more, mode='edge') if any(x[1] for x in more) else pixels
  )
