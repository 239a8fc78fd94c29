"""Blur, noise and JPEG of the crops that a net for photographs learns from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from srsenet_cases import luminance, tiny

from jaxgen import config as configs
from jaxgen.data.color import luminance_u8
from jaxgen.errors import ConfigError
from jaxgen.systems.srsenet.data import bundled_photographs, make_data, make_example, read_levels
from jaxgen.systems.srsenet.degradation import (
  Degradation,
  blur,
  degrade,
  jpeg,
  saved_as_jpeg,
  with_noise,
)

pytestmark = pytest.mark.usefixtures('quick_compilation')
OFF = Degradation((0.0, 0.6), 0.0, (0.0, 4.0), 0.0, (60, 95), 0.0)


@pytest.fixture(scope='module')
def photographs():
  """Luminance with sides that are multiples of 8 and some that are none; noise has every coefficient."""
  chelsea, coffee = (luminance_u8(read_levels(x.path)) for x in bundled_photographs()[1][:2])
  noise = np.random.default_rng(0).integers(0, 256, (45, 51), np.uint8)
  return [x / 255 for x in (chelsea[60:160, 100:203], coffee[:96, 200:296], noise)]


def test_a_compressed_crop_is_pillows_bit_by_bit(photographs):
  for image in photographs:
    compress = jax.jit(lambda quality, image=image: jpeg(jnp.asarray(image), quality))
    for quality in (1, 30, 60, 75, 90, 100):
      ours = np.asarray(compress(quality)) * 255
      np.testing.assert_allclose(ours, saved_as_jpeg(image, quality) * 255, atol=1e-3)


def test_a_crop_may_begin_anywhere_in_the_grid_of_blocks(photographs):
  image = photographs[0]
  whole = saved_as_jpeg(image, 60)
  ours = jpeg(jnp.asarray(image[11:70, 13:60]), 60, jnp.array([3, 5]))
  np.testing.assert_allclose(ours[5:-6, 3:-7], whole[16:64, 16:53], atol=1e-6)  # whole blocks


def test_noise_is_white_of_its_sigma_in_levels_and_of_its_key():
  image = np.full((64, 64, 3), 0.5)
  noisy = with_noise(image, 4.0, jax.random.key(0)) * 255
  np.testing.assert_allclose(noisy, np.round(noisy), atol=1e-9)
  noise = noisy - 127.5
  assert abs(noise.mean()) < 0.2 and noise.std() == pytest.approx(4, rel=0.03)
  correlation = np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)
  assert np.abs(correlation).max() < 0.06  # colours have noise of their own
  np.testing.assert_array_equal(noisy, with_noise(image, 4.0, jax.random.key(0)) * 255)
  assert (noisy != with_noise(image, 4.0, jax.random.key(1)) * 255).any()
  assert with_noise(np.ones((8, 8)), 4.0, jax.random.key(0)).max() == 1


def test_blur_is_a_gaussian_and_none_at_zero():
  image = luminance((20, 13))
  expected = ndimage.gaussian_filter(image, 0.6, mode='nearest', radius=2)
  np.testing.assert_allclose(blur(jnp.asarray(image), 0.6, 0.6), expected, atol=1e-6)
  np.testing.assert_array_equal(blur(jnp.asarray(image), 0.0, 0.6), image)


def test_draws_are_of_the_examples_key_alone_and_as_many_as_asked_for():
  """So they are the same on every layout: `example_keys` are by global row."""
  options = OFF._replace(
    noise_probability=0.25,
    noise=(4.0, 4.0),
    blur_probability=0.5,
    blur=(0.5, 0.5),
    jpeg_probability=0.5,
  )
  image = jnp.asarray(luminance((12, 12)))
  keys = jax.random.split(jax.random.key(3), 400)
  each = jax.jit(lambda key: degrade(options, image, key))
  together = np.asarray(jax.jit(jax.vmap(each))(keys))
  np.testing.assert_allclose(together[7], each(keys[7]), atol=1e-6)
  compressed = np.isclose(together * 255, np.round(together * 255), atol=1e-3).all((1, 2))
  assert 0.4 < compressed.mean() < 0.6
  rest = together[~compressed]
  blurred = ndimage.gaussian_filter(image, 0.5, mode='nearest', radius=2)
  sharp, soft = (np.isclose(rest, x, atol=1e-5).all((1, 2)) for x in (image, blurred))
  assert 0.3 < sharp.mean() < 0.45 and 0.3 < soft.mean() < 0.45  # 3/4 without noise
  noise = rest[~(sharp | soft)]
  assert len({x.tobytes() for x in noise}) == len(noise)


def test_what_is_off_leaves_the_step_as_it_is_and_what_is_on_the_crop():
  arrays = {'pixels': np.arange(256, dtype=np.uint8)}
  arrays |= {k: np.array([v], np.int32) for k, v in (('start', 0), ('stride', 16))}
  arrays |= {k: np.array([16], np.int32) for k in ('rows', 'columns')}
  row, key = {'index': np.int32(0)}, jax.random.key(0)

  def example(degradation):
    return make_example(8, 2, True, jnp.float32, degradation)

  plain, off = (str(jax.make_jaxpr(example(x))(arrays, row, key)) for x in (None, OFF))
  assert plain == off
  noisy = jax.jit(example(OFF._replace(noise_probability=1.0)))(arrays, row, key)
  clean = jax.jit(example(OFF))(arrays, row, key)
  np.testing.assert_array_equal(noisy['high'], clean['high'])
  difference = np.abs(noisy['low'] - clean['low'])
  assert 0 < difference.max() < 20 / 255


def test_held_out_crops_are_degraded_by_the_seed_and_off_in_the_papers_rows(tmp_path):
  for i in range(2):
    levels = (luminance((60, 60), i) * 255).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / f'{i}.png')

  def heldout(**overrides):
    config = tiny('x2', data__train=str(tmp_path), data__num_validation=1, batch_size=1)
    config.update_from_flattened_dict({k.replace('__', '.'): x for k, x in overrides.items()})
    split = make_data(config).splits['validation']
    return next(split.batches(slice(0, 8)))

  plain = heldout()
  assert plain['mask'].sum() == 1
  found = heldout(degradation__jpeg_probability=1.0)
  assert found['mask'].sum() == 4
  lows = found['low'][:4]
  np.testing.assert_allclose(lows * 255, np.round(lows * 255), atol=1e-3)
  assert len({x.tobytes() for x in lows}) == 4 and np.abs(lows - plain['low'][0]).max() < 0.2
  np.testing.assert_array_equal(found['high'][3], plain['high'][0])
  np.testing.assert_array_equal(lows, heldout(degradation__jpeg_probability=1.0)['low'][:4])
  for variant in ('bundled', 'x2', 'x3', 'x4', 'x8', 'author_code_x2', 'figure2_x4'):
    assert Degradation(**configs.load(f'srsenet:{variant}').degradation).is_off
  assert not Degradation(**configs.load('srsenet:photo_x4').degradation).is_off


def test_bounds_the_wrong_way_round_are_refused():
  with pytest.raises(
    ConfigError, match=r'config.degradation.jpeg = \(90, 60\) must be \(lowest, highest\)'
  ):
    configs.check(tiny(degradation__jpeg=(90, 60)))
