"""Style of strokes whose slant, width and ink are known."""

import numpy as np
import pytest

from jaxgen.systems.handwriting.measures.style import (
  relative_spread,
  spread,
  style_of,
  styles,
)


def strokes(slant, width, ink=0.7, height=48, finer=4):
  """Three straight strokes on white paper, [H, W] uint8, with the grey edges that a scan has."""
  y, x = (np.mgrid[: height * finer, : 160 * finer] + 0.5) / finer
  covered = np.zeros(x.shape, bool)
  for foot in (40, 75, 110):
    middle = foot + (height - 6 - y) * np.tan(np.radians(slant))
    covered |= np.abs(x - middle) * np.cos(np.radians(slant)) < width / 2
  covered &= (y > 6) & (y < height - 6)
  share = covered.reshape(height, finer, 160, finer).mean((1, 3))
  return np.rint(255 * (1 - share * ink)).astype(np.uint8)


@pytest.mark.parametrize('slant', [-20, 0, 12, 35])
@pytest.mark.parametrize('width', [2, 3, 5])
def test_strokes_measure_as_they_were_drawn(slant, width):
  found = style_of(strokes(slant, width))
  assert found.slant == pytest.approx(slant, abs=0.5)
  assert found.stroke_width == pytest.approx(width, abs=0.35)
  assert found.ink == pytest.approx(0.7, abs=0.08)


def test_slant_and_width_hold_on_a_small_canvas_and_ink_follows_its_darkness():
  small = style_of(strokes(15, 2, height=32))
  assert small.slant == pytest.approx(15, abs=1) and small.stroke_width == pytest.approx(
    2, abs=0.35
  )
  faint, dark = (style_of(strokes(0, 3, ink)).ink for ink in (0.3, 0.9))
  assert faint == pytest.approx(0.3, abs=0.02) and dark == pytest.approx(0.9, abs=0.02)


def test_blank_images_have_no_style_and_no_share_in_the_spread():
  blank = np.full((32, 100), 255, np.uint8)
  grain = blank.copy()
  grain[3, 5] = 250
  speck = blank.copy()
  speck[3, 5] = 0
  assert spread(styles([speck, speck]))['slant'] in (None, 0.0)
  measured = styles([blank, grain, np.zeros((0, 0), np.uint8), strokes(0, 2), strokes(20, 4)])
  assert np.isnan(measured[:3]).all()
  assert spread(measured) == spread(measured[3:])
  assert spread(measured)['slant'] == pytest.approx(20 / np.sqrt(2), rel=0.03)
  assert spread(measured[:4]) == {'slant': None, 'stroke_width': None, 'ink': None}


def test_one_hand_has_no_spread_beside_many():
  hands = styles([strokes(slant, width) for slant, width in ((0, 2), (10, 3), (25, 4))])
  one = np.repeat(hands[:1], 3, 0)
  assert relative_spread(hands, hands) == pytest.approx(
    {'slant': 1.0, 'stroke_width': 1.0, 'ink': 1.0}
  )
  assert relative_spread(one, hands)['slant'] == 0.0
  assert relative_spread(hands, one)['slant'] is None


def test_letters_that_lean_by_themselves_are_no_spread_of_hands():
  leaning, upright = (styles([strokes(slant, 2)] * 3) for slant in (20, 0))
  one = np.concatenate([leaning, upright])
  words = ['kk', 'kk', 'kk', 'll', 'll', 'll']
  assert spread(one)['slant'] > 8 and spread(one, words)['slant'] == pytest.approx(0, abs=1e-9)
  many = styles([strokes(slant, 2) for slant in (0, 20, 0, 20)])
  found = spread(many, ['a', 'a', 'b', 'b'])['slant']
  assert found == pytest.approx(20 / np.sqrt(2), rel=0.03)
  assert relative_spread(many, one, ['a', 'b', 'c', 'd'])['slant'] is None  # no word twice
