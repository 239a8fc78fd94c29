"""The ink of the pen: coverage computed from a word's distance field, its placement and its bending."""

from typing import NamedTuple

import numpy as np

from jaxgen.systems.handwriting.drawn.fields import smooth, smooth_line
from jaxgen.systems.handwriting.drawn.hands import Hand
from jaxgen.systems.handwriting.drawn.placement import Placement
from jaxgen.systems.handwriting.drawn.settings import MARGIN, Setting

_STEP = 8  # entries per pixel in the table from columns of the paper to those of the setting
_THICKEST = 0.27  # stroke width in x-heights, unless the face's own is thicker: more fills letters
_THINNEST = 1.2  # stroke width in pixels: less is lost between them


class Bend(NamedTuple):
  """The displacement of one piece of writing: [H, W] pixels along the width and the height."""

  across: np.ndarray
  down: np.ndarray


def bend(hand: Hand, rng: np.random.Generator, height: int, width: int, x_height: float) -> Bend:
  """Samples how letters are bent: at about a letter's scale, and finer."""
  if not hand.elastic:
    still = np.zeros((height, width), np.float32)
    return Bend(still, still)
  strength = hand.elastic * x_height
  across = 1.6 * smooth(rng, height, width, 1.6 * x_height)
  return Bend(
    strength * (across + 0.6 * smooth(rng, height, width, 0.7 * x_height)),
    strength * smooth(rng, height, width, 0.9 * x_height),
  )


def distances(setting: Setting, place: Placement, hand: Hand, bent: Bend) -> np.ndarray:
  """The signed distance of each pixel to the edge of the ink.

  Args:
    setting: the word.
    place: its placement on the paper.
    hand: its writer.
    bent: [H, W] displacement fields of its paper.

  Returns:
    [H, W] float32 pixels, positive in the ink.
  """
  height, width = bent.across.shape
  rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(place.baseline - 0.5)
  columns = np.arange(width, dtype=np.float32) + np.float32(0.5)
  lean = np.interp(columns, place.centres, place.leans).astype(np.float32) + np.float32(hand.slant)
  # The shear keeps the middle of lower-case letters in place.
  upright = columns + lean * (rows + np.float32(0.5 * place.x_height)) + bent.across
  reach = height
  at = np.arange(-reach, width + reach, 1 / _STEP)
  index = ((upright + reach) * _STEP + np.float32(0.5)).astype(np.int32).clip(0, len(at) - 1)
  sources = np.interp(at, place.columns, place.sources).astype(np.float32)
  shifts = np.interp(at, place.centres, place.shifts).astype(np.float32)
  scales = place.scale * np.interp(at, place.centres, place.gains)
  inverse = (1 / scales).astype(np.float32)
  down = (rows + bent.down - shifts[index]) * inverse[index] + np.float32(setting.baseline)
  found = _bilinear(setting.distances, down - np.float32(0.5), sources[index] - np.float32(0.5))
  return found * np.float32(place.scale)


def _bilinear(field: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
  """Bilinear interpolation of a field, clamped to its edges."""
  h, w = field.shape
  rows = rows.clip(0, h - 1.001)
  columns = columns.clip(0, w - 1.001)
  top, left = rows.astype(np.int32), columns.astype(np.int32)
  down, across = rows - top, columns - left
  index = top * w + left
  flat = field.ravel()
  upper = flat[index]
  upper += across * (flat[index + 1] - upper)
  index += w
  lower = flat[index]
  lower += across * (flat[index + 1] - lower)
  return upper + down * (lower - upper)


def coverage(
  inside: np.ndarray, setting: Setting, place: Placement, hand: Hand, rng: np.random.Generator
) -> np.ndarray:
  """Renders the strokes: how much of each pixel is covered by ink, and how black it is.

  Args:
    inside: [H, W] pixels from the edge of the ink, positive in it.
    setting: for the face's own stroke width.
    place: for its scale.
    hand: for its pen.
    rng: of this drawing.

  Returns:
    [H, W] float32 from 0 to 1, coverage times blackness.
  """
  height, width = inside.shape
  own = setting.stroke * place.scale
  wide = min(own * hand.pen, max(own, _THICKEST * place.x_height))
  stroke = max(wide, _THINNEST * min(1.0, height / 32))
  pressure = hand.pressure * smooth_line(rng, width, 1.3 * place.x_height)
  offset = 0.5 * (stroke - own) + 0.08 * stroke * pressure
  if hand.contrast:
    offset = offset + 0.3 * hand.contrast * stroke * (_across(inside) - 0.35)
  if hand.rough:
    grain = rng.standard_normal(inside.shape, np.float32)
    offset = offset + hand.rough * place.x_height * grain
  # However light the hand, strokes remain, and so does the dot of an i.
  offset = np.maximum(offset, -0.2 * own)
  soft = np.float32(hand.blur * (height / 32) ** 0.5)
  covered = ((inside + offset) / soft + np.float32(0.5)).clip(0, 1)
  black = hand.ink * (1 + 0.12 * pressure)
  if hand.fade:
    flow = smooth(rng, height, width, 0.6 * place.x_height)
    black = black * (1 - hand.fade * np.maximum(flow, 0) * 0.5)
    # A dry nib or ball skips over the fibres of the paper.
    black = black * (1 - 0.25 * hand.fade * rng.random(inside.shape, np.float32))
  return (covered * np.minimum(black, 1)).astype(np.float32)


def _across(inside: np.ndarray) -> np.ndarray:
  """[H, W] 1 at the edges of vertical strokes, -1 at those of horizontal ones, 0 in the middle."""
  x = np.zeros_like(inside)
  y = np.zeros_like(inside)
  x[:, 1:-1] = inside[:, 2:] - inside[:, :-2]
  y[1:-1] = inside[2:] - inside[:-2]
  xx, yy = x * x, y * y
  # Clipped distances far outside have no direction.
  return (xx - yy) / (xx + yy + np.float32(0.3)) * (inside > -MARGIN)
