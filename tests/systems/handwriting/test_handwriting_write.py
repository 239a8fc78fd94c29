"""`jaxgen write`: words, sheets, and what cannot be."""

import json
import re
import unicodedata
from xml.etree import ElementTree

import numpy as np
import pytest
from helpers import comvae
from PIL import Image
from real_files import put
from writing_cases import TOOLS, H

from jaxgen.command import cli
from jaxgen.errors import ConfigError
from jaxgen.exchange import weight_files
from jaxgen.systems.handwriting.writing import texts
from jaxgen.systems.handwriting.writing.job import Finish, Job, ability_of, make_inference
from jaxgen.systems.handwriting.writing.pictures import Options
from jaxgen.systems.handwriting.writing.redrawing import Request, write_words
from jaxgen.systems.handwriting.writing.second_reader import SecondReader
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


def drawn(writer, words, style=0, **options):
  requests = [Request(word, style) for word in words]
  found = write_words(make_inference(writer), writer.variables, TOOLS, requests, **options)
  return {x.request.word: x.image for x in found}


def test_a_word_depends_on_its_style_and_the_seed_and_not_on_other_words(writer):
  alone = drawn(writer, ['abc'])['abc']
  words = [a + b for a in 'abcé' for b in ('', *'abcé')]
  assert len(words) > 16
  among = drawn(writer, [*words, 'abc'])
  np.testing.assert_array_equal(among['abc'], alone)
  assert alone.shape == (H, 64) and (alone[:, 48:] == 255).all() and len(np.unique(alone)) > 10
  for other in (drawn(writer, ['abc'], style=1), drawn(writer, ['abc'], seed=1)):
    assert (other['abc'] != alone).any()


def test_a_sheet_has_a_row_a_word_and_a_column_a_style(write, tmp_path):
  args = '--styles=2', '--output=s.png', '--canvas', '--scale=2', '--svg'
  status, out, err = write('ab', 'abcé', *args)
  assert status == 0 and 'wrote s.png, s.svg' in out and 'error' not in err
  pixels = np.asarray(Image.open('s.png'))
  assert pixels.shape == (2 * (2 * H + 4 + 8), 2 * (2 * 64 + 4 + 8))
  svg = ElementTree.parse('s.svg').getroot()
  assert svg.get('width') == f'{pixels.shape[1]}px' and len(svg) == 4
  assert write(unicodedata.normalize('NFD', 'é'))[1] == 'wrote é.png\n'
  status, out, err = write('b', '--output=s.png')
  assert status == 0 and 's.png already exists: nothing was written' in out
  assert np.array_equal(np.asarray(Image.open('s.png')), pixels)
  status, out, err = write('b', 'x', '--output=s.png', '--json')
  b, x = map(json.loads, out.splitlines())
  assert b == {'word': 'b', 'files': ['s.png'], 'skipped': True}
  assert status == 1 and 'skipped' not in x and x['error'] in err and 'already exists' not in err
  for args, told in (
    (['b', '--styles=1025'], '1,025 pictures exceed the limit'),
    (['x'], "'x': these weights cannot write x"),
    (['--text=none'], 'none: cannot'),
  ):
    status, out, err = write(*args, '--output=s.png')
    assert status and not out and told in err
  # By default a file of the first word's name, cut to the word, which stands where it stood.
  put(tmp_path / 'ab.png', '')  # as a full disk leaves it
  assert write('ab')[0] == 0
  paper = np.asarray(Image.open('ab.png')).astype(int)
  assert len(paper) == H + 8 and paper.shape[1] <= 32 + 2 * 2 + 8
  assert write('ab', '--transparent', '--overwrite')[0] == 0
  grey, alpha = np.moveaxis(np.asarray(Image.open('ab.png')).astype(int), -1, 0)
  assert not grey.any() and np.array_equal(255 - alpha, paper)


def test_a_sheet_has_a_limit_of_pixels(writer, tmp_path, monkeypatch):
  monkeypatch.setattr('jaxgen.systems.handwriting.writing.job.MOST_PIXELS', 5_000)
  monkeypatch.setattr(Job, '_made', lambda self, wanted: ())
  lines = texts.as_lines(['a'], ability_of(writer), 'x')
  job = Job(writer, TOOLS, lines, Options(lines=True), Finish(scale=2), print)
  with pytest.raises(ConfigError, match='a sheet of 66 x 128 pixels is too large: use a smaller'):
    job.draw([tmp_path / 'a.png'])
  job.draw([tmp_path / 'a.svg'])


def test_files_of_a_sheet_are_one_output(writer, tmp_path, monkeypatch):
  told, (png, svg) = [], files = [], [tmp_path / 'p.png', tmp_path / 'p.svg']
  monkeypatch.setattr(
    Job, '_drawn', lambda self, files, _: dict.fromkeys(files, self.texts[0].given.encode())
  )

  def draw(word, there, tries=0):
    given = texts.as_words([word], ability_of(writer))
    job = Job(writer, TOOLS, given, Options(tries=tries), Finish(), told.append)
    return job.draw(files, there), *job.to_json()

  put(png, 'ab')
  written, found = draw('ba', [png])
  assert not written and not svg.exists() and found['files'] == []
  assert f'{png} already exists with another sheet' in found['error']
  assert told == [f'error: {found["error"]}']
  assert draw('ab', [png]) == ([svg], {'word': 'ab', 'files': [str(png), str(svg)]})
  # Of what stays it is not asked what it shows, unless it is to be verified.
  assert draw('ba', files)[1]['skipped'] and 'skipped' not in draw('ba', files, tries=1)[1]
  assert draw('ab', files, tries=1)[1]['skipped'] and len(told) == 2


def test_the_rest_goes_on_and_json_has_an_object_each(write, monkeypatch):
  status, out, err = write(
    'ab', 'a b', 'xa', '--json', '--output=s.svg', '--mm=10', '--verify', '--tries=2'
  )
  assert status == 1
  good, spaced, unknown = map(json.loads, out.splitlines())
  # Nobody has taught this net to write.
  assert good['word'] == 'ab' and good['files'] == ['s.svg'] and good['illegible'] == [1]
  assert 'not legible after 2 tries' in good['error'] and good['error'] in err
  assert 'space' in spaced['error'] and spaced['files'] == [] and 'x' in unknown['error']
  assert err.splitlines()[-1] == "error: 2 of 3 could not be written: 'a b', 'xa'"
  # What is there already is no more legible for that.
  status, out, err = write('ab', '--json', '--output=s.svg', '--mm=10', '--verify', '--tries=2')
  assert status == 1 and json.loads(out) == {**good, 'skipped': True}
  status, out, err = write('x', 'y', '--json')
  assert status == 1 and 'none of 2 texts can be written' in err.splitlines()[-1]
  assert 'cannot write x' in json.loads(out.splitlines()[0])['error'] and "error: 'y'" in err
  status, out, err = write('ab', '--output=set', '--verify', '--tries=1')
  assert status == 1 and 'wrote 0 pictures' in out and '1 picture stayed illegible' in err
  assert 'not legible after 1 try' in err
  # Two have to misread it.
  monkeypatch.setattr(SecondReader, '__call__', lambda self, words, images: words)
  status, out, _ = write('ab', '--output=set', '--verify', '--tries=1')
  assert status == 0 and 'wrote 1 picture ' in out
  assert float(ElementTree.parse('s.svg').getroot().get('height')[:-2]) == pytest.approx(
    10 * 40 / H
  )


@pytest.mark.parametrize(
  ('args', 'status', 'message'),
  [
    (['', '--output=x.png'], 1, "'' is empty"),
    (['ab ba'], 1, "'ab ba' contains a space: write lines of words with --text FILE"),
    (['abcab'], 1, "'abcab' has 5 letters, and these weights write at most 4"),
    (['axby'], 1, "'axby': these weights cannot write x y; they can write abcé"),
    (['a\u200cb'], 1, 'U+200C ZERO WIDTH NON-JOINER'),
    (['a', '--output=x.jpg'], 2, 'x.jpg: expected a .png or .svg file, or a folder'),
    (['a', '--output=folder.png'], 2, 'folder.png holds other files'),
    (['a', '--output=file/x.png'], 2, 'file is a file: name a folder instead'),
    (['a', '--output=file'], 2, 'file is a file: name a folder instead'),
    ([], 2, 'words, --list FILE'),
    (['a', '--count=3'], 2, 'give exactly one of'),
    (['--count=3', '--drop-unknown'], 2, '--count selects only words that the weights can write'),
    (['!!', '--drop-unknown'], 1, "'!!': these weights cannot write !; they can write abcé"),
    (['a', '--styles=0'], 2, '--styles=0 must be at least 1'),
    (['a', '--tries=3'], 2, '--tries=3 must be above 0, and requires --verify'),
    (['a', '--scale=0'], 2, '--scale=0'),
    (['a', '--mm=nan'], 2, '--mm=nan'),
    (['a', '--mm=8'], 2, '--mm applies to outlines only'),
    (['a', '--output='], 2, '--output is empty'),
    (['a', '--weights', 'none'], 2, '--weights=none: no such file'),
    (['--text=none.txt'], 1, 'none.txt: cannot read this text'),
    (['--count=1000'], 1, 'has .* words? that these weights can write, not 1,000'),
    (['a', '--styles=1025'], 2, '1,025 pictures exceed the limit of 1,024 per sheet'),
  ],
)
def test_what_cannot_be_is_one_line(write, tmp_path, args, status, message):
  put(tmp_path / 'file', 'mine')
  (tmp_path / 'folder.png').mkdir()
  put(tmp_path / 'folder.png' / 'file', 'mine')
  found, out, err = write(*args)
  assert found == status and not out
  last = err.splitlines()[-1]
  assert last.startswith('error: ') and (message in last or re.search(message, last))
  assert 'Traceback' not in err


def test_weights_of_another_system_or_none(write, tmp_path, monkeypatch):
  weight_files.save_weights(
    tmp_path / 'other.safetensors', Trained(comvae(), {}, {'a': np.ones(1)}, 1)
  )
  status, _, err = write('a', '--weights', 'other.safetensors')
  assert status == 2 and 'other.safetensors is a run of comvae, which writes no words' in err
  monkeypatch.setattr('jaxgen.exchange.shipped.WEIGHTS', tmp_path)
  assert cli.main(['write', 'a']) == 2
