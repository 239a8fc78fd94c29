"""Pictures: grids of images, and files of them."""

import numpy as np
from PIL import Image

from jaxgen.pictures import grids, png


def test_an_image_is_written_as_it_is(tmp_path):
  pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
  path = png.write_image(tmp_path / 'deep' / 'a.png', pixels)
  np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)


def test_a_grid_places_images_row_by_row_with_white_around():
  images = np.stack([np.full((2, 3), v) for v in (0.0, 0.2, 0.4)])
  grid = grids.image_grid(images, columns=2, pad=1, scale=2)
  assert (grid.dtype, grid.shape) == (np.uint8, (14, 18))
  small = grid[::2, ::2]
  assert small[1, 1] == 0
  assert small[1, 5] == 51
  assert small[4, 1] == 102
  assert (small[0] == 255).all()
  assert (small[:, 0] == 255).all()
  assert (small[4:6, 5:8] == 255).all()
