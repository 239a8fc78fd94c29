import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from sklearn.datasets import load_digits

from jaxgen.data import sources
from jaxgen.data.order import order
from jaxgen.data.source import ArraySource
from jaxgen.data.sources import check_name, known_names, load_images, split_validation
from jaxgen.errors import ConfigError, DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 9, 7, 3), dtype=np.uint8)


def test_names_are_checked_without_heavy_imports():
  code = (
    'import sys; from jaxgen.data.sources import check_name, known_names; check_name("mnist"); '
    'known_names(); print([m for m in ("jax", "tensorflow_datasets", "grain") if m in sys.modules])'
  )
  root = Path(__file__).parents[2]
  out = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=root
  )
  assert out.stdout.strip() == '[]'


def test_names():
  assert known_names() == (
    'digits',
    'photo_patches',
    'mnist',
    'fashion_mnist',
    'emnist_mnist',
    'kmnist',
    'tfds:<name>',
  )
  for name in (*known_names()[:-1], 'tfds:mnist', 'tfds:emnist/letters:3.1.0'):
    check_name(name)
  with pytest.raises(ConfigError, match=r"unknown data set 'minst'\. Did you mean mnist"):
    check_name('minst')
  for name in ('tfds:', 'tfds:../x', '?', ''):
    with pytest.raises(ConfigError, match='Known: digits, '):
      check_name(name)
  with pytest.raises(ConfigError, match='unknown data set'):
    load_images('imagenet')


def test_digits():
  splits = load_images('digits')
  images, labels = load_digits(return_X_y=True)
  rows = order(0, 'digits_split', 0, 1797)
  parts = {'train': rows[:1437], 'test': rows[1437:]}
  for split, source in splits.items():
    arrays = source.arrays()
    assert source.scale == 16 and source.image_shape == (8, 8, 1)
    assert arrays['image'].dtype == np.uint8 and arrays['label'].dtype == np.int32
    np.testing.assert_array_equal(arrays['image'].reshape(-1, 64), images[parts[split]])
    np.testing.assert_array_equal(arrays['label'], labels[parts[split]])
    assert source.nbytes == arrays['image'].nbytes + arrays['label'].nbytes
  assert (len(splits['train']), len(splits['test'])) == (1437, 360)
  assert arrays['image'].max() == 16


def test_photo_patches():
  splits = load_images('photo_patches')
  assert list(splits) == ['test']
  source = splits['test']
  arrays = source.arrays()
  assert arrays['image'].shape == (360, 8, 8, 1) and arrays['image'].dtype == np.uint8
  assert source.scale == 16 and arrays['image'].max() <= 16
  assert set(arrays['label']) == set(range(6))
  assert len(np.unique(arrays['image'])) == 17
  np.testing.assert_array_equal(sources.photo_patches().arrays()['image'], arrays['image'])
  assert (sources.photo_patches(seed=1).arrays()['image'] != arrays['image']).any()
  assert sources.photo_patches(3, 12).arrays()['image'].shape == (3, 12, 12, 1)
  with pytest.raises(ConfigError, match='size'):
    sources.photo_patches(3, 1000)


def small(n=10):
  return ArraySource(np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1), np.arange(n), scale=16)


def test_split_validation():
  splits = split_validation({'train': small(), 'test': small(3)}, 4, seed=2)
  rows = {k: s.arrays()['label'] for k, s in splits.items()}
  assert len(rows['train']) == 6 and len(rows['validation']) == 4 and len(rows['test']) == 3
  np.testing.assert_array_equal(rows['validation'], np.sort(order(2, 'validation', 0, 10)[:4]))
  assert sorted([*rows['train'], *rows['validation']]) == list(range(10))
  assert (np.diff(rows['train']) > 0).all()
  assert splits['validation'].scale == 16 and splits['validation'].image_shape == (1, 1, 1)
  assert splits['validation'][0]['label'] == rows['validation'][0]
  assert splits['train'].nbytes == 6 * 5
  assert set(split_validation({'train': small()}, 0, seed=0)) == {'train'}
  for n in (-1, 10):
    with pytest.raises(ConfigError, match=f'num_validation = {n} must lie in'):
      split_validation({'train': small()}, n, seed=0)


def test_iteration_stops_at_the_end():
  assert [int(row['label']) for row in small(3)] == [0, 1, 2]


def test_a_missing_folder_names_both_places(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_DATA', str(tmp_path))
  with pytest.raises(DataError) as e:
    load_images('kmnist')
  assert str(tmp_path / 'kmnist') in str(e.value) and 'config.data.dir' in str(e.value)
  assert 't10k-labels-idx1-ubyte.gz' in str(e.value)
  with pytest.raises(DataError, match='/no/such') as e:
    load_images('kmnist', '/no/such')
  assert '$JAXGEN_DATA/kmnist' in str(e.value)
  monkeypatch.delenv('JAXGEN_DATA')
  with pytest.raises(DataError, match='JAXGEN_DATA is not set'):
    load_images('kmnist')


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
  """A data_dir with a small set as a stock builder makes it: PNG images, class labels."""
  import tensorflow_datasets as tfds

  class ToyPhotos(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version('1.2.0')

    def _info(self):
      features = {
        'image': tfds.features.Image(shape=(None, None, 3)),
        'label': tfds.features.ClassLabel(num_classes=4),
        'coarse': np.int64,
        'small': tfds.features.Tensor(shape=(3, 2), dtype=np.uint8),
        'packed': tfds.features.Tensor(shape=(3, 2, 1), dtype=np.uint8, encoding='zlib'),
        'name': tfds.features.Text(),
      }
      return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
      return {'train': self._generate_examples(0, 14), 'test': self._generate_examples(14, 20)}

    def _generate_examples(self, first, last):
      for i in range(first, last):
        small = PIXELS[i, :3, :2, 0]
        yield (
          str(i),
          {
            'image': PIL.Image.fromarray(PIXELS[i]),
            'label': i % 4,
            'coarse': i,
            'small': small,
            'packed': small[..., None],
            'name': f'photo {i}',
          },
        )

  data_dir = tmp_path_factory.mktemp('tfds')
  tfds.disable_progress_bar()
  builder = ToyPhotos(data_dir=data_dir, file_format='array_record')
  builder.download_and_prepare(download_dir=data_dir / 'downloads')
  tfds.enable_progress_bar()
  return data_dir


def test_prepared_tfds_set(prepared):
  splits = load_images('tfds:toy_photos', str(prepared), {'label': 'coarse'})
  assert {k: len(s) for k, s in splits.items()} == {'train': 14, 'test': 6}
  for source in splits.values():
    arrays = source.arrays()
    assert source.image_shape == (9, 7, 3) and source.scale == 255
    # TFDS shuffles by a hash of the key: the column says which image a record holds.
    np.testing.assert_array_equal(arrays['image'], PIXELS[arrays['label']])
    np.testing.assert_array_equal(source[3]['image'], arrays['image'][3])
  labels = load_images('tfds:toy_photos:1.2.0', str(prepared))['train'].arrays()['label']
  np.testing.assert_array_equal(labels, splits['train'].arrays()['label'] % 4)
  assert 'tensorflow' not in sys.modules


@pytest.mark.parametrize('column', ['small', 'packed'])
def test_tensor_columns(prepared, column):
  splits = load_images('tfds:toy_photos', str(prepared), {'image': column, 'label': 'coarse'})
  arrays = splits['train'].arrays()
  np.testing.assert_array_equal(arrays['image'], PIXELS[arrays['label'], :3, :2, :1])


def test_data_dir_may_be_the_version_or_the_default(prepared, monkeypatch):
  assert len(load_images('tfds:toy_photos', str(prepared / 'toy_photos' / '1.2.0'))['test']) == 6
  monkeypatch.delenv('JAXGEN_DATA', raising=False)
  monkeypatch.setenv('TFDS_DATA_DIR', str(prepared))
  assert len(load_images('tfds:toy_photos')['test']) == 6


def test_wrong_columns(prepared):
  with pytest.raises(DataError, match=r"no column 'picture'.*it has .*image"):
    load_images('tfds:toy_photos', str(prepared), {'image': 'picture'})
  with pytest.raises(DataError, match="expected column 'name' to be an integer scalar"):
    load_images('tfds:toy_photos', str(prepared), {'label': 'name'})
  with pytest.raises(DataError, match="expected column 'coarse' to be a uint8"):
    load_images('tfds:toy_photos', str(prepared), {'image': 'coarse'})
  with pytest.raises(ConfigError, match='unknown imgae'):
    load_images('tfds:toy_photos', str(prepared), {'imgae': 'image'})


def copy(prepared, tmp_path, change):
  """A copy of the prepared set with its description changed."""
  folder = tmp_path / 'toy_photos' / '1.2.0'
  folder.mkdir(parents=True)
  for path in (prepared / 'toy_photos' / '1.2.0').iterdir():
    (folder / path.name).write_bytes(path.read_bytes())
  info = json.loads((folder / 'dataset_info.json').read_text())
  change(info)
  (folder / 'dataset_info.json').write_text(json.dumps(info))
  return folder


def test_another_file_format_is_refused_with_the_command(prepared, tmp_path):
  folder = copy(prepared, tmp_path, lambda info: info.update(fileFormat='tfrecord'))
  for path in folder.glob('*array_record*'):
    path.rename(folder / path.name.replace('array_record', 'tfrecord'))
  with pytest.raises(DataError, match='prepared as tfrecord') as e:
    load_images('tfds:toy_photos', str(tmp_path))
  message = str(e.value)
  assert "tfds.builder('toy_photos', data_dir='" in message
  # In the same data_dir TFDS would take the tfrecord set for done.
  assert f"data_dir='{tmp_path}/array_record', file_format='array_record'" in message
  assert f'--config.data.dir={tmp_path}/array_record' in message


def test_missing_split(prepared, tmp_path):
  copy(prepared, tmp_path, lambda info: info['splits'].pop())
  with pytest.raises(DataError, match=r'no split (test; it has train|train; it has test)'):
    load_images('tfds:toy_photos', str(tmp_path))


def test_not_prepared(tmp_path):
  with pytest.raises(DataError, match=r'not prepared in .*download_and_prepare\(\)'):
    load_images('tfds:mnist', str(tmp_path))
  with pytest.raises(DataError, match=r'no such folder; prepare it with'):
    load_images('tfds:mnist', str(tmp_path / 'none'))


def test_damaged_description(prepared, tmp_path):
  folder = copy(prepared, tmp_path, lambda info: None)
  (folder / 'features.json').write_text('{')
  with pytest.raises(DataError, match='not a set prepared by'):
    load_images('tfds:toy_photos', str(tmp_path))


def test_several_configs_are_named(tmp_path):
  for config in ('a', 'b'):
    folder = tmp_path / 'letters' / config / '1.0.0'
    folder.mkdir(parents=True)
    (folder / 'dataset_info.json').write_text('{}')
  with pytest.raises(DataError, match='name one: tfds:letters/a, tfds:letters/b'):
    load_images('tfds:letters', str(tmp_path))


def test_images_of_different_sizes(tmp_path):
  from jaxgen.data.records import RecordSource

  def png(size):
    buffer = io.BytesIO()
    PIL.Image.new('L', size).save(buffer, 'png')
    return buffer.getvalue()

  import tensorflow_datasets as tfds
  from tensorflow_datasets.proto import tf_example_pb2

  from jaxgen.data import records

  def record(size):
    example = tf_example_pb2.Example()
    example.features.feature['image'].bytes_list.value.append(png(size))
    example.features.feature['label'].int64_list.value.append(1)
    return example.SerializeToString()

  class Records(list):
    def __getitems__(self, keys):
      return [self[k] for k in keys]

  source = RecordSource(
    Records([record((4, 4)), record((4, 5)), b'']),
    {'image': 'image', 'label': 'label'},
    {
      'image': records._image_reader(tfds.features.Image(shape=(None, None, 1))),
      'label': records._integer_reader(tfds.features.ClassLabel(num_classes=2)),
    },
    'toy',
  )
  with pytest.raises(DataError, match=r'one size: record 0 has \(4, 4, 1\), record 1 has \(5, 4'):
    source.gather(np.array([0, 1]))
  with pytest.raises(DataError, match='record 2 cannot be decoded'):
    source.gather(np.array([2]))
