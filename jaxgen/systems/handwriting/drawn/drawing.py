"""Draws a word in one writer's hand."""

from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.drawn import ink, paper
from jaxgen.systems.handwriting.drawn.faces import Face, check_can_write, is_right_to_left
from jaxgen.systems.handwriting.drawn.hands import Hand
from jaxgen.systems.handwriting.drawn.placement import Placement, place_in_slots, place_naturally
from jaxgen.systems.handwriting.drawn.settings import Setting, set_word

SLOT = 0.5  # of the canvas height: 16 pixels at 32
_ABOVE = 'gjpqyfzç,قعوجرن'  # descenders, which show of the line above; below it, ascenders
_BELOW = 'bdfhklt\'É"الطكأ'


class Drawing(NamedTuple):
  """A drawn word.

  Attributes:
    image: [H, W] uint8, 255 white paper, 0 black ink.
    spans: [n, 2] float, start and end column of each letter of the text, before slant and bending; in the order
      of the text, so right to left if the script runs that way. For words whose letters join, as in Arabic,
      equal parts of the word.
  """

  image: np.ndarray
  spans: np.ndarray


class Canvas(NamedTuple):
  """Height and width in pixels, and whether letters have slots instead of natural spacing."""

  height: int = 32
  width: int = 128
  slots: bool = False


def draw(text: str, face: Face, hand: Hand, rng: np.random.Generator, canvas: Canvas) -> Drawing:
  """Draws a word.

  Args:
    text: NFC, in logical order.
    face: that `hand.face` refers to.
    hand: its writer.
    rng: of this drawing.
    canvas: to draw on.

  Returns:
    The drawing, [height, width]. Writing starts at the left edge, or at the right one if the script does;
    beyond the word the canvas is white.

  Raises:
    DataError: the face has no glyph for a character, or the word does not fit the canvas; names it.
  """
  drawing = try_to_draw(text, face, hand, rng, canvas)
  if drawing is None:
    what = 'in slots' if canvas.slots else f'in the hand of {face.name}'
    raise DataError(
      f'{text!r} does not fit a canvas {canvas.width} pixels wide {what}: use a shorter word or a wider canvas'
    )
  return drawing


def try_to_draw(
  text: str, face: Face, hand: Hand, rng: np.random.Generator, canvas: Canvas
) -> Drawing | None:
  """Like `draw`, but None if the word does not fit the width."""
  check_can_write(face, text)
  height, width, slots = canvas
  if slots and len(text) * SLOT * height > width:
    return None
  setting = set_word(face, text, apart=slots)
  if slots:
    place: Placement | None = place_in_slots(setting, hand, rng, height, SLOT * height)
  else:
    place = place_naturally(setting, hand, rng, height, width)
  if place is None:
    return None
  black = _written(setting, place, face, hand, rng, height)
  image = np.full((height, width), 255, np.uint8)
  rtl = is_right_to_left(text)
  start = width - place.width if rtl else 0
  image[:, start : start + place.width] = paper.on_paper(black, hand, rng)
  ends = np.stack([setting.starts, setting.ends], 1)
  spans = start + np.interp(ends, place.sources, place.columns)
  return Drawing(image, spans[::-1] if rtl else spans)


def _written(
  setting: Setting, place: Placement, face: Face, hand: Hand, rng: np.random.Generator, height: int
) -> np.ndarray:
  """[height, place.width] blackness of the word and of neighbouring lines."""
  bent = ink.bend(hand, rng, height, place.width, place.x_height)
  inside = ink.distances(setting, place, hand, bent)
  if rng.random() < hand.neighbours:
    inside = np.maximum(inside, _neighbour(place, face, hand, rng, bent))
  black = ink.coverage(inside, setting, place, hand, rng)
  if hand.ruled:
    lines = paper.ruled_lines(hand, rng, height, place.width, place.baseline, place.x_height)
    black = 1 - (1 - black) * (1 - lines)
  return black


def _neighbour(
  place: Placement, face: Face, hand: Hand, rng: np.random.Generator, bent: ink.Bend
) -> np.ndarray:
  """[H, W] distances of writing on the line above or below, of which only the ends show."""
  height, width = bent.across.shape
  above = rng.random() < 0.5
  letters = [c for c in (_ABOVE if above else _BELOW) if c in face.characters]
  picks = rng.integers(max(len(letters), 1), size=3)
  nothing = np.full((height, width), -np.inf, np.float32)
  if not letters:
    return nothing
  setting = set_word(face, ''.join(letters[i] for i in picks))
  other = place_naturally(setting, hand, rng, height, 4 * width + 4 * height)
  if other is None:
    return nothing
  scale = place.x_height / other.x_height
  reach = (setting.falls if above else setting.rises).max() * place.scale
  seen = rng.uniform(0.08, 0.2) * height  # its visible rows on this canvas
  baseline = seen - reach if above else height - seen + reach
  start = rng.uniform(-0.2, 0.9) * width
  moved = other._replace(
    columns=other.columns * scale + start,
    centres=other.centres * scale + start,
    scale=place.scale,
    x_height=place.x_height,
    baseline=baseline,
  )
  return ink.distances(setting, moved, hand, bent)
