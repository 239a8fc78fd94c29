import os
import sys
import zipfile
from collections import Counter
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import override
from real_files import png, put, strokes, table

from jaxgen import config as configs
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.corpus import load_corpus, real_corpus, sets
from jaxgen.systems.handwriting.levels import from_levels
from jaxgen.systems.handwriting.real.canvas import Ink, line_widths
from jaxgen.systems.handwriting.real.examples import Settings, read_examples
from jaxgen.systems.handwriting.real.known_sets import KNOWN
from jaxgen.systems.handwriting.real.report import Report
from jaxgen.systems.handwriting.real.samples import training_sheet
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.words import Wanted, load_words
from jaxgen.systems.handwriting.real.writers import SplitRule
from jaxgen.systems.handwriting.recogniser_task import make_data
from jaxgen.systems.handwriting.word_pictures import Pictures, joined

N = 24
REAL = Path(os.environ.get('JAXGEN_DATA') or 'JAXGEN_DATA')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Pictures of N words of six writers in a zip, and a table; prepared in a cache of its own."""
  root = tmp_path_factory.mktemp('words')
  with zipfile.ZipFile(root / 'images.zip', 'w') as archive:
    for i in range(N):
      archive.writestr(f'{i}.png', png(strokes(i, 32, 40 + 4 * i)))
  rows = [(f'{N - 1 - i}.png', f'mot{i % 9}é', f'w{i % 6}') for i in range(N)]
  put(root / 'set' / 'words.csv', table([*rows, ('none.png', 'x', 'w0')]))
  (root / 'images.zip').rename(root / 'set' / 'images.zip')
  return root / 'set'


@pytest.fixture
def cache(tmp_path_factory, monkeypatch):
  """One for all tests of this file."""
  root = tmp_path_factory.getbasetemp() / 'handwriting_cache'
  monkeypatch.setenv('JAXGEN_CACHE', str(root))
  return root / 'tfds'


def test_round_trip(folder, cache, capfd):
  before = {p: p.stat().st_mtime_ns for p in folder.iterdir()}
  words, report = load_words(str(folder), height=32, width=136)
  assert 'tensorflow' not in sys.modules
  assert {p: p.stat().st_mtime_ns for p in folder.iterdir()} == before
  captured = capfd.readouterr()
  assert captured.out == '' and 'it/s' not in captured.err and 'configuration' not in captured.err
  found = {}
  for part in words.values():
    images = part.images
    assert images.shape == (len(part), 32, 136) and images.dtype == np.uint8
    assert (np.diff(part.index) > 0).all()
    found |= {
      int(i): (image, k, part) for k, (i, image) in enumerate(zip(part.index, images, strict=True))
    }
  assert sorted(found) == list(range(N))
  for i, (image, k, part) in found.items():
    written = strokes(N - 1 - i, 32, 40 + 4 * (N - 1 - i))
    width = written.shape[1]
    np.testing.assert_array_equal(image[:, :width], written)
    assert (image[:, width:] == 255).all() and part.widths[k] == width
    assert (part.texts[k], part.writers[k]) == (f'mot{i % 9}é', f'w{i % 6}')
    assert part.files[k] == f'{N - 1 - i}.png'
  assert report.counts == {'missing image': 1} and report.rows == N + 1
  # Prepared once: nothing but the report is written, and it says the same.
  (prepared,) = cache.glob('*set-*')
  records = {p: p.stat().st_mtime_ns for p in prepared.rglob('*')}
  again, other = load_words(str(folder), height=32)
  assert {p: p.stat().st_mtime_ns for p in prepared.rglob('*')} == records
  assert other.bad_rows() == report.bad_rows()
  own = again['test'].gather([1, 0])
  assert [image.shape for image in own] == [(32, again['test'].widths[k]) for k in (1, 0)]
  np.testing.assert_array_equal(
    again['test'].take([1]).gather([0], 256)[0, :, : own[0].shape[1]], own[0]
  )


def test_no_writer_is_in_two_splits_and_table_one(folder, cache):
  words, report = load_words(str(folder), height=32)
  assert words.keys() == {'train', 'validation', 'test'}
  writers = [set(part.writers) for part in words.values()]
  assert sum(map(len, writers)) == len(set().union(*writers)) == 6
  tables = {t.split: t for t in report.tables}
  assert tables['all'][1:] == (N, 9, len(set('moté012345678')), 6)
  assert tables['test'][1] == len(words['test']) and tables['test'].writers == len(writers[-1])
  assert any(line.split() == ['all', '24', '9', '13', '6'] for line in report.lines())
  assert any('test: the text of' in line for line in report.lines())


def test_rows_that_are_not_wanted_move_no_writer(folder, cache):
  everything, _ = load_words(str(folder), height=32)
  some, report = load_words(
    str(folder),
    height=32,
    width=100,
    wanted=Wanted(charset='moté01234567', frame_stride=20, max_length=5),
  )
  assert report.counts == {'missing image': 1, 'symbol outside the charset': 2, 'too wide': 8}
  for split, part in some.items():
    assert set(part.index) == {
      i
      for i, text, width in zip(
        everything[split].index, everything[split].texts, everything[split].widths, strict=True
      )
      if '8' not in text and width <= 100
    }
  with pytest.raises(
    DataError,
    match=r'no row is usable: 24 too long for the frames, such as 23\.png: needs 5, has 4',
  ):
    load_words(str(folder), height=32, width=136, wanted=Wanted(frame_stride=40))
  with pytest.raises(DataError, match=r"24 too long, such as 23\.png: 5 in 'mot0é'"):
    load_words(str(folder), height=32, wanted=Wanted(max_length=4))
  with pytest.raises(DataError, match=r"24 too short, such as 23\.png: 5 in 'mot0é'"):
    load_words(str(folder), height=32, wanted=Wanted(min_length=6))
  with pytest.raises(ConfigError, match='width = -1'):
    load_words(str(folder), height=32, width=-1)


def test_padding_of_right_to_left(folder, cache):
  left, _ = load_words(str(folder), height=32, width=160)
  right, _ = load_words(str(folder), height=32, width=160, rtl=True)
  for k, width in enumerate(left['train'].widths):
    a, b = (words['train'].gather([k])[0] for words in (left, right))
    np.testing.assert_array_equal(a[:, :width], b[:, 160 - width :])
    assert (b[:, : 160 - width] == 255).all()


def test_sets_that_are_not_there(tmp_path, cache, monkeypatch):
  with pytest.raises(DataError, match=r'no set of this name\. Did you mean dhsd_words_de\? Known'):
    load_words('dhsd_word_de')
  monkeypatch.setenv('JAXGEN_DATA', str(tmp_path))
  with pytest.raises(DataError, match=r'dhsd_words_de: .* is empty'):
    load_words('dhsd_words_de')
  put(tmp_path / 'set' / 'words.csv', 'file,text\na,b\n')
  with pytest.raises(DataError, match='set: no row is usable: 1 missing image'):
    load_words(str(tmp_path / 'set'))
  assert not list(cache.glob('*.tmp-*'))
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'set' / 'words.csv'))
  put(tmp_path / 'set' / 'a.png', strokes())
  with pytest.raises(DataError, match='set JAXGEN_CACHE to a folder'):
    load_words(str(tmp_path / 'set'))


def test_real_lines_have_few_widths():
  folder = REAL / 'poilus_lines_fr'
  if not folder.is_dir():
    pytest.skip('needs $JAXGEN_DATA/poilus_lines_fr')
  known = KNOWN['poilus_lines_fr']
  settings = Settings(Ink(64), known.table, known.columns)
  examples = read_examples(Store(folder), settings, Report('poilus_lines_fr'))
  for _, (_, image, row) in zip(range(20), examples, strict=False):
    assert image.shape[0] == 64 and 4 * len(row.text) < image.shape[1] <= line_widths()[-1]
    assert np.median(image) > 150


def test_a_recogniser_learns_from_several_sets_and_drawn_words(folder, cache, tmp_path):
  put(tmp_path / 'list.txt', 'mot\nlit\nsel\n')
  config = override(
    configs.load('handwriting_recogniser:table'),
    {
      'data__name': f'drawn,{folder}', 'data__height': 32, 'data__width': 136, 'batch_size': 4,
      'data__word_list': str(tmp_path / 'list.txt'), 'data__num_unseen': 1, 'data__num_examples': 6,
      'data__num_validation': 1, 'data__num_words': 0,
    },
  )  # fmt: skip
  data = make_data(config)
  words, _ = load_words(str(folder), height=32, width=136)
  train = words['train']
  assert data.facts['steps_per_epoch'] == (6 + len(train)) // 4 and data.facts['dropped'] == 1
  assert {'t', 'é', '0'} <= set(data.facts['charset'])
  arrays = {name: np.asarray(x) for name, x in data.arrays.items()}
  np.testing.assert_array_equal(arrays['image'][6:], train.images)
  np.testing.assert_array_equal(arrays['width'], [*[136] * 6, *train.widths])
  # The sheet has the first batch under its texts.
  sheet = training_sheet(data)
  assert sheet.shape == (6 + 32 + 2 + 22 + 6, 6 + 4 * (136 + 2 + 6))
  first = next(iter(data.batches(0, slice(0, 4))))['index']
  np.testing.assert_array_equal(
    sheet[6 + 22 + 1 :][:32, 6 + 1 :][:, :136], arrays['image'][first[0]]
  )
  row = {'index': np.int32(6), 'gen_label': np.zeros(64, np.int32), 'gen_length': np.int32(1)}
  found = data.example(arrays, row, jax.random.key(0))
  assert found['image'].shape == (32, 136, 1) and 8 <= int(found['width']) <= 136
  corpus = load_corpus(config)
  others = {x for name in ('validation', 'test') for x in words[name].texts} - set(corpus.words)
  assert list(corpus.unseen) == sorted(others) and not corpus.case
  assert ('unseen' in data.splits) == bool(others)
  for name in ('validation', 'test'):
    (batch,) = data.splits[name].batches(slice(0, 64))
    np.testing.assert_array_equal(batch['width'][batch['mask'] > 0], words[name].widths)


@pytest.mark.parametrize(
  ('header', 'columns', 'notes'),
  [
    ('file,text', {}, 'writers are unknown'),
    ('filename,transcription,author', {}, 'test: the text of'),
    ('file,text,writer,split', {}, 'validation: 1 writer also in train'),
    (
      'scan,wort,hand,teil',
      {'file': 'scan', 'text': 'wort', 'writer': 'hand'},
      'test: the text of',
    ),
    (
      'scan,wort,hand,teil',
      {'file': 'scan', 'text': 'wort', 'split': 'teil'},
      'validation: 1 writer also',
    ),
    ('', {'file': '0', 'text': '1', 'writer': '2'}, 'test: the text of'),
  ],
)
def test_a_config_names_only_the_columns_that_have_other_names(
  tmp_path, cache, caplog, header, columns, notes
):
  for i in range(8):
    put(tmp_path / 'set' / f'{i}.png', strokes(i, 32, 60))
  rows = [(f'{i}.png', f'mot{i}', f'w{i % 4}', 'val' if i < 1 else 'train') for i in range(8)]
  fields = header.count(',') + 1 if header else 3
  content = table([row[:fields] for row in rows], header)
  put(tmp_path / 'set' / 'words.csv', content if header else content.lstrip())
  if header.startswith('scan'):  # among other tables
    put(tmp_path / 'set' / 'more.csv', 'file,text\n')
    columns = {**columns, 'table': 'words.csv'}
  values = {
    f'data__{role}' if role == 'table' else f'data__columns__{role}': name
    for role, name in columns.items()
  }
  values |= {'data__name': str(tmp_path / 'set'), 'data__height': 32, 'data__width': 64}
  corpus = real_corpus(override(configs.load('handwriting_recogniser:table'), values))
  counts = {split: len(part.texts) for split, part in corpus.pictures.items()}
  by_table = 'split' in columns or header.endswith('split')
  assert counts == {'train': 7, 'validation': 1} if by_table else sum(counts.values()) == 8
  assert notes in caplog.text


def test_a_config_says_who_is_tested_on(folder, cache, tmp_path):
  values = {'data__height': 32, 'data__width': 136, 'data__name': str(folder)}
  config = override(
    configs.load('handwriting_recogniser:table'), {**values, 'data__test_writers': 'w1,w4'}
  )
  corpus = real_corpus(config)
  words, _ = load_words(
    str(folder), height=32, width=136, split=SplitRule(test_writers=('w1', 'w4'))
  )
  assert set(words['test'].writers) == {'w1', 'w4'} and len(words['test']) == 8
  assert corpus.pictures['test'].texts == words['test'].texts
  assert corpus.pictures['train'].texts == words['train'].texts
  with pytest.raises(DataError, match=r'writer w9 \(.*Known: w0, w1, w2, w3, w4, w5$'):
    real_corpus(override(config, {'data__test_writers': 'w1,w9'}))
  with pytest.raises(
    ConfigError, match=r"test_writers = 'w1' applies to one set, and .* dhsd_words_de"
  ):
    real_corpus(
      override(config, {'data__name': f'{folder},dhsd_words_de', 'data__test_writers': 'w1'})
    )
  with pytest.raises(
    ConfigError, match=r"data\.dir = '.*' applies to one set, and .* dhsd_words_de"
  ):
    both = {'data__name': f'{folder},dhsd_words_de', 'data__test_writers': '', 'data__dir': 'x'}
    real_corpus(override(config, both))
  for key, value in (('data__test_writers', 'w1'), ('data__ink', 'light')):
    drawn = override(configs.load('handwriting_recogniser'), {key: value})
    with pytest.raises(
      ConfigError, match=r'applies to real words, and config\.data\.name has none'
    ):
      configs.check(drawn)


def chalk(seed):
  """Light strokes on a ground that is not dark."""
  return np.where(strokes(seed, 32, 60) < 128, 250, 140).astype(np.uint8)


def test_a_config_says_how_ink_is_and_what_stays_together(tmp_path, cache):
  rows = [(f'{i}.png', f'mot{i}', f'p{i // 3}') for i in range(12)]
  put(tmp_path / 'set' / 'words.csv', table(rows, 'file,text,seite'))
  for i, (name, *_) in enumerate(rows):
    put(tmp_path / 'set' / name, chalk(i))
  values = {
    'data__name': str(tmp_path / 'set'), 'data__height': 32, 'data__width': 64,
    'data__columns__group': 'seite',
  }  # fmt: skip
  config = override(configs.load('handwriting_recogniser:table'), values)
  assert real_corpus(config).dropped  # as blank: nothing is darker than the rest
  corpus = real_corpus(override(config, {'data__ink': 'light'}))
  assert not corpus.dropped
  pages = {
    split: {int(text[3:]) // 3 for text in part.texts} for split, part in corpus.pictures.items()
  }
  assert sum(map(len, pages.values())) == len(set().union(*pages.values())) == 4
  first = int(corpus.pictures['train'].texts[0][3:])
  image = corpus.pictures['train'].gather(np.array([0]))[0]
  np.testing.assert_array_equal(image[:, :60], 255 - chalk(first))


def test_a_config_asks_for_the_words_of_pages(tmp_path, cache):
  boxes = [(x, y) for y in (10, 50, 90) for x in (5, 65)]
  page = np.full((130, 130), 255, np.uint8)
  words = []
  for i, (x, y) in enumerate(boxes):
    page[y : y + 32, x : x + 60] = strokes(i, 32, 60)
    coords = f'{x},{y} {x + 60},{y} {x + 60},{y + 32} {x},{y + 32}'
    text = f'<TextEquiv><Unicode>mot{i}</Unicode></TextEquiv>'
    words.append(f'<Word><Coords points="{coords}"/>{text}</Word>')
  lines = ''.join(f'<TextLine>{"".join(words[i : i + 2])}</TextLine>' for i in (0, 2, 4))
  put(tmp_path / 'set' / 'p.png', page)
  put(tmp_path / 'set' / 'p.xml', f'<PcGts><Page imageFilename="p.png">{lines}</Page></PcGts>')
  values = {'data__name': str(tmp_path / 'set'), 'data__height': 32, 'data__width': 64}
  config = override(configs.load('handwriting_recogniser:table'), values)
  with pytest.raises(DataError, match='3 bad region'):
    real_corpus(config)
  corpus = real_corpus(override(config, {'data__level': 'word'}))
  found = {text for part in corpus.pictures.values() for text in part.texts}
  assert found == {f'mot{i}' for i in range(6)}


def test_drawn_words_among_sets_need_a_real_one(cache):
  options = {'data__name': 'drawn,drawn', 'data__num_examples': 1, 'data__num_validation': 1}
  with pytest.raises(ConfigError, match="'drawn,drawn' has nothing to evaluate on: name 'drawn'"):
    load_corpus(override(configs.load('handwriting_recogniser'), options))


def test_what_is_padded_on_the_left_is_changed_where_its_ink_is(tmp_path, cache, caplog):
  rows = [(f'{i}.png', 'كتاب' if i else 'باب 12', f'w{i % 4}') for i in range(12)]
  put(tmp_path / 'set' / 'words.csv', table(rows))
  for i, (name, *_) in enumerate(rows):
    put(tmp_path / 'set' / name, png(strokes(i, 32, 90)))
  values = {
    'data__name': str(tmp_path / 'set'), 'data__height': 32, 'data__width': 160,
    'data__script': 'arabic', 'model__own_widths': False, 'batch_size': 4,
    'augment__stroke': 0.0, 'augment__contrast': 0.0,
  }  # fmt: skip
  config = override(configs.load('handwriting_recogniser:table'), values)
  data = make_data(config)
  assert "1 texts have numbers or Latin words, such as 'باب 12'" in caplog.text
  row = {'index': np.int32(0), 'gen_label': np.zeros(64, np.int32), 'gen_length': np.int32(1)}
  found = jax.jit(data.example)(data.arrays, row, jax.random.key(0))
  given, changed = from_levels(data.arrays['image'][0]), np.asarray(found['image'])
  assert (changed[:, : 160 - int(found['width'])] == 1).all()
  assert (1 - changed).sum() > 0.5 * np.asarray(1 - given).sum()  # nearly all was cut off
  with pytest.raises(
    ConfigError, match=r"'latin', but most texts of .* right to left: set it to 'ar"
  ):
    load_corpus(override(config, {'data__script': 'latin'}))


def test_generated_words_are_all_trained_on_and_none_is_evaluated_on(folder, cache, tmp_path):
  texts = [f'mot{i}é' for i in range(8)]  # the folder has mot8é too
  put(tmp_path / 'list.txt', '\n'.join([*texts, 'lit', 'sel']))
  values = {
    'data__height': 32, 'data__width': 136, 'data__layout': 'natural', 'data__letters': '',
    'data__word_list': str(tmp_path / 'list.txt'), 'data__num_unseen': 2, 'data__num_examples': 6,
    'data__num_validation': 2, 'data__num_words': 0, 'generated__name': str(folder),
  }  # fmt: skip
  variant = 'handwriting_recogniser:augment_real_generated'
  both = load_corpus(override(configs.load(variant), values))
  alone = load_corpus(override(configs.load(variant), {**values, 'generated__alone': True}))
  generated = both.pictures['train'].texts[6:]
  assert Counter(generated) == {x: 3 if i < 6 else 2 for i, x in enumerate(texts)}
  assert alone.pictures['train'].texts == generated and list(alone.seen) == texts
  images = both.pictures['train'].gather(np.arange(6 + len(generated)))
  np.testing.assert_array_equal(
    images[6:], alone.pictures['train'].gather(np.arange(len(generated)))
  )
  for corpus in (both, alone):
    assert len(corpus.pictures['validation'].texts) == 2
    assert '8' not in corpus.charset.symbols and corpus.dropped == 3
  none = override(configs.load(variant), {'generated__name': '', 'generated__alone': True})
  with pytest.raises(ConfigError, match=r'config\.generated\.alone = True leaves nothing'):
    configs.check(none)


def test_several_sets_are_one_and_a_folder_with_a_comma_is_too(tmp_path):
  parts = [
    Pictures([name] * n, (4, 8), np.full((n, 4, 8), value, np.uint8).__getitem__, widths=widths)
    for name, n, value, widths in (('a', 3, 1, None), ('b', 2, 2, np.array([5, 6])))
  ]
  both = joined(parts)
  assert both.texts == ['a', 'a', 'a', 'b', 'b'] and both.widths.tolist() == [8, 8, 8, 5, 6]
  assert both.gather(np.array([4, 0, 3]))[:, 0, 0].tolist() == [2, 1, 2]
  assert joined(parts[:1]) is parts[0]
  config = configs.load('handwriting_recogniser')
  assert sets(override(config, {'data__name': 'a, b,'})) == ['a', 'b']
  with pytest.raises(ConfigError, match="name = ',' names no set"):
    real_corpus(override(config, {'data__name': ','}))
  (tmp_path / 'a,b').mkdir()
  assert sets(override(config, {'data__name': str(tmp_path / 'a,b')})) == [str(tmp_path / 'a,b')]
