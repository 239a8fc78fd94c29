"""The mouth in a video to be read: found in its frames, or filling them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips.framing import resized
from jaxgen.systems.lipgen.clips.placed import notes_of_crops
from jaxgen.systems.lipgen.units import MOUTH, RATE
from jaxgen.systems.lipgen.video.crops import MOUTHS, Cropping
from jaxgen.systems.lipgen.video.decoding import Video, opened
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.systems.lipgen.video.mouths import MouthClip
from jaxgen.words import counted

_NAMED = 5


class Mouths(NamedTuple):
  """A reader's input from a video.

  Attributes:
    frames: uint8 [T, 96, 96], 25 per second.
    line: a description of what was seen.
    notes: further messages for the user, one line each.
    clip: where the mouths were found; None if the video is a mouth crop.
    begins: time in seconds at which players show the first frame.
    gaps: start and exclusive end frames of stretches without a face or a new picture, where nothing is read.
  """

  frames: np.ndarray
  line: str
  notes: tuple[str, ...] = ()
  clip: MouthClip | None = None
  begins: float = 0.0
  gaps: Sequence[tuple[int, int]] = ()


def found_in(clip: MouthClip) -> Mouths:
  """The mouth found in a video, as input for a reader."""
  seen, hidden = clip.seen, clip.landmarks.gaps
  told = [*_told('no face', hidden, seen.begins), *_told('frozen picture', seen.still, seen.begins)]
  gaps = [*hidden, *seen.still]
  return Mouths(clip.frames, clip.line(), (*clip.messages, *told), clip, seen.begins, gaps)


def _told(what: str, gaps: Sequence[tuple[int, int]], begins: float) -> list[str]:
  """Messages about stretches that are not read, one line each, with times as players count them."""
  told = [
    f'{what} from {first / RATE + begins:.2f} to {end / RATE + begins:.2f} seconds: nothing is read there'
    for first, end in gaps[:_NAMED]
  ]
  if len(gaps) > _NAMED:
    told.append(f'{what} at {counted(len(gaps) - _NAMED, "other place")} too')
  return told


def read_crops(path: Path, bars: Bars = no_bars, like: Cropping = MOUTHS) -> Mouths:
  """Reads a video of mouth crops, as `jaxgen mouths` writes them.

  Args:
    path: of the video, square frames of any size.
    bars: shows progress.
    like: how crops are placed that the reader was trained on; a message says if these are not.

  Raises:
    DataError: it cannot be read, or its frames are not square; names the video.
    ConfigError: PyAV is not installed.
  """
  video = Video(path)
  frames = []
  for frame in bars(video.frames(), 'crops'):
    height, width = frame.pixels.shape
    if height != width:
      raise DataError(
        f'{path}: frames of {width} x {height} are not mouth crops, which are square: drop --crops'
      )
    frames.append(resized(frame.pixels, MOUTH))
  seen = video.seen
  assert seen is not None
  line = f'{seen.line()}; mouth crops'
  notes = (
    *seen.notes,
    *notes_of_crops(path, like),
    *_told('frozen picture', seen.still, seen.begins),
  )
  return Mouths(np.stack(frames), line, notes, begins=seen.begins, gaps=seen.still)


def expected_frames(path: Path) -> int | None:
  """The approximate number of frames at 25 per second, from a video's declared duration; None if unknown.

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
