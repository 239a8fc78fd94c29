"""Pictures of words and lines scaled to one height, dark ink on white: the paper's preprocessing.

Images are uint8 [H, W], 255 the paper and 0 the ink.
"""

import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image
from scipy import ndimage

from jaxgen.photos.images import Given, load_image, to_eight_bits

# Contrast between paper and ink in levels, below which a picture is blank.
FAINTEST = 32
# The same for a single colour channel, if a picture is blank in grey, and the minimum level of its paper: noise
# in dark levels would become ink.
_FAINTEST_COLOUR, _DARKEST = 64, 96
_PROFILE = 64  # maximum height at which the contrast of a picture is measured
# Passes of dividing by the background, of which each leaves a few per cent of the unevenness, and the level
# from which paper counts as white.
_PASSES, _WHITE = 3, 254.5
# Ink that fills less than _FILLED of the height is cropped to rows that it fills to this part, unless it is
# narrower than _NARROW of its own height or covers more than _SOLID of its rectangle, as single marks do.
_FILLED, _NARROW, _SOLID = 0.55, 2.0, 0.5
_SAMPLED = 64  # minimum number of rows from which a background is taken
_CROPPED = 512  # maximum height at which the rows of ink are searched
_LOST = 0.005  # fraction of the ink that may lie outside on each side: dust
# Padded widths of lines at height 64: two per doubling, so that few shapes are compiled.
_LINE_WIDTHS = (128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096)


class Ink(NamedTuple):
  """How a picture becomes dark ink on light paper.

  Attributes:
    height: to scale it to, in pixels.
    flatten: divide by the background, see `flattened`: for photos with uneven lighting.
    invert: whether the ink is lighter than the paper; None to detect it, see `is_inverted`.
    crop: leave out rows of empty paper, see `without_margins`.
  """

  height: int
  flatten: bool = False
  invert: bool | None = None
  crop: bool = False


def grey(image: Image.Image) -> Image.Image:
  """Converts an image of any mode to 8-bit grey; 16 bits are scaled. For `photos.images.load_image`."""
  return to_eight_bits(image, 'L')


def read_levels(given: Given) -> np.ndarray:
  """Loads an image in grey, upright by its EXIF orientation, with white paper for transparent pixels.

  If it is blank that way, light ink on a transparent background is put on black, and ink as light as its paper
  is searched for in the colour channels.

  Args:
    given: a file, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4].

  Returns:
    uint8 [H, W].

  Raises:
    DataError: no such file, not an image, or a file with several images.
  """
  levels = np.asarray(load_image(given, grey, paper='white', single=True))
  return levels if _contrast(levels) >= FAINTEST else _hidden(given, levels)


def _hidden(given: Given, levels: np.ndarray) -> np.ndarray:
  """Alternative levels of an image in which something is visible; the given ones if there are none."""
  on_black = np.asarray(load_image(given, grey, paper='black'))
  if np.median(levels) - np.median(on_black) == 255:  # most of it is transparent
    return on_black
  rgb = functools.partial(to_eight_bits, mode='RGB')
  colours = np.asarray(load_image(given, rgb, paper='white'))
  best = max((colours[..., i] for i in range(3)), key=_contrast)
  paper = np.median(255 - best if is_inverted(best) else best)
  return best if _contrast(best) >= _FAINTEST_COLOUR and paper >= _DARKEST else levels


def _contrast(levels: np.ndarray) -> float:
  """Like `contrast`, for a picture of any height and polarity, so that it agrees with `is_blank`."""
  small = resized(levels, min(len(levels), _PROFILE))
  return contrast(to_ink(small, Ink(len(small)))[0])


def to_ink(image: np.ndarray, ink: Ink) -> tuple[np.ndarray, bool]:
  """Scales a grey picture to the wanted height, with dark ink on light paper.

  Args:
    image: uint8 [h, w].
    ink: the options.

  Returns:
    uint8 [height, w'], and whether its levels were inverted.
  """
  turned = is_inverted(image) if ink.invert is None else ink.invert
  image = 255 - image if turned else image
  image = resized(without_margins(image) if ink.crop else image, ink.height)
  return flattened(image) if ink.flatten else image, turned


def resized(image: np.ndarray, height: int) -> np.ndarray:
  """Scales a grey picture to another height with its aspect ratio, antialiased (Lanczos).

  Args:
    image: uint8 [h, w].
    height: wanted.

  Returns:
    uint8 [height, max(1, round(w * height / h))].
  """
  h, w = image.shape
  if h == height:
    return image
  width = max(1, round(w * height / h))
  picture = Image.fromarray(np.ascontiguousarray(image))
  return np.asarray(picture.resize((width, height), Image.Resampling.LANCZOS))


def is_inverted(image: np.ndarray) -> bool:
  """Whether a picture has light ink on dark paper.

  True if its median is dark (below 128) and details are lighter than their surroundings: strokes are thin, so
  levels minus their local mean are skewed towards the ink. A dark photo of dark ink is not inverted.

  Args:
    image: uint8 [h, w].
  """
  if np.median(image) >= 128:
    return False
  levels = image.astype(np.float32)
  local = ndimage.uniform_filter(levels, max(3, min(image.shape)), mode='nearest')
  return bool(np.mean((levels - local) ** 3) > 0)


def without_margins(image: np.ndarray) -> np.ndarray:
  """Leaves out rows of empty paper above and below a word or line, until it fills .55 of the height.

  It fills less where a line would become wider than the widest of `line_widths`. A single mark stays as it is,
  since its height and place tell which one it is.

  Args:
    image: uint8 [H, W], dark ink on light paper.

  Returns:
    uint8 [h, W].
  """
  height, width = image.shape
  small = resized(image, min(height, _CROPPED))
  darkness = ink_of(flattened(small))
  rows, columns = (extent(darkness.sum(axis)) for axis in (1, 0))
  ink = darkness[rows, columns]
  if not ink.size or len(ink) >= _FILLED * len(small):
    return image
  if ink.shape[1] < _NARROW * len(ink) or (ink > 0).mean() > _SOLID:
    return image
  scale = height / len(small)
  least = math.ceil(width * 64 / _LINE_WIDTHS[-1])  # rounded up, to fit the widest canvas
  wanted = max(round(len(ink) * scale / _FILLED), least)
  first = round((rows.start + rows.stop) * scale / 2 - wanted / 2)
  first = max(0, min(first, height - wanted))
  return image[first : first + wanted]


def ink_of(image: np.ndarray) -> np.ndarray:
  """Levels by which ink is darker than white, 0 for paper and its grain.

  Ink is at least FAINTEST levels darker, and at least a quarter as dark as the darkest pixel.

  Args:
    image: uint8 [H, W], dark ink on white paper.

  Returns:
    int32 [H, W].
  """
  darkness = 255 - image.astype(np.int32)
  return np.where(darkness >= max(FAINTEST, darkness.max() / 4), darkness, 0)


def extent(ink: np.ndarray) -> slice:
  """The part of a profile [N] of ink with all of it but a two-hundredth at either end; empty without ink."""
  total = ink.cumsum()
  if not total.size or not total[-1]:
    return slice(0, 0)
  first, last = np.searchsorted(total, total[-1] * np.array([_LOST, 1 - _LOST]))
  return slice(int(first), int(last) + 1)


def flattened(image: np.ndarray) -> np.ndarray:
  """Divides a picture by its background, so that the paper is white in light and in shadow.

  The background is the upper quartile of the levels in a square of half the height, which is paper wherever
  strokes cover less than three quarters; computed every eighth of the height, bilinear in between. In uneven
  light it lies above the paper in the middle of its square, so it is divided again by what is left.

  Args:
    image: uint8 [H, W], dark ink on light paper, at the height for reading.

  Returns:
    uint8 [H, W].
  """
  height, width = image.shape
  every = max(1, height // _SAMPLED)
  for _ in range(_PASSES):
    paper = _background(image[::every, ::every], every)[:height, :width]
    if paper.min() >= _WHITE:
      break
    image = np.clip(np.round(image * (255.0 / np.maximum(paper, 1.0))), 0, 255).astype(np.uint8)
  return image


def _background(image: np.ndarray, scale: int) -> np.ndarray:
  """The brightness of the paper of [h, w], scaled up by an integer; float [>= h * scale, >= w * scale]."""
  height, width = image.shape
  step = max(1, height // 8)
  side = 4 * step
  # Whole steps, so that the picture's pixels lie between those of the coarse grid; edges are mirrored.
  down, across = -(-height // step) * step, -(-width // step) * step
  half = (side - step) // 2
  more = [(half, down - height + side - step - half), (half, across - width + side - step - half)]
  windows = sliding_window_view(np.pad(image, more, 'symmetric'), (side, side))[::step, ::step]
  levels = windows.reshape(*windows.shape[:2], -1)
  quartile = side * side * 3 // 4
  paper = np.partition(levels, quartile, -1)[..., quartile].astype(np.float32)
  fine = Image.fromarray(paper).resize((across * scale, down * scale), Image.Resampling.BILINEAR)
  return np.asarray(fine)


def is_blank(image: np.ndarray) -> bool:
  """Whether a picture is blank: `contrast` is below FAINTEST.

  Args:
    image: uint8 [H, W], dark ink on light paper.
  """
  return contrast(image) < FAINTEST


def contrast(image: np.ndarray) -> float:
  """Levels by which the darkest thousandth is darker than the median, after flattening.

  A wide picture is split into parts at most four times as wide as high, and the darkest part counts. 0 if the
  range of levels is below FAINTEST.

  Args:
    image: uint8 [H, W], dark ink on light paper.
  """
  if int(image.max()) - int(image.min()) < FAINTEST:
    return 0.0
  flat = flattened(image)
  height, width = flat.shape
  parts = np.array_split(flat, -(-width // (4 * height)), axis=1)
  return float(np.median(flat) - min(np.quantile(part, 0.001) for part in parts))


def padded(image: np.ndarray, width: int, rtl: bool = False) -> np.ndarray:
  """Pads a picture to a wider canvas with white.

  Args:
    image: uint8 [H, w].
    width: of the canvas, at least w.
    rtl: whether it is written right to left: padding goes on the left.

  Returns:
    uint8 [H, width].

  Raises:
    ValueError: the picture is wider than the canvas; the paper drops such words.
  """
  more = width - image.shape[1]
  if more < 0:
    raise ValueError(f'{image.shape[1]} pixels do not fit on a canvas of {width}')
  return np.pad(image, ((0, 0), (more, 0) if rtl else (0, more)), constant_values=255)


def line_widths(height: int = 64) -> tuple[int, ...]:
  """The padded widths of lines at a height; 128 to 4,096 at height 64."""
  return tuple(width * height // 64 for width in _LINE_WIDTHS)
