"""The tabs that write and read words, as plain functions."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tab_cases import jobs_of_all

import jaxgen
from jaxgen.command import cli
from jaxgen.errors import UserError
from jaxgen.systems.handwriting.reading.service import Service
from jaxgen.systems.handwriting.tabs import TABS

pytestmark = pytest.mark.usefixtures('quick_compilation')

AS_IS = 1, False, False, None
PLAIN = False, '', 20, 5, None


@pytest.fixture
def jobs(tmp_path):
  return jobs_of_all(TABS, tmp_path)


def test_words_from_the_page_are_the_files_that_the_command_writes_and_are_read(
  jobs, tmp_path, monkeypatch
):
  picture, files = jobs['write']('encre  plume', 2, 7, *AS_IS)
  target = tmp_path / 'own.png'
  command = 'write', 'encre', 'plume', '--styles=2', '--seed=7', '--svg', f'--output={target}'
  assert cli.main(list(command)) == 0
  names = [file.rsplit('/')[-1] for file in files]
  assert names == ['encre-plume.png', 'encre-plume.svg'] and picture == files[0]
  for file, own in zip(files, (target, target.with_suffix('.svg')), strict=True):
    assert Path(file).read_bytes() == own.read_bytes()
  one = jobs['write_one']()
  text, sure, places = jobs['read'](one, *PLAIN)
  assert text and sure[0][0] == text and 1 < len(sure) <= 5 and sure[0][1].endswith(' %')
  assert places.count('<span') == len(text) and 'src="data:image/png;base64,' in places
  # Of words of a lexicon it is one of them, for which nothing is compiled anew.
  monkeypatch.setattr(Service, '_read', None)
  words = 'bonjour plume lettre encre papier matin jardin voyage'
  assert jobs['read'](one, False, words, 20, 1, None)[0] in words.split()


def test_what_the_functions_refuse_is_refused_in_their_words(jobs, tmp_path):
  (tmp_path / 'text.png').write_text('no picture')
  blank = tmp_path / 'blank.png'
  Image.fromarray(np.full((32, 80), 255, np.uint8)).save(blank)
  assert jobs['read'](str(blank), *PLAIN) == ('', [['nothing is written', '100 %']], '')
  for name, values, told in (
    ('write', (' ', 1, 0, *AS_IS), 'no word is given yet'),
    ('write', ('a' * 13, 1, 0, *AS_IS), "'aaaaaaaaaaaaa' has 13 letters, and these weights write"),
    ('write', ('a', 1, None, *AS_IS), 'no seed is given yet'),
    ('write', ('a', 1, 0.5, *AS_IS), 'seed 0.5 is not a whole number'),
    ('write', ('a', 1, -1, *AS_IS), 'seed=-1 must be at least 0'),
    ('read', (None, *PLAIN), 'no picture is given yet'),
    ('read', (str(tmp_path / 'text.png'), *PLAIN), 'not an image'),
    ('read', (str(blank), False, 'x', 0, 5, None), r'0 \(1 with a lexicon\)'),
  ):
    with pytest.raises(UserError, match=told):
      jobs[name](*values)
  with pytest.raises(UserError, match='there is no word to write'):
    jaxgen.write_sheet([], tmp_path / 'none.png')
  with pytest.raises(
    UserError, match=r'an image of uint8 \[4, 4, 5\]: expected uint8 \[H, W\], \['
  ):
    jaxgen.read(np.zeros((4, 4, 5), np.uint8))


def test_a_run_on_the_page_writes_what_the_command_writes(write, writer_file, tmp_path):
  assert write('ab', 'é', '--styles=2', '--seed=5', '--scale=3', '--svg', '--output=s.png')[0] == 0
  page = jobs_of_all(TABS, tmp_path, writer_file)
  _, files = page['write']('ab é', 2, 5, 3, False, False, writer_file.name)
  for file, own in zip(files, ('s.png', 's.svg'), strict=True):
    assert Path(file).read_bytes() == Path(own).read_bytes()
