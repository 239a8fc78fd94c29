"""`jaxgen write`: words, lines, sheets, outlines and generated sets."""

import json
import re
import signal
import unicodedata
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handwriting_cases import tiny
from helpers import comvae
from PIL import Image
from real_files import put
from tab_cases import jobs_of_all

import jaxgen
from jaxgen import compiling
from jaxgen.command import cli
from jaxgen.errors import ConfigError, DataError, UserError
from jaxgen.exchange import weight_files
from jaxgen.run import lock
from jaxgen.systems.handwriting.drawn.word_lists import WordList
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.model import Networks
from jaxgen.systems.handwriting.networks.recogniser import Reading
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.tables import find_tables, read_tables
from jaxgen.systems.handwriting.tabs import TABS
from jaxgen.systems.handwriting.task import make_model
from jaxgen.systems.handwriting.writing import texts
from jaxgen.systems.handwriting.writing.job import Finish, Job, ability_of, make_inference
from jaxgen.systems.handwriting.writing.pictures import Options
from jaxgen.systems.handwriting.writing.redrawing import Request, write_words
from jaxgen.task import Tools, Trained
from jaxgen.terminal.signals import Stopped

pytestmark = pytest.mark.usefixtures('quick_compilation')

TOOLS = Tools(jax.jit, None, lambda items, *args: iter(items), None, None)
H, LONGEST = 32, 4


def variables_of(module, *args):
  """Random variables of a network, without compiling its initialisation."""
  rng = np.random.default_rng(0)

  def draw(path, x):
    if path[-1].key in ('var', 'scale'):
      return rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
    return (rng.normal(size=x.shape) / np.sqrt(max(1, np.prod(x.shape[:-1])))).astype(x.dtype)

  shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), *args))
  return jax.tree_util.tree_map_with_path(draw, shapes)


@pytest.fixture(scope='module')
def trained():
  """A writer that has learned nothing."""
  config = tiny(data__letters='abcé', data__max_letters=LONGEST, data__width=LONGEST * 16)
  facts = {'charset': list('abcé'), 'max_length': LONGEST, 'rtl': False, 'steps_per_epoch': 1}
  facts |= {'faces': ['one', 'two'], 'hand_numbers': ['slant']}
  nets = make_model(config, facts)
  label, one = jnp.ones((1, LONGEST), jnp.int32), jnp.ones(1, jnp.int32)
  gen = variables_of(nets.gen, jnp.zeros((1, nets.gen.num_latents)), label, one)
  rec = variables_of(nets.rec, jnp.zeros((1, H, LONGEST * 16, 1)))
  return Trained(config, facts, {'gen': gen, 'rec': rec}, 7)


@pytest.fixture(scope='module')
def weights(trained, tmp_path_factory):
  folder = tmp_path_factory.mktemp('write')
  return weight_files.save_weights(folder / 'net.safetensors', trained)


@pytest.fixture
def write(weights, tmp_path, monkeypatch, capsys):
  """A function of arguments: the status, standard output, standard error; in a folder of its own."""
  monkeypatch.chdir(tmp_path)

  def run(*args):
    status = cli.main(
      ['write', *args, *([] if '--weights' in args else ['--weights', str(weights)])]
    )
    return status, *capsys.readouterr()

  return run


def drawn(trained, words, style=0, **options):
  requests = [Request(word, style) for word in words]
  found = write_words(make_inference(trained), trained.variables, TOOLS, requests, **options)
  return {x.request.word: x.image for x in found}


def test_a_word_depends_on_its_style_and_the_seed_and_not_on_other_words(trained):
  alone = drawn(trained, ['abc'])['abc']
  words = [a + b for a in 'abcé' for b in ('', *'abcé')]
  assert len(words) > 16
  among = drawn(trained, [*words, 'abc'])
  np.testing.assert_array_equal(among['abc'], alone)
  assert alone.shape == (H, 64) and (alone[:, 48:] == 255).all() and len(np.unique(alone)) > 10
  for other in (drawn(trained, ['abc'], style=1), drawn(trained, ['abc'], seed=1)):
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
  assert status == 0 and 's.png is there already, nothing is written' in out
  assert np.array_equal(np.asarray(Image.open('s.png')), pixels)
  status, out, err = write('b', 'x', '--output=s.png', '--json')
  b, x = map(json.loads, out.splitlines())
  assert b == {'word': 'b', 'files': ['s.png'], 'skipped': True}
  assert status == 1 and 'skipped' not in x and x['error'] in err and 'there already' not in err
  for args, told in (
    (['b', '--styles=1025'], '1,025 pictures are more than'),
    (['x'], "'x': these weights know no x"),
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


def test_words_and_lines_may_have_the_apostrophes_of_typesetting():
  ability = texts.Ability(Charset.of(["ab'"]), 3)
  assert texts.as_words(['b\u2019a', 'b\u2013a'], ability) == [
    texts.Text("b'a", ("b'a",)),
    texts.Text('b\u2013a', ('b\u2013a',), "'b\u2013a': these weights know no \u2013"),
  ]
  assert texts.as_lines(['a  b\u2019a'], ability, 'f') == [texts.Text("a b'a", ('a', "b'a"))]


def test_signs_that_weights_do_not_know_are_left_out_of_words():
  ability = texts.Ability(Charset.of(['abé']), 3, drop_unknown=True)
  assert texts.as_words(['«a!b!', 'ab', '!?', 'ab!ab', '« a'], ability) == [
    texts.Text('ab', ('ab',), left_out='«!!'),
    texts.Text('ab', ('ab',)),
    texts.Text('!?', ('!?',), "'!?': these weights know no ! ?"),
    texts.Text('abab', ('abab',), "'abab' has 4 letters, and these weights write at most 3", '!'),
    texts.Text('« a', error="'« a' has a space: lines of words go through --text FILE"),
  ]
  lines = texts.as_lines(['« ab, e\u0301 »', '!'], ability, 'f')
  assert lines == [texts.Text('ab é', ('ab', 'é'), left_out='«,»'), texts.Text('', left_out='!')]
  told = 'left out 4 signs that these weights do not know: « (1) , (1) » (1) ! (1)'
  assert texts.left_out(lines) == told and not texts.left_out(lines[:0])
  with pytest.raises(UserError, match=r'no word is left without the signs .* they know abé'):
    texts.check_any(lines[1:], ability)


def test_a_text_is_written_without_unknown_signs_where_that_is_asked_for(
  write, tmp_path, monkeypatch
):
  put(tmp_path / 't.txt', 'ab, xa.\n!\nb c\n')
  monkeypatch.setattr(Job, 'draw', lambda self, *args: [])
  status, out, err = write('--text=t.txt', '--json')
  assert status == 1 and [bool(json.loads(x).get('error')) for x in out.splitlines()] == [1, 1, 0]
  assert err.splitlines()[:3] == [
    "error: t.txt line 1: 'ab,': these weights know no ,; 'xa.': these weights know no x .",
    "error: t.txt line 2: '!': these weights know no !",
    'these weights know abcé; --drop-unknown leaves other signs out',
  ]
  status, out, err = write('--text=t.txt', '--json', '--drop-unknown')
  assert status == 0
  assert (
    err == 'warning: left out 4 signs that these weights do not know: , (1) x (1) . (1) ! (1)\n'
  )
  assert list(map(json.loads, out.splitlines())) == [
    {'line': 'ab a', 'files': [], 'left_out': ',x.'},
    {'line': '', 'files': [], 'left_out': '!'},
    {'line': 'b c', 'files': []},
  ]


def test_a_run_on_the_page_writes_what_the_command_writes(write, weights, tmp_path):
  assert write('ab', 'é', '--styles=2', '--seed=5', '--scale=3', '--svg', '--output=s.png')[0] == 0
  page = jobs_of_all(TABS, tmp_path, weights)
  _, files = page['write']('ab é', 2, 5, 3, False, False, weights.name)
  for file, own in zip(files, ('s.png', 's.svg'), strict=True):
    assert Path(file).read_bytes() == Path(own).read_bytes()


def test_the_function_writes_what_the_command_writes(write, trained, weights, monkeypatch):
  assert write('abé', '--styles=2', '--seed=3', '--output=set')[0] == 0
  flags = '--styles=2', '--seed=3', '--scale=2', '--mm=9', '--svg', '--output=sheet.png'
  assert write('abé', 'ba', *flags)[0] == 0
  compiled = []
  monkeypatch.setattr(
    compiling, 'jit', lambda fn, jit=compiling.jit: compiled.append(fn) or jit(fn)
  )
  found = jaxgen.write('abé', styles=2, seed=3, weights=weights)
  assert found.dtype == np.uint8 and found.shape[:2] == (2, H)
  pictures = [np.asarray(Image.open(path)) for path in sorted(Path('set').glob('*.png'))]
  for image, alone in zip(found, pictures, strict=True):
    width = alone.shape[1]
    assert np.array_equal(image[:, :width], alone) and (image[:, width:] == 255).all()
  # The net is read and compiled once.
  number = len(compiled)
  again = jaxgen.write('abé', seed=3, weights=weights, canvas=True)
  assert again.shape == (1, H, LONGEST * 16) and len(compiled) == number
  # Sheets too, byte for byte.
  more = {'styles': 2, 'seed': 3, 'scale': 2, 'mm': 9.0, 'weights': weights}
  for name in ('sheet.png', 'sheet.svg'):
    own = jaxgen.write_sheet(['abé', 'ba'], f'own-{name}', **more)
    assert own.read_bytes() == Path(name).read_bytes()
  assert jaxgen.write_sheet('ab', 'sheet.svg', weights=weights).stat().st_size > 1000
  with pytest.raises(ConfigError, match=r'output=x\.jpg: name a \.png or \.svg'):
    jaxgen.write_sheet('ab', 'x.jpg')
  with pytest.raises(UserError, match="'az': these weights know no z"):
    jaxgen.write_sheet(['ab', 'az'], 'x.png', weights=weights)
  with pytest.raises(UserError, match="'az': these weights know no z"):
    jaxgen.write('az', weights=trained)
  with pytest.raises(ConfigError, match='a comvae is no handwriting'):
    jaxgen.write('ab', weights=trained._replace(config=comvae()))


def test_a_folder_is_a_set_that_training_reads_and_goes_on_where_it_was(write, tmp_path):
  words = ['ab', unicodedata.normalize('NFD', 'éa')]
  status, out, _ = write(*words, 'a"b', '--styles=2', '--output=set')
  assert status == 1 and 'wrote 4 pictures to set' in out
  folder = tmp_path / 'set'
  names = ['ab_0_1.png', 'ab_0_2.png', 'éa_0_1.png', 'éa_0_2.png']
  assert sorted(p.name for p in folder.glob('*.png')) == names
  store, report = Store(folder), Report('set')
  rows = list(read_tables(store, find_tables(store), {}, report))
  assert [(row.file, row.text, row.writer) for row in rows] == [
    (name, name[:2], name[3:6]) for name in names
  ]
  # Nobody taught this net to leave paper white: what is on its pictures is not judged.
  assert all(store.find(row.file) == [row.file] for row in rows) and not report.counts
  before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob('[!.]*')}
  (folder / names[1]).unlink()
  (folder / names[0]).write_bytes(b'')  # as a full disk leaves it
  status, out, err = write('ab', 'c', '--styles=2', '--seed=0', '--output=set')
  assert (status, err) == (0, '') and 'wrote 4 pictures to set' in out
  after = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.glob('[!.]*')}
  assert {n for n in before if after[n][1] != before[n][1]} == {'words.csv'}
  assert after[names[2]] == before[names[2]]
  assert len((folder / 'words.csv').read_text().splitlines()) == 7
  status, out, _ = write('ab', 'c', '--styles=2', '--output=set')
  assert 'wrote 0 pictures to set; 4 were there already' in out


def test_a_set_grows_by_seeds_and_outlines_and_a_word_given_twice_is_written_once(write, tmp_path):
  _, out, _ = write('a', 'a', '--output=set', '--json')
  one, same = map(json.loads, out.splitlines())
  assert one == same == {'word': 'a', 'files': ['set/a_0_1.png']}
  _, out, _ = write('a', 'a', '--output=set', '--json')
  assert [json.loads(line) for line in out.splitlines()] == [{**one, 'skipped': True}] * 2
  assert 'wrote 1 picture to' in write('a', '--output=set', '--seed=5')[1]
  assert 'wrote 1 picture to' in write('a', '--output=set', '--svg')[1]
  status, _, err = write('a', '--output=set', '--svg', '--mm=8')
  assert status == 2 and 'written otherwise (mm)' in err
  names = ['a_0_1.png', 'a_0_1.svg', 'a_5_1.png', 'words.csv', 'write.json']
  assert sorted(p.name for p in (tmp_path / 'set').glob('[!.]*')) == names
  table = (tmp_path / 'set' / 'words.csv').read_text()
  assert table == 'file,text,writer\na_0_1.png,a,0_1\na_5_1.png,a,5_1\n'


def test_a_sheet_has_a_limit_of_pixels(trained, tmp_path, monkeypatch):
  monkeypatch.setattr('jaxgen.systems.handwriting.writing.job.MOST_PIXELS', 5_000)
  monkeypatch.setattr(Job, '_made', lambda self, wanted: ())
  lines = texts.as_lines(['a'], ability_of(trained), 'x')
  job = Job(trained, TOOLS, lines, Options(lines=True), Finish(scale=2), print)
  with pytest.raises(ConfigError, match='a sheet of 66 x 128 pixels is too large: take a smaller'):
    job.draw([tmp_path / 'a.png'])
  job.draw([tmp_path / 'a.svg'])


def test_a_stop_leaves_a_set_of_what_is_done(trained, tmp_path):
  def stopping(items, *args):
    yield from islice(items, 3)
    raise KeyboardInterrupt

  words = texts.as_words(['a', 'b', 'ab', 'ba', 'aa'], ability_of(trained))
  tools = TOOLS._replace(progress=stopping)
  with pytest.raises(KeyboardInterrupt):
    Job(trained, tools, words, Options(), Finish(), print).fill(tmp_path / 'set', False)
  (table,) = (tmp_path / 'set').glob('*.csv')
  listed = [line.split(',')[0] for line in table.read_text().splitlines()[1:]]
  assert len(listed) == 3 == len(list((tmp_path / 'set').glob('*.png')))
  job = Job(trained, TOOLS, words, Options(), Finish(), print)
  assert job.fill(tmp_path / 'set', False) == (2, 3)
  assert [len(job.files[i]) for i in range(5)] == [1] * 5


def test_two_commands_do_not_fill_one_folder(write, tmp_path):
  put(tmp_path / 'set' / lock.FILE, '{"pid": 1}')  # as a job that was killed leaves it
  with lock.exclusive(tmp_path / 'set'):
    status, out, err = write('a', '--output=set')
  assert status == 1 and not out
  assert 'error: set is being filled by process' in err and 'another --output' in err
  assert [path.name for path in (tmp_path / 'set').iterdir()] == [lock.FILE]
  assert write('a', '--output=set')[0] == 0
  put(tmp_path / 'other' / 'letter.txt', 'mine')
  assert write('a', '--output=other')[0] == 2
  assert [path.name for path in (tmp_path / 'other').iterdir()] == ['letter.txt']


@pytest.mark.parametrize(
  ('more', 'told'),
  [
    ([], 'the same command to go on'),
    (['--overwrite'], 'the same command without --overwrite, which begins anew, to go on'),
  ],
)
def test_a_stopped_command_tells_how_it_goes_on(write, monkeypatch, more, told):
  def stop(*args):
    raise Stopped(signal.SIGTERM)

  monkeypatch.setattr(Job, 'fill', stop)
  _, _, err = write('a', '--output=set', *more)
  assert f'what is in set stays. Run {told}.' in err


def test_a_folder_is_of_one_net_and_one_kind(write, tmp_path):
  assert write('a', 'c', '--output=set')[0] == 0
  status, _, err = write('a', '--output=set', '--scale=2')
  assert status == 2 and 'set holds words that were written otherwise (scale)' in err
  assert write('a', '--output=set', '--scale=2', '--overwrite')[0] == 0
  assert Image.open('set/a_0_1.png').height == 2 * H
  # What is left of before is not of this set, and not taken into it.
  assert Path('set/words.csv').read_text() == 'file,text,writer\na_0_1.png,a,0_1\n'
  _, out, _ = write('a', 'c', '--output=set', '--scale=2')
  assert 'wrote 1 picture to set; 1 were there already' in out
  assert Image.open('set/c_0_1.png').height == 2 * H
  put(tmp_path / 'other' / 'letter.txt', 'mine')
  status, _, err = write('a', '--output=other')
  assert status == 2 and 'other holds other files' in err
  put(tmp_path / 'set' / 'b_0_1.png', 'mine')
  status, out, err = write('a', 'b', '--output=set', '--scale=2', '--json')
  assert status == 1 and 'b_0_1.png is there and is no image' in err
  a, b = map(json.loads, out.splitlines())
  assert a == {'word': 'a', 'files': ['set/a_0_1.png'], 'skipped': True}
  assert 'no image' in b['error'] and 'skipped' not in b
  assert (tmp_path / 'set' / 'b_0_1.png').read_text() == 'mine'


@pytest.mark.parametrize(
  ('args', 'status', 'message'),
  [
    (['', '--output=x.png'], 1, "'' is empty"),
    (['ab ba'], 1, "'ab ba' has a space: lines of words go through --text FILE"),
    (['abcab'], 1, "'abcab' has 5 letters, and these weights write at most 4"),
    (['axby'], 1, "'axby': these weights know no x y; they know abcé"),
    (['a\u200bb'], 1, 'U+200B ZERO WIDTH SPACE'),
    (['a', '--output=x.jpg'], 2, 'x.jpg: name a .png or .svg file, or a folder'),
    (['a', '--output=folder.png'], 2, 'folder.png holds other files'),
    (['a', '--output=file/x.png'], 2, 'file is a file: name a folder in its place'),
    (['a', '--output=file'], 2, 'file is a file: name a folder in its place'),
    ([], 2, 'name words, or --list'),
    (['a', '--count=3'], 2, 'one of them'),
    (['--count=3', '--drop-unknown'], 2, '--count takes words that the weights can write'),
    (['!!', '--drop-unknown'], 1, "'!!': these weights know no !; they know abcé"),
    (['a', '--styles=0'], 2, '--styles must be above 0'),
    (['a', '--tries=3'], 2, '--tries must be above 0, and goes with --verify'),
    (['a', '--scale=0'], 2, '--scale=0'),
    (['a', '--mm=nan'], 2, '--mm=nan'),
    (['a', '--mm=8'], 2, '--mm is of outlines'),
    (['a', '--output='], 2, '--output is empty'),
    (['a', '--weights', 'none'], 2, '--weights none: no such file'),
    (['--text=none.txt'], 1, 'none.txt: cannot read this text'),
    (['--count=1000'], 1, 'has .* words? that these weights can write, not 1,000'),
    (['a', '--styles=1025'], 2, '1,025 pictures are more than the 1,024 of a sheet'),
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
  monkeypatch.setattr('jaxgen.systems.handwriting.writing.weights.SHIPPED', tmp_path / 'none')
  assert cli.main(['write', 'a']) == 2


def test_the_rest_goes_on_and_json_has_an_object_each(write):
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
  status, out, err = write('x', 'y', '--json')
  assert status == 1 and 'none of 2 texts can be written' in err.splitlines()[-1]
  assert 'no x' in json.loads(out.splitlines()[0])['error'] and "error: 'y'" in err
  status, out, err = write('ab', '--output=set', '--verify', '--tries=1')
  assert status == 1 and 'wrote 0 pictures' in out and '1 picture stayed illegible' in err
  assert float(ElementTree.parse('s.svg').getroot().get('height')[:-2]) == pytest.approx(
    10 * 40 / H
  )


def test_a_text_is_a_page_of_lines(write, tmp_path):
  put(tmp_path / 't.txt', '\ufeffab  ca a\n\nxx b\nab b\n')
  status, out, err = write('--text=t.txt', '--output=page.png', '--json')
  assert status == 1 and "t.txt line 3: 'xx': these weights know no x" in err
  assert [json.loads(line)['line'] for line in out.splitlines()] == ['ab ca a', '', 'xx b', 'ab b']
  page = np.asarray(Image.open('page.png'))
  assert page.shape[0] >= 4 * H + 3 * 4 + 32
  status, _, _ = write('--text=t.txt', '--output=set')
  (a, b) = (tmp_path / 'set' / 'words.csv').read_text().splitlines()[1:]
  assert a.endswith(',ab ca a,0_1') and b.endswith(',ab b,0_1')


def test_odd_lines_of_a_list_are_told_of_and_the_rest_is_written(write, tmp_path, monkeypatch):
  put(tmp_path / 'l.txt', 'ab\na b\nab\nc 1 2\n')
  monkeypatch.setattr(Job, 'draw', lambda self, *args: [])
  status, out, err = write('--list=l.txt', '--json')
  ab, odd, other = map(json.loads, out.splitlines())
  assert status == 1 and ab == {'word': 'ab', 'files': []}
  assert odd['word'] == 'a b' and 'l.txt, line 2: expected a word' in odd['error']
  assert f'error: {odd["error"]}\nerror: {other["error"]}\n' in err
  assert err.splitlines()[-1] == "error: 2 of 3 could not be written: 'a b', 'c 1 2'"
  put(tmp_path / 'odd.txt', 'a b\n')
  status, out, err = write('--list=odd.txt', '--json')
  assert status == 1 and 'expected a word' in json.loads(out)['error'] and 'line 1' in err
  # Of words that are chosen they are none.
  status, out, err = write('--list=l.txt', '--count=1')
  assert status == 0 and 'warning: 2 lines of l.txt left out; the first: l.txt, line 2' in err


def test_lists_and_counts(tmp_path, trained):
  ability = texts.Ability(Charset(tuple('abcé')), LONGEST)
  words = WordList(
    'mine', ('ab', 'axe', 'a', 'b', 'abcab', 'c', 'ca'), np.array([1, 9, 1, 0, 9, 2, 5.0])
  )
  few, more = (texts.chosen_words(words, n, 0, ability) for n in (2, 4))
  assert few == more[:2] and sorted(more) == ['a', 'ab', 'c', 'ca']
  with pytest.raises(DataError, match='mine has 4 words that these weights can write, not 5'):
    texts.chosen_words(words, 5, 0, ability)
  stems = list(map(texts.file_stem, ['ab', 'Ab', "l'a", 'l-a', '?', '/', 'a/../b', 'x' * 90]))
  assert stems[0] == 'ab' and stems[3] == 'l-a'
  assert len({stem.lower() for stem in stems}) == len(stems) and not any(
    '/' in stem for stem in stems
  )


# --- Drawing again ---


class Scribe:
  """A writer whose first latent says whether it writes clearly, and how; and who reads that."""

  num_latents = 3

  def __init__(self, limit, hand=0):
    self.gen, self.limit = SimpleNamespace(hand=hand), limit

  def apply(self, variables, *args):
    if len(args) == 1:  # reads: a frame a column, clear ones only
      levels = jnp.round((1 - args[0][:, 0, :, 0]) * 10).astype(jnp.int32)
      logits = jax.nn.one_hot(levels, 5)
      return Reading(logits, jnp.full(len(logits), logits.shape[1]), logits)
    z, labels, _ = args
    last = jnp.where(z[:, 2:] > self.limit, labels[:, -1:], 0)
    labels = jnp.concatenate([labels[:, :-1], last], -1)
    image = jnp.repeat(1 - labels / 10, 2, axis=-1)[:, None, :, None]
    hand = jnp.broadcast_to(jnp.tanh(z[:, None, :1, None]), (len(z), 1, 1, 1))
    return jnp.concatenate([image, jnp.ones_like(hand), hand], axis=2)


def scribbled(limit, word='abc', styles=20, tries=5, hand=0):
  scribe = Scribe(limit, hand)
  facts = {'charset': list('abcd'), 'max_length': 3, 'faces': []}
  inference = Inference(
    Networks(scribe, None, SimpleNamespace(apply=lambda v, x: scribe.apply(v, x[:, :, :-1]))),
    facts,
    tiny(),
  )
  requests = [Request(word, style) for style in range(styles)]
  return sorted(
    write_words(inference, {'gen': 0, 'rec': 0}, TOOLS, requests, 0, tries), key=lambda x: x.request
  )


def test_what_is_not_legible_is_drawn_again_in_the_same_hand():
  found = scribbled(0.0, tries=40)
  assert len(found) == 20 and all(x.legible for x in found)
  assert {1, 2} <= {x.tries for x in found}
  one, other = (scribbled(limit, hand=1, tries=40) for limit in (-9.0, 0.0))
  again = [i for i, x in enumerate(other) if x.tries > 1]
  assert again and all(one[i].image[0, -1] == other[i].image[0, -1] for i in range(20))
  free = scribbled(0.0, tries=40)
  assert any(free[i].image[0, -1] != one[i].image[0, -1] for i in again)


def test_what_stays_illegible_is_given_up_and_unread_words_are_not_judged():
  found = scribbled(9.0, tries=3)
  assert [(x.tries, x.reading, x.legible) for x in found] == [(3, 'ab', False)] * 20
  assert all(x.legible and x.reading is None and x.tries == 1 for x in scribbled(9.0, tries=0))
