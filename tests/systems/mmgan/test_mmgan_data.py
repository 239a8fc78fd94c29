"""The collections of the Mixed Membership GAN: class sets and folders."""

import itertools
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import override
from mmgan_cases import tiny
from PIL import Image

from jaxgen import config as configs
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.mmgan import data as mmgan_data
from jaxgen.systems.mmgan.config import num_components
from jaxgen.systems.mmgan.data import make_data


def first_batches(config, first=0, count=3):
  data = make_data(config)
  example = jax.jit(jax.vmap(data.example, in_axes=(None, 0, None)))
  found = itertools.islice(data.batches(first, slice(0, config.batch_size)), count)
  return [np.asarray(example(data.arrays, b, jax.random.key(0))['image']) for b in found]


def test_the_digits_reproduce_the_priors_of_case_a():
  data = make_data(tiny())
  assert data.facts['image_shape'] == [28, 28, 1]
  assert sum(data.facts['set_sizes']) <= 1437
  np.testing.assert_allclose(data.facts['true_mixture'], [[0.6, 0, 0.4], [0, 0.6, 0.4]], atol=0.02)
  assert data.facts['steps_per_epoch'] == min(data.facts['set_sizes']) // 24


def test_a_row_holds_an_image_of_each_set():
  config = tiny('B_fixed', batch_size=28)
  data = make_data(config)
  starts = np.cumsum([0, *data.facts['set_sizes']])
  for batch in itertools.islice(data.batches(0, slice(0, 28)), 20):
    for i in range(3):
      rows = batch['index'][:, i]
      assert np.all((rows >= starts[i]) & (rows < starts[i + 1]))
  images = first_batches(config, count=1)[0]
  assert images.shape == (28, 3, 28, 28, 1)
  np.testing.assert_allclose([images.min(), images.max()], [-1, 1], atol=0.1)
  assert np.abs(images).max() <= 1 + 1e-6


def test_no_image_is_in_two_sets():
  data = make_data(tiny('C_fixed', batch_size=7))
  images = [
    np.concatenate(
      [b['image'][b['mask'] > 0] for b in data.splits[f'set{i}'].batches(slice(0, 120))]
    )
    for i in (1, 2, 3)
  ]
  assert [len(x) for x in images] == data.facts['set_sizes']
  flat = [{x.tobytes() for x in part} for part in images]
  assert not flat[0] & flat[1] and not flat[0] & flat[2] and not flat[1] & flat[2]


def test_test_rows_know_the_sets_that_own_their_class():
  config = tiny('B_fixed', batch_size=7)
  labels = mmgan_data.load_labelled(config)['test'].arrays()['label']
  labels = labels[np.isin(labels, range(7))]
  batches = list(make_data(config).splits['test'].batches(slice(0, 120)))
  owners = np.concatenate([b['owners'][b['mask'] > 0] for b in batches])
  sets = ((0, 3, 5, 6), (1, 4, 5, 6), (2, 3, 4, 6))
  np.testing.assert_array_equal(owners, [[label in s for s in sets] for label in labels])


def test_resident_and_streamed_batches_are_the_same_from_any_step():
  resident = first_batches(tiny(data__placement='resident'), 27, 5)  # crosses the end of an epoch
  for threads in (0, 3):
    streamed = tiny(data__placement='stream', data__num_threads=threads)
    np.testing.assert_array_equal(first_batches(streamed, 27, 5), resident)


# --- Folders ---


def folders(root, counts=(9, 8), size=(28, 28), mode='L'):
  for i, n in enumerate(counts):
    (root / f's{i}').mkdir(parents=True)
    for j in range(n):
      Image.new(mode, size, 40 * i + j if mode == 'L' else (40 * i + j, 0, 9)).save(
        root / f's{i}' / f'{j}.png'
      )
  return ','.join(f'{root}/s{i}/' for i in range(len(counts)))


def own(sets, **overrides):
  config = configs.load('mmgan:folders')
  return override(config, {'data__sets': sets, 'batch_size': 6, 'eval__batch_size': 6, **overrides})


@pytest.mark.parametrize('placement', ['resident', 'stream'])
def test_folders_of_colour_images(tmp_path, placement):
  sets = folders(tmp_path, mode='RGB', size=(32, 32))
  config = own(sets, data__image_size=32, data__channels=3, data__placement=placement)
  configs.check(config)
  (images,) = first_batches(config, count=1)
  assert images.shape == (6, 2, 32, 32, 3)
  levels = np.round((images[:, :, 0, 0, 0] + 1) * 127.5)
  assert levels[:, 0].max() < 9 and levels[:, 1].min() >= 40
  facts = make_data(config).facts
  assert facts['set_sizes'] == [9, 8] and facts['true_mixture'] is None
  (batch, *_) = make_data(config).splits['train'].batches(slice(0, 6))
  assert batch['owners'].tolist() == [[True, False]] * 6


def test_folders_are_expanded_and_have_training_images_only(tmp_path, monkeypatch):
  folders(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setenv('COLLECTIONS', str(tmp_path))
  config = own('~/s0/, $COLLECTIONS/s1/')
  configs.check(config)
  data = make_data(config)
  assert data.facts['set_names'] == ['s0', 's1']
  assert {name: split.size for name, split in data.splits.items()} == {
    'train': 17,
    'set1': 9,
    'set2': 8,
  }
  batches = list(data.splits['train'].batches(slice(0, 6)))
  owners = np.concatenate([b['owners'][b['mask'] > 0] for b in batches])
  np.testing.assert_array_equal(owners, [[True, False]] * 9 + [[False, True]] * 8)
  levels = np.concatenate([b['image'][b['mask'] > 0, 0, 0, 0] for b in batches])
  np.testing.assert_allclose((levels + 1) * 127.5, [*range(9), *range(40, 48)], atol=1e-4)
  monkeypatch.delenv('COLLECTIONS')
  with pytest.raises(ConfigError, match=r'\$COLLECTIONS/s1/: COLLECTIONS is not set'):
    configs.check(config)
  assert num_components(config) == 3  # of a trained model, wherever its folders are


def test_a_link_to_another_folder_is_that_folder_again(tmp_path):
  folders(tmp_path)
  (tmp_path / 'link').symlink_to(tmp_path / 's0')
  with pytest.raises(ConfigError, match='names a folder twice'):
    configs.check(own(f'{tmp_path}/s0,{tmp_path}/link'))


def test_folders_are_named_by_what_tells_them_apart(tmp_path):
  paths = [tmp_path / name for name in ('x/photos', 'y/photos', 'y/z/photos', 'y/cats', 'photos')]
  assert mmgan_data.set_names(paths) == [
    'x/photos',
    'y/photos',
    'z/photos',
    'cats',
    f'{tmp_path.name}/photos',
  ]
  nested = [Path('/a'), Path('/b/a')]
  assert mmgan_data.set_names(nested) == ['/a', 'b/a']


def test_three_folders_work_with_the_defaults(tmp_path):
  for variant in ('folders', 'A_fixed'):
    for names in ('a/,b/', 'a/,b/,c/', 'a/,b/,c/,d/'):
      configs.check(override(configs.load(f'mmgan:{variant}'), {'data__sets': names}))
  sets = folders(tmp_path, counts=(9, 8, 7))
  assert make_data(own(sets, batch_size=7)).facts['set_names'] == ['s0', 's1', 's2']


def test_a_set_without_training_images_is_refused():
  with pytest.raises(ConfigError, match=r'photo_patches.* has no training images'):
    make_data(tiny(data__name='photo_patches'))


def test_a_set_smaller_than_a_batch_is_refused(tmp_path):
  sets = folders(tmp_path, counts=(9, 5))
  with pytest.raises(ConfigError, match=r'config.batch_size = 6 is more than the 5 images of s1'):
    make_data(own(sets))


def test_mixed_sizes_without_a_rule_are_refused(tmp_path):
  sets = folders(tmp_path)
  Image.new('L', (30, 28)).save(tmp_path / 's1' / 'wide.png')
  with pytest.raises(DataError, match='choose how to bring images to one size'):
    make_data(own(sets))
  assert make_data(own(sets, data__resize='crop')).facts['set_sizes'] == [9, 9]


def test_a_missing_folder_is_refused(tmp_path):
  with pytest.raises(DataError, match='no such folder'):
    make_data(own(f'{folders(tmp_path)},{tmp_path}/none', batch_size=7))
