"""A folder that `jaxgen write` fills: what it takes for its own after a kill, and over changing options."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.writing.folder import ABOUT, SIZE, TABLE, Entry, SetFolder

A, B = Entry('a', 0, 0), Entry('b', 0, 0)
PIXELS = np.full((4, 4), 255, np.uint8)


def about(**options):
  return {'weights': 'w', 'scale': 1, SIZE: None, **options}


def filled(root: Path, *entries: Entry, svg: bytes | None = None, **options) -> None:
  """A set that a command wrote to its end some time ago."""
  folder = SetFolder(root, about(**options), False)
  for entry in entries:
    folder.put(entry, PIXELS, svg)
  folder.finish()
  for path in root.iterdir():
    os.utime(path, ns=(path.stat().st_mtime_ns - 10**10,) * 2)


def listed(root: Path) -> list[str]:
  return [line.split(',')[0] for line in (root / TABLE).read_text().splitlines()[1:]]


def test_pictures_of_before_are_none_of_a_set_whose_making_anew_was_killed(tmp_path):
  filled(tmp_path, A, B)
  SetFolder(tmp_path, about(scale=2), True).put(A, PIXELS)  # and a kill, before the table
  folder = SetFolder(tmp_path, about(scale=2), False)
  assert [folder.has(entry, False) for entry in (A, B)] == [True, False]
  folder.finish()
  assert listed(tmp_path) == [A.file]
  folder.put(B, PIXELS)
  folder.finish()
  folder = SetFolder(tmp_path, about(scale=2), False)
  assert folder.has(B, False) and listed(tmp_path) == [A.file, B.file]


def test_a_set_of_before_stays_where_nothing_new_is_put(tmp_path):
  filled(tmp_path, A, B)
  before = [(tmp_path / name).read_bytes() for name in (TABLE, ABOUT)]
  SetFolder(tmp_path, about(scale=2), True).finish()
  assert [(tmp_path / name).read_bytes() for name in (TABLE, ABOUT)] == before


@pytest.mark.parametrize('overwrite', [False, True])
def test_a_damaged_table_is_named(tmp_path, overwrite):
  filled(tmp_path, A)
  (tmp_path / TABLE).write_bytes(b'\xff')
  with pytest.raises(DataError, match=r'words\.csv is damaged: move it away$'):
    SetFolder(tmp_path, about(), overwrite)


def test_outlines_are_of_their_picture_or_not_there(tmp_path):
  filled(tmp_path, A, B, svg=b'one', mm=0.0)
  folder = SetFolder(tmp_path, about(scale=2), True)
  assert folder.put(A, PIXELS) == [tmp_path / A.file]
  folder.finish()
  assert not (tmp_path / 'a_0_1.svg').exists()
  folder = SetFolder(tmp_path, about(scale=2, mm=0.0), False)
  assert not folder.has(A, True) and folder.has(A, False)
  folder.put(A, PIXELS, b'two')
  assert (tmp_path / 'a_0_1.svg').read_bytes() == b'two'
  # Those of B are of before, as B itself is.
  assert not SetFolder(tmp_path, about(scale=2, mm=0.0), False).has(B, True)


def test_outlines_of_a_folder_have_one_size(tmp_path):
  filled(tmp_path, A)
  folder = SetFolder(tmp_path, about(mm=8.0), False)  # they may come later
  assert not folder.has(A, True)
  folder.put(A, PIXELS, b'eight')  # and a kill: the table stays
  assert listed(tmp_path) == [A.file]
  folder = SetFolder(tmp_path, about(mm=8.0), False)
  assert folder.has(A, True)
  for mm in (0.0, 9.0):
    with pytest.raises(
      ConfigError, match=r'written with other settings \(--mm\): name another folder'
    ):
      SetFolder(tmp_path, about(mm=mm), False)
  # Pictures without outlines may come too, and forget no size.
  SetFolder(tmp_path, about(), False).put(B, PIXELS)
  with pytest.raises(ConfigError, match='mm'):
    SetFolder(tmp_path, about(mm=9.0), False)
  assert not SetFolder(tmp_path, about(mm=9.0), True).has(A, True)


def test_outlines_of_a_size_that_nobody_knows_are_made_anew(tmp_path):
  filled(tmp_path, A)
  (tmp_path / 'a_0_1.svg').write_bytes(b'old')
  assert not SetFolder(tmp_path, about(mm=0.0), False).has(A, True)
