import numpy as np
import pytest
from PIL import Image
from real_files import put, strokes

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real.canvas import (
  Ink,
  flattened,
  is_blank,
  is_inverted,
  line_widths,
  padded,
  read_levels,
  resized,
  to_ink,
  without_margins,
)


def test_resizing_is_isometric_and_against_aliasing():
  assert resized(np.zeros((30, 71), np.uint8), 64).shape == (64, round(71 * 64 / 30))
  assert resized(np.zeros((500, 1), np.uint8), 64).shape == (64, 1)
  same = strokes()
  assert resized(same, 16) is same
  # Stripes of one pixel become grey, and not stripes of another width.
  stripes = np.tile(np.array([0, 255], np.uint8), (128, 128))
  inner = resized(stripes, 16)[2:-2, 2:-2].astype(int)
  assert np.abs(inner - 127).max() <= 2


def test_padding_is_white_and_on_the_far_side():
  image = strokes()
  left, right = padded(image, 64), padded(image, 64, rtl=True)
  np.testing.assert_array_equal(left[:, :40], image)
  np.testing.assert_array_equal(right[:, 24:], image)
  assert (left[:, 40:] == 255).all() and (right[:, :24] == 255).all()
  assert padded(image, 40).shape == (16, 40)
  with pytest.raises(ValueError, match='40 pixels do not fit on a canvas of 39'):
    padded(image, 39)


def test_lines_have_few_widths():
  assert line_widths(64)[0] == 128 and line_widths(64)[-1] == 4096
  assert line_widths(32) == tuple(width // 2 for width in line_widths(64))
  ratios = np.divide(line_widths()[1:], line_widths()[:-1])
  assert ratios.max() <= 1.5


@pytest.mark.parametrize('paper', [255, 110, 60])
def test_light_ink_is_turned_and_dark_photos_are_not(paper):
  dark_ink = (strokes(height=64, width=200) * (paper / 255)).astype(np.uint8)
  assert not is_inverted(dark_ink)
  light_ink = 255 - strokes(height=64, width=200)
  assert is_inverted(light_ink)
  image, turned = to_ink(light_ink, Ink(64))
  assert turned and image.mean() > 128
  kept, turned = to_ink(light_ink, Ink(64, invert=False))
  assert not turned and kept.mean() < 128
  assert to_ink(dark_ink, Ink(64, invert=True))[1]


def test_uneven_light_becomes_white_paper():
  image = strokes(height=64, width=256)
  light = np.linspace(1.0, 0.35, 256)
  flat = flattened((image * light).astype(np.uint8))
  assert flat[image == 255].min() > 245
  assert flat[image < 60].max() < 90
  down = flattened((image * np.linspace(1.0, 0.6, 64)[:, None]).astype(np.uint8))
  assert down[image == 255].min() > 235 and np.median(down[image == 255]) > 250
  white = np.full((64, 100), 255, np.uint8)
  np.testing.assert_array_equal(flattened(white), white)
  for shape in ((1, 1), (8, 300), (64, 3), (65, 77)):
    assert flattened(np.full(shape, 90, np.uint8)).shape == shape
    assert (flattened(np.full(shape, 90, np.uint8)) == 255).all()
  assert flattened(np.zeros((64, 64), np.uint8)).max() == 0


def margins(image, above, below, paper=255):
  return np.pad(image, ((above, below), (0, 0)), constant_values=paper)


def test_empty_rows_around_a_word_are_left_out():
  word = np.full((40, 300), 255, np.uint8)
  word[10:30, 20:280:12] = 40
  word[15:18, 20:280] = 40
  for size in 1, 5:  # the search is on fewer rows than a large picture has
    large = word.repeat(size, 0).repeat(size, 1)
    for above, below in (100, 100), (0, 200), (900, 30):
      cropped = without_margins(margins(large, above, below))
      assert abs(len(cropped) - 20 * size / 0.55) <= 4 * size
      assert ((cropped < 100).sum() - (large < 100).sum()) == 0
      assert cropped.shape[1] == large.shape[1]
  grey = margins((word * 0.7).astype(np.uint8), 100, 100, paper=178)
  assert abs(len(without_margins(grey)) - 20 / 0.55) <= 4
  np.testing.assert_array_equal(to_ink(margins(word, 99, 99), Ink(64))[0].shape, (64, 81))
  assert to_ink(255 - margins(word, 99, 99), Ink(64, crop=True))[0].shape[1] > 400
  # A word that fills the picture, one wide line, single marks, and nothing.
  mark, dash = np.full((90, 90), 255, np.uint8), np.full((90, 90), 255, np.uint8)
  mark[60:70, 40:44], dash[44:50, 20:70] = 0, 0
  for kept in (word[6:34], mark, dash, np.full((60, 90), 200, np.uint8)):
    assert without_margins(kept).shape == kept.shape
  # A line becomes no wider than the widest canvas.
  for more in range(4):
    long = margins(np.pad(np.tile(word, (1, 12)), ((0, 0), (0, 16 * more)), mode='edge'), 100, 100)
    cropped = without_margins(long)
    assert 4000 < resized(cropped, 64).shape[1] <= 4096


def test_what_is_blank():
  rng = np.random.default_rng(0)
  noisy = np.clip(200 + 4 * rng.standard_normal((64, 256)), 0, 255).astype(np.uint8)
  shaded = np.tile(np.linspace(250, 100, 256).astype(np.uint8), (64, 1))
  for nothing in (np.full((64, 256), 255, np.uint8), noisy, shaded):
    assert is_blank(nothing)
  assert not is_blank(strokes(height=64, width=256))
  wide = np.full((64, 4000), 255, np.uint8)
  assert is_blank(wide)
  wide[20:50, 3000:3003] = 0  # one thin stroke
  assert not is_blank(wide)
  noisy[20:50, 30:33] -= 90  # one thin letter
  assert not is_blank(noisy)


def test_files_of_other_kinds(tmp_path):
  levels = strokes(height=16, width=30)
  transparent = np.zeros((16, 30, 4), np.uint8)
  transparent[..., 3] = 255 - levels  # black ink, and no paper at all
  put(tmp_path / 'alpha.png', transparent)
  Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / 'deep.png')
  on_white = to_ink(read_levels(tmp_path / 'alpha.png'), Ink(16))[0]
  np.testing.assert_allclose(on_white, levels, atol=1)
  np.testing.assert_array_equal(to_ink(read_levels(tmp_path / 'deep.png'), Ink(16))[0], levels)
  with pytest.raises(DataError, match=r'none\.png: no such file'):
    read_levels(tmp_path / 'none.png')
  page = Image.fromarray(levels)
  for name in ('pages.tif', 'frames.gif'):
    page.save(tmp_path / name, save_all=True, append_images=[page.rotate(180)])
    with pytest.raises(DataError, match=rf'{name}: has 2 frames or pages'):
      read_levels(tmp_path / name)


def painted(ink, paper, levels=None):
  """uint8 [64, 200, C] of two colours."""
  levels = strokes(height=64, width=200) if levels is None else levels
  share = levels[..., None] / 255
  return np.round(np.array(ink) * (1 - share) + np.array(paper) * share).astype(np.uint8)


@pytest.mark.parametrize(
  ('ink', 'paper'),
  [
    ((255, 255, 255, 255), (255, 255, 255, 0)),  # of a page in dark mode
    ((255, 230, 0), (255, 255, 255)),
    ((230, 120, 20), (60, 140, 220)),
    ((0, 110, 0), (200, 40, 40)),
  ],
)
def test_ink_as_light_as_its_paper_is_seen(ink, paper):
  levels = strokes(height=64, width=200)
  found, _ = to_ink(read_levels(painted(ink, paper, levels)), Ink(64))
  assert not is_blank(found)
  assert np.corrcoef(found.ravel(), levels.ravel())[0, 1] > 0.99


def test_coloured_and_clear_pictures_of_nothing_stay_blank():
  rng = np.random.default_rng(0)
  grain = rng.normal(0, 5, (64, 200, 3))
  corners = np.full((64, 200, 4), 255, np.uint8)
  corners[:4, :4] = 0
  for paper in ((250, 230, 60), (40, 90, 160), (190, 90, 20)):
    noisy = np.clip(np.array(paper) + grain, 0, 255).astype(np.uint8)
    assert is_blank(to_ink(read_levels(noisy), Ink(64))[0]), paper
  for nothing in (corners, np.zeros((64, 200, 4), np.uint8)):
    assert is_blank(to_ink(read_levels(nothing), Ink(64))[0])
