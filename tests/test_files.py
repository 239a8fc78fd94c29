"""Files that are complete or absent, and names that every library understands alike."""

import json
import os
from pathlib import Path

import pytest

from jaxgen import files
from jaxgen.errors import UserError


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
  path = tmp_path / 'a.json'
  files.write_json(path, {'good': 1})

  def fail(self, target):
    raise OSError('disk full')

  monkeypatch.setattr('pathlib.Path.replace', fail)
  with pytest.raises(OSError, match='disk full'):
    files.write_json(path, {'bad': 2})
  assert json.loads(path.read_text()) == {'good': 1}
  assert [p.name for p in tmp_path.iterdir()] == ['a.json']


@pytest.mark.parametrize(
  ('place', 'why'),
  [('folder', 'Is a directory'), ('file/below', '/file is a file: name a folder instead')],
)
def test_what_cannot_be_written_is_named_and_not_the_temporary_file(tmp_path, place, why):
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'file').touch()
  with pytest.raises(OSError, match=f'{why}.*{place}') as told:
    files.write_bytes(tmp_path / place, b'x')
  assert told.value.filename == str(tmp_path / place)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['file', 'folder']


def test_a_name_that_utf8_cannot_write_is_refused():
  files.check_name(Path('mädchen'))
  with pytest.raises(
    UserError, match=r'r\\udcfc: the locale cannot encode this folder name as UTF-8'
  ):
    files.check_name(Path('r\udcfc'))  # a byte that is no UTF-8


def test_a_name_that_the_locale_writes_in_another_way_is_refused(monkeypatch):
  monkeypatch.setattr(os, 'fsencode', lambda name: name.encode('latin-1'))
  files.check_name(Path('/plain'))
  with pytest.raises(UserError, match='PYTHONUTF8=1'):
    files.check_name(Path('/mädchen'))
