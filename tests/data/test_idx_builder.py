import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from idx_files import write_set

from jaxgen.data.sources import load_images
from jaxgen.errors import DataError


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'tfds'


def start(code, folder):
  """A separate process that runs `code` with `folder`; it prints and may be killed."""
  code = 'import sys\nfrom jaxgen.data.idx_builder import *\nfolder = sys.argv[1]\n' + code
  root = Path(__file__).parents[2]
  return subprocess.Popen(
    [sys.executable, '-c', code, str(folder)],
    stdin=subprocess.PIPE,  # waits where it reads
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=root,
    env={**os.environ, 'PYTHONPATH': str(root)},
  )


def check(sources, written):
  for split, (images, labels) in written.items():
    source = sources[split]
    arrays = source.arrays()
    np.testing.assert_array_equal(arrays['image'][..., 0], images)
    np.testing.assert_array_equal(arrays['label'], labels)
    assert arrays['image'].dtype == np.uint8 and arrays['label'].dtype == np.int32
    assert len(source) == len(images) and source.scale == 255
    assert source.nbytes == sum(a.nbytes for a in arrays.values())


def test_round_trip(tmp_path, cache, capfd):
  folder = tmp_path / 'mnist'
  written = write_set(folder)
  before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
  sources = load_images('mnist', str(folder))
  check(sources, written)
  assert 'tensorflow' not in sys.modules
  assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before
  row = sources['train'][7]
  np.testing.assert_array_equal(row['image'][..., 0], written['train'][0][7])
  assert row['label'].dtype == np.int32 and row['label'].shape == ()
  picked = sources['test'].gather(np.array([5, 0, 5]))
  np.testing.assert_array_equal(picked['image'][..., 0], written['test'][0][[5, 0, 5]])
  with pytest.raises(IndexError):
    sources['test'][12]
  captured = capfd.readouterr()
  assert captured.out == '' and 'it/s' not in captured.err and 'examples' not in captured.err


def test_prepared_once_and_keyed_by_content(tmp_path, cache):
  folder = tmp_path / 'mnist'
  write_set(folder)
  load_images('mnist', str(folder))
  (prepared,) = cache.iterdir()
  records = {p: p.stat().st_mtime_ns for p in prepared.rglob('*array_record*')}
  assert len(records) == 2
  load_images('mnist', str(folder))
  assert {p: p.stat().st_mtime_ns for p in prepared.rglob('*array_record*')} == records
  other = write_set(folder, seed=1)
  check(load_images('mnist', str(folder)), other)
  assert len(list(cache.iterdir())) == 2


def test_default_folder_and_emnist(tmp_path, cache, monkeypatch):
  monkeypatch.setenv('JAXGEN_DATA', str(tmp_path))
  written = write_set(tmp_path / 'emnist_mnist', 'emnist_mnist')
  sources = load_images('emnist_mnist')
  check(sources, {k: (x.swapaxes(1, 2), y) for k, (x, y) in written.items()})


def test_a_wrong_file_leaves_nothing_behind(tmp_path, cache):
  folder = tmp_path / 'mnist'
  write_set(folder)
  labels = folder / 't10k-labels-idx1-ubyte.gz'
  labels.write_bytes(labels.read_bytes()[:-5])
  with pytest.raises(DataError, match=r't10k-labels-idx1-ubyte\.gz: truncated'):
    load_images('mnist', str(folder))
  assert not cache.exists() or not list(cache.iterdir())


def test_damaged_records_say_what_to_remove(tmp_path, cache):
  folder = tmp_path / 'mnist'
  write_set(folder)
  load_images('mnist', str(folder))
  (prepared,) = cache.iterdir()
  for path in prepared.rglob('*array_record*'):
    path.write_bytes(path.read_bytes()[:100])
  with pytest.raises(DataError, match=f'{prepared.name} is damaged: remove it'):
    load_images('mnist', str(folder))


def test_unwritable_cache(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'file'))
  write_set(tmp_path / 'mnist')
  with pytest.raises(DataError, match='JAXGEN_CACHE'):
    load_images('mnist', str(tmp_path / 'mnist'))


def test_killed_midway_then_prepared_by_two_at_once(tmp_path, cache):
  folder = tmp_path / 'mnist'
  written = write_set(folder)
  stuck = start(
    'def generate(self, images, labels):\n'
    '  yield 0, {"image": images[0], "label": 0, "index": 0}\n'
    '  print("midway", flush=True)\n'
    '  input()\n'
    'IdxImages._generate_examples = generate\n'
    'load_idx("mnist", folder)\n',
    folder,
  )
  assert stuck.stdout.readline() == 'midway\n'
  stuck.kill()
  stuck.communicate()
  (left,) = cache.iterdir()
  assert '.tmp-' in left.name

  code = 'print(load_idx("mnist", folder)["train"].arrays()["image"].sum())\n'
  both = [start(code, folder) for _ in range(2)]
  outputs = [p.communicate() for p in both]
  total = int(written['train'][0].sum())
  assert [int(out) for out, _ in outputs] == [total, total], outputs
  assert len([p for p in cache.iterdir() if p != left]) == 1
  check(load_images('mnist', str(folder)), written)


def test_abandoned_folders_are_removed(tmp_path, cache):
  folder = tmp_path / 'mnist'
  write_set(folder)
  load_images('mnist', str(folder))
  (prepared,) = cache.iterdir()
  old, young = (prepared.with_name(f'{prepared.name}.tmp-{age}') for age in ('old', 'young'))
  prepared.rename(old)
  young.mkdir()
  for path in (old, *old.rglob('*')):
    os.utime(path, (0, 0))
  load_images('mnist', str(folder))
  assert sorted(cache.iterdir()) == sorted([prepared, young])


def test_real_mnist(cache):
  folder = Path(os.environ.get('JAXGEN_DATA', ''), 'mnist')
  if not os.environ.get('JAXGEN_DATA') or not folder.is_dir():
    pytest.skip('MNIST is not in $JAXGEN_DATA/mnist')
  sources = load_images('mnist')
  assert {k: len(s) for k, s in sources.items()} == {'train': 60000, 'test': 10000}
  assert sources['train'].image_shape == (28, 28, 1)
  assert [int(sources['train'][i]['label']) for i in range(5)] == [5, 0, 4, 1, 9]
  assert sources['train'].nbytes == 60000 * 788
