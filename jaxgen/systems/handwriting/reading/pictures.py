"""A user's pictures to be read: finding, opening and checking them, and resizing to the reader's height."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage, signal

from jaxgen.data.image_files import SUFFIXES, sorted_files
from jaxgen.errors import DataError
from jaxgen.photos import images
from jaxgen.systems.handwriting.real.canvas import (
  Ink,
  is_blank,
  read_levels,
  resized,
  to_ink,
)

LOWEST = 8  # minimum height of a picture in pixels
_TALLEST = 8  # maximum ratio of height to width
_PROFILE = 512  # maximum height at which lines are counted
_DARK = 40  # levels below white that count as ink
_RULED = 0.7  # fraction of a row that is dark if it is a ruled line
# Maximum thickness of ruled lines, as a fraction of what they span and of their distance.
_RULE, _RULES_APART = 0.04, 0.25
# Smoothing (height / value), depth of a valley, minimum peaks. None of 2,500 real pictures has so many.
_PEAKS = (96, 0.3, 5), (48, 0.4, 4)
# For two touching lines: smoothing (height / value), height of a peak, depth of the valley, distance of peaks,
# and maximum ink at the edges, where a neighbour is cut off. None of 2,800 pictures has two such peaks.
_SMOOTH, _LEAST, _DEEP, _APART, _CUT = 16, 0.4, 0.7, 0.3, 0.3
# Apparent lines are one symbol (E, 3) if a line's ratio of width to height would be below the first number, and
# a few symbols if it is at most the second and more than _SHARE of the ink is in strokes _SPAN of the height.
_SYMBOL, _SYMBOLS, _SHARE, _SPAN = 1.25, 4, 0.7, 0.7


class Given(NamedTuple):
  """A path named on a command line.

  Attributes:
    path: of an image, or of a folder without images.
    error: why there is nothing to read; '' if there may be.
  """

  path: str
  error: str = ''


class Picture(NamedTuple):
  """A picture prepared for a reader.

  Attributes:
    image: uint8 [height, w], dark ink on light paper.
    width: of the given picture after turning it upright, pixels.
    blank: whether nothing is written on it.
  """

  image: np.ndarray
  width: int
  blank: bool

  @property
  def scale(self) -> float:
    """Pixels of the given picture per column of `image`."""
    return self.width / self.image.shape[1]


def given(arguments: Sequence[str]) -> tuple[list[Given], list[str]]:
  """The images named on a command line, each once: files, and folders searched recursively.

  Hidden files and folders are skipped.

  Returns:
    Images in the order of the arguments, and messages about the folders, a line each.
  """
  found: dict[str, Given] = {}
  told = []
  for name in arguments:
    if not name:  # e.g. from an unset variable; its path would be the current folder
      found[name] = Given(name, 'a name is empty: name an image or a folder')
      continue
    try:
      listing = sorted_files(Path(name)) if Path(name).is_dir() else None
    except OSError as fault:
      found.setdefault(name, Given(name, f'{name}: cannot be opened: {fault.strerror}'))
      continue
    if listing is None:
      found.setdefault(name, Given(name))
      continue
    told += [f'{name}: {line}' for line in listing.told]
    if not listing.images:
      error = f'{name}: contains no image ({", ".join(SUFFIXES)})'
      found.setdefault(name, Given(name, error))
    for path in listing.images:
      found.setdefault(str(path), Given(str(path)))
  return list(found.values()), told


def open_picture(image: images.Given, ink: Ink, widest: int) -> Picture:
  """Opens an image, turns it upright by its EXIF orientation and scales it to the reader's height.

  Args:
    image: a file, a PIL image or an array, see `read_levels`.
    ink: how it becomes ink on paper.
    widest: maximum number of columns at that height.

  Raises:
    DataError: no such file, not an image, or see `picture_of`.
  """
  name = image if isinstance(image, str | Path) else 'the image'
  return picture_of(read_levels(image), name, ink, widest)


def picture_of(image: np.ndarray, name: str | Path, ink: Ink, widest: int) -> Picture:
  """Prepares pixels for a reader, scaled to its height with their aspect ratio.

  Args:
    image: uint8 [H, W], grey.
    name: what to call it in messages.
    ink: see `open_picture`.
    widest: see `open_picture`.

  Raises:
    DataError: too low, too wide, or not a single line of text.
  """
  height, width = image.shape
  if height < LOWEST:
    raise DataError(f'{name}: {height} pixels high; at least {LOWEST} are needed to read it')
  wanted = max(1, round(width * ink.height / height))
  if wanted > widest:
    raise DataError(
      f'{name}: {wanted:,} pixels wide when scaled to the reading height of {ink.height}; the limit is '
      f'{widest:,}: cut the line in two'
    )
  if height > _TALLEST * width:
    raise DataError(
      f'{name}: {height / width:.0f} times as high as wide, so not a line of text: cut lines out of it'
    )
  if (lines := num_lines(image, ink.invert)) > 1:
    raise DataError(
      f'{name}: seems to show {lines} lines of text, but one is read at a time: cut it into lines'
    )
  pixels, _ = to_ink(image, ink)
  return Picture(pixels, width, is_blank(pixels))


def num_lines(image: np.ndarray, invert: bool | None = None) -> int:
  """The number of lines of text in a picture, by the ink of its rows; 1 if it may be one, or is blank.

  A line is a run of rows with at least a fifth of the ink of the fullest rows, and at least two fifths of the
  ink of the fullest run in total. Ruled lines do not count: rows that are dark throughout, and runs thinner
  than a quarter of their distance and a twenty-fifth of what they span. Two lines need an empty gap of an
  eighth of the height between them, as dots, accents and flourishes are separate too. If lines touch, peaks of
  the rows' ink count: four or more with deep valleys, or two far from each other and from the edges. Parts of a
  few symbols, such as E, 3 and =, do not.

  Args:
    image: uint8 [H, W], dark on light or light on dark.
    invert: which of the two, see `Ink`.
  """
  image = resized(image, min(image.shape[0], _PROFILE))
  image, _ = to_ink(image, Ink(len(image), flatten=True, invert=invert))
  dark = np.clip(255.0 - _DARK - image, 0, None)
  ink = np.where((dark > 0).mean(1) > _RULED, 0.0, dark.sum(1))
  if not ink.any():
    return 1
  found = max(_runs(ink), *(_peaks(ink, *rule) for rule in _PEAKS))
  if found < 2 and _two(np.where(_has_dash(dark), 0.0, ink)):
    found = 2
  return 1 if found > 1 and _are_symbols(dark > 0, found) else found


def _are_symbols(inked: np.ndarray, lines: int) -> bool:
  """Whether ink [H, W] that looks like `lines` lines is a few symbols with parts above each other.

  Rows without ink do not count, except with as few parts as in a colon: with wide gaps between them, lines
  would look as narrow as symbols.
  """
  ((rows, columns),) = ndimage.find_objects(inked.astype(np.uint8))
  labels, parts = ndimage.label(inked, np.ones((3, 3)))
  height = int(inked.any(1).sum()) if parts > lines else rows.stop - rows.start
  width = (columns.stop - columns.start) * lines
  if width < _SYMBOL * height:
    return True
  if width > _SYMBOLS * height:
    return False
  amounts = np.bincount(labels.ravel())[1:]
  spans = [part.stop - part.start for part, _ in ndimage.find_objects(labels)]
  return bool(amounts[np.array(spans) >= _SPAN * height].sum() > _SHARE * amounts.sum())


def _has_dash(dark: np.ndarray) -> np.ndarray:
  """Whether each row of [H, W] has a stroke as long as the picture is high, which no letter has; bool [H]."""
  inked = (dark > 0).astype(np.uint8)
  return ndimage.minimum_filter1d(inked, len(dark), axis=1, mode='constant').any(1)


def _two(ink: np.ndarray) -> bool:
  """Whether the row ink profile [H] shows two lines."""
  height = len(ink)
  smooth = ndimage.gaussian_filter1d(np.pad(ink, height), height / _SMOOTH, mode='constant')
  peaks, _ = signal.find_peaks(smooth, height=max(_LEAST * smooth.max(), 1e-9))
  if len(peaks) < 2:
    return False
  upper, lower = np.sort(peaks[np.argsort(-smooth[peaks])[:2]])
  valley = smooth[upper:lower].min() / min(smooth[upper], smooth[lower])
  edge = max(smooth[height] / smooth[upper], smooth[2 * height - 1] / smooth[lower])
  return bool(valley < 1 - _DEEP and lower - upper > _APART * height and edge < _CUT)


def _runs(ink: np.ndarray) -> int:
  """Number of lines, counted as runs in the row ink profile [H]."""
  height = len(ink)
  smooth = ndimage.uniform_filter1d(ink, max(1, height // 64), mode='constant')
  labels, _ = ndimage.label(smooth >= 0.2 * np.quantile(smooth[smooth > 0], 0.95))
  runs = [run for (run,) in ndimage.find_objects(labels)]
  amounts = np.array([ink[run].sum() for run in runs])
  runs = [run for run, amount in zip(runs, amounts, strict=True) if amount >= 0.4 * amounts.max()]
  if len(runs) < 2:
    return 1
  heights = np.array([run.stop - run.start for run in runs])
  distances = np.diff([(run.start + run.stop) / 2 for run in runs])
  span = runs[-1].stop - runs[0].start
  if np.median(heights) < min(_RULE * span, _RULES_APART * np.median(distances)):
    return 1
  if len(runs) == 2:
    between = ink[runs[0].stop : runs[1].start]
    empty = between <= 0.02 * ink.max()
    return 2 if empty.sum() >= height / 8 and heights.min() > 0.6 * heights.max() else 1
  return len(runs)


def _peaks(ink: np.ndarray, parts: int, depth: float, least: int) -> int:
  """Number of peaks of the row ink profile, smoothed by height / parts; 1 if there are fewer than `least`."""
  smooth = ndimage.gaussian_filter1d(np.pad(ink, len(ink)), len(ink) / parts, mode='constant')
  top = smooth.max()
  peaks, _ = signal.find_peaks(smooth, height=0.4 * top, prominence=depth * top)
  return len(peaks) if len(peaks) >= least else 1
