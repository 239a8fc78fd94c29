"""Reads the user's own sound files: anything that FFmpeg decodes, including videos with sound."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.video.decoding import opened, reason
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.systems.lipgen.voices.sounds import RATE

# Least peak of a sound: a recorder without a microphone stays below it, at -70 dB.
AUDIBLE = 3e-4

_GAP = 0.05  # seconds: least gap that is filled with silence


def read_sound(path: str | Path) -> np.ndarray:
  """The sound of a file: float32 [n] in [-1, 1], its channels mixed, 16,000 samples a second.

  In a file with video the sound starts where the video starts; gaps and NaN samples become silence. A sound
  that exceeds 1 is scaled down, not clipped.

  Raises:
    DataError: the file is missing, empty, silent or unreadable, has no sound, or its channels cancel each
      other: one line that names it.
    ConfigError: PyAV is not installed; names the extra.
  """
  file = expanded(path, 'choose another file')
  av = av_module()
  if not file.is_file():
    raise DataError(f'{path}: no such sound file')
  if not file.stat().st_size:
    raise DataError(f'{path} is empty (0 bytes): expected a sound file')
  try:
    with opened(av, file) as container:
      if not container.streams.audio:
        kinds = sorted({stream.type for stream in container.streams})
        raise DataError(f'{path} has no sound ({", ".join(kinds) or "no streams"})')
      sound, loudest, broken = _decoded(av, container)
  except (av.error.FFmpegError, ValueError, OSError) as error:
    raise DataError(f'{path} is not a readable sound file ({reason(error)})') from error
  if not len(sound):
    raise DataError(f'{path} is not a readable sound file ({broken or "it has no samples"})')
  peak = float(np.abs(sound).max())
  if peak < AUDIBLE:
    seconds = len(sound) / RATE
    if loudest >= AUDIBLE:
      raise DataError(f'{path}: its channels cancel each other out: save only one of them')
    raise DataError(f'{path} is silent throughout its {seconds:.2f} seconds')
  return sound / peak if peak > 1 else sound


def _decoded(av: Any, container: Any) -> tuple[np.ndarray, float, str]:
  """The sound, the peak over its channels, and, if it is truncated, the reason."""
  stream = container.streams.audio[0]
  zero = _beginning(av, container, stream)
  resampler = av.AudioResampler(format='fltp', rate=RATE)
  pieces: list[np.ndarray] = []
  place: int | None = None  # of the next sample; negative before the video starts
  early, loudest, broken = 0, 0.0, ''

  def take(frame: Any) -> int:
    nonlocal loudest
    made = []
    for piece in resampler.resample(frame):
      channels = np.nan_to_num(piece.to_ndarray(), posinf=0, neginf=0)
      loudest = max(loudest, float(np.abs(channels).max(initial=0)))
      # FFmpeg's own downmix of two channels may exceed 1.
      made.append(channels.mean(0))
    pieces.extend(made)
    return sum(map(len, made))

  for frame, why in _frames(av, container, stream):
    broken = why
    if frame is None:
      continue
    due = place or 0 if frame.time is None else round((frame.time - zero) * RATE)
    if place is None:
      place, early = min(due, 0), max(-due, 0)
    lacking = due - place
    if lacking > _GAP * RATE or (lacking > 0 and not pieces):
      pieces.append(np.zeros(lacking, np.float32))
      place += lacking
    place += take(frame)
  if place is not None:
    take(None)
  return np.concatenate([np.zeros(0, np.float32), *pieces])[early:], loudest, broken


def _frames(av: Any, container: Any, stream: Any) -> Iterator[tuple[Any, str]]:
  """Yields decoded frames; None and the reason for what cannot be decoded."""
  try:
    for packet in container.demux(stream):
      try:
        for frame in packet.decode():
          yield frame, ''
      except av.error.FFmpegError as error:
        yield None, reason(error)
  except (av.error.FFmpegError, OSError) as error:
    yield None, reason(error)


def _beginning(av: Any, container: Any, stream: Any) -> float:
  """The start time of a file in seconds: that of its video, otherwise of its sound."""
  cover = int(av.stream.Disposition.attached_pic)  # cover art is a video stream too
  films = [other for other in container.streams.video if not int(other.disposition) & cover]
  first = films[0] if films else stream
  if first.start_time is None or first.time_base is None:
    return 0.0
  return float(first.start_time * first.time_base)
