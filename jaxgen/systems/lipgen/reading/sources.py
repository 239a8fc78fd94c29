"""The mouth in a video that is to be read: found in its frames, or all that it shows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips.framing import resized
from jaxgen.systems.lipgen.units import MOUTH, RATE
from jaxgen.systems.lipgen.video.decoding import Video, opened
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.systems.lipgen.video.mouths import MouthClip
from jaxgen.words import counted

_NAMED = 5


class Mouths(NamedTuple):
  """What a reader is given of a video.

  Attributes:
    frames: uint8 [T, 96, 96], 25 a second.
    line: what was seen, in words.
    notes: what a person is to know besides, a line each.
    clip: where they were found; None where the video shows nothing but a mouth.
    begins: seconds at which players show the first frame.
    gaps: frames between which nobody is in sight or no picture is new, first and first after, where nothing is
      read.
  """

  frames: np.ndarray
  line: str
  notes: tuple[str, ...] = ()
  clip: MouthClip | None = None
  begins: float = 0.0
  gaps: Sequence[tuple[int, int]] = ()


def found_in(clip: MouthClip) -> Mouths:
  """The mouth of whoever speaks in a video."""
  seen, hidden = clip.seen, clip.landmarks.gaps
  told = [*_told('no face', hidden, seen.begins), *_told('no new picture', seen.still, seen.begins)]
  gaps = [*hidden, *seen.still]
  return Mouths(clip.frames, clip.line(), (*clip.messages, *told), clip, seen.begins, gaps)


def _told(what: str, gaps: Sequence[tuple[int, int]], begins: float) -> list[str]:
  """Where nothing is read, a line each, by the seconds of players."""
  told = [
    f'{what} from {first / RATE + begins:.2f} to {end / RATE + begins:.2f} seconds: nothing is read there'
    for first, end in gaps[:_NAMED]
  ]
  if len(gaps) > _NAMED:
    told.append(f'{what} at {counted(len(gaps) - _NAMED, "other place")} either')
  return told


def read_crops(path: Path, bars: Bars = no_bars) -> Mouths:
  """A video that shows a mouth alone, as `jaxgen mouths` writes them.

  Args:
    path: of the video, square frames of any size.
    bars: shows the pass over it.

  Raises:
    DataError: it cannot be read, or its frames are not square; names it.
    ConfigError: PyAV is not installed.
  """
  video = Video(path)
  frames = []
  for frame in bars(video.frames(), 'crops'):
    height, width = frame.pixels.shape
    if height != width:
      raise DataError(
        f'{path}: frames of {width} x {height} are no crops of a mouth, which are square: leave --crops out'
      )
    frames.append(resized(frame.pixels, MOUTH))
  seen = video.seen
  assert seen is not None
  line = f'{seen.line()}; crops of a mouth'
  notes = (*seen.notes, *_told('no new picture', seen.still, seen.begins))
  return Mouths(np.stack(frames), line, notes, begins=seen.begins, gaps=seen.still)


def expected_frames(path: Path) -> int | None:
  """About how many frames at 25 a second a video has, by what it says of itself; None where that is unknown.

  Raises:
    ConfigError: PyAV is not installed.
  """
  av = av_module()
  try:
    with opened(av, path) as container:
      seconds = (container.duration or 0) / av.time_base
  except (av.error.FFmpegError, ValueError, OSError):
    return None
  return round(seconds * RATE) or None
