import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxgen.data.order import check_batch_size, order, rows_at
from jaxgen.errors import ConfigError

seeds = st.integers(0, 2**64 - 1)
streams = st.sampled_from(['train', 'set1', 'words', 'digits_split'])


@given(seeds, streams, st.integers(0, 2**32 - 1), st.integers(1, 200))
def test_order_is_a_permutation(seed, stream, epoch, n):
  assert sorted(order(seed, stream, epoch, n)) == list(range(n))


def test_order_is_the_documented_generator():
  key = np.array([3, zlib.crc32(b'train') << 32 | 7], np.uint64)
  expected = np.random.Generator(np.random.Philox(key=key)).permutation(50)
  np.testing.assert_array_equal(order(3, 'train', 7, 50), expected)
  # Frozen: a change would silently reorder every run that is resumed.
  assert order(0, 'digits_split', 0, 1797)[:5].tolist() == [926, 877, 1592, 535, 1059]


@pytest.mark.parametrize('stream', ['train', 'digits_split'])
def test_seed_stream_and_epoch_each_change_the_order(stream):
  # crc32('digits_split') has its top bit set: as a float the epoch would be rounded away.
  first = order(0, stream, 0, 100).tolist()
  assert first != order(0, stream, 1, 100).tolist()
  assert first != order(1, stream, 0, 100).tolist()
  assert first != order(0, stream + 'x', 0, 100).tolist()


def test_order_cannot_be_changed_by_a_caller():
  with pytest.raises(ValueError, match='read-only'):
    order(0, 'train', 0, 10)[0] = 1


def test_order_from_several_threads():
  epochs = [i % 40 for i in range(400)]
  with ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda e: order(5, 'train', e, 30).tolist(), epochs))
  assert all(a == order(5, 'train', e, 30).tolist() for e, a in zip(epochs, found, strict=True))


@given(seeds, st.integers(1, 60), st.data())
def test_every_row_of_an_epoch_at_most_once(seed, n, data):
  batch_size = data.draw(st.integers(1, n))
  epoch = data.draw(st.integers(0, 3))
  steps = n // batch_size
  rows = [rows_at(seed, 'train', epoch * steps + i, n, batch_size) for i in range(steps)]
  assert all(r.dtype == np.int32 and r.shape == (batch_size,) for r in rows)
  seen = np.concatenate(rows)
  np.testing.assert_array_equal(seen, order(seed, 'train', epoch, n)[: len(seen)])


@settings(max_examples=30)
@given(st.integers(0, 2**40))
def test_a_late_step_needs_no_earlier_one(step):
  rows = rows_at(0, 'train', step % 2**33, 10, 4)
  epoch, position = divmod(step % 2**33, 2)
  np.testing.assert_array_equal(rows, order(0, 'train', epoch, 10)[4 * position : 4 * position + 4])


def test_a_batch_larger_than_the_set_is_refused():
  check_batch_size(8, 8)
  with pytest.raises(ConfigError, match='batch_size = 9 is more than the 8 training rows'):
    check_batch_size(9, 8)


def test_errors():
  with pytest.raises(ConfigError, match="batch_size = 11 is more than the 10 rows of 'train'"):
    rows_at(0, 'train', 0, 10, 11)
  with pytest.raises(ConfigError, match='at least 1, got 0'):
    rows_at(0, 'train', 0, 10, 0)
  with pytest.raises(ConfigError, match='seed'):
    order(-1, 'train', 0, 10)
  with pytest.raises(ConfigError, match='epoch'):
    order(0, 'train', 2**32, 10)
