"""From canvases to pictures: outlines, cut words, ink without paper, lines of words."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from skimage.draw import polygon2mask

from jaxgen.systems.handwriting.real.canvas import is_blank
from jaxgen.systems.handwriting.writing import finishing, layout, lines, outlines

H = 32


def ring(height=H, width=48, centre=(12, 16), radii=(5, 10), ink=40, soft=0.0):
  """A ring with a hole; its centre as (x, y). Its edges are `soft` pixels wide."""
  y, x = np.mgrid[:height, :width]
  away = np.hypot(x - centre[0], y - centre[1])
  inside = np.minimum(away - radii[0], radii[1] - away)
  covered = np.clip(inside / soft + 0.5, 0, 1) if soft else inside > 0
  return np.round(255 - (255 - ink) * covered).astype(np.uint8)


def filled(svg, factor=4):
  """What an SVG's paths enclose by the even-odd rule, curves as chords; bool [H * factor, W * factor]."""
  root = ElementTree.fromstring(svg)
  assert root.get('fill-rule') == 'evenodd'
  _, _, width, height = map(int, root.get('viewBox').split())
  mask = np.zeros((height * factor, width * factor), bool)
  for path in root:
    for part in path.get('d').split('Z')[:-1]:
      ends = [list(map(float, x.split()))[-2:] for x in re.split('[MLQ]', part)[1:]]
      mask ^= polygon2mask(mask.shape, np.array(ends)[:, ::-1] * factor - 0.5)
  return mask


def test_outlines_enclose_the_ink_where_it_is():
  faint = np.minimum(ring(soft=1.0), ring(centre=(36, 16), ink=170, soft=1.0))  # its neighbour
  sheet = layout.sheet([('<a>', [faint])], (0, 0), 3)
  found = filled(outlines.to_svg(sheet))
  y, x = (np.mgrid[: found.shape[0], : found.shape[1]] + 0.5) / 4 - 3 - 0.5
  away = np.minimum(np.hypot(x - 12, y - 16), np.hypot(x - 36, y - 16))
  expected = (away > 5) & (away < 10)
  assert (found & expected).sum() / (found | expected).sum() > 0.9
  assert not found[(16 + 3) * 4, (12 + 3) * 4] and not found[(16 + 3) * 4, (36 + 3) * 4]
  assert b'<title>&lt;a&gt;</title>' in outlines.to_svg(sheet)
  blank = np.full((H, 20), 250, np.uint8)
  assert outlines.outlines(blank) == []
  assert len(ElementTree.fromstring(outlines.to_svg(layout.sheet([('', [blank])], (0, 0), 0)))) == 0


def test_a_faint_dot_above_a_dark_stroke_has_an_outline():
  image = np.full((H, 24), 255, np.uint8)
  image[12:26, 10:13] = 20
  image[4:7, 10:13] = 180
  found = filled(outlines.to_svg(layout.sheet([('i', [image])], (0, 0), 0)))
  assert found[5 * 4 + 2, 11 * 4 + 2] and not found[9 * 4 + 2].any()


def test_trimming_keeps_the_height_and_a_margin():
  image = ring()  # ink in columns 3 to 21
  cut = finishing.trimmed(image, 2)
  np.testing.assert_array_equal(cut, image[:, 1:24])
  # No wider than the canvas: a set is read at its size again.
  np.testing.assert_array_equal(finishing.trimmed(image, 5), image[:, :27])
  grained = np.minimum(
    image, np.random.default_rng(0).integers(235, 255, image.shape).astype(np.uint8)
  )
  assert finishing.ink_columns(grained) == (3, 22)
  assert finishing.trimmed(np.full((H, 9), 255, np.uint8), 0).shape == (H, 9)
  assert finishing.fault(image) == '' == finishing.fault(cut)
  stop = ring(width=192, centre=(6, 26), radii=(-1, 0.8))
  assert is_blank(stop) and finishing.fault(stop) == ''
  assert finishing.fault(np.full((H, 9), 240, np.uint8)) == finishing.BLANK
  assert finishing.fault(np.full((H, 9), 20, np.uint8)) == finishing.BLACK


def test_ink_without_paper_looks_the_same_on_white():
  grey, alpha = np.moveaxis(finishing.without_paper(ring()).astype(np.float64), -1, 0)
  np.testing.assert_allclose(grey * alpha / 255 + 255 - alpha, ring())


def test_words_of_a_line_stand_on_one_baseline():
  low, high = ring(centre=(12, 14), radii=(2, 8)), ring(centre=(12, 11), radii=(2, 8))
  assert lines.baseline(low) - lines.baseline(high) == 3
  line = lines.set_line([low, high, low], ['ab', 'cd', 'ef'], 0, False)
  rows = np.flatnonzero((line < 128).any(1))
  assert rows[-1] - rows[0] + 1 == 15  # as one of them alone
  inked = (line < 128).any(0)
  gaps = np.diff(np.flatnonzero(np.diff(inked.astype(int))))[::2]
  assert len(gaps) == 2 and (gaps >= H / 8).all() and (gaps <= H / 2).all()
  np.testing.assert_array_equal(
    line, lines.set_line([low, high, low], ['ab', 'cd', 'ef'], 0, False)
  )
  joined = lines.set_line([low, high, low], ['ab', 'cd', 'ef'], 0, False, joined={2})
  inked = (joined < 128).any(0)
  gaps = np.diff(np.flatnonzero(np.diff(inked.astype(int))))[::2]
  assert gaps[0] >= H / 8 and gaps[1] == 1
  comma = ring(centre=(12, 30), radii=(0, 2))
  assert abs(lines.baseline(comma) - 0.66 * H) <= H / 6 + 1


@pytest.mark.parametrize('row', [4, 30])
def test_a_mark_between_spaces_keeps_its_height_beside_the_words(row):
  word, mark = ring(centre=(12, 12), radii=(2, 8)), ring(centre=(6, row), radii=(0, 2))
  line = lines.set_line([word, mark], ['ab', '«'], 0, False)
  columns = (line < 128).any(0)
  split = np.flatnonzero(np.diff(columns.astype(int)))[1] + 1
  word_rows, mark_rows = (
    np.flatnonzero((part < 128).any(1)) for part in (line[:, :split], line[:, split:])
  )
  assert mark_rows.mean() - word_rows.mean() == row - 12
  alone = lines.set_line([mark], ['«'], 0, False)
  assert len(alone) == H


def test_right_to_left_begins_on_the_right():
  small, large = ring(centre=(12, 14), radii=(0, 4)), ring(centre=(12, 14), radii=(0, 8))
  line = lines.set_line([small, large], ['ab', 'cd'], 0, True)
  heights = (line < 128).sum(0)
  assert heights[: len(heights) // 2].max() == 15 and heights[-7:].max() == 7
  sheet = layout.sheet([('a', [small[:, :20], small]), ('b', [large, large])], (2, 5), 1, rtl=True)
  assert [(x.x, x.y) for x in sheet.placed] == [(82, 1), (1, 1), (54, 35), (1, 35)]
  assert (sheet.width, sheet.height) == (103, 68)
