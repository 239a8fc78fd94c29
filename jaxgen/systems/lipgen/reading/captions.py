"""An overlay video: what was cropped, with the words captioned below."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.reading.sources import Mouths
from jaxgen.systems.lipgen.reading.subtitles import PAUSE, Word, lines_of
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.overlay import drawn

_LARGER = 4  # enlargement of crops
_SPOKEN, _NOW = 'white', '#ffd84d'
_TOO_SMALL = 10  # smallest font size in pixels


def write_captioned(
  path: Path, video: Path, mouths: Mouths, words: Sequence[Word], bars: Bars = no_bars
) -> int:
  """Writes frames with the mouth's square, its crop beside them and the words below; returns their number.

  Args:
    path: the mp4 file to write.
    video: the video that was read.
    mouths: found in it.
    words: in order of time.
    bars: shows progress.

  Raises:
    OSError: the file cannot be written.
  """
  frames = drawn(video, mouths.clip) if mouths.clip else enlarged(mouths.frames)
  spoken = [word.later(-mouths.begins) for word in words]
  return write_video(path, bars(captioned(frames, spoken), 'overlay'), quality=18)


def enlarged(crops: np.ndarray) -> Iterator[np.ndarray]:
  """Crops [T, S, S] enlarged to RGB frames."""
  for crop in crops:
    large = np.repeat(np.repeat(crop, _LARGER, 0), _LARGER, 1)
    yield np.repeat(large[..., None], 3, -1)


def captioned(frames: Iterable[np.ndarray], words: Sequence[Word]) -> Iterator[np.ndarray]:
  """Frames [H, W, 3] RGB with a caption strip: words appear as they begin, highlighted until they end."""
  lines = lines_of(words)
  shown: tuple[tuple[str, str], ...] | None = None
  strip = np.zeros(0, np.uint8)
  for i, frame in enumerate(frames):
    wanted = _text(lines, (i + 0.5) / RATE)
    if shown is None or wanted != shown:
      shown, strip = wanted, _strip(wanted, frame.shape[1])
    yield np.concatenate([frame, strip])


def _text(lines: Sequence[Sequence[Word]], now: float) -> tuple[tuple[str, str], ...]:
  """Words and colours of the current line, up to the word being spoken; a finished line stays for a moment."""
  begun = [line for line in lines if line[0].start <= now]
  if not begun or now > begun[-1][-1].end + PAUSE:
    return ()
  return tuple(
    (word.word, _NOW if now < word.end else _SPOKEN) for word in begun[-1] if word.start <= now
  )


def _strip(words: Sequence[tuple[str, str]], width: int) -> np.ndarray:
  """A black strip with a line of coloured words, in the largest font that fits."""
  size = max(_TOO_SMALL, width // 16)
  image = Image.new('RGB', (width, size * 2))
  draw = ImageDraw.Draw(image)
  text = ' '.join(word for word, _ in words)
  letters = size
  while letters > _TOO_SMALL and draw.textlength(text, ImageFont.load_default(letters)) > width:
    letters -= 1
  font = ImageFont.load_default(letters)
  x = (width - draw.textlength(text, font)) / 2
  for word, colour in words:
    draw.text((x, size), word, colour, font, anchor='lm')
    x += draw.textlength(f'{word} ', font)
  return np.asarray(image)
