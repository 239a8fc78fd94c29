"""Writing as outlines: an SVG with paths of uniform black, filled by the even-odd rule."""

from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from skimage.measure import approximate_polygon, find_contours

from jaxgen.systems.handwriting.real.canvas import FAINTEST
from jaxgen.systems.handwriting.writing.layout import Sheet

_BLUR = 0.5  # pixels: smooths the staircase of levels
_TOLERANCE = 0.12  # maximum distance of a path from its contour, pixels
_ROUNDING = 0.6  # corners are rounded up to this distance, pixels
_SPECK = 1.0  # smaller contours are grain, square pixels
_NEARBY = 8  # height / value: side of the square whose darkest stroke a pixel is compared with


class Size(NamedTuple):
  """The size of an SVG.

  Attributes:
    scale: SVG units per pixel of the picture.
    unit: 'px' or 'mm'.
  """

  scale: float = 1.0
  unit: str = 'px'


def evened(image: np.ndarray) -> np.ndarray:
  """Darkness relative to the strokes nearby, so that a faint letter, or its dot, is as black as its neighbours.

  Args:
    image: uint8 [H, W], 255 paper.

  Returns:
    float64 [H, W] in [0, 1], 0 paper; all 0 if nothing is written.
  """
  darkness = gaussian_filter(1.0 - image / 255.0, _BLUR, mode='nearest')
  darkest = float(darkness.max())
  if darkest < FAINTEST / 255.0:
    return np.zeros_like(darkness)
  side = max(3, len(image) // _NEARBY)
  around = gaussian_filter(maximum_filter(darkness, side), side / 4, mode='nearest')
  # Paper far from any stroke must not become one.
  around = np.maximum(around, max(FAINTEST / 255.0, darkest / 3))
  return np.minimum(darkness / around, 1.0)


def outlines(image: np.ndarray) -> list[np.ndarray]:
  """The closed contours of a picture's ink, including those of holes, as polygons.

  Args:
    image: uint8 [H, W], 255 paper.

  Returns:
    Each [n, 2] of (x, y) in pixels from the upper left corner of the picture, y downwards, without repeating
    the first point at the end.
  """
  found = []
  # Padding with paper closes every curve.
  for contour in find_contours(np.pad(evened(image), 1), 0.5):
    if abs(_area(contour)) < _SPECK:
      continue
    polygon = approximate_polygon(contour, _TOLERANCE)[:-1]
    if len(polygon) > 2:
      found.append(polygon[:, ::-1] - 0.5)  # origin: centre of a padded pixel
  return found


def path_data(polygon: np.ndarray, x: float = 0.0, y: float = 0.0) -> str:
  """The `d` attribute of an SVG path for a polygon with rounded corners.

  Args:
    polygon: [n, 2] from `outlines`.
    x: column of its picture.
    y: row of its picture.
  """
  corners = polygon + np.array([x, y])
  after = np.roll(corners, -1, 0) - corners
  length = np.linalg.norm(after, axis=-1, keepdims=True)
  cut = np.minimum(_ROUNDING / np.maximum(length, 1e-9), 0.5) * after
  ends, starts = corners - np.roll(cut, 1, 0), corners + cut
  at = _point(starts[-1])
  parts = [f'M{at}']
  for end, corner, start in zip(map(_point, ends), map(_point, corners), starts, strict=True):
    straight = '' if end == at else f'L{end}'
    at = _point(start)
    parts.append(f'{straight}Q{corner} {at}')
  return f'{"".join(parts)}Z'


def to_svg(sheet: Sheet, size: Size | None = None) -> bytes:
  """A sheet as an SVG file: one path per picture, titled with its text; no paper.

  Args:
    sheet: the pictures and their places.
    size: of the file; by default one SVG pixel per pixel of the picture.
  """
  scale, unit = size or Size()
  lines = [
    '<svg xmlns="http://www.w3.org/2000/svg" '
    f'width="{scale * sheet.width:.6g}{unit}" height="{scale * sheet.height:.6g}{unit}" '
    f'viewBox="0 0 {sheet.width} {sheet.height}" fill="#000" fill-rule="evenodd">'
  ]
  for image, label, x, y in sheet.placed:
    data = ''.join(path_data(polygon, x, y) for polygon in outlines(image))
    if data:
      lines.append(f'<path d="{data}"><title>{escape(label)}</title></path>')
  return '\n'.join([*lines, '</svg>\n']).encode()


def _area(contour: np.ndarray) -> float:
  y, x = contour.T
  return 0.5 * float(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1]))


def _point(point: np.ndarray) -> str:
  return ' '.join(f'{value:.2f}'.rstrip('0').rstrip('.') for value in point)
