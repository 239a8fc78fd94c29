"""The files of a set under the names that tables use: folders, zips, capitals, other machines' paths."""

import zipfile

import numpy as np
import pytest
from PIL import Image
from real_files import png, put, read, strokes, table

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real.store import Store, readable


def test_a_picture_is_one_however_it_is_named(tmp_path):
  for i, name in enumerate(('w/1', 'w/2', '\u00e9')):
    put(tmp_path / f'{name}.png', strokes(i))
  rows = [('w/1.png', 'un'), ('1', 'un'), ('2', 'un'), ('w/2', 'deux'), ('\u00e9', 'x')]
  put(tmp_path / 'words.csv', table([*rows, ('e\u0301.png', 'x')], 'file,text'))
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['un', 'x']
  assert report.counts == {'named twice': 2, 'two transcripts': 2}


@pytest.mark.parametrize(
  ('table_name', 'given', 'pictures', 'found'),
  [
    ('labels/train.csv', '../images/train/0.png', ['images/train/0.png', 'images/test/0.png'], 0),
    ('w.csv', '/home/ann/set/a/0.png', ['a/0.png', 'b/0.png', '0.png'], 0),
    ('w.csv', 'C:\\set\\a\\0.png', ['a/0.png', 'b/0.png'], 0),
    ('w.csv', 'set/a/0', ['a/0.png', 'b/0.png'], 0),
    ('top/w.csv', '/home/ann/set/a/0.png', ['top/a/0.png', 'top/b/0.png'], 0),
    ('w.csv', 'lot_1/0.png', ['words/train/lot_1/0.png', 'words/train/lot_2/0.png'], 0),
    ('w.csv', 'scans/0.png', ['0.png'], 0),
    ('w.csv', '0.png', ['deep/below/0.png'], 0),
    ('train.csv', 'train/0.png', ['test/0.png'], None),
    ('w.csv', '/home/ann/set/train/0.png', ['test/0.png'], None),
    ('w.csv', 'train/images/0.png', ['test/images/0.png'], None),
    ('w.csv', 'a/0.png', ['0.png', 'a/1.png'], None),
    ('w.csv', '', ['0.png'], None),
  ],
)
def test_a_path_is_never_that_of_another_folder(tmp_path, table_name, given, pictures, found):
  for name in (table_name, *pictures):
    put(tmp_path / name, '')
  assert Store(tmp_path).find(given, table_name) == ([] if found is None else [pictures[found]])


def test_capitals_of_a_name_count_where_two_files_differ_in_them_alone(tmp_path):
  for i, name in enumerate(('A/1.PNG', 'a.png', 'b.PNG', 'B.png')):
    put(tmp_path / name, strokes(i))
  put(tmp_path / 'words.csv', 'file,text\na/1.png,un\na.png,deux\nb.png,trois\n')
  if len(Store(tmp_path).images) < 4:
    pytest.skip('needs a file system that keeps small letters and capitals apart')
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['un', 'deux']
  assert report.counts == {'other case': 1, 'ambiguous image': 1}


def test_a_zip_is_read_as_a_folder_is(tmp_path):
  with zipfile.ZipFile(tmp_path / 'all.zip', 'w') as archive:
    archive.writestr('words.tsv', 'file\ttext\nw/a.png\tun\nw\\b\tdeux\n./c.jpg\ttrois\n')
    archive.writestr('w/a.png', png(strokes(1)))
    archive.writestr('w/b.png', png(strokes(2)))
    archive.writestr('__MACOSX/w/a.png', b'')
    archive.writestr('../c.png', png(strokes(3)))
  examples, report = read(tmp_path / 'all.zip')
  assert [e.row.text for e in examples] == ['un', 'deux'] and report.counts == {'missing image': 1}
  put(tmp_path / 'beside' / 'words.tsv', 'file\ttext\nw/a.png\tun\n')
  (tmp_path / 'all.zip').rename(tmp_path / 'beside' / 'images.zip')
  ((_, image, _),), _ = read(tmp_path / 'beside')
  np.testing.assert_array_equal(image, strokes(1))
  assert not (tmp_path.parent / 'c.png').exists()
  put(tmp_path / 'beside' / 'bad.zip', b'PK')
  with pytest.raises(DataError, match=r'bad\.zip: neither a folder nor a readable zip'):
    read(tmp_path / 'beside')


def test_names_of_a_zip_that_does_not_say_that_they_are_utf_8(tmp_path):
  with zipfile.ZipFile(tmp_path / 'all.zip', 'w') as archive:
    archive.writestr('words.csv', 'file,text\nété.png,été\n')
    archive.writestr('ABABA.png', png(strokes(1)))
  content = (tmp_path / 'all.zip').read_bytes().replace(b'ABABA', 'été'.encode())
  put(tmp_path / 'all.zip', content)
  (example,), _ = read(tmp_path / 'all.zip')
  assert example.row.file == 'été.png'


def test_a_name_that_is_not_utf_8_can_be_kept():
  assert (
    readable(b'\xe9t\xe9.png'.decode('utf-8', 'surrogateescape'))
    == 'été.png'
    == readable('été.png')
  )


def test_a_damaged_member_of_a_zip_is_one_bad_row(tmp_path):
  with zipfile.ZipFile(tmp_path / 'images.zip', 'w') as archive:
    archive.writestr('a.png', png(strokes(1)))
    archive.writestr('b.png', png(strokes(2)))
  content = bytearray((tmp_path / 'images.zip').read_bytes())
  content[60] ^= 255
  put(tmp_path / 'images.zip', bytes(content))
  put(tmp_path / 'words.csv', 'file,text\na,un\nb,deux\n')
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['deux']
  assert report.counts == {'unreadable image': 1} and 'images.zip/a.png' in report.bad_rows()[0]


@pytest.mark.parametrize('method', [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_member_that_does_not_unpack_is_one_bad_row(tmp_path, method):
  with zipfile.ZipFile(tmp_path / 'images.zip', 'w', method) as archive:
    archive.writestr('a.png', png(strokes(1)))
    archive.writestr('b.png', png(strokes(2)))
  content = bytearray((tmp_path / 'images.zip').read_bytes())
  content[39:51] = b'\xff' * 12  # behind the local header and the member's name of 5 letters
  put(tmp_path / 'images.zip', bytes(content))
  put(tmp_path / 'words.csv', 'file,text\na,un\nb,deux\n')
  examples, report = read(tmp_path)
  assert [e.row.text for e in examples] == ['deux']
  assert report.counts == {'unreadable image': 1}


def test_the_whole_reason_why_an_image_is_refused_is_given(tmp_path):
  pages = [Image.fromarray(strokes(i)) for i in range(2)]
  pages[0].save(tmp_path / 'pages.tif', save_all=True, append_images=pages[1:])
  put(tmp_path / 'b.png', strokes(2))
  put(tmp_path / 'words.csv', 'file,text\npages.tif,un\nb,deux\n')
  _, report = read(tmp_path)
  assert report.bad_rows()[0].endswith(
    'pages.tif: has 2 frames or pages: only single images are read'
  )
