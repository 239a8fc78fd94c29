"""Lines and words of ALTO (2 to 4) and PAGE XML (2010 to 2019), cropped from the pictures of their pages."""

import math
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.real.store import Store

LEVELS = ('line', 'word')
# Degrees of slope below which a line is not rotated: rotation costs sharpness.
_LEVEL_ENOUGH = 1.0
# How much the aspect ratio of a page may differ from that of its picture.
_SAME_SHAPE = 0.02
_NUMBER = re.compile(r'-?\d+(?:\.\d+)?')


class Region(NamedTuple):
  """One line or word of a page.

  Attributes:
    name: its id, or its number.
    text: its raw transcript.
    polygon: [n, 2] x and y in units of the page, at least three points; None if missing.
    baseline: [n, 2] from the start of the line, or None.
  """

  name: str
  text: str
  polygon: np.ndarray | None
  baseline: np.ndarray | None


class Page(NamedTuple):
  """A page as its XML describes it.

  Attributes:
    image: the file name of its picture; '' if not given.
    size: width and height in the units of its polygons; None if not given.
    regions: in the order of the file.
  """

  image: str
  size: tuple[float, float] | None
  regions: list[Region]


class _NoDoctype(ElementTree.TreeBuilder):
  """Refuses document types, and thus entities, before anything is expanded or fetched."""

  def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
    """Called at a document type declaration."""
    raise DataError('has a document type (<!DOCTYPE>), which is not allowed: remove it')


def read_page(content: bytes, name: str, level: str = 'line') -> Page | None:
  """The lines or words of an ALTO or PAGE file.

  Args:
    content: of the file.
    name: of the file, for errors.
    level: 'line' or 'word'.

  Returns:
    The page; None for XML of another kind.

  Raises:
    DataError: not XML, or positions in an unknown unit.
    ConfigError: no such level.
  """
  if level not in LEVELS:
    raise ConfigError(f'level = {level!r} must be line or word')
  try:
    root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_NoDoctype()))
  except DataError as error:
    raise DataError(f'{name}: {error}') from None
  # The parser raises LookupError or ValueError for an unknown encoding.
  except (ElementTree.ParseError, LookupError, ValueError) as error:
    raise DataError(f'{name}: damaged XML ({error})') from error
  kind = _tag(root)
  if kind not in ('alto', 'PcGts'):
    return None
  try:
    return _alto(root, level) if kind == 'alto' else _page_xml(root, level)
  except DataError as error:
    raise DataError(f'{name}: {error}') from None


def page_images(store: Store, xml: str, image: str) -> list[str]:
  """The possible pictures of a page: by the name given in it, with another suffix, or by the XML's own name."""
  named = PurePosixPath(image.replace('\\', '/'))
  for name in (named.name, named.stem, PurePosixPath(xml).stem):
    found = store.find(name, xml) if name else []
    if found:
      return found
  return []


def cut(page: np.ndarray, region: Region, size: tuple[float, float] | None) -> np.ndarray:
  """Crops a line or word from the picture of its page: horizontal, and paper outside its polygon.

  The paper is the median grey inside the polygon. A line whose baseline rises or falls by at least a degree is
  rotated to be level.

  Args:
    page: uint8 [H, W].
    region: to crop.
    size: of the page in the polygons' units; None if these are pixels.

  Returns:
    uint8 [h, w].

  Raises:
    DataError: no polygon, it is outside the page, or the aspect ratios of page and picture differ.
  """
  polygon, baseline = region.polygon, region.baseline
  if polygon is None:
    raise DataError('has no polygon')
  height, width = page.shape
  if size is not None:
    if abs(size[0] * height / (size[1] * width) - 1) > _SAME_SHAPE:
      raise DataError(
        f'its page of {size[0]:g} x {size[1]:g} differs in shape from its picture of {width} x {height}'
      )
    scale = np.array([width / size[0], height / size[1]])
    polygon = polygon * scale
    baseline = None if baseline is None else baseline * scale
  polygon = np.clip(polygon, 0, [width, height])
  low, high = np.floor(polygon.min(0)).astype(int), np.ceil(polygon.max(0)).astype(int)
  if min(high - low) < 2:
    raise DataError('its polygon is outside the picture, or has no area')
  crop = page[low[1] : high[1], low[0] : high[0]]
  inside = _mask(polygon - low, crop.shape)
  if not inside.any():
    raise DataError('its polygon has no area')
  paper = int(np.median(crop[inside]))
  crop = np.where(inside, crop, np.uint8(paper))
  angle = 0.0 if baseline is None else _slope(baseline)
  return crop if abs(angle) < _LEVEL_ENOUGH else _turned(crop, inside, angle, paper)


def _mask(polygon: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  mask = Image.new('1', (shape[1], shape[0]))
  ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in polygon], fill=1, outline=1)
  return np.asarray(mask)


def _slope(baseline: np.ndarray) -> float:
  """Degrees from -90 to 90 by which a baseline descends to the right, from its principal axis."""
  offset = baseline - baseline.mean(0)
  x, y = np.linalg.svd(offset, full_matrices=False)[2][0]
  return math.degrees(math.atan2(y, x) if x >= 0 else math.atan2(-y, -x))


def _turned(crop: np.ndarray, inside: np.ndarray, angle: float, paper: int) -> np.ndarray:
  """Rotates a picture so that a descent by `angle` becomes level, and crops it to the rotated polygon."""
  mode = Image.Resampling.BICUBIC
  picture = Image.fromarray(crop).rotate(angle, mode, expand=True, fillcolor=paper)
  whole = Image.fromarray(inside.astype(np.uint8) * 255).rotate(angle, mode, expand=True)
  mask = np.asarray(whole) > 127
  rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
  return np.asarray(picture)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _tag(element: ElementTree.Element) -> str:
  return element.tag.rpartition('}')[2]


def _children(element: ElementTree.Element, *tags: str) -> Iterator[ElementTree.Element]:
  return (child for child in element if _tag(child) in tags)


def _all(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
  return (child for child in element.iter() if _tag(child) == tag)


def _points(text: str | None, least: int) -> np.ndarray | None:
  """Parses 'x,y x,y' or 'x y x y' to [n, 2]; None for fewer than `least` points."""
  numbers = [float(x) for x in _NUMBER.findall(text or '')]
  if len(numbers) % 2 or len(numbers) < 2 * least:
    return None
  return np.array(numbers).reshape(-1, 2)


def _attributes(element: ElementTree.Element, *names: str) -> list[float] | None:
  try:
    return [float(element.attrib[name]) for name in names]
  except (KeyError, ValueError):
    return None


def _alto(root: ElementTree.Element, level: str) -> Page:
  image = next((e.text or '' for e in _all(root, 'fileName')), '').strip()
  unit = next((e.text or '' for e in _all(root, 'MeasurementUnit')), 'pixel').strip()
  found = list(_all(root, 'Page'))
  if len(found) > 1:  # there is at most one picture, and no telling whose it is
    raise DataError(f'describes {len(found)} pages: expected one per file')
  page = found[0] if found else root
  size = _attributes(page, 'WIDTH', 'HEIGHT')
  if not size or min(size) <= 0:
    if unit != 'pixel':
      raise DataError(f'positions in {unit} need the WIDTH and HEIGHT of the page')
    size = None
  lines = list(_all(page, 'TextLine'))
  elements = lines if level == 'line' else [s for line in lines for s in _children(line, 'String')]
  names = (element.get('ID') or str(i) for i, element in enumerate(elements))
  regions = [_alto_region(e, name) for e, name in zip(elements, names, strict=False)]
  return Page(image, (size[0], size[1]) if size else None, regions)


def _alto_region(element: ElementTree.Element, name: str) -> Region:
  shapes = (p for s in _children(element, 'Shape') for p in _children(s, 'Polygon'))
  polygon = _points(next((p.get('POINTS') for p in shapes), None), 3)
  box = _attributes(element, 'HPOS', 'VPOS', 'WIDTH', 'HEIGHT')
  if polygon is None and box:
    x, y, w, h = box
    polygon = np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]])
  baseline = _points(element.get('BASELINE'), 2)  # a single number is a height: horizontal
  if _tag(element) == 'String':
    return Region(name, element.get('CONTENT', ''), polygon, baseline)
  return Region(name, _alto_text(element), polygon, baseline)


def _alto_text(line: ElementTree.Element) -> str:
  """The strings of a line, with its own spaces, or with spaces between all strings if it has none.

  A soft hyphen at the end of a line is visible, so it becomes a hyphen.
  """
  usual = '' if any(_tag(part) == 'SP' for part in line) else ' '
  text, space = '', ''
  for part in _children(line, 'String', 'SP', 'HYP'):
    if _tag(part) == 'SP':
      space = ' '
      continue
    content = part.get('CONTENT', '')
    if _tag(part) == 'HYP':
      text += content.replace('\u00ad', '-')
      continue
    text += space + content
    space = usual
  return text.strip()


def _page_xml(root: ElementTree.Element, level: str) -> Page:
  page = next(_all(root, 'Page'), root)
  size = _attributes(page, 'imageWidth', 'imageHeight')
  tag = 'TextLine' if level == 'line' else 'Word'
  regions = []
  for i, element in enumerate(_all(page, tag)):
    name = element.get('id') or str(i)
    text = _page_text(element)
    coords = next(_children(element, 'Coords'), None)
    baseline = next(_children(element, 'Baseline'), None)
    polygon, line = _page_points(coords, 3), _page_points(baseline, 2)
    regions.append(Region(name, text, polygon, line))
  whole = (size[0], size[1]) if size and min(size) > 0 else None
  return Page(page.get('imageFilename', '').strip(), whole, regions)


def _page_points(element: ElementTree.Element | None, least: int) -> np.ndarray | None:
  if element is None:
    return None
  points = element.get('points')
  if points is None:  # version 2010: one element per point
    points = ' '.join(f'{p.get("x")},{p.get("y")}' for p in _children(element, 'Point'))
  return _points(points, least)


def _page_text(element: ElementTree.Element) -> str:
  """The first non-empty transcript, by `index`; else those of the words, separated by spaces."""
  given = list(_children(element, 'TextEquiv'))
  given.sort(key=lambda e: int(e.get('index') or 0) if (e.get('index') or '0').isdecimal() else 0)
  for tag in ('Unicode', 'PlainText'):
    for text in (t.text or '' for one in given for t in _children(one, tag)):
      if text.strip():
        return text
  return ' '.join(filter(None, (_page_text(word) for word in _children(element, 'Word'))))
