"""The functions for people: what `import jaxgen` has, and what is kept between calls."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import jaxgen
from jaxgen.exchange import kept
from jaxgen.passes import Passes


def test_importing_jaxgen_imports_no_jax():
  code = (
    'import sys, jaxgen; dir(jaxgen); assert "jax" not in sys.modules; print(jaxgen.__version__)'
  )
  found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert found.stdout.strip() == jaxgen.__version__


def test_every_function_is_where_it_is_said_to_be():
  for name in set(jaxgen.__all__) - {'__version__'}:
    assert callable(getattr(jaxgen, name)) and name in dir(jaxgen)
  with pytest.raises(AttributeError, match="module 'jaxgen' has no attribute 'writes'"):
    jaxgen.writes  # noqa: B018


def test_threads_import_functions_one_after_the_other(monkeypatch):
  said = []

  def load(name):
    said.append(f'begin {name}')
    if name.startswith('jaxgen.systems.srsenet'):
      other.start()
      other.join(0.05)
    said.append(f'end {name}')
    return SimpleNamespace(upscale=1, score=2)

  monkeypatch.setattr(jaxgen, 'import_module', load)
  other = threading.Thread(target=lambda: jaxgen.score)
  assert jaxgen.upscale == 1
  other.join()
  assert [line.split()[0] for line in said] == ['begin', 'end'] * 2


def test_what_was_made_of_an_object_is_kept_as_long_as_there_is_room():
  keep, made = kept.Kept(most=2), []
  one, other = SimpleNamespace(), SimpleNamespace()

  def make(name):
    return lambda: made.append(name) or name

  for of, key, name in ((one, 1, 'a'), (one, 1, 'again'), (other, 1, 'b'), (one, 1, 'again')):
    keep(of, key, make(name))
  assert made == ['a', 'b']
  assert keep(one, 2, make('c')) == 'c'
  assert keep(one, 1, make('again')) == 'a' and keep(other, 1, make('d')) == 'd'


def test_a_file_is_read_again_when_it_has_changed(tmp_path, monkeypatch):
  read = []
  monkeypatch.setattr(
    kept.weight_files, 'load_weights', lambda path: read.append(path) or len(read)
  )
  path = tmp_path / 'net.safetensors'
  path.write_bytes(b'one')
  assert kept.load_kept(path) == kept.load_kept(path) == 1
  path.write_bytes(b'other')
  assert kept.load_kept(path) == 2


def test_passes_are_one_count_that_rises_to_its_total():
  told = []
  passes = Passes(lambda *x: told.append(x), [('a', 1), ('b', 1), ('a', 2)], items=4)
  for _ in passes(range(2), 'a'):  # of a known length
    pass
  for _ in passes(iter(range(5)), 'other'):  # not one of them
    pass
  assert max(told) == (250, 1000)
  for _ in passes(iter(range(5)), 'a'):  # b was left out; longer than it was said to be
    pass
  passes.end()
  assert told == sorted(told) and (625, 1000) in told and told[-1] == (1000, 1000)
