"""What can be done with any open set."""

import numpy as np
import pytest

from jaxgen.data.source import ArraySource, joined, numbered


def small(n, first=0, scale=16):
  image = np.arange(first, first + n, dtype=np.uint8)[:, None, None, None] * np.ones(
    (2, 3, 1), np.uint8
  )
  return ArraySource(image, np.arange(n) % 3, scale)


def test_joined_sources_are_one_after_the_other():
  parts = [small(3), small(1, 10), small(4, 20)]
  whole = joined(parts)
  assert len(whole) == 8 and whole.image_shape == (2, 3, 1) and whole.scale == 16
  assert whole.nbytes == sum(part.nbytes for part in parts)
  for key in ('image', 'label'):
    expected = np.concatenate([part.arrays()[key] for part in parts])
    found = whole.arrays()[key]
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    rows = np.array([7, 3, 0, 3])
    np.testing.assert_array_equal(whole.gather(rows)[key], expected[rows])
  assert whole[3]['image'].max() == 10


def test_each_part_is_read_once_for_a_batch():
  class Counted(ArraySource):
    reads = 0

    def gather(self, rows):
      self.reads += 1
      return super().gather(rows)

  parts = [Counted(np.zeros((5, 1, 1, 1), np.uint8), np.zeros(5)) for _ in range(2)]
  joined(parts).gather(np.array([0, 9, 1, 8]))
  assert [part.reads for part in parts] == [1, 1]


def test_a_row_of_a_numbered_source_is_labelled_by_its_number():
  rows = np.array([4, 0, 2])
  source = numbered(small(5, 7).take(np.arange(5)[::-1]))
  found = source.gather(rows)
  np.testing.assert_array_equal(found['label'], rows)
  np.testing.assert_array_equal(found['image'][:, 0, 0, 0], 7 + 4 - rows)
  assert found['label'].dtype == np.int32 and source.scale == 16 and len(source) == 5


def test_rows_beyond_the_end_are_refused():
  with pytest.raises(IndexError, match='row 5 of 5'):
    numbered(small(5))[5]
