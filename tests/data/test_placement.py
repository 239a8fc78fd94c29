"""Training rows, resident or streamed."""

import itertools

import numpy as np
import pytest

from jaxgen.data.placement import is_resident, training_rows
from jaxgen.data.source import ArraySource


@pytest.mark.parametrize(
  ('placement', 'nbytes', 'expected'),
  [
    ('auto', 2 * 2**20, True),
    ('auto', 2 * 2**20 + 1, False),
    ('resident', 2**40, True),
    ('stream', 1, False),
  ],
)
def test_auto_keeps_what_is_within_the_limit(placement, nbytes, expected):
  assert is_resident(placement, nbytes, 2) is expected


@pytest.mark.parametrize('columns', [None, ('image',)])
def test_resident_and_streamed_rows_are_the_same_from_any_step(columns):
  image = np.arange(10, dtype=np.uint8).reshape(-1, 1, 1, 1)
  source = ArraySource(image, np.arange(10))
  options = {'seed': 3, 'batch_size': 4, 'columns': columns}
  resident = training_rows(source, 'x', resident=True, **options)
  streamed = training_rows(source, 'x', resident=False, num_threads=0, **options)
  names = set(columns or ('image', 'label'))
  assert set(resident.arrays) == names and streamed.arrays == {}
  pairs = zip(resident.batches(3, slice(1, 3)), streamed.batches(3, slice(1, 3)), strict=False)
  for index, batch in itertools.islice(pairs, 5):
    assert set(index) == {'index'} and set(batch) == names
    for name in names:
      np.testing.assert_array_equal(resident.arrays[name][index['index']], batch[name])
