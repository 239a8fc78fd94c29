"""Luminance and chroma."""

import numpy as np
import pytest

from jaxgen.data.color import luminance_u8, rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb


@pytest.mark.parametrize(
  ('rgb', 'level'),
  [
    ((0, 0, 0), 16),
    ((1, 1, 1), 235),
    ((1, 0, 0), 81.481),
    ((0, 1, 0), 144.553),
    ((0, 0, 1), 40.966),
  ],
)
def test_luminance_of_primaries(rgb, level):
  assert rgb_to_y(np.array(rgb, np.float64)) * 255 == pytest.approx(level)


def test_grey_has_no_chroma_and_colours_return():
  rng = np.random.default_rng(0)
  grey = np.repeat(rng.random((5, 1)), 3, -1)
  np.testing.assert_allclose(rgb_to_ycbcr(grey)[:, 1:] * 255, 128, atol=1e-10)
  rgb = rng.random((4, 5, 3))
  np.testing.assert_allclose(ycbcr_to_rgb(rgb_to_ycbcr(rgb)), rgb, atol=1e-12)
  assert ycbcr_to_rgb(rgb_to_ycbcr(rgb.astype(np.float32))).dtype == np.float32


def test_levels_are_rounded_half_up_and_grey_files_stay_as_they_are():
  levels = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
  np.testing.assert_array_equal(luminance_u8(levels), [[81, 145]])
  grey = np.array([[0, 255]], np.uint8)
  np.testing.assert_array_equal(luminance_u8(grey), grey)
