import unicodedata

import numpy as np
import pytest
from PIL import Image
from real_files import png, put, read, strokes, table, write

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.real.report import FIXED, REFUSED, Report
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.table_files import find_tables
from jaxgen.systems.handwriting.real.tables import read_table
from jaxgen.systems.handwriting.real.transcripts import cleaned


def rows_of(folder, content, **columns):
  put(folder / 'words.csv', content)
  return list(read_table(Store(folder), 'words.csv', columns, Report('set')))


@pytest.mark.parametrize(
  ('content', 'columns'),
  [
    ('file,text,writer\na.png,été,7\n', {}),
    ('\ufefffile;text;writer\r\na.png;été;7\r\n', {}),
    ('writer|TEXT|file_name|more\n7|été|a.png|x\n', {}),
    ('"file"\t"text"\t"writer"\na.png\t"été"\t7\n', {}),
    ('wer,"wo",was\n7,"a.png","été"\n\n', {'file': 'wo', 'text': 'was', 'writer': 'wer'}),
    ('a.png,été,7\n', {'file': '0', 'text': '1', 'writer': '2'}),
    ('sep=;\r\nfile;text;writer\r\na.png;été;7\r\n', {}),
    ('"sep=,"\na.png,été,7\n', {'file': '0', 'text': '1', 'writer': '2'}),
    ('sep=\t\nfile\ttext\twriter\na.png\tété\t7\n', {}),
    ('image;transcription,text;writer\na.png;été;7\n', {'text': 'transcription,text'}),
  ],
)
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
def test_dialects_of_tables(tmp_path, content, columns, encoding):
  (row,) = rows_of(tmp_path, content.encode(encoding), **columns)
  assert (row.file, row.text, row.writer) == ('a.png', 'été', '7')
  assert row.place.startswith('words.csv line ')


@pytest.mark.parametrize(
  ('name', 'content'),
  [
    ('t.tsv', 'a.png\tun, deux; trois, et quatre\nb.png\tcinq\n'),
    ('t.csv', 'a.png\tun, deux; trois, et quatre\nb.png\tcinq\n'),
    ('t.csv', 'a.png;un, deux, trois, et quatre|\nb.png;cinq\n'),
    ('t.csv', 'a.png|un, deux, trois, et quatre\nb.png|cinq, six\nc.png|sept, huit, neuf\n'),
    ('t.csv', 'a.png,"un, deux, trois; et"\nb.png,cinq; six; sept\nc.png,huit\n'),
    ('t.tsv', 'a.png,"un; deux; trois"\nb.png,cinq\n'),
  ],
)
def test_marks_in_texts_are_no_columns_where_no_header_says_so(tmp_path, name, content):
  put(tmp_path / name, content)
  report = Report('set')
  rows = list(read_table(Store(tmp_path), name, {'file': '0', 'text': '1', 'writer': ''}, report))
  assert [row.file for row in rows] == ['a.png', 'b.png', 'c.png'][: content.count('\n')]
  assert rows[0].text.startswith('un') and not report.counts


def test_a_mark_without_a_header_makes_as_many_columns_as_are_asked_for(tmp_path):
  rows = rows_of(tmp_path, 'a;b,c,1\na;b,c,2\na;b,c, d,3\n', file='0', text='1', writer='2')
  assert [row.writer for row in rows] == ['1', '2']


def test_quotes_are_a_text_s_own_in_a_tsv_unless_they_are_around_it(tmp_path):
  put(
    tmp_path / 't.tsv',
    'file\ttext\na\tau "Jeanne\nb\t"tout ""cela"" enfin"\nc\t"\nd\t"oui" "non"\n',
  )
  rows = list(read_table(Store(tmp_path), 't.tsv', {}, Report('set')))
  assert [row.text for row in rows] == ['au "Jeanne', 'tout "cela" enfin', '"', '"oui" "non"']
  put(tmp_path / 't.tsv', 'file\ttext\ra\tun\r')  # as old Macs end lines
  (row,) = read_table(Store(tmp_path), 't.tsv', {}, Report('set'))
  assert row.text == 'un'


@pytest.mark.parametrize(
  ('content', 'columns', 'message'),
  [
    ('', {}, 'words.csv: is empty'),
    ('sep=;\n', {}, 'words.csv: is empty'),
    (
      'file,words\na,b\n',
      {},
      'no column text or transcription.*file, words.*data.columns.text=NAME',
    ),
    (
      'file,text\na,b\n',
      {'writer': 'hand'},
      r"no column 'hand' \(--config.data.columns.writer\); it has file, text",
    ),
    ('file,text\na,"b\nc,d\n', {}, 'words.csv line 2: broken quotes'),
    (
      'a,b\n',
      {'file': '0', 'text': '5'},
      r'no column 5 \(.*columns.text\): it has 2, numbered from 0',
    ),
    ('a,' + 200_000 * 'b' + '\n', {}, 'no column file or file_name'),
    ('a,b\n', {'file': '0'}, 'without a header .* of texts: --config.data.columns.text=NUMBER'),
    (
      'a,b\nc,' + 200_000 * 'd' + '\n',
      {'file': '0', 'text': '1'},
      'line 2: broken quotes',
    ),
    (
      'a;b,c;d\na;b,c;d\n',
      {'file': '0', 'text': '3'},
      r'no column 3 \(.*\): it has 3, numbered from 0',
    ),
    (b'file,text\na,b\na,\xe9t\xe9\n', {}, 'words.csv line 3: is not UTF-8'),
  ],
)
def test_tables_that_cannot_be_read(tmp_path, content, columns, message):
  with pytest.raises(DataError, match=message):
    rows_of(tmp_path, content, **columns)


def test_which_table(tmp_path):
  write(tmp_path, a__csv='file,text\n1,x\n', b__csv='file,text\n1,y\n')
  put(tmp_path / '1.png', strokes())
  with pytest.raises(DataError, match=r'several tables .*data\.table=NAME: a\.csv, b\.csv'):
    read(tmp_path)
  with pytest.raises(DataError, match=r"no table 'c\.csv'; available: a\.csv, b\.csv"):
    read(tmp_path, table='c.csv')
  (example,), _ = read(tmp_path, table='b.csv')
  assert example.row.text == 'y'
  with pytest.raises(ConfigError, match=r"unknown 'writers'.*writer"):
    read(tmp_path, columns={'writers': 'hand'})
  with pytest.raises(DataError, match='no table'):
    read(write(tmp_path / 'empty'))
  with pytest.raises(DataError, match='neither a folder nor a readable zip'):
    read(tmp_path / 'a.csv')


@pytest.mark.parametrize(
  'names',
  [
    ('train.csv', 'val.csv', 'test.csv'),
    ('Train.tsv', 'valid.csv', 'testing.csv'),
    ('words_train_v2.csv', 'words_validation_v2.csv', 'words_test_v2.csv'),
    ('train/words.csv', 'dev/words.csv', 'test/words.csv'),
  ],
)
def test_tables_of_the_splits_are_one_set(tmp_path, names):
  splits = 'train', 'validation', 'test'
  for i, name in enumerate(names):
    mark = '\t' if name.endswith('tsv') else ','
    rows = [(str(i), f'{i}', 'A'), (f'{i}{i}', 'x', 'B')]
    put(tmp_path / name, table(rows, mark=mark))
    put((tmp_path / name).parent / f'{i}.png', strokes(i))
  examples, report = read(tmp_path)
  found = {e.row.text: (e.row.split, e.row.writer) for e in examples}
  assert found == {f'{i}': (split, 'A') for i, split in enumerate(splits)}
  assert report.rows == 6 and report.counts == {'missing image': 3}
  assert {n for _, n in find_tables(Store(tmp_path), names[0]).items()} == {''}


@pytest.mark.parametrize(
  'names',
  [
    ('train.csv', 'test.csv', 'all.csv'),
    ('train.csv', 'train.tsv'),
    ('val.csv', 'test.csv'),
    ('words_train.csv', 'lines_test.csv'),
    ('train_test.csv', 'val.csv'),
  ],
)
def test_tables_that_are_no_splits_are_no_set(tmp_path, names):
  for name in names:
    put(tmp_path / name, 'file,text\n')
  with pytest.raises(
    DataError, match='several tables that are not just train, validation and test'
  ):
    find_tables(Store(tmp_path))


def test_lists_of_names_and_texts_as_rimes_has_them(tmp_path):
  splits = {
    'groundtruth_training': 'training_WR/lot_1',
    'ground_truth_validation': 'testdataset_ICDAR/lot_2',
    'grount_truth_test': 'data_test/lot_3',
  }
  for i, (name, folder) in enumerate(splits.items()):
    lot = folder.partition('/')[2]
    put(tmp_path / f'{folder}/{lot}-0/{lot}-0-0.tiff', strokes(i))
    put(
      tmp_path / f'{name}_icdar2011.txt',
      f"\ufeff{lot}/{lot}-0/{lot}-0-0.tiff l'été {i}\r\n{lot}/{lot}-0/{lot}-0-1.tiff \r\n",
    )
  put(tmp_path / 'test_dictionary_task_wr_icdar_2011.txt', 'Je\nvous\n')
  examples, report = read(tmp_path, columns={'writer': '<folder>'})
  found = [(e.row.text, e.row.split, e.row.writer) for e in examples]
  assert sorted(found) == [
    ("l'été 0", 'train', 'lot_1-0'),
    ("l'été 1", 'validation', 'lot_2-0'),
    ("l'été 2", 'test', 'lot_3-0'),
  ]
  assert report.counts == {'wrong number of fields': 3} and report.rows == 6
  (example,), _ = read(tmp_path, table='groundtruth_training_icdar2011.txt')
  assert example.row.text == "l'été 0" and example.row.split == ''
  put(tmp_path / 'more.txt', 'lot_1-0-0.tiff\tx\n')
  with pytest.raises(DataError, match='several tables that are not just train'):
    read(tmp_path)


def test_a_split_in_which_no_writer_is_known_is_one_and_a_row_may_say_its_split(tmp_path):
  for i in range(4):
    put(tmp_path / f'{i}.png', strokes(i))
  put(tmp_path / 'train.csv', 'file,text,writer,split\n0,a,A,\n1,b,B,val\n2,c,,\n')
  put(tmp_path / 'test.csv', 'file,text\n3,d\n')
  examples, report = read(tmp_path)
  found = {e.row.text: (e.row.split, e.row.writer) for e in examples}
  assert found == {'a': ('train', 'A'), 'b': ('validation', 'B'), 'd': ('test', 'test.csv')}
  assert report.counts == {'no writer': 1}


def test_every_kind_of_bad_row(tmp_path):
  nfd = unicodedata.normalize('NFD', 'été')
  names = ['good', 'nfd', 'spaces', 'marks', 'light', 'empty', 'xxx', 'break', 'control', 'damaged']
  names += ['nobody', 'split', 'twice', 'two', 'copy', 'Case']
  for i, name in enumerate(names):
    put(tmp_path / f'{name}.png', strokes(i))
  put(tmp_path / 'light.png', 255 - strokes(99))
  put(tmp_path / 'copy.png', strokes(0))
  put(tmp_path / 'x/same.png', strokes(20))
  put(tmp_path / 'y/same.png', strokes(21))
  put(tmp_path / 'text.png', 'no image')
  put(tmp_path / 'cut.png', png(strokes(22))[:-30])
  put(tmp_path / 'blank.png', np.full((16, 40), 250, np.uint8))
  put(tmp_path / 'low.png', strokes(23)[:7])
  put(tmp_path / 'long.png', np.tile(strokes(24), (1, 60)))
  rows = [
    ('good', 'un', 'A', 'train'), ('nfd', nfd, 'A', 'dev'), ('spaces', ' deux\u00a0 mots', 'A', 'TEST'),
    ('marks', 'so\u00adfort\u200f', 'A', ''), ('light', 'clair', 'A', ''), ('empty', '\u200b ', 'A', ''),
    ('xxx', 'XXX', 'A', ''), ('break', '"a\nb"', 'A', ''), ('control', 'a\x07', 'A', ''),
    ('damaged', 'a\ufffd', 'A', ''), ('nobody', 'x', '', ''), ('split', 'x', 'A', 'traine'),
    ('twice', 'x', 'A', ''), ('./twice', 'x', 'A', ''), ('two', 'x', 'A', ''), ('two', 'y', 'A', ''),
    ('copy', 'un', 'B', ''), ('same', 'x', 'A', ''), ('text', 'x', 'A', ''), ('cut', 'x', 'A', ''),
    ('blank', 'x', 'A', ''), ('low', 'x', 'A', ''), ('long', 'x', 'A', ''), ('../../none', 'x', 'A', ''),
    ('short', 'x'), ('case', 'x', 'A', ''),
  ]  # fmt: skip
  put(tmp_path / 'words.csv', table(rows, 'file,text,writer,split'))
  examples, report = read(tmp_path, unread=('XXX',))
  kept = {e.row.file: (e.row.text, e.row.split) for e in examples}
  assert kept == {
    'good': ('un', 'train'), 'nfd': ('été', 'validation'), 'spaces': ('deux mots', 'test'),
    'marks': ('sofort', ''), 'light': ('clair', ''), 'twice': ('x', ''), 'case': ('x', ''),
  }  # fmt: skip
  assert [e.number for e in examples] == [0, 1, 2, 3, 4, 12, 24]
  pages, of_words = (
    {'bad region', 'bad page'},
    {'symbol outside the charset', 'too wide', 'too long', 'too short'},
  )
  of_words |= {'too long for the frames', 'too narrow for the frames', 'narrower than its text'}
  of_words |= {'not a single word'}
  assert report.counts.keys() == (FIXED.keys() | REFUSED.keys()) - pages - of_words
  assert report.counts == {
    **dict.fromkeys(report.counts, 1), 'two transcripts': 2, 'unreadable image': 2, 'absurd size': 2
  }  # fmt: skip
  assert report.rows == len(rows) == len(examples) + report.refused
  lines = '\n'.join(report.bad_rows())
  assert (
    'damaged text (a replacement or unassigned character: check the encoding): words.csv line'
    in lines
  )
  assert 'absurd size' in lines and '2400 x 16' in lines and 'low): 40 x 7' in lines
  assert 'ambiguous image' in lines and 'x/same.png or y/same.png' in lines
  assert 'words.csv line 26 (short)' not in lines and 'words.csv line 27: 2, not 4' in lines
  assert Report.from_json(report.to_json()).bad_rows() == report.bad_rows()
  np.testing.assert_array_equal(examples[0].image, strokes(0))
  np.testing.assert_array_equal(examples[4].image, strokes(99))


def test_the_folder_of_a_writer_is_that_of_the_picture(tmp_path):
  for i, name in enumerate(('ann/1', 'ann/2', 'bob/3', 'Andre\u0301/4')):
    put(tmp_path / f'{name}.png', strokes(i))
  names = '1.png', '2', 'bob/3.png', '4.png', 'none.png'
  put(tmp_path / 'words.csv', table([(name, 'mot') for name in names], 'file,text'))
  examples, report = read(tmp_path, columns={'writer': '<folder>'})
  assert [e.row.writer for e in examples] == ['ann', 'ann', 'bob', 'Andr\u00e9']
  assert report.counts == {'missing image': 1}


def test_writers_splits_and_groups_have_one_form_each(tmp_path):
  writers = 'Andr\u00e9', 'Andre\u0301 ', 'Jean  Paul', 'Jean\u00a0Paul', '\u200bJean Paul'
  rows = [(str(i), f'mot{i}', writer, 'train\u200b', 'e\u0301') for i, writer in enumerate(writers)]
  content = table(rows, 'file,text,writer,split,page')
  found = rows_of(tmp_path, content, group='page')
  assert {row.writer for row in found} == {'Andr\u00e9', 'Jean Paul'}
  assert {(row.split, row.group) for row in found} == {('train', '\u00e9')}


def test_a_set_without_a_usable_row(tmp_path):
  put(tmp_path / 'words.csv', 'file,text\n')
  with pytest.raises(DataError, match=r'set: no row is usable: it has none'):
    read(tmp_path)
  put(tmp_path / 'words.csv', 'file,text\na,b\n')
  with pytest.raises(
    DataError, match=r'set: no row is usable: 1 missing image, such as words.csv line 2 \(a\)'
  ):
    read(tmp_path)


def test_images_with_texts_of_their_names(tmp_path):
  for i, name in enumerate(('ann/1', 'ann/2', 'bob/1', 'bob/2')):
    put(tmp_path / f'{name}.png', strokes(i))
  put(tmp_path / 'ann/1.txt', '\ufeffun\n')
  put(tmp_path / 'ann/2.GT.TXT', 'deux\r\n')
  put(tmp_path / 'bob/1.txt', '\n')
  put(tmp_path / 'bob/3.gt.txt', 'trois')
  put(tmp_path / 'readme.txt', 'About')
  put(tmp_path / 'latin.png', strokes(10))
  put(tmp_path / 'latin.txt', 'été'.encode('latin-1'))
  for i, end in enumerate(('png', 'bmp')):  # one of them was taken
    Image.fromarray(strokes(8 + i)).save(tmp_path / f'two.{end}')
  put(tmp_path / 'two.txt', 'deux')
  examples, report = read(tmp_path, columns={'writer': '<folder>'})
  assert [(e.row.text, e.row.writer) for e in examples] == [('un', 'ann'), ('deux', 'ann')]
  assert report.counts == {
    'empty transcript': 2, 'missing image': 2, 'ambiguous image': 1, 'damaged text': 1
  }  # fmt: skip
  assert report.rows == 8
  assert 'latin.txt line 1: is not UTF-8' in '\n'.join(report.bad_rows())


def test_what_is_done_to_a_text():
  assert cleaned("l'été") == ("l'été", (), '', '')
  assert cleaned(unicodedata.normalize('NFD', 'été')).fixed == ('not NFC',)
  # Compatibility forms stay, and so do joiners, which change how Arabic letters look.
  for kept in ('ﬁn', '½', 'ﷺ', 'می‌خواهم', 'l\u2019as\u017furer'):
    assert cleaned(kept) == (kept, (), '', '')
  assert cleaned('a\tb\n').text == 'a b'
  for text, kind in (
    ('a\u2028b', 'line break'),
    ('a\ue000', 'damaged text'),
    ('\x00', 'control character'),
  ):
    assert cleaned(text).refused == kind
  assert cleaned('aXXX', ('XXX',)).refused == 'unread'
