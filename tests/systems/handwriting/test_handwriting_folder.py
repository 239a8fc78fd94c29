"""A folder that `jaxgen write` fills: what it takes for its own after a kill, and over changing options."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.writing.folder import ABOUT, TABLE, Entry, SetFolder

A, B = Entry('a', 0, 0), Entry('b', 0, 0)
PIXELS = np.full((4, 4), 255, np.uint8)


def about(**options):
  return {'weights': 'w', 'scale': 1, **options}


def filled(root: Path, *entries: Entry, **options) -> None:
  """A set that a command wrote to its end some time ago."""
  folder = SetFolder(root, about(**options), False)
  for entry in entries:
    folder.put(entry, PIXELS)
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
