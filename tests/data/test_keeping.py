"""What is made once and kept."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from jaxgen.data.keeping import keep, opening, write_rows
from jaxgen.errors import DataError
from jaxgen.notes import PROGRESS


def test_a_folder_is_made_once_and_is_whole_or_not_there(tmp_path, caplog):
  root = tmp_path / 'kept' / 'name'

  def broken(folder):
    (folder / 'half').write_text('x')
    raise OSError('the disk is full')

  with pytest.raises(
    DataError, match=r'cannot write squares to .*kept .*JAXGEN_CACHE.*disk is full'
  ):
    keep(root, broken, 'drawing', named='squares')
  assert not list((tmp_path / 'kept').iterdir())
  caplog.clear()
  with caplog.at_level(PROGRESS):
    for _ in range(2):
      keep(root, lambda folder: (folder / 'a').touch(), 'drawing', named='squares')
  assert caplog.messages == ['drawing, once'] and (root / 'a').is_file()


def test_what_the_disk_has_no_room_for_is_not_begun(tmp_path, monkeypatch):
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=10**6))
  with pytest.raises(DataError, match=r'9 squares need 2.0 GB'):
    keep(tmp_path / 'x', None, 'drawing', named='squares', needed=2 * 10**9, sized='9 squares')


def test_rows_are_written_in_their_order_with_what_is_known_of_them(tmp_path):
  path = tmp_path / 'rows.npy'
  found = write_rows(path, (9, 2, 3), lambda i: (np.full((2, 3), i, np.uint8), f'row {i}'), str)
  assert found == [f'row {i}' for i in range(9)]
  np.testing.assert_array_equal(np.load(path)[:, 1, 2], np.arange(9))


def test_a_folder_that_cannot_be_read_is_named(tmp_path):
  damaged = pytest.raises(DataError, match=r'name is damaged: remove it and start again')
  with damaged, opening(tmp_path / 'name'):
    np.load(tmp_path / 'name' / 'rows.npy')
