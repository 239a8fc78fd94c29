"""Grids, titles, heat maps and sheets: what is where."""

import numpy as np
import pytest

from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.heat_map import Panel, heat_map
from jaxgen.pictures.sheets import CELL, enlarged, overview, stacked, titled_row


def test_a_grid_fills_its_last_row_with_white():
  grid = image_grid(np.zeros((3, 2, 2)), columns=2, scale=3)
  assert grid.shape == (21, 21) and grid.dtype == np.uint8
  assert (grid[12:18, 3:9] == 0).all() and (grid[12:18, 12:18] == 255).all()


@pytest.mark.parametrize('shape', [(40, 200), (40, 200, 3)])
def test_a_title_is_above_its_picture_and_made_to_fit(shape):
  picture = titled(np.zeros(shape, np.uint8), 'component 1:  set1 0.60')
  assert picture.shape == (62, *shape[1:]) and (picture[22:] == 0).all()
  assert picture[:10].min() < 128
  long = titled(np.zeros(shape, np.uint8), 'some twenty collections ' * 2)
  assert (long[:22, -4:] == 255).all()


def test_a_heat_map_is_darker_where_there_is_more():
  values = np.array([[1.0, 0.0], [0.0, 0.0]])
  one = heat_map([Panel('mixture', values, ['a', 'b'], ['1', '2'])])
  assert one.dtype == np.uint8 and one.shape == (210, 360, 3)
  dark = np.argwhere(one[..., 0] < 60)
  assert dark[:, 0].mean() < 105 and dark[:, 1].mean() < 216  # the upper left cell
  panel = Panel('truth', values, ['a name of more than twenty characters', 'b'], ['r1', 'r2'])
  two = heat_map([panel, panel])
  assert two.shape == (420, 360, 3)


def test_squares_lie_side_by_side_under_titles_and_rows_below_each_other():
  black, grey = (np.full((CELL, CELL, 3), x, np.uint8) for x in (0, 100))
  row = titled_row([('one', black), ('two', grey)])
  assert row.shape == (264, 2 * 244 + 4, 3)
  assert (row[22:262, 4:244] == 0).all() and (row[22:262, 248:488] == 100).all()
  assert row[:20].min() < 128
  sheet = stacked([row, titled_row([('three', grey)])])
  assert sheet.shape == (528, 492, 3)
  np.testing.assert_array_equal(sheet[:264], row)
  assert (sheet[264:, 248:] == 255).all() and (sheet[286:526, 4:244] == 100).all()


def test_a_small_image_is_enlarged_without_smoothing():
  found = enlarged(np.array([[0.0, 2.0], [0.5, 1.0]]))
  assert found.shape == (CELL, CELL, 3)
  assert set(np.unique(found)) == {0, 128, 255}


def test_an_overview_has_the_whole_image_and_a_box():
  cell = overview(np.zeros((60, 120, 3)), (10, 20, 30))
  assert cell.shape == (CELL, CELL, 3)
  red = np.argwhere((cell == [255, 0, 0]).all(-1))
  assert (red.min(0) == [20, 40]).all() and (red.max(0) == [79, 99]).all()
  assert (cell[:120].max(-1) == 0).any() and (cell[120:] == 255).all()
