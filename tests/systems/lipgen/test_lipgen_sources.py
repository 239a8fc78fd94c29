"""Where clips come from: files decoded once, tables, GRID and LRW's layout."""

import builtins
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from lip_files import squares, write_lrw, write_video
from lipgen_cases import tiny

from jaxgen.errors import ConfigError, DataError
from jaxgen.notes import PROGRESS
from jaxgen.systems.lipgen.clips import clip_set, framing, grid, lrw, prepared, table, windows
from jaxgen.systems.lipgen.clips.framing import LIPS, WHOLE, Framing
from jaxgen.systems.lipgen.corpus import load_real

SMALL = Framing(24, 24, 48, 12)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))


@pytest.fixture
def files(tmp_path, own_cache):
  """Three clips of 4, 6 and 6 frames, and what they show."""
  shown = [squares(n, seed=i) for i, n in enumerate((4, 6, 6))]
  paths = [write_video(tmp_path / 'clips' / f'c{i}.mp4', x) for i, x in enumerate(shown)]
  return paths, shown


def test_clips_are_decoded_once_and_framed(files, monkeypatch, caplog):
  paths, shown = files
  caplog.set_level(PROGRESS)
  found = prepared.prepared(paths, LIPS)
  assert caplog.messages == ['preparing 3 clips, once']
  assert found.frames.shape == (3, 6, 48, 48) and found.left_out == {}
  np.testing.assert_array_equal(found.lengths, [4, 6, 6])
  for i, x in enumerate(shown):
    seen = found.frames[i][: len(x)].astype(int)
    assert abs(seen - x[:, 29:77, 26:74])[:, :, :16].max() <= 4
  monkeypatch.setattr(prepared, 'clip', None)
  again = prepared.prepared(paths, LIPS)
  np.testing.assert_array_equal(again.frames[0:3], found.frames[0:3])
  assert len(caplog.messages) == 1


def test_files_in_several_parts_are_the_same_clips(files):
  paths, _ = files
  whole = prepared.prepared(paths, SMALL, say=lambda _: None)
  parts = prepared.prepared(paths, SMALL, say=lambda _: None, part=2)
  rows = np.array([2, 0, 1])
  np.testing.assert_array_equal(parts.frames[rows], whole.frames[rows])
  np.testing.assert_array_equal(parts.rows, [0, 1, 2])


def test_a_changed_file_and_another_framing_are_decoded_again(files, caplog):
  paths, _ = files
  caplog.set_level(PROGRESS)
  prepared.prepared(paths, SMALL)
  os.utime(paths[1], ns=(1, 1))
  prepared.prepared(paths, SMALL)
  prepared.prepared(paths, SMALL._replace(pixels=8))
  assert len(caplog.messages) == 3


def test_damaged_clips_are_left_out_counted_and_named(files, tmp_path):
  paths, _ = files
  paths[0].write_bytes(b'no video')
  odd = [
    write_video(tmp_path / 'wide.mp4', squares(3, 64, width=96)),
    write_video(tmp_path / 'fast.mp4', squares(3), rate=30),
    tmp_path / 'absent.mp4',
  ]
  said = []
  found = prepared.prepared([*paths, *odd], SMALL, say=said.append)
  np.testing.assert_array_equal(found.rows, [1, 2])
  assert sorted(found.left_out) == [0, 3, 4, 5]
  assert said[-1].startswith('4 clips left out: ')
  for text in (
    'c0.mp4: cannot be decoded',
    'wide.mp4: frames of 96 x 64 are not mouth crops',
    'fast.mp4: expected 25 frames per second, got 30',
    'absent.mp4: cannot be decoded',
  ):
    assert text in said[-1]
  with pytest.raises(DataError, match=r'none of 1 file can be used as a clip: .*c0\.mp4'):
    prepared.prepared(paths[:1], SMALL, say=said.append)
  rows = prepared.prepared([paths[0], paths[1]], SMALL, say=said.append, part=1).rows
  np.testing.assert_array_equal(rows, [1])


def test_damaged_caches_are_named(files, tmp_path):
  paths, _ = files
  prepared.prepared(paths, SMALL, say=lambda _: None)
  (pixels,) = (tmp_path / 'cache').rglob('frames.u8')
  pixels.write_bytes(pixels.read_bytes()[:-1])
  with pytest.raises(DataError, match='is damaged: remove it'):
    prepared.prepared(paths, SMALL, say=lambda _: None)


def test_without_pyav_the_extra_is_named(files, monkeypatch):
  real = builtins.__import__

  def without(name, *args, **kwargs):
    if name == 'av':
      raise ImportError(name)
    return real(name, *args, **kwargs)

  monkeypatch.setattr(builtins, '__import__', without)
  with pytest.raises(ConfigError, match=r"pip install 'jaxgen\[video\]'"):
    prepared.prepared(files[0], SMALL, say=lambda _: None)


def load(path, **options):
  return table.load_table(path, SMALL, say=lambda _: None, **options)


def test_a_table_of_ones_own_words(files, tmp_path):
  path = tmp_path / 'words.csv'
  path.write_text(
    'clip,word,start,end\nc1.mp4,Oui,0.12,0.24\nc0,non,0,0.16\nc1.mp4,"si, si",0.04,0.12\n'
  )
  found = load(path)
  assert found.words == ('non', 'oui', 'si, si')
  assert found.names == ['c1.mp4', 'c0']
  np.testing.assert_array_equal(found.labels, [[2, 1], [0, -1]])
  np.testing.assert_allclose(found.spans[0], [[1, 3], [3, 6]], rtol=1e-6)
  np.testing.assert_array_equal(found.lengths, [6, 4])
  named = load(path, words=('oui', 'non', 'si, si'), directory=tmp_path / 'clips')
  np.testing.assert_array_equal(named.labels, [[2, 0], [1, -1]])


def test_a_table_as_a_spreadsheet_on_windows_saves_it(files, tmp_path):
  path, told = tmp_path / 'words.csv', []
  rows = [
    'clips\\c1.mp4;Caf\u0065\u0301;0,12;0,24',
    'clips/c1.mp4;"a;b";0;0,12',
    'clips/c1;a,b;0,04;0,08',
  ]
  text = '\r\n'.join(['clip;word;start;end', *rows, rows[0], ';;;', ''])
  for encoding in ('utf-8-sig', 'utf-16'):
    path.write_text(text, encoding=encoding)
    found = table.load_table(path, SMALL, directory=tmp_path, say=told.append)
    # One file, however it is named, is one clip: none of its words is held out from the others.
    assert found.names == ['clips\\c1.mp4'] and found.words == ('a,b', 'a;b', 'caf\u00e9')
    np.testing.assert_allclose(found.spans[0], [[0, 3], [1, 2], [3, 6]], rtol=1e-6)
  assert f'{path}: 1 row left out as duplicates, such as line 5' in told


def test_a_table_in_frames_with_titles_of_its_own(files, tmp_path):
  path = tmp_path / 'words.tsv'
  path.write_text('file\tmot\tvon_frame\tend_frame\nc0\toui\t0.5\t3.25\n')
  columns = {'clip': 'file', 'word': 'mot', 'start': 'von_frame', 'end': 'end'}
  np.testing.assert_array_equal(load(path, columns=columns).spans, [[[0.5, 3.25]]])


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'is empty'),
    ('clip,word,start,end\n', 'has a header but no rows'),
    (
      f'clip,word,start,end\nc0,"{"x" * 140_000}',
      'cannot be read as a table of words .line 2: field larger',
    ),
    (f'{"x" * 140_000},word\n', 'cannot be read as a table of words .its first line: field larger'),
    (
      'clip,word,start,end\nc0,oui,0,0,0,16\n',
      'line 2: 6 cells, but 4 titles: if numbers use a decimal comma',
    ),
    ('clip;word;start;end\nc0;oui;0;0;0\n', 'line 2: 5 cells, but 4 titles$'),
    (f'clip,word,start,end\n{"c" * 5000},oui,0,1\n', 'line 2: no clip c{100}[.]{3} in'),
    ('clip,word,start\n', r"no column 'end'; found: 'clip', .*config\.data\.columns\.end"),
    ('clip,word,start,end\nc0,oui,0\n', r'line 2: too few cells \(3\)'),
    ('clip,word,start,end\nc0,oui,x,1\n', "line 2: start 'x' is not a number"),
    ('clip,word,start,end\nc0,oui,"0,1",1\n', "start '0,1' is not a number: use a decimal point"),
    ('clip,word,start,end\nc0,oui,0,nan\n', "line 2: end 'nan' is not a number"),
    ('clip,word,start,end\nc0,,0,1\n', 'line 2: expected a clip and a word'),
    ('clip,word,start,end\nc0,oui,.1,.1\n', "line 2: 'oui' from .1 to .1"),
    ('clip,word,start,end\nc0,oui,0,.1\n\nc7,oui,0,1\n', 'line 4: no clip c7 in .*clips'),
    (
      'clip,word,start,end\nc0,oui,0,0.6\n',
      r"line 2: 'oui' ends at 0.60 seconds, .* c0 \(0.16 sec",
    ),
    (
      'clip,word,start,end\nc0,oui,0.16,0.2\n',
      r"line 2: 'oui' begins at 0.16 seconds, outside its clip c0 \(0.16 sec",
    ),
  ],
)
def test_tables_that_are_wrong_name_the_line(files, tmp_path, text, message):
  path = tmp_path / 'words.csv'
  path.write_text(text)
  with pytest.raises(DataError, match=message):
    load(path)


def test_words_and_folders_that_are_not_there(files, tmp_path):
  path = tmp_path / 'words.csv'
  path.write_text('clip,word,start,end\nc0,oui,0,.1\n')
  with pytest.raises(DataError, match=r"line 2: 'oui' is not among the words .*data\.words"):
    load(path, words=('non',))
  with pytest.raises(DataError, match='nowhere is not a folder'):
    load(path, directory=tmp_path / 'nowhere')
  with pytest.raises(DataError, match='cannot be read as a table'):
    load(tmp_path / 'absent.csv')
  path.write_text('clip,word,start,end\nc0,\u00e9t\u00e9,0,.1\n', encoding='latin-1')
  with pytest.raises(DataError, match=r'not UTF-8 or UTF-16 .*: save it as UTF-8'):
    load(path)


def test_a_table_that_is_not_named_is_asked_for():
  with pytest.raises(
    ConfigError, match=r'config\.data\.name = table is not a file: set --config\.data\.name'
  ):
    load_real(tiny('table'))


def test_grid_names_are_sentences():
  assert len(grid.WORDS) == 51 and list(grid.WORDS) == sorted(set(grid.WORDS))
  assert grid.sentence('bbaf2n') == ('bin', 'blue', 'at', 'f', 'two', 'now')
  assert grid.sentence('id2_vcd_swwp2s.mpg') == ('set', 'white', 'with', 'p', 'two', 'soon')
  assert grid.sentence('lwbsza')[4:] == ('zero', 'again')
  for wrong in ('bbaw2n', 'bbaf2', 'bbaf2nn', 'holiday'):
    with pytest.raises(DataError, match=f'{wrong} is not a GRID name'):
      grid.sentence(wrong)


def test_grid_is_split_by_clips_and_holds_out_those_with_sound(tmp_path, own_cache):
  names = ['bbaf2n', 'bbaf3s', 'bbif1a', 'lwbsza', 'pgbr2p', 'sria7s']
  lines = ['clip\tword\tstart_frame\tend_frame']
  for name in names:
    write_video(tmp_path / 'clips' / f'{name}.mp4', squares(7))
    spoken = enumerate(grid.sentence(name))
    lines += [f'{name}\t{word}\t{i}.25\t{i + 1}.25' for i, word in spoken]
  (tmp_path / 'words.tsv').write_text('\n'.join(lines))
  found = grid.load_grid(str(tmp_path), share=0.3, say=lambda _: None)
  assert set(found['validation'].names) == {'bbaf3s', 'bbif1a'}
  assert {*found['train'].names} == {*names} - {'bbaf3s', 'bbif1a'}
  train = found['train']
  assert train.words == grid.WORDS and train.frames.shape == (4, 7, 48, 48)
  i = train.names.index('lwbsza')
  assert [grid.WORDS[k] for k in train.labels[i]] == ['lay', 'white', 'by', 's', 'zero', 'again']
  np.testing.assert_array_equal(train.spans[i, 2], [2.25, 3.25])
  with pytest.raises(DataError, match=r'put words.tsv and clips/\*.mp4 into'):
    grid.load_grid(str(tmp_path / 'nowhere'))


def test_align_files_are_in_thousandths_of_a_frame(tmp_path):
  path = tmp_path / 'bbaf2n.align'
  path.write_text(
    '0 17750 sil\n17750 22500 bin\n22500 22500 blue\n22500 23000 sp\n23000 24000 at\n'
  )
  found = grid.read_align(path)
  assert [(x.word, x.start, x.end) for x in found] == [('bin', 17.75, 22.5), ('at', 23, 24)]
  for text, message in (
    ('0 17750 sil\n', 'contains no words'),
    ('0 1 2 bin\n', "line 1: '0 1 2 bin' is not"),
    ('\n9 3 bin\n', 'line 2: .* ends before'),
  ):
    path.write_text(text)
    with pytest.raises(DataError, match=message):
      grid.read_align(path)


def test_lrw_has_a_word_in_the_middle_of_each_clip(tmp_path, own_cache):
  root = tmp_path / 'lrw' / 'lipread_mp4'
  write_lrw(root, ['BEFORE', 'ABOUT'])
  write_lrw(root, ['ABOUT', 'BEFORE'], 'val', n=1, side=256)
  found = lrw.load_lrw(str(tmp_path / 'lrw'), framing=SMALL, say=lambda _: None)
  assert found.words == ('about', 'before')
  assert list(found.names) == ['ABOUT_00001', 'ABOUT_00002', 'BEFORE_00001', 'BEFORE_00002']
  assert found.frames.shape == (4, 5, 12, 12)
  np.testing.assert_array_equal(found.labels, [[0], [0], [1], [1]])
  np.testing.assert_allclose(found.spans[0, 0], [2.5 - 0.53 * 12.5, 2.5 + 0.53 * 12.5], rtol=1e-5)
  np.testing.assert_array_equal(windows.centres(found.spans), np.full((4, 1), 2))
  assert windows.boundaries(found.spans[0, 0]).sum() == 14
  faces = lrw.load_lrw(str(root), 'val', WHOLE, ('before',), say=lambda _: None)
  assert faces.words == ('before',) and faces.frames.shape == (1, 5, 96, 96)
  # Columns 79 to 174 of 256: the border between the halves is at 128.
  wide = np.diff(faces.frames[0, 0, 48].astype(int))
  assert abs(wide).argmax() == 128 - 79 - 1


def test_lrw_that_the_disk_has_no_room_for_is_not_begun(tmp_path, own_cache, monkeypatch, caplog):
  write_lrw(tmp_path / 'lrw', ['ABOUT'], n=3)
  caplog.set_level(PROGRESS)

  def opened():
    return lrw.load_lrw(str(tmp_path / 'lrw'))

  with monkeypatch.context() as patch:
    patch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=500_000))
    with pytest.raises(DataError) as told:
      opened()
  cache = tmp_path / 'cache'
  assert str(told.value) == (
    f'3 clips of 29 frames need 0.8 MB, but {cache} has only 0.5 MB free: set '
    'JAXGEN_CACHE to a folder with more space'
  )
  assert not list(cache.rglob('frames.u8'))
  opened()
  assert f'3 clips of 29 frames will take 0.8 MB of {cache}' in caplog.messages
  caplog.clear()
  opened()
  assert caplog.messages == []


def test_lrw_says_what_is_missing(tmp_path, own_cache, monkeypatch):
  root, said = tmp_path / 'lrw', []

  def opened(split='train', **options):
    return lrw.load_lrw(str(root), split, SMALL, say=said.append, **options)

  root.mkdir()
  with pytest.raises(DataError, match='has no folders: expected lipread_mp4/WORD'):
    opened()
  write_lrw(root, ['ABOUT'], n=3)
  with pytest.raises(
    DataError, match='no clip in WORD/val for 1 word, ABOUT: expected lipread_mp4'
  ):
    opened('val')
  with pytest.raises(DataError, match='has no folder for never'):
    opened(words=('about', 'never'))
  (root / 'ABOUT' / 'train' / 'ABOUT_00001.txt').unlink()
  with pytest.raises(
    DataError, match=r'1 of 3 clips of train cannot be used, .*_00001.txt is miss'
  ):
    opened()
  monkeypatch.setattr(lrw, 'MOST_LEFT_OUT', 0.7)
  assert list(opened().names) == ['ABOUT_00002', 'ABOUT_00003']
  (root / 'ABOUT' / 'train' / 'ABOUT_00001.txt').write_text('Duration: soon\n')
  (root / 'ABOUT' / 'train' / 'ABOUT_00002.mp4').write_bytes(b'')
  found = opened()
  assert list(found.names) == ['ABOUT_00003'] and found.labels.shape == (1, 1)
  assert any('has no line "Duration' in line for line in said)
  assert any('ABOUT_00002.mp4: cannot be decoded' in line for line in said)
  monkeypatch.setattr(lrw, 'MOST_LEFT_OUT', 0.5)
  with pytest.raises(DataError, match='2 of 3 clips of train cannot be used'):
    opened()


def real(name):
  folder = os.path.join(os.environ.get('JAXGEN_DATA', ''), name)  # noqa: PTH118
  if not os.environ.get('JAXGEN_DATA') or not os.path.isdir(folder):  # noqa: PTH112
    pytest.skip(f'$JAXGEN_DATA/{name} is not here')
  return folder


def test_windows_of_grid_that_run_off_their_clips():
  rows = table.read_table(prepared.Path(real(grid.MOUTHS)) / 'words.tsv')
  first = windows.first_frames(np.float32([[x.start, x.end] for x in rows]))
  assert (len(first), (first < 0).sum(), (first + 28 > 74).sum()) == (5370, 123, 6)
  names = list(dict.fromkeys(x.clip for x in rows))
  spoken = {name: tuple(x.word for x in rows if x.clip == name) for name in names[:20]}
  assert all(grid.sentence(name) == words for name, words in spoken.items())
  out = clip_set.held_out(names, 0.2, 0, grid.WITH_SOUND)
  held = {name for name, is_out in zip(names, out, strict=True) if is_out}
  assert len(names) == 895 and len(held) == 179 and held >= set(grid.WITH_SOUND)


def test_align_files_agree_with_the_table():
  folder = prepared.Path(real('grid_sound'))
  rows = table.read_table(prepared.Path(real(grid.MOUTHS)) / 'words.tsv')
  assert sorted(path.stem for path in folder.glob('*.align')) == sorted(grid.WITH_SOUND)
  found = grid.read_align(folder / 'bbaf3s.align')
  expected = [x for x in rows if x.clip == 'bbaf3s']
  assert [x[:4] for x in found] == [x[:4] for x in expected]


def test_real_clips_are_framed_around_the_lips(own_cache):
  path = prepared.Path(real(grid.MOUTHS)) / 'clips' / 'bbaf3s.mp4'
  whole, lips = prepared.clip(path, WHOLE), prepared.clip(path, LIPS)
  assert whole.shape == (75, 96, 96)
  np.testing.assert_array_equal(lips, framing.framed(whole, LIPS))
