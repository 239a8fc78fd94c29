import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen.data.order import rows_at
from jaxgen.data.pipeline import evaluation_batches, resident_batches, streaming_batches
from jaxgen.data.source import ArraySource
from jaxgen.errors import ConfigError


class Rows:
  """A plain random access source without `gather`."""

  def __init__(self, n):
    self.n = n

  def __len__(self):
    return self.n

  def __getitem__(self, i):
    return {'x': np.full((2, 3), i, np.uint8), 'y': np.int32(i)}


def take(iterator, k):
  return list(itertools.islice(iterator, k))


def images(n):
  pixels = np.arange(1, n + 1, dtype=np.uint8)[:, None, None, None] * np.ones((2, 2, 1), np.uint8)
  return ArraySource(pixels, np.arange(n))


@given(st.integers(0, 1000), st.integers(8, 40), st.integers(0, 50), st.sampled_from([1, 2, 4]))
def test_a_batch_does_not_depend_on_the_number_of_processes(seed, n, step, processes):
  b = 8 // processes
  parts = [
    next(resident_batches(seed, 'train', n, 8, step, slice(p * b, (p + 1) * b)))['index']
    for p in range(processes)
  ]
  np.testing.assert_array_equal(np.concatenate(parts), rows_at(seed, 'train', step, n, 8))


def test_resident_resumes_anywhere():
  whole = take(resident_batches(0, 'train', 10, 4, 0, slice(0, 4)), 9)
  later = take(resident_batches(0, 'train', 10, 4, 5, slice(0, 4)), 4)
  np.testing.assert_array_equal([b['index'] for b in whole[5:]], [b['index'] for b in later])
  assert whole[0]['index'].dtype == np.int32


@settings(max_examples=15, deadline=None)
@given(
  st.integers(0, 100),
  st.integers(4, 20),
  st.integers(0, 10**9),
  st.sampled_from([(0, 1), (1, 1), (3, 5)]),
  st.sampled_from([slice(0, 4), slice(2, 4)]),
)
def test_streaming_has_the_resident_order(seed, n, first_step, threads, rows):
  resident = take(resident_batches(seed, 'train', n, 4, first_step, rows), 6)
  stream = take(streaming_batches(Rows(n), seed, 'train', 4, first_step, rows, *threads), 6)
  for a, b in zip(resident, stream, strict=True):
    np.testing.assert_array_equal(a['index'], b['y'])
    np.testing.assert_array_equal(b['x'][:, 0, 0], a['index'])
    assert b['x'].shape == (len(a['index']), 2, 3) and b['x'].dtype == np.uint8


def test_streaming_uses_the_bulk_read_of_a_source():
  batch = next(streaming_batches(images(6), 0, 'train', 3, 2, slice(0, 3), 1, 1))
  np.testing.assert_array_equal(batch['label'], rows_at(0, 'train', 2, 6, 3))


def test_streaming_hands_on_the_error_of_a_source():
  class Broken(Rows):
    def __getitem__(self, i):
      raise OSError('row is gone')

  with pytest.raises(OSError, match='row is gone'):
    next(streaming_batches(Broken(8), 0, 'train', 4, 0, slice(0, 4), 2, 2))


def test_a_batch_larger_than_the_set_is_refused_at_once():
  with pytest.raises(ConfigError, match='12'):
    resident_batches(0, 'train', 10, 12, 0, slice(0, 12))
  with pytest.raises(ConfigError, match='12'):
    streaming_batches(Rows(10), 0, 'train', 12, 0, slice(0, 12))
  with pytest.raises(ConfigError, match='num_threads'):
    streaming_batches(Rows(10), 0, 'train', 2, 0, slice(0, 2), num_threads=-1)
  with pytest.raises(ConfigError, match='batch_size'):
    evaluation_batches(Rows(10), 0, slice(0, 1))


@pytest.mark.parametrize('source', [images(10), Rows(10)], ids=['gather', 'plain'])
@pytest.mark.parametrize('processes', [1, 2, 4])
def test_evaluation_sees_every_row_once(source, processes):
  key = 'y' if isinstance(source, Rows) else 'label'
  b = 8 // processes
  parts = [list(evaluation_batches(source, 8, slice(p * b, p * b + b))) for p in range(processes)]
  assert {len(p) for p in parts} == {2}
  groups = zip(*parts, strict=True)
  batches = [{k: np.concatenate([x[k] for x in group]) for k in group[0]} for group in groups]
  mask = np.concatenate([x['mask'] for x in batches])
  rows = np.concatenate([x[key] for x in batches])
  assert mask.dtype == np.float32
  np.testing.assert_array_equal(mask, [1] * 10 + [0] * 6)
  np.testing.assert_array_equal(rows[:10], range(10))
  np.testing.assert_array_equal(rows[10:], 0)
  image = batches[1]['x' if isinstance(source, Rows) else 'image']
  assert image.dtype == np.uint8 and image[1].any() and not image[2:].any()


def test_evaluation_decodes_the_padded_batch():
  shapes = []

  def decode(batch):
    shapes.append(batch['image'].shape)
    return {'image': batch['image'] / np.float32(255)}

  batches = list(evaluation_batches(images(3), 2, slice(0, 2), decode))
  assert shapes == [(2, 2, 2, 1)] * 2
  assert set(batches[1]) == {'image', 'mask'}
  np.testing.assert_array_equal(batches[1]['mask'], [1, 0])
  assert batches[0]['image'].dtype == np.float32
