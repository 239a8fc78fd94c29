"""A word set in a face, as a field of signed distances to the edge of its ink, which any pen can then draw.

A glyph is rendered once, large, and kept as signed distances: positive in the ink, negative outside, in source
pixels of which a face's x-height has `X_HEIGHT`. When a distance field is sampled, at any size and through any
warp, its zero level is the letter's edge, and an offset makes the pen wider or narrower.
"""

import functools
import itertools
import threading
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.drawn.faces import Face, is_shaped

X_HEIGHT = 24.0
MARGIN = 8  # source pixels around a glyph's ink, and the largest distance that is stored
# The width that fills a slot of half the canvas height, at an x-height of a third of it.
WIDEST = 36
_OVERLAP = 3.0  # source pixels by which a capital may overlap the next one
_OVERSAMPLING = 2
_INK = 100  # of 255: higher values count as ink
_LETTERS = 'aceimnorsuvxz' + 'دهوصسم'
_LOCK = threading.Lock()  # a FreeType face is not thread-safe


class Setting(NamedTuple):
  """A word set in a face.

  Attributes:
    distances: [h, w] float32, source pixels from the edge of the ink, positive in it, at least -MARGIN.
    baseline: row of the baseline.
    starts: [n] float, the column at which each letter begins, in order from left to right; letters of a shaped
      word are equal parts of it.
    ends: [n] float, the column at which each ends.
    rises: [n] float, how far the ink of each reaches above the baseline.
    falls: [n] float, how far it reaches below.
    stroke: the stroke width of the face, source pixels.
  """

  distances: np.ndarray
  baseline: float
  starts: np.ndarray
  ends: np.ndarray
  rises: np.ndarray
  falls: np.ndarray
  stroke: float


class Glyph(NamedTuple):
  """Distances of one glyph or shaped word; `left` and `top` place it relative to the pen and the baseline."""

  distances: np.ndarray
  left: int
  top: int
  advance: float


def _open(face: Face, size: float) -> ImageFont.FreeTypeFont:
  return ImageFont.truetype(face.path, size)


@functools.lru_cache(maxsize=256)
def _font(face: Face) -> ImageFont.FreeTypeFont:
  """The face at the size at which the median height of its lower-case letters is X_HEIGHT, oversampled."""
  probe = _open(face, 200)
  letters = [c for c in _LETTERS if c in face.characters] or sorted(face.characters)[:200]
  tops = [-probe.getbbox(c, anchor='ls')[1] for c in letters]
  tall = float(np.median([t for t in tops if t > 0] or [100.0]))
  return _open(face, 200 * _OVERSAMPLING * X_HEIGHT / tall)


def _distances(ink: np.ndarray) -> np.ndarray:
  """[2h, 2w] bool to [h, w] float32 signed distances, in pixels of the output."""
  if not ink.any():
    return np.full((ink.shape[0] // 2, ink.shape[1] // 2), -MARGIN, np.float32)
  inside = ndimage.distance_transform_edt(ink)
  outside = ndimage.distance_transform_edt(~ink)
  signed = np.where(ink, inside - 0.5, 0.5 - outside) / _OVERSAMPLING
  h, w = (n // 2 for n in ink.shape)
  halved = signed.reshape(h, 2, w, 2).mean((1, 3))
  return np.maximum(halved, -MARGIN).astype(np.float32)


def _render(face: Face, text: str) -> tuple[Image.Image, int, int, float]:
  """Draws a text white on black, with margins: image, left and top relative to pen and baseline, advance."""
  with _LOCK:
    font = _font(face)
    left, top, right, bottom = font.getbbox(text, anchor='ls')
    # Even, so that after halving the pen and the baseline are still between two pixels.
    left, top = (int(np.floor(x / 2)) * 2 - 2 * MARGIN for x in (left, top))
    right, bottom = (int(np.ceil(x / 2)) * 2 + 2 * MARGIN for x in (right, bottom))
    image = Image.new('L', (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, font=font, fill=255, anchor='ls')
    return image, left // 2, top // 2, font.getlength(text) / _OVERSAMPLING


@functools.lru_cache(maxsize=8192)
def glyph(face: Face, text: str) -> Glyph:
  """Renders one character, or a word that must be shaped as a whole."""
  image, left, top, advance = _render(face, text)
  return Glyph(_distances(np.asarray(image) > _INK), left, top, advance)


@functools.lru_cache(maxsize=2048)
def _narrowed(face: Face, text: str) -> Glyph:
  """Like `glyph`, but at most WIDEST wide: narrowed without thinning the strokes."""
  whole = glyph(face, text)
  if whole.distances.shape[1] - 2 * MARGIN <= WIDEST:
    return whole
  image, left, top, advance = _render(face, text)
  inked = image.getbbox() or (0, 0, *image.size)
  size = WIDEST * _OVERSAMPLING, image.height
  narrow = Image.new('L', (size[0] + 4 * MARGIN, image.height))
  narrow.paste(image.crop((inked[0], 0, inked[2], image.height)).resize(size), (2 * MARGIN, 0))
  return Glyph(_distances(np.asarray(narrow) > _INK), left, top, advance)


@functools.lru_cache(maxsize=65536)
def _kerning(face: Face, pair: str) -> float:
  with _LOCK:
    font = _font(face)
    apart = font.getlength(pair[0]) + font.getlength(pair[1])
    return (font.getlength(pair) - apart) / _OVERSAMPLING


@functools.lru_cache(maxsize=256)
def stroke_width(face: Face) -> float:
  """The typical stroke width of the face, source pixels: in a stroke of width w the mean distance is w / 4."""
  letters = [c for c in _LETTERS if c in face.characters] or sorted(face.characters)[:20]
  fields = (glyph(face, c).distances for c in letters)
  means = [4 * float(d[d > 0].mean()) for d in fields if (d > 0).any()]
  return float(np.median(means or [3.0]))


def set_word(face: Face, text: str, apart: bool = False) -> Setting:
  """Sets a word.

  Args:
    face: has a glyph for each of its characters.
    text: not empty, in logical order.
    apart: sets each letter separately, without touching its neighbours, and at most WIDEST wide, for slots.

  Returns:
    The setting, shaped and right to left if the script requires it.

  Raises:
    DataError: `apart` with a script whose letters join, an empty word or one without any ink.
  """
  if not text:
    raise DataError('no text to draw: give a word of at least one letter')
  if is_shaped(text):
    if apart:
      raise DataError(f'{text!r} cannot be drawn in slots: its letters join. Use natural spacing')
    return _set_whole(face, text)
  glyphs = [(_narrowed if apart else glyph)(face, c) for c in text]
  if apart:
    widths = np.array([g.distances.shape[1] for g in glyphs])
    lefts = np.cumsum(widths) - widths
    starts = (lefts + MARGIN).astype(float)
    ends = (lefts + widths - MARGIN).astype(float)
  else:
    pens = _pens(face, text, glyphs)
    lefts = np.rint(pens + [g.left for g in glyphs]).astype(int)
    starts = pens - lefts.min()
    ends = starts + [g.advance for g in glyphs]
    lefts = lefts - lefts.min()
  top = min(g.top for g in glyphs)
  bottom = max(g.top + g.distances.shape[0] for g in glyphs)
  width = max(x + g.distances.shape[1] for x, g in zip(lefts, glyphs, strict=True))
  field = np.full((bottom - top, width), -MARGIN, np.float32)
  for x, g in zip(lefts, glyphs, strict=True):
    h, w = g.distances.shape
    place = field[g.top - top : g.top - top + h, x : x + w]
    np.maximum(place, g.distances, out=place)
  return _measured(face, text, field, -float(top), starts, ends)


def _pens(face: Face, text: str, glyphs: list[Glyph]) -> np.ndarray:
  """[n] float: the pen position of each letter."""
  pens: list[float] = []
  pen = 0.0
  for i, g in enumerate(glyphs):
    if i:
      before = glyphs[i - 1]
      pen = pens[-1] + before.advance + _kerning(face, text[i - 1 : i + 1])
      if text[i - 1].isupper() and text[i].isupper():
        # Capitals of a cursive are designed to precede lower-case letters, and overlap each other.
        right = pens[-1] + before.left + before.distances.shape[1] - MARGIN
        pen = max(pen, right - _OVERLAP - g.left - MARGIN)
    pens.append(pen)
  return np.array(pens)


@functools.lru_cache(maxsize=4096)
def _set_whole(face: Face, text: str) -> Setting:
  whole = glyph.__wrapped__(face, text)  # cached by this function, not among the letters
  edges = np.linspace(MARGIN, whole.distances.shape[1] - MARGIN, len(text) + 1)
  return _measured(face, text, whole.distances, -float(whole.top), edges[:-1], edges[1:])


def _measured(
  face: Face, text: str, field: np.ndarray, baseline: float, starts: np.ndarray, ends: np.ndarray
) -> Setting:
  ink = field > 0
  columns = np.flatnonzero(ink.any(0))
  if not len(columns):
    raise DataError(f'{text!r} has no ink in the face {face.name}')
  tops = np.where(ink.any(0), ink.argmax(0), field.shape[0])
  bottoms = np.where(ink.any(0), field.shape[0] - ink[::-1].argmax(0), 0)
  rises, falls = np.zeros(len(starts)), np.zeros(len(starts))
  # The ink of a letter may overlap its neighbour's: each gets what lies in its own columns, and the first and
  # the last also what hangs over.
  edges = (
    np.concatenate([[0], ((ends[:-1] + starts[1:]) / 2), [field.shape[1]]]).round().astype(int)
  )
  for i, (a, b) in enumerate(itertools.pairwise(edges)):
    if b > a:
      rises[i] = baseline - tops[a:b].min()
      falls[i] = bottoms[a:b].max() - baseline
  starts, ends = starts.copy(), ends.copy()
  starts[0], ends[-1] = min(starts[0], columns[0]), max(ends[-1], columns[-1] + 1.0)
  return Setting(field, baseline, starts, ends, rises, falls, stroke_width(face))
