"""The style of a word: slant, stroke width and darkness of the ink, and how much these vary.

A collapsed generator writes a word in one hand whatever the noise: the spread of these measures over many
noises, relative to that over real words, shows this.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.ndimage import convolve1d, distance_transform_edt, zoom
from scipy.stats import trim_mean
from skimage.filters import threshold_otsu
from skimage.morphology import skeletonize

_ANGLES = np.arange(-45.0, 61.0)  # degrees
_FINE_HEIGHT = 128  # height in pixels at which strokes are measured
_BLUR = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
_CORE = 0.75  # quantile
_ENDS = 0.2  # fraction of the skeleton excluded on either side, its ends and its crossings
_FAINTEST = 0.1  # contrast, as a fraction of the range, below which an image counts as blank


class Style(NamedTuple):
  """Measures of one word; NaN for a blank image.

  Attributes:
    slant: degrees from upright; positive leans to the right, like cursive.
    stroke_width: pixels of the image.
    ink: darkness of the strokes, 0 for white paper, 1 for black.
  """

  slant: float
  stroke_width: float
  ink: float


BLANK = Style(float('nan'), float('nan'), float('nan'))


def style_of(image: np.ndarray) -> Style:
  """Measures a word.

  Otsu's threshold separates ink from paper; pixels darker than halfway between both are strokes. `slant` is
  the shear whose removal maximises the variance of ink over columns: upright strokes fill few columns
  (Vinciarelli, Luettin, "A new normalization technique for cursive handwritten words", 2001, use the same
  idea). `stroke_width` is twice the mean distance to the paper along the skeleton without its ends and
  crossings, on the image enlarged at least twice and to 128 rows. `ink` is the darkness that a quarter of the
  ink exceeds: that of the core of strokes, not of their edges.

  Args:
    image: [H, W] uint8, 255 is white paper.
  """
  darkness = 1.0 - np.asarray(image, np.float64) / 255.0
  if darkness.size == 0 or darkness.max() - darkness.min() < _FAINTEST:
    return BLANK
  apart = darkness > threshold_otsu(darkness)
  paper, dark = np.median(darkness[~apart]), np.quantile(darkness[apart], _CORE)
  threshold = (paper + dark) / 2.0
  return Style(_slant(darkness, threshold), _stroke_width(darkness, threshold), float(dark))


def styles(images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
  """`style_of` each of N images of any sizes: [N, 3] in the order of `Style`."""
  return np.array([style_of(image) for image in images]).reshape(-1, 3)


def spread(measured: np.ndarray, words: Sequence[str] | None = None) -> dict[str, float | None]:
  """The standard deviation of each measure over images that are not blank.

  Slant depends on the letters too: over different words, that of one hand varies about half as much as that of
  many hands. With `words` it is the deviation within a word, the root of the mean variance over words.

  Args:
    measured: [N, 3] from `styles`.
    words: N, the texts of the images.

  Returns:
    {'slant', 'stroke_width', 'ink'}; None without at least two images with ink (of the same word if `words` is
    given).
  """
  names = (
    np.zeros(len(measured), int) if words is None else np.unique(words, return_inverse=True)[1]
  )
  there = ~np.isnan(measured).any(1)
  groups = [measured[there & (names == i)] for i in range(names.max(initial=-1) + 1)]
  variances = [group.var(0, ddof=1) for group in groups if len(group) > 1]
  deviations = np.sqrt(np.mean(variances, axis=0)) if variances else None
  return {
    name: None if deviations is None else float(deviations[i])
    for i, name in enumerate(Style._fields)
  }


def relative_spread(
  generated: np.ndarray, real: np.ndarray, words: Sequence[str] | None = None
) -> dict[str, float | None]:
  """`spread` of generated words over that of real ones: 1 if they vary equally, 0 if not at all.

  Args:
    generated: [N, 3] from `styles`.
    real: [M, 3].
    words: of the generated ones, as in `spread`.

  Returns:
    As for `spread`; None also if the real words do not vary.
  """
  ours, theirs = spread(generated, words), spread(real)
  found: dict[str, float | None] = {}
  for name, value in ours.items():
    of = theirs[name]
    found[name] = value / of if value is not None and of else None
  return found


def _slant(darkness: np.ndarray, threshold: float) -> float:
  rows, columns = np.nonzero(darkness > threshold)
  weights = np.broadcast_to(darkness[rows, columns], (len(_ANGLES), len(rows)))
  heights = rows.max() - rows  # upwards from the lowest ink
  tangents = np.tan(np.radians(_ANGLES))
  places = columns - heights * tangents[:, None]
  places -= np.floor(places.min(1, keepdims=True))
  left = places.astype(int)
  right_share = places - left
  width = int(left.max()) + 2
  starts = np.arange(len(tangents))[:, None] * width
  size = len(tangents) * width
  profiles = np.bincount((starts + left).ravel(), (weights * (1.0 - right_share)).ravel(), size)
  profiles += np.bincount((starts + left + 1).ravel(), (weights * right_share).ravel(), size)
  # Shears by whole columns would have sharper profiles than others, so all are blurred.
  profiles = np.pad(profiles.reshape(-1, width), ((0, 0), (2, 2)))
  blurred = convolve1d(profiles, _BLUR, axis=1, mode='constant')
  return _peak((blurred**2).sum(1))


def _peak(values: np.ndarray) -> float:
  """The angle of the largest value, interpolated by the parabola through it and its neighbours."""
  best = int(values.argmax())
  if best in (0, len(values) - 1):
    return float(_ANGLES[best])
  before, at, after = values[best - 1 : best + 2]
  bend = before - 2.0 * at + after
  return float(_ANGLES[best] + (0.5 * (before - after) / bend if bend else 0.0))


def _stroke_width(darkness: np.ndarray, threshold: float) -> float:
  factor = max(2, -(-_FINE_HEIGHT // len(darkness)))
  fine = zoom(np.pad(darkness, 1), factor, order=1, grid_mode=True, mode='nearest') > threshold
  distances = distance_transform_edt(fine)[skeletonize(fine)]
  if not len(distances):  # only specks, which enlarging blurs away
    return float('nan')
  return float(2.0 * trim_mean(distances, _ENDS) / factor)
