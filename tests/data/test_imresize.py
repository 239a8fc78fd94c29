"""Bicubic resizing against MATLAB's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

from jaxgen.data.imresize import cubic, imresize, resize_matrix

FIXTURE = json.loads((Path(__file__).parent / 'sr_bicubic_reference.json').read_text())[
  'micro_fixture'
]


def image():
  y, x = np.mgrid[:24, :24]
  return ((7 * y + 13 * x + 5 * ((y * x) % 11)) % 64) / 63.0


@pytest.mark.parametrize('name', FIXTURE['outputs'])
def test_floating_point_equals_the_reference(name):
  found = imresize(image(), scale=float(name[1:]))
  np.testing.assert_allclose(found, FIXTURE['outputs'][name], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
  ('scale', 'total'),
  [(0.5, 69.115079365), (0.25, 17.278769841), (2, 1105.841269841), (4, 4423.365079365)],
)
def test_sums_are_those_of_the_specification(scale, total):
  assert imresize(image(), scale=scale).sum() == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize('name', FIXTURE['outputs_uint8'])
def test_uint8_is_rounded_after_each_axis_like_the_reference(name):
  found = imresize(np.floor(image() * 255 + 0.5).astype(np.uint8), scale=float(name[1:]))
  assert found.dtype == np.uint8
  np.testing.assert_array_equal(found, FIXTURE['outputs_uint8'][name])


def test_uint8_takes_the_axis_with_the_smaller_scale_first():
  levels = np.random.default_rng(0).integers(0, 256, (9, 12), np.uint8)

  def axis(x, i, n):
    shape = list(x.shape)
    shape[i] = n
    return imresize(x, size=tuple(shape))

  np.testing.assert_array_equal(imresize(levels, size=(18, 4)), axis(axis(levels, 1, 4), 0, 18))
  assert not np.array_equal(imresize(levels, size=(18, 4)), axis(axis(levels, 0, 18), 1, 4))


def test_channels_are_resized_alike_and_sizes_are_rounded_up():
  rgb = np.random.default_rng(1).random((7, 10, 3))
  found = imresize(rgb, scale=0.7)
  assert found.shape == (5, 7, 3)
  np.testing.assert_allclose(found[..., 1], imresize(rgb[..., 1], scale=0.7), atol=1e-15)


@pytest.mark.parametrize(('length', 'new', 'scale'), [(24, 12, 0.5), (24, 72, 3.0), (5, 1, 0.125)])
def test_every_row_of_the_map_adds_up_to_one(length, new, scale):
  np.testing.assert_allclose(resize_matrix(length, new, scale).sum(1), 1, rtol=1e-14)


def test_the_kernel_interpolates_and_reaches_two_pixels():
  np.testing.assert_array_equal(cubic(np.arange(-3.0, 4.0)), [0, 0, 0, 1, 0, 0, 0])
  assert cubic(np.array(0.5)) == 0.5625 and cubic(np.array(1.5)) == -0.0625


def test_bad_arguments_are_told():
  with pytest.raises(ValueError, match='either scale or size'):
    imresize(image())
  with pytest.raises(ValueError, match='cannot resize 24 x 24 to 0 x 3'):
    imresize(image(), size=(0, 3))
