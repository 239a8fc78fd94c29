"""Evaluation splits."""

import numpy as np
import pytest

from jaxgen.data.source import ArraySource
from jaxgen.data.splits import Splits, make_split
from jaxgen.errors import DataError


class Watched(ArraySource):
  """Tells how many rows were read."""

  def __init__(self, n):
    super().__init__(np.arange(n, dtype=np.uint8).reshape(-1, 1, 1, 1), np.zeros(n))
    self.read = 0

  def gather(self, rows):
    self.read += len(rows)
    return super().gather(rows)


def test_a_split_knows_its_size_without_reading_and_reads_as_it_is_asked():
  source = Watched(11)
  split = make_split(source, 4, lambda batch: {'x': batch['image'] + 1})
  assert split.size == 11 and source.read == 0
  batches = split.batches(slice(0, 4))
  assert source.read == 0
  first = next(batches)
  assert set(first) == {'x', 'mask'} and source.read == 4
  again = np.concatenate([b['x'][b['mask'] > 0].ravel() for b in split.batches(slice(0, 4))])
  np.testing.assert_array_equal(again, np.arange(11) + 1)


def test_splits_given_as_functions_are_opened_once_and_on_use():
  opened = []

  def slow():
    opened.append('slow')
    return make_split(Watched(3), 2)

  def broken():
    raise DataError('no such folder')

  splits = Splits({'test': make_split(Watched(5), 2)}, slow=slow, broken=broken)
  assert list(splits) == ['test', 'slow', 'broken'] and len(splits) == 3
  assert 'slow' in splits and 'train' not in splits and not opened
  assert splits['slow'].size == 3 and splits['slow'] is splits['slow'] and opened == ['slow']
  with pytest.raises(DataError, match='no such folder'):
    splits['broken']
  with pytest.raises(KeyError):
    splits['train']
  assert len(splits) == 3
