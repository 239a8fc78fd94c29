"""Images as an extractor sees them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.evaluation.distances import frechet_distance, kernel_distance
from jaxgen.evaluation.generative import Extraction, Extractor, distances
from jaxgen.evaluation.random_features import random_extractor
from jaxgen.task import Tools

pytestmark = pytest.mark.usefixtures('quick_compilation')

TOOLS = Tools(
  compile=jax.jit,
  rows=lambda size: slice(0, size),
  progress=lambda items, description, total=None: iter(items),
  trained=lambda config: None,
  rng=jax.random.key(0),
)


def brightness(variables, images):
  """One feature and a label of two."""
  mean = variables * images.mean((1, 2))
  return mean, (mean[:, 0] > 0).astype(jnp.int32)


def batches(images, size):
  for start in range(0, len(images), size):
    part = images[start : start + size]
    padded = np.pad(part, ((0, size - len(part)), (0, 0), (0, 0), (0, 0)))
    yield {'image': padded, 'mask': (np.arange(size) < len(part)).astype(np.float32)}


def test_features_and_labels_are_those_of_the_rows_that_count():
  images = np.linspace(-1, 1, 7, dtype=np.float32)[:, None, None, None] * np.ones((1, 2, 2, 1))
  extraction = Extraction(Extractor(brightness, jnp.float32(3)), TOOLS)
  found = extraction(batches(images, 3))
  np.testing.assert_allclose(found.features[:, 0], np.linspace(-3, 3, 7), atol=1e-6)
  np.testing.assert_array_equal(found.labels, [0, 0, 0, 0, 1, 1, 1])


def test_an_extractor_without_labels_sees_what_a_generator_makes():
  extractor = Extractor(lambda variables, images: (images.mean((1, 2)), None), {})

  def generate(batch, gain):
    return gain * batch['z'][:, None, None, None] * jnp.ones((1, 2, 2, 1))

  extraction = Extraction(extractor, TOOLS, generate)
  batch = {'z': np.arange(4.0, dtype=np.float32), 'mask': np.array([1, 1, 1, 0.0], np.float32)}
  found = extraction([batch], jnp.float32(2))
  np.testing.assert_allclose(found.features, [[0], [2], [4]])
  assert found.labels is None


def test_distances_need_more_examples_than_features():
  rng = np.random.default_rng(0)
  x, y = rng.normal(size=(9, 4)), rng.normal(size=(8, 4))
  assert distances(x, y) == {'fid': frechet_distance(x, y), 'kid': kernel_distance(x, y)}
  assert distances(x, y[:4]) == distances(x[:4], y) == {'fid': None, 'kid': None}


@pytest.fixture(scope='module')
def noise():
  rng = np.random.default_rng(0)
  return rng.uniform(-1, 1, (200, 16, 16, 1)).astype(np.float32)


def test_random_features_are_the_same_everywhere_and_tell_images_apart(noise):
  first, again, other = (random_extractor(1, seed) for seed in (0, 0, 1))
  jax.tree.map(np.testing.assert_array_equal, first.variables, again.variables)
  assert any(
    np.any(a != b)
    for a, b in zip(*(jax.tree.leaves(x.variables) for x in (first, other)), strict=True)
  )
  smooth = (noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)) / 3
  extraction = Extraction(first, TOOLS)
  a, b, c = (extraction(batches(x, 100)).features for x in (noise[:100], noise[100:], smooth[100:]))
  assert a.shape == (100, 64) and a.dtype == np.float32
  near, far = distances(a, b), distances(a, c)
  assert far['fid'] > 5 * near['fid'] and far['kid'] > 5 * abs(near['kid'])


@pytest.mark.parametrize('shape', [(28, 28, 1), (64, 64, 3)])
def test_random_features_take_every_size(shape):
  extractor = random_extractor(shape[-1])
  features, labels = jax.eval_shape(extractor.apply, extractor.variables, jnp.zeros((2, *shape)))
  assert features.shape == (2, 64) and labels is None
