"""`jaxgen.write` and `jaxgen.write_sheet` beside the command."""

from pathlib import Path

import numpy as np
import pytest
from helpers import comvae
from PIL import Image
from writing_cases import LONGEST, H

import jaxgen
from jaxgen import compiling
from jaxgen.errors import ConfigError, UserError
from jaxgen.notes import UserNote
from jaxgen.systems.handwriting.writing.job import Job

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_a_sheet_that_is_there_stays_and_is_told_of(writer_file, tmp_path, monkeypatch):
  target = tmp_path / 'sheet.png'
  target.write_bytes(b'of other words')
  drawn = []

  def contents(self, files, wanted):
    drawn.append(files)
    return dict.fromkeys(files, b'of these')

  monkeypatch.setattr(Job, '_drawn', contents)
  told = []
  options = {'weights': writer_file, 'warn': told.append}
  assert jaxgen.write_sheet('ab', target, **options) == target
  assert told == [f'{target} already exists: nothing was written (overwrite=True replaces it)']
  with pytest.warns(UserNote, match='already exists: nothing was written'):
    jaxgen.write_sheet('ab', target, weights=writer_file)
  # What cannot be written is refused as where nothing is there.
  with pytest.raises(UserError, match="'az': these weights cannot write z"):
    jaxgen.write_sheet(['ab', 'az'], target, **options)
  with pytest.raises(ConfigError, match='1,025 pictures exceed the limit of 1,024 per sheet'):
    jaxgen.write_sheet('ab', target, 1025, **options)
  assert not drawn and target.read_bytes() == b'of other words'
  jaxgen.write_sheet('ab', target, overwrite=True, **options)
  jaxgen.write_sheet('ab', tmp_path / 'new.png', **options)
  assert drawn == [[target], [tmp_path / 'new.png']] and len(told) == 1


def test_the_function_writes_what_the_command_writes(write, writer, writer_file, monkeypatch):
  assert write('abé', '--styles=2', '--seed=3', '--output=set')[0] == 0
  flags = '--styles=2', '--seed=3', '--scale=2', '--mm=9', '--svg', '--output=sheet.png'
  assert write('abé', 'ba', *flags)[0] == 0
  compiled = []
  monkeypatch.setattr(
    compiling, 'jit', lambda fn, jit=compiling.jit: compiled.append(fn) or jit(fn)
  )
  found = jaxgen.write('abé', styles=2, seed=3, weights=writer_file)
  assert found.dtype == np.uint8 and found.shape[:2] == (2, H)
  pictures = [np.asarray(Image.open(path)) for path in sorted(Path('set').glob('*.png'))]
  for image, alone in zip(found, pictures, strict=True):
    width = alone.shape[1]
    assert np.array_equal(image[:, :width], alone) and (image[:, width:] == 255).all()
  # The net is read and compiled once.
  number = len(compiled)
  again = jaxgen.write('abé', seed=3, weights=writer_file, canvas=True)
  assert again.shape == (1, H, LONGEST * 16) and len(compiled) == number
  # Sheets too, byte for byte.
  more = {'styles': 2, 'seed': 3, 'scale': 2, 'mm': 9.0, 'weights': writer_file}
  for name in ('sheet.png', 'sheet.svg'):
    own = jaxgen.write_sheet(['abé', 'ba'], f'own-{name}', **more)
    assert own.read_bytes() == Path(name).read_bytes()
  with pytest.raises(ConfigError, match=r'output=x\.jpg: expected a \.png or \.svg'):
    jaxgen.write_sheet('ab', 'x.jpg')
  with pytest.raises(UserError, match="'az': these weights cannot write z"):
    jaxgen.write_sheet(['ab', 'az'], 'x.png', weights=writer_file)
  with pytest.raises(UserError, match="'az': these weights cannot write z"):
    jaxgen.write('az', weights=writer)
  with pytest.raises(ConfigError, match='expected a handwriting model, got a comvae'):
    jaxgen.write('ab', weights=writer._replace(config=comvae()))
