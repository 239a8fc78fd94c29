"""Where files are looked for, and folders that are there whole or not at all."""

import os

import pytest

from jaxgen.data.folders import cache_folder, data_folder, expanded, listed, new_folder
from jaxgen.errors import ConfigError


def test_paths_are_expanded(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  monkeypatch.setenv('SETS', '~/sets')
  monkeypatch.delenv('UNSET', raising=False)
  monkeypatch.setenv('EMPTY', '')
  assert [str(expanded(x)) for x in ('~/a', '$SETS/a', '${SETS}x', 'a/$SETS', 'a~/b')] == [
    '/home/me/a',
    '/home/me/sets/a',
    '/home/me/setsx',
    'a/~/sets',
    'a~/b',
  ]
  for name in ('UNSET', 'EMPTY'):
    with pytest.raises(ConfigError, match=rf'^\${name}/a: {name} is not set. Set it, or do x$'):
      expanded(f'${name}/a', 'do x')
  assert str(expanded('~nobody-of-this-name/a')) == '~nobody-of-this-name/a'
  (tmp_path / '$UNSET').mkdir()
  assert expanded(tmp_path / '$UNSET') == tmp_path / '$UNSET'
  assert listed(' a/, ,$B/c,') == ['a/', '$B/c']


def test_every_folder_of_data_and_the_cache_are_expanded(tmp_path, monkeypatch):
  (tmp_path / 'mnist').mkdir()
  monkeypatch.setenv('ROOT', str(tmp_path))
  monkeypatch.setenv('JAXGEN_DATA', '$ROOT')
  monkeypatch.setenv('JAXGEN_CACHE', '$ROOT/cache')
  for directory in ('', '$ROOT/mnist', '${ROOT}/mnist'):
    assert data_folder('mnist', directory) == tmp_path / 'mnist'
  assert cache_folder() == tmp_path / 'cache'


def test_a_new_folder_is_there_whole_or_not_at_all(tmp_path):
  root = tmp_path / 'a' / 'made'
  with pytest.raises(OSError, match='full'), new_folder(root) as folder:
    (folder / 'half').write_text('')
    raise OSError('full')
  assert not list(root.parent.iterdir())
  with new_folder(root) as slow:
    assert not root.exists()
    with new_folder(root) as fast:
      (fast / 'file').write_text('fast')
    (slow / 'file').write_text('slow')
  assert [p.name for p in root.parent.iterdir()] == ['made']
  assert (root / 'file').read_text() == 'fast'


def test_what_was_abandoned_is_removed_and_what_is_slow_is_not(tmp_path):
  dead, slow = tmp_path / 'other.tmp-dead', tmp_path / 'made.tmp-slow'
  for folder in (dead, slow):
    (folder / 'sub').mkdir(parents=True)
    (folder / 'sub' / 'file').write_text('')
    for path in (folder, folder / 'sub', folder / 'sub' / 'file'):
      os.utime(path, (0, 0))
  (slow / 'sub' / 'file').write_text('still written to')
  with new_folder(tmp_path / 'made'):
    pass
  assert sorted(p.name for p in tmp_path.iterdir()) == ['made', 'made.tmp-slow']
