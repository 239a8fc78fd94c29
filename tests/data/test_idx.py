import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from idx_files import write, write_images, write_labels, write_set

from jaxgen.data import idx
from jaxgen.errors import DataError

MNIST = idx.IDX_SETS['mnist']
TRAIN_IMAGES, TRAIN_LABELS = MNIST.files('train')


def test_file_names():
  assert MNIST.all_files() == (
    'train-images-idx3-ubyte.gz',
    'train-labels-idx1-ubyte.gz',
    't10k-images-idx3-ubyte.gz',
    't10k-labels-idx1-ubyte.gz',
  )
  emnist = idx.IDX_SETS['emnist_mnist']
  assert emnist.files('train')[0] == 'emnist-mnist-train-images-idx3-ubyte.gz'
  assert emnist.files('test')[1] == 'emnist-mnist-test-labels-idx1-ubyte.gz'


def test_round_trip(tmp_path):
  written = write_set(tmp_path)
  for split, (images, labels) in idx.read_set(tmp_path, MNIST).items():
    np.testing.assert_array_equal(images[..., 0], written[split][0])
    np.testing.assert_array_equal(labels, written[split][1])
    assert images.shape[1:] == (6, 5, 1)


def test_emnist_is_turned_upright(tmp_path):
  written = write_set(tmp_path, 'emnist_mnist')
  images, _ = idx.read_set(tmp_path, idx.IDX_SETS['emnist_mnist'])['train']
  assert images.shape == (40, 5, 6, 1)
  np.testing.assert_array_equal(images[3, :, :, 0], written['train'][0][3].T)


def check(tmp_path, *words):
  with pytest.raises(DataError) as e:
    idx.read_set(tmp_path, MNIST)
  for word in words:
    assert word in str(e.value)


def test_missing_files_are_all_named(tmp_path):
  write_set(tmp_path)
  (tmp_path / TRAIN_LABELS).unlink()
  (tmp_path / MNIST.files('test')[0]).unlink()
  check(tmp_path, f'missing {TRAIN_LABELS}, t10k-images-idx3-ubyte.gz', str(tmp_path))


def test_wrong_magic(tmp_path):
  write_set(tmp_path)
  (tmp_path / TRAIN_IMAGES).write_bytes((tmp_path / TRAIN_LABELS).read_bytes())
  check(tmp_path, TRAIN_IMAGES, 'expected magic 2051', 'found 2049 (labels')


def test_unknown_magic(tmp_path):
  write_set(tmp_path)
  write(tmp_path / TRAIN_LABELS, 7, (3,), range(3))
  check(tmp_path, TRAIN_LABELS, 'expected magic 2049', 'found 7')


def test_truncated_gzip(tmp_path):
  write_set(tmp_path)
  path = tmp_path / TRAIN_IMAGES
  path.write_bytes(path.read_bytes()[:-200])
  check(tmp_path, TRAIN_IMAGES, 'truncated')


def test_damaged_gzip(tmp_path):
  write_set(tmp_path)
  path = tmp_path / TRAIN_IMAGES
  content = bytearray(path.read_bytes())
  content[200] ^= 255
  path.write_bytes(content)
  check(tmp_path, TRAIN_IMAGES, 'expected a')


def test_not_gzip(tmp_path):
  write_set(tmp_path)
  (tmp_path / TRAIN_IMAGES).write_bytes(b'<html>not found</html>')
  check(tmp_path, TRAIN_IMAGES, 'gzip')


def test_short_header(tmp_path):
  write_set(tmp_path)
  (tmp_path / TRAIN_IMAGES).write_bytes(gzip.compress(b'\0\0\x08\x03'))
  check(tmp_path, TRAIN_IMAGES, 'expected a header of 16 bytes, found 4')


@pytest.mark.parametrize('size, fault', [(59, 'truncated'), (61, 'trailing bytes')])
def test_count_against_content(tmp_path, size, fault):
  write_set(tmp_path)
  write(tmp_path / TRAIN_IMAGES, 2051, (3, 4, 5), bytes(size))
  check(tmp_path, TRAIN_IMAGES, fault, 'expected 60 bytes', '3 x 4 x 5', f'found {size}')


def test_no_images(tmp_path):
  write_set(tmp_path)
  write(tmp_path / TRAIN_IMAGES, 2051, (0, 4, 5), b'')
  check(tmp_path, TRAIN_IMAGES, 'at least one', '(0, 4, 5)')


def test_images_and_labels_disagree(tmp_path):
  write_set(tmp_path)
  write_labels(tmp_path / TRAIN_LABELS, np.zeros(39))
  check(tmp_path, TRAIN_LABELS, 'expected 40 labels', 'found 39')


def test_label_out_of_range(tmp_path):
  write_set(tmp_path)
  write_labels(tmp_path / TRAIN_LABELS, np.where(np.arange(40) == 7, 12, 0))
  check(tmp_path, TRAIN_LABELS, 'expected labels 0 to 9', 'found 12 at row 7')


def test_sizes_of_train_and_test_disagree(tmp_path):
  write_set(tmp_path)
  write_images(tmp_path / MNIST.files('test')[0], np.zeros((12, 7, 5), np.uint8))
  check(tmp_path, 't10k-images', 'expected images of 6x5', 'found 7x5')


def test_real_mnist():
  folder = Path(os.environ.get('JAXGEN_DATA', ''), 'mnist')
  if not os.environ.get('JAXGEN_DATA') or not folder.is_dir():
    pytest.skip('MNIST is not in $JAXGEN_DATA/mnist')
  splits = idx.read_set(folder, MNIST)
  assert splits['train'][0].shape == (60000, 28, 28, 1)
  assert splits['test'][0].shape == (10000, 28, 28, 1)
  assert splits['train'][1][0] == 5 and splits['test'][1][0] == 7
