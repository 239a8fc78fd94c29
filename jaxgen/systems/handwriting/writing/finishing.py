"""From a canvas to a picture: cropping to the word, enlarging, removing the paper; and detecting faults.

Images are uint8 [H, W], 255 the paper and 0 the ink.
"""

import numpy as np
from PIL import Image

from jaxgen.errors import ConfigError
from jaxgen.systems.handwriting.real.canvas import ink_of, is_blank

LARGEST_SCALE = 16
BLANK, BLACK = 'blank', 'black'
_DARK = 128  # levels below it are clearly ink


def check_size(scale: int, mm: float | None) -> None:
  """Raises ConfigError for an invalid size of files, see `job.Finish`; None: no millimetres."""
  if not 1 <= scale <= LARGEST_SCALE:
    raise ConfigError(f'--scale={scale} must be a whole number from 1 to {LARGEST_SCALE}')
  if mm is not None and not 0 < mm < 10_000:
    raise ConfigError(f'--mm={mm:g} must be above 0 and below 10000')


def ink_columns(image: np.ndarray) -> tuple[int, int]:
  """The columns [start, end) from the first ink, see `canvas.ink_of`, to the last; all if there is none."""
  inked = np.flatnonzero(ink_of(image).any(0))
  return (int(inked[0]), int(inked[-1]) + 1) if len(inked) else (0, image.shape[1])


def trimmed(image: np.ndarray, margin: int | None = None) -> np.ndarray:
  """Crops a word horizontally; its height stays, so that words keep their baseline.

  Args:
    image: [H, W].
    margin: columns of paper to keep on either side, as far as the canvas has them; a sixteenth of H by
      default.

  Returns:
    [H, w] with w up to W, so that it fits a canvas of width W again.
  """
  margin = len(image) // 16 if margin is None else margin
  start, end = ink_columns(image)
  return image[:, max(0, start - margin) : end + margin]


def fault(image: np.ndarray) -> str:
  """BLACK if most of a canvas is ink, BLANK if nothing is written, else ''.

  The image is cropped to its ink first: on a wide canvas a full stop alone would count as blank.
  """
  if (image < _DARK).mean() > 0.5:
    return BLACK
  return BLANK if is_blank(trimmed(image)) else ''


def enlarged(image: np.ndarray, scale: int) -> np.ndarray:
  """A picture enlarged by `scale` (Lanczos)."""
  if scale == 1:
    return image
  height, width = image.shape
  picture = Image.fromarray(np.ascontiguousarray(image))
  return np.asarray(picture.resize((width * scale, height * scale), Image.Resampling.LANCZOS))


def without_paper(image: np.ndarray) -> np.ndarray:
  """Black ink with darkness as opacity: on white it looks the same.

  Returns:
    uint8 [H, W, 2], grey and alpha.
  """
  return np.stack([np.zeros_like(image), 255 - image], -1)
