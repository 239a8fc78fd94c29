"""Images for the Compound VAE, and that the end of training reads them in batches."""

import jax
import numpy as np
import pytest
from comvae_cases import Images, data_of, images, task_of, tiny, tools
from helpers import AliveRows

from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError, DataError
from jaxgen.metrics import Mean
from jaxgen.systems.comvae.data import make_data

TERMS = ('negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl')


def test_rows_held_at_once_do_not_grow_with_the_training_set():
  metrics = {name: Mean(np.float32(1), np.float32(1)) for name in TERMS}
  lent = tools(full=False)._replace(compile=lambda fn: lambda *args: metrics)
  for n in (24, 240):
    alive = AliveRows()
    data = data_of(test=images(5))
    data = data._replace(splits={**data.splits, 'train': make_split(Images(images(n)), 8, alive)})
    found = task_of('vanilla').evaluate({}, data, lent)
    assert found['train_clean'] == dict.fromkeys(TERMS, 1.0)
    assert alive.total == n and alive.most <= 2 * 8


def test_a_set_without_training_images_is_refused():
  with pytest.raises(ConfigError, match=r"'photo_patches' has no training images"):
    make_data(tiny(data__name='photo_patches'))


def test_resident_and_streamed_rows_and_every_split():
  config = tiny('vanilla', data__num_validation=37, eval__batch_size=100)
  streamed = tiny('vanilla', data__num_validation=37, data__placement='stream')
  data, other = make_data(config), make_data(streamed)
  assert set(data.arrays) == {'image'} and other.arrays == {}
  example = jax.jit(jax.vmap(data.example, (None, 0, None)))
  for a, b in zip(range(3), other.batches(190, slice(0, 8)), strict=False):
    batch = next(data.batches(190 + a, slice(0, 8)))
    assert set(batch) == {'index'} and set(b) == {'image'}
    key = jax.random.key(0)
    np.testing.assert_array_equal(
      example(data.arrays, batch, key)['image'], example({}, b, key)['image']
    )
  sizes = {name: split.size for name, split in data.splits.items()}
  assert sizes == {'train': 1400, 'test': 360, 'validation': 37, 'ood': 360}
  for name, size in sizes.items():
    batches = list(data.splits[name].batches(slice(0, 100)))
    assert sum(b['mask'].sum() for b in batches) == size
    assert batches[0]['image'].shape == (100, 64) and batches[0]['image'].dtype == np.float32
    assert 0 <= batches[0]['image'].min() < 0.1 and 0.9 < batches[0]['image'].max() <= 1


def test_out_of_distribution_images_are_read_when_they_are_asked_for(tmp_path):
  data = make_data(tiny('vanilla', eval__ood='mnist', eval__ood_dir=str(tmp_path / 'none')))
  assert 'ood' in data.splits and set(data.splits) == {'train', 'test', 'ood'}
  with pytest.raises(DataError, match='none'):
    data.splits['ood']
