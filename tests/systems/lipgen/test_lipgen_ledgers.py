"""Folders of `jaxgen mouths` and `lipread` know of what their files are, also once runs were killed."""

import json
import signal
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from lipgen_videos import optional

optional('av')

import jaxgen  # noqa: E402
from jaxgen.command.arguments import Parser  # noqa: E402
from jaxgen.errors import ConfigError, DataError, UserError  # noqa: E402
from jaxgen.run.lock import exclusive  # noqa: E402
from jaxgen.systems.lipgen import commands, functions  # noqa: E402
from jaxgen.systems.lipgen.commands import finding, lipread  # noqa: E402
from jaxgen.systems.lipgen.reading import captions, sources  # noqa: E402
from jaxgen.systems.lipgen.reading.subtitles import Word  # noqa: E402
from jaxgen.systems.lipgen.video import jobs, overlay  # noqa: E402
from jaxgen.systems.lipgen.video.crops import MOUTHS  # noqa: E402
from jaxgen.systems.lipgen.video.decoding import Video  # noqa: E402
from jaxgen.systems.lipgen.video.ledger import Ledger  # noqa: E402
from jaxgen.terminal.signals import Stopped  # noqa: E402


class Quick(NamedTuple):
  """What `finding.read_mouths` returns, as far as `jaxgen mouths` looks at it."""

  frames: np.ndarray
  messages: tuple = ()

  def line(self):
    return 'seen'

  def to_json(self):
    found = {'mouth': [1, 2], 'notes': [], 'frames': 2, 'source': 'file', 'faces': 1, 'found': 2}
    return found | {'file': {'begins': 0.0}}


@pytest.fixture
def asked(monkeypatch):
  """Names of the videos that were searched: crops have the level of a video's first letter."""
  names = []

  def found(source, args, bars, like=None):
    names.append(source.stem)
    letter = source.read_bytes()[0]
    if letter == ord('!'):
      raise KeyboardInterrupt
    if letter == ord('?'):
      raise DataError('no face')
    return Quick(np.full((2, 96, 96), letter, np.uint8))

  monkeypatch.setattr(finding, 'read_mouths', found)
  return names


def run(*args):
  parser = Parser()
  commands.MOUTHS.add_arguments(parser)
  commands.MOUTHS.run(parser.parse_args([str(x) for x in args]))


def levels(out):
  """The first letters of the videos that the crops of a folder are of."""
  found = [next(Video(path).frames()).pixels.mean() for path in sorted(out.glob('*.mp4'))]
  return ''.join(chr(round(level)) for level in found)


def videos(folder, **contents):
  folder.mkdir(exist_ok=True)
  for name, content in contents.items():
    (folder / f'{name}.mp4').write_text(content)
  return folder


def test_a_crop_of_another_video_is_not_taken_for_that_of_this_one(tmp_path, asked, capsys):
  for speaker, word in (('s1', 'bin'), ('s2', 'set')):
    videos(tmp_path / speaker, x=word)
    (tmp_path / speaker / 'x.align').write_text(f'0 1000 {word}\n')
  one, two, out = tmp_path / 's1' / 'x.mp4', tmp_path / 's2' / 'x.mp4', tmp_path / 'out'
  tables = out / 'mouths.tsv', out / 'words.tsv'
  run(one, '--output', out, '--align')
  kept = [path.read_bytes() for path in tables]
  with pytest.raises(UserError, match='1 of 1 video could not be cropped'):
    run(two, '--output', out, '--align')
  told = capsys.readouterr().err
  assert (
    f'error: {two}: {out}/x.mp4 comes from {one}: choose another folder, or --overwrite' in told
  )
  assert kept == [path.read_bytes() for path in tables] and levels(out) == 'b'
  # A video that was moved is the same, one that was replaced is another.
  run(one.rename(tmp_path / 'x.mp4'), '--output', out)
  one.write_text('other')
  with pytest.raises(UserError):
    run(one, '--output', out)
  # Tables of before know paths alone.
  lines = tables[0].read_text().splitlines()
  tables[0].write_text(''.join(x.rsplit('\t', 4)[0] + '\n' for x in lines))
  run(one, '--output', out)
  with pytest.raises(UserError):
    run(two, '--output', out)
  # Where nothing is made anew all stays.
  kept = [path.read_bytes() for path in tables]
  two.write_text('?')
  with pytest.raises(UserError):
    run(two, '--output', out, '--overwrite')
  assert kept == [path.read_bytes() for path in tables] and levels(out) == 'b'
  two.write_text('set')
  # Made anew it has not the words of the other, also where its own are not asked for.
  run(two, '--output', out, '--overwrite')
  assert levels(out) == 's' and not tables[1].exists() and asked == ['x'] * 3


def test_a_file_that_no_table_tells_of_is_left(tmp_path, asked, capsys):
  source, out = videos(tmp_path / 'in', a='1', b='1', c='1'), tmp_path / 'out'
  mine = videos(out, a='mine')

  def run_again(left, *options):
    run(source, '--output', out, *options)
    told = capsys.readouterr().err.replace('\n', ' ')
    assert f'no mouths.tsv records the source video: kept {left}' in told
    assert (mine / 'a.mp4').read_text() == 'mine'

  run_again(f'1 file, as {out}/a.mp4')  # there is no table
  (out / 'c.mp4').unlink()
  table = out / 'mouths.tsv'
  table.write_text(''.join(table.read_text().splitlines(keepends=True)[:2]))
  run_again(f'1 file, as {out}/a.mp4')
  assert asked == ['b', 'c', 'c']
  run(source, '--output', out, '--overwrite')
  assert (mine / 'a.mp4').read_bytes() == (mine / 'c.mp4').read_bytes()


def test_overlays_go_with_the_crops_that_they_show(tmp_path, asked, monkeypatch, capsys):
  source, out = videos(tmp_path / 'in', a='1', b='1'), tmp_path / 'out'
  monkeypatch.setattr(overlay, 'write_overlay', lambda path, *_: path.write_text('shown'))
  videos(out, b_overlay='mine')
  run(source, '--output', out, '--overlay')
  assert f'kept 1 file, as {out}/b_overlay.mp4' in capsys.readouterr().err.replace('\n', ' ')
  assert [(out / f'{x}_overlay.mp4').read_text() for x in 'ab'] == ['shown', 'mine']
  run(source, '--output', out, '--overlay')
  assert asked == ['a', 'b']
  (out / 'a_overlay.mp4').unlink()
  run(source, '--output', out)
  run(source, '--output', out, '--overlay')
  assert asked == ['a', 'b', 'a'] and (out / 'a_overlay.mp4').is_file()
  assert [row['clip'] for row in jobs.read_table(out / 'mouths.tsv', ['clip'])] == [
    'a.mp4',
    'b.mp4',
  ]


def test_crops_of_another_source_are_not_taken_for_those_that_are_asked_for(
  tmp_path, asked, capsys
):
  source, out, marks = (
    videos(tmp_path / 'in', a='1') / 'a.mp4',
    tmp_path / 'out',
    tmp_path / 'a.csv',
  )
  table = out / 'mouths.tsv'
  given = source, '--output', out, '--landmarks', marks

  def refused(told, *options):
    kept = table.read_bytes()
    with pytest.raises(UserError, match='1 of 1 video could not be cropped'):
      run(*options)
    error = f'{out}/a.mp4 was made with {told}: choose another folder, or --overwrite'
    assert error in capsys.readouterr().err.replace('\n', ' ') and table.read_bytes() == kept

  marks.write_text('1')
  for _ in range(2):
    run(*given)
  refused('like = mouths, not lrw', *given, '--like', 'lrw')
  refused('source = file, not mesh', *given[:3], '--source', 'mesh')
  known = table.read_text().split()[-1]
  refused(f'landmarks = {known}, not none', *given[:3])
  marks.write_text('2')
  with pytest.raises(UserError):
    run(*given)
  # Tables of before tell what found the mouth, and not of which file.
  lines = table.read_text().splitlines()
  table.write_text(''.join(x.rsplit('\t', 2)[0] + '\n' for x in lines))
  run(*given)
  refused('like = mouths, not lrw', *given, '--like', 'lrw')
  run(*given[:3])
  refused('source = file, not haar', *given[:3], '--source', 'haar')
  assert asked == ['a']
  run(*given, '--overwrite')
  assert asked == ['a', 'a'] and table.read_text().split()[-1] != known


def test_crops_in_a_folder_that_is_a_link_have_rows(tmp_path, asked):
  source, out, away = tmp_path / 'in', tmp_path / 'out', tmp_path / 'away'
  for place in (source, out, away):
    place.mkdir()
  for name in ('s1', 's2'):
    videos(source / name, a='1')
  (out / 's1').symlink_to(away)
  for _ in range(2):
    run(source, '--output', out)
  rows = jobs.read_table(out / 'mouths.tsv', ['clip'])
  assert [row['clip'] for row in rows] == ['s1/a.mp4', 's2/a.mp4'] and asked == ['a', 'a']


def test_a_run_that_was_killed_loses_no_row(tmp_path, asked, monkeypatch):
  source, out = videos(tmp_path / 'in', a='1', b='1', c='1'), tmp_path / 'out'
  table, states, found = out / 'mouths.tsv', [], finding.read_mouths

  def seen(*args):
    states.append(table.read_bytes() if table.is_file() else b'')
    return found(*args)

  monkeypatch.setattr(finding, 'read_mouths', seen)
  out.mkdir()
  (out / 'words.tsv').write_text('a table of mine')  # which is nothing to this command
  run(source, '--output', out)
  assert [state.count(b'\n') for state in states] == [0, 3, 5]
  whole = table.read_bytes()
  (out / 'c.mp4').unlink()
  table.write_bytes(states[2][:-9])  # a kill after the second clip, as its row was written
  run(source, '--output', out)
  assert asked == [*'abc', *'bc'] and table.read_bytes() == whole


def test_an_interrupted_overwrite_goes_on_without_it(tmp_path, asked):
  source, out = videos(tmp_path / 'in', a='1', b='1', c='1'), tmp_path / 'out'
  run(source, '--output', out)
  videos(source, a='2', b='!', c='2')
  with pytest.raises(KeyboardInterrupt):
    run(source, '--output', out, '--overwrite')
  assert levels(out) == '211'
  videos(source, b='2')
  asked.clear()
  run(source, '--output', out)
  assert levels(out) == '222' and asked == ['b', 'c']
  assert all(row['frames'] == '2' for row in jobs.read_table(out / 'mouths.tsv', jobs.COLUMNS))


def test_one_command_at_a_time_has_a_folder(tmp_path, asked):
  source, out = videos(tmp_path / 'in', a='1'), tmp_path / 'out'
  out.mkdir()
  with (
    exclusive(out),
    pytest.raises(UserError, match=r'is being filled by process .* another --output'),
  ):
    run(source, '--output', out)
  assert not asked


def test_without_words_there_is_no_table_of_them(tmp_path, asked, capsys):
  source, out = videos(tmp_path / 'in', a='1'), tmp_path / 'out'
  (source / 'a.align').write_text('0 1000 sil\n')
  run(source, '--output', out, '--align')
  assert not (out / 'words.tsv').exists()
  assert 'no crop has known words' in capsys.readouterr().err


# --- jaxgen lipread ---


def test_where_nothing_is_kept_a_stop_does_not_speak_of_going_on(tmp_path, reads, capsys):
  source = videos(tmp_path / 'in', a='stop')
  for options, told in ((), 'starts over'), (('--output', tmp_path / 'out'), 'to continue'):
    with pytest.raises(Stopped):
      read(source / 'a.mp4', *options)
    assert told in capsys.readouterr().err


@pytest.fixture
def reads(monkeypatch):
  """Names of the videos that were read: as one word, their text, or none where it is empty."""
  names, texts = [], []

  def crops(path, bars, like):
    names.append(path.stem)
    texts.append(path.read_text())
    if texts[-1] == '!':
      raise KeyboardInterrupt
    if texts[-1] == 'stop':
      raise Stopped(signal.SIGINT)
    return sources.Mouths(np.zeros((25, 96, 96), np.uint8), 'seen')

  def service(frames, bars):
    return [Word(texts[-1], 0, 1, 1.0)] if texts[-1] else []

  monkeypatch.setattr(sources, 'read_crops', crops)
  service.notes = lambda boundaries: []
  service.model = SimpleNamespace(inference=SimpleNamespace(cropping=MOUTHS))
  monkeypatch.setattr(lipread, '_service', lambda args: service)
  monkeypatch.setattr(lipread, '_weights', lambda service: 'mine')
  monkeypatch.setattr(captions, 'write_captioned', lambda path, *_: path.write_text(texts[-1]))
  return names


def read(*args):
  parser = Parser()
  lipread.LIPREAD.add_arguments(parser)
  lipread.LIPREAD.run(parser.parse_args([str(x) for x in args] + ['--crops', '--srt']))


def said(out):
  return {path.stem: path.read_text().splitlines()[-1] for path in sorted(out.glob('*.srt'))}


def test_subtitles_of_another_video_are_not_taken_for_those_of_this_one(tmp_path, reads, capsys):
  one, two = videos(tmp_path / 's1', x='bin'), videos(tmp_path / 's2', x='set')
  out, seen = tmp_path / 'out', tmp_path / 'seen'
  read(one, '--output', out, '--overlay', seen)
  for folders in (('--output', out), ('--output', tmp_path / 'new', '--overlay', seen)):
    with pytest.raises(UserError, match='1 of 1 video could not be read'):
      read(two, *folders)
    told = capsys.readouterr().err
    assert f'comes from {one / "x.mp4"}: choose another folder, or --overwrite' in told
  assert said(out) == {'x': 'bin'} and reads == ['x']
  read(two, '--output', out, '--overlay', seen, '--overwrite')
  assert said(out) == {'x': 'set'} and (seen / 'x_overlay.mp4').read_text() == 'set'
  # What a person, or a version of before, has written is left, and told of.
  (out / 'y.srt').write_text('mine')
  read(videos(tmp_path / 's3', y='red'), '--output', out)
  assert said(out) == {'x': 'set', 'y': 'mine'}
  assert (
    f'no lipread.tsv records the source video: kept 1 file, as {out}/y.srt'
    in capsys.readouterr().err
  )


def test_subtitles_of_other_weights_or_options_are_not_taken_for_those_that_are_asked_for(
  tmp_path, reads, monkeypatch, capsys
):
  source, out = videos(tmp_path / 'in', a='bin') / 'a.mp4', tmp_path / 'out'
  read(source, '--output', out)
  table = out / jobs.READ

  def refused(told, *options):
    kept = table.read_bytes()
    with pytest.raises(UserError, match='1 of 1 video could not be read'):
      read(source, '--output', out, *options)
    error = f'{out}/a.srt was made with {told}: choose another folder, or --overwrite'
    assert error in capsys.readouterr().err and table.read_bytes() == kept

  refused('whole = no, not yes', '--whole')
  refused(
    'boundary = none, not 0.1-0.2 0.5-0.9', *['--boundary', '.5', '.9', '--boundary', '.1', '.2']
  )
  monkeypatch.setattr(lipread, '_weights', lambda service: 'yours')
  refused('weights = mine, not yours')
  refused('weights = mine, not yours', '--overlay', out)  # though one of the two is not there
  assert reads == ['a'] and said(out) == {'a': 'bin'} and not list(out.glob('*.mp4'))
  read(source, '--output', out, '--overwrite')
  monkeypatch.setattr(lipread, '_weights', lambda service: 'mine')
  refused('weights = yours, not mine')
  # Tables of before know videos alone.
  rows = [line.split('\t')[:3] for line in table.read_text().splitlines()]
  table.write_text(''.join('\t'.join(row) + '\n' for row in rows))
  read(source, '--output', out, '--overlay', out)
  assert reads == ['a'] * 3 and (out / 'a_overlay.mp4').is_file()


def test_what_finds_mouths_is_how_videos_are_read(tmp_path):
  parser = Parser()
  lipread.LIPREAD.add_arguments(parser)
  (tmp_path / 'a.csv').write_text('1')

  def how(*options):
    found = lipread._how(parser.parse_args(['a.mp4', *options]), 'mine', tmp_path / 'a.mp4')
    return found['source'], found['landmarks']

  assert how() == ('', 'none') and how('--source=haar') == ('haar', 'none')
  file, first = how(f'--landmarks={tmp_path}')
  (tmp_path / 'a.csv').write_text('2')
  assert file == 'file' and how(f'--landmarks={tmp_path / "a.csv"}')[1] not in (first, 'none')
  columns = 'file', jobs.VIDEO, jobs.DIGEST
  ledger = Ledger(tmp_path / jobs.READ, columns, how=('source', 'landmarks'))
  ledger.begin()
  ledger.add('a.srt', tmp_path / 'a.mp4', {'source': 'haar', 'landmarks': 'none'})
  told = ['', '', 'source = haar, not mesh', 'source = haar, not file']
  for options, expected in zip(
    ([], ['--source=haar'], ['--source=mesh'], [f'--landmarks={tmp_path}']), told, strict=True
  ):
    values = dict(zip(('source', 'landmarks'), how(*options), strict=True))
    assert ledger.made_otherwise('a.srt', values) == expected


def test_a_video_that_is_killed_between_its_outputs_is_read_again(tmp_path, reads, monkeypatch):
  source, out = videos(tmp_path / 'in', a='bin') / 'a.mp4', tmp_path / 'out'
  options = source, '--output', out, '--overlay', out
  written = captions.write_captioned

  def stop(*_):
    raise KeyboardInterrupt

  monkeypatch.setattr(captions, 'write_captioned', stop)
  with pytest.raises(KeyboardInterrupt):
    read(*options)
  assert said(out) == {'a': 'bin'}
  monkeypatch.setattr(captions, 'write_captioned', written)
  source.write_text('set')
  read(*options)
  assert said(out) == {'a': 'set'} and reads == ['a', 'a']


def test_an_interrupted_overwrite_of_subtitles_goes_on_without_it(tmp_path, reads):
  source, out = videos(tmp_path / 'in', a='1', b='1', c='1'), tmp_path / 'out'
  options = source, '--output', out, '--overlay', out
  read(*options)
  videos(source, a='2', b='!', c='2')
  with pytest.raises(KeyboardInterrupt):
    read(*options, '--overwrite')
  assert said(out) == {'a': '2', 'b': '1', 'c': '1'}
  videos(source, b='2')
  reads.clear()
  read(*options)
  assert said(out) == {'a': '2', 'b': '2', 'c': '2'} and reads == ['b', 'c']


def test_a_video_without_words_is_read_once_and_one_command_has_a_folder(tmp_path, reads):
  source, out = videos(tmp_path / 'in', a=''), tmp_path / 'out'
  for _ in range(2):
    read(source, '--output', out)
  assert reads == ['a'] and (out / 'a.srt').read_bytes() == b''
  (out / 'a.srt').unlink()
  with exclusive(out), pytest.raises(UserError, match='is being filled by process'):
    read(source, '--output', out)
  assert reads == ['a']


def test_a_folder_without_a_video_stops_no_other_input(tmp_path, asked, reads, capsys):
  source, none, out = videos(tmp_path / 'in', a='1'), videos(tmp_path / 'none'), tmp_path / 'out'
  for work in (run, read):
    with pytest.raises(UserError, match=r'1 of 2 videos could not be .*: .*none'):
      work(none, source, '--output', out, '--json')
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first.keys() == {'video', 'error'} and 'contains no video' in first['error']
    assert second['video'] == str(source / 'a.mp4') and 'error' not in second
  assert asked == reads == ['a']


def test_overlays_beside_videos_of_one_name_are_no_videos(tmp_path, reads):
  source = videos(tmp_path / 'in', a='1')
  (source / 'a.mpg').write_text('2')
  for _ in range(2):
    read(source, '--output', tmp_path / 'out', '--overlay', source)
  assert (source / 'a_mpg_overlay.mp4').read_text() == '2' and len(reads) == 2


def test_a_line_has_one_name_whatever_is_in_it(tmp_path, reads, capsys):
  videos(tmp_path / 'in', **{'a\tb\nc': 'bin', 'd': 'set'})
  read(tmp_path / 'in', '--output', tmp_path / 'out')
  lines = capsys.readouterr().out.splitlines()
  assert [line.split('\t')[1:3] for line in lines] == [['0.00-1.00', x] for x in ('bin', 'set')]
  assert lines[0].startswith(f'{tmp_path}/in/a\\tb\\nc.mp4\t')


@pytest.mark.parametrize('given', [(2, 1), (1, 'nan'), (-1, 0.5), (0, 'inf')])
def test_a_word_that_can_be_nowhere_is_refused_before_any_work(tmp_path, reads, given):
  source = videos(tmp_path / 'in', a='1')
  with pytest.raises(ConfigError, match='--boundary'):
    read(source, '--output', tmp_path / 'out', '--boundary', *given)
  assert not reads and not (tmp_path / 'out').exists()


@pytest.fixture
def made_by_function(monkeypatch):
  """`jaxgen.lipread` without nets: its overlay is a text."""
  for name in ('model_of', 'file_of'):
    monkeypatch.setattr(functions, name, lambda *_: None)
  reader = SimpleNamespace(
    notes=lambda boundaries: [],
    model=SimpleNamespace(inference=SimpleNamespace(cropping=MOUTHS)),
  )
  reader.telling = lambda top: reader
  monkeypatch.setattr(functions, '_kept', lambda *_: reader)
  mouths = sources.Mouths(np.zeros((25, 96, 96), np.uint8), 'seen')
  monkeypatch.setattr(functions, 'read_crops', lambda *_: mouths)
  monkeypatch.setattr(functions, 'read_as', lambda *_: [])
  monkeypatch.setattr(functions, 'write_captioned', lambda path, *_: path.write_text('function'))


def files_of_rows(table):
  return [row['file'] for row in jobs.read_table(table, ['file'])]


def test_an_overlay_that_the_function_writes_has_no_row_of_the_one_before(
  tmp_path, reads, made_by_function
):
  source, out = videos(tmp_path / 'in', a='bin'), tmp_path / 'out'
  read(source, '--output', out, '--overlay', out)
  talked = out / jobs.TALKED  # of a folder that has both, with a piece of a row
  talked.write_text('file\tpicture\nz.mp4\tz.png\na_overlay.mp4\ta.png\ny.mp4')
  (tmp_path / jobs.READ).write_text('a table of mine')
  (tmp_path / 'link').symlink_to(out)
  options = {'crops': True, 'overlay': tmp_path / 'link' / 'a_overlay.mp4'}
  jaxgen.lipread(source / 'a.mp4', **options, warn=lambda note: None)
  assert files_of_rows(out / jobs.READ) == ['a.srt', 'a_overlay.mp4']  # nothing was written
  jaxgen.lipread(source / 'a.mp4', **options, overwrite=True)
  assert (out / 'a_overlay.mp4').read_text() == 'function'
  assert files_of_rows(out / jobs.READ) == ['a.srt'] and files_of_rows(talked) == ['z.mp4']
  assert (tmp_path / jobs.READ).read_text() == 'a table of mine'
