"""Mouth clips from video files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.crops import MOUTHS, Cropping, Crops, cut, place_crops
from jaxgen.systems.lipgen.video.decoding import Seen, Video
from jaxgen.systems.lipgen.video.landmark_files import Given
from jaxgen.systems.lipgen.video.landmarks import AUTO, Landmarks, find_landmarks

_WORTH_SAYING = 0.02  # share of the crops outside the frames above which a message is given
_NAMES = {'file': 'the landmark file', 'mesh': 'the face mesh', 'haar': "Haar's box"}


class MouthClip(NamedTuple):
  """The mouth in a video, T frames at 25 per second.

  Attributes:
    frames: uint8 [T, 96, 96], grey.
    centres: float [T, 2], x and y of the mouth's middle in the crop.
    seen: properties of the decoded video.
    landmarks: where the face is.
    crops: where the crops lie in the frames.
    messages: for the user, one line each: damage, several faces, frames without a face.
  """

  frames: np.ndarray
  centres: np.ndarray
  seen: Seen
  landmarks: Landmarks
  crops: Crops
  messages: tuple[str, ...]

  def line(self) -> str:
    """A one-line summary of what was seen and cropped."""
    found = int(self.landmarks.found.sum())
    of = 'every frame' if found == len(self.frames) else f'{found} of {len(self.frames)} frames'
    return f'{self.seen.line()}; mouth by {_NAMES[self.landmarks.source]} in {of}'

  def to_json(self) -> dict[str, Any]:
    """The same as numbers."""
    x, y = np.median(self.centres, axis=0)
    shrink = np.median(np.sqrt(np.abs(np.linalg.det(self.crops.maps[:, :, :2]))))
    return {
      'frames': len(self.frames),
      'seconds': round(len(self.frames) / RATE, 3),
      'file': {
        'frames': self.seen.frames,
        'rate': round(self.seen.rate, 3),
        'variable': self.seen.variable,
        'seconds': round(self.seen.duration, 3),
        'begins': round(self.seen.begins, 3),
        'height': self.seen.size[0],
        'width': self.seen.size[1],
        'rotation': self.seen.rotation,
      },
      'source': self.landmarks.source,
      'faces': self.landmarks.faces,
      'found': int(self.landmarks.found.sum()),
      'mouth': [round(float(x), 2), round(float(y), 2)],
      'scale': round(float(shrink), 4),
      'notes': list(self.messages),
    }


def mouths_of(
  path: str | Path,
  source: str = AUTO,
  given: Given | None = None,
  bars: Bars = no_bars,
  like: Cropping = MOUTHS,
) -> MouthClip:
  """Crops the mouth of the person speaking in a video.

  Args:
    path: of the video, of any frame rate and size.
    source: of landmarks: auto, file, mesh or haar; see `find_landmarks`.
    given: the user's landmarks, see `landmark_files.read_landmarks`.
    bars: shows progress; (frames, description) -> the same frames.
    like: what the crops show, see `Inference.cropping`.

  Raises:
    DataError: the video is missing, unreadable, or without a face; one line that names it.
    ConfigError: a dependency is not installed.
  """
  video = Video(path)
  landmarks = find_landmarks(video, source, given, bars)
  crops = place_crops(landmarks, like=like)
  pixels: Iterator[np.ndarray] = (frame.pixels for frame in video.frames())
  frames = np.stack(list(cut(bars(pixels, 'crops'), crops)))
  assert video.seen is not None
  messages = [*video.seen.notes, *landmarks.lines()]
  if crops.outside > _WORTH_SAYING:
    messages.append(
      f'{crops.outside:.0%} of the crops lie outside the frames: the border was repeated'
    )
  return MouthClip(frames, crops.centres, video.seen, landmarks, crops, tuple(messages))
