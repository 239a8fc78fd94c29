"""Folders of `jaxgen pose-augment` hold one set, also where runs were killed."""

import csv
import json

import numpy as np
import pytest
from lipgen_cases import tiny
from lipgen_videos import optional, steps, write

optional('av')
optional('cv2')

from jaxgen.command.arguments import Parser  # noqa: E402
from jaxgen.errors import ConfigError, DataError, UserError  # noqa: E402
from jaxgen.run.lock import exclusive  # noqa: E402
from jaxgen.run.workdir import write_config  # noqa: E402
from jaxgen.systems.lipgen import commands  # noqa: E402
from jaxgen.systems.lipgen.clips.table import read_table  # noqa: E402
from jaxgen.systems.lipgen.posing import augmenting, unseen  # noqa: E402


def run(*args):
  parser = Parser()
  commands.POSE_AUGMENT.add_arguments(parser)
  commands.POSE_AUGMENT.run(parser.parse_args([str(x) for x in args]))


def rows_of(folder):
  return list(csv.DictReader((folder / 'poses.tsv').open(), delimiter='\t'))


def clips(folder, names='abc', frames=2, size=(32, 32)):
  folder.mkdir(exist_ok=True)
  for name in names:
    write(folder / f'{name}.mp4', steps(frames, *size))
  return folder


@pytest.fixture
def turns(monkeypatch):
  """Names of the clips that were turned, each with the rows that were there before."""
  turned, seen = augmenting.turn_clip, []

  def turn(clip, *args):
    table = clip.target.parent / 'poses.tsv'
    seen.append((clip.name, table.read_bytes() if table.is_file() else b''))
    return turned(clip, *args)

  monkeypatch.setattr(augmenting, 'turn_clip', turn)
  return seen


def test_a_clip_of_another_video_is_not_taken_for_that_of_this_one(tmp_path, turns):
  one, two, out = clips(tmp_path / 'k1', 'c'), clips(tmp_path / 'k2', 'c', 3), tmp_path / 'out'
  for folder, word in ((one, 'bin'), (two, 'set')):
    (folder / 'w.csv').write_text(f'clip,word,start,end\nc,{word},0,0.08\n')
  run(one, '--output', out)
  kept = (out / 'poses.tsv').read_bytes()
  with pytest.raises(
    UserError, match=r'a set of other clips: .*c\.mp4 comes from another c\.mp4: choose'
  ):
    run(two, '--output', out)
  assert (out / 'poses.tsv').read_bytes() == kept
  run(one, '--output', out)
  assert len(turns) == 1
  run(two, '--output', out, '--overwrite')
  assert [row['word'] for row in rows_of(out)] == ['set'] and len(turns) == 2


def test_a_run_that_was_killed_goes_on(tmp_path, turns):
  source, out = clips(tmp_path / 'in'), tmp_path / 'out'
  run(source, '--output', out)
  whole, states = (out / 'poses.tsv').read_bytes(), [text for _, text in turns]
  assert [text.count(b'\n') for text in states] == [1, 2, 3]
  (out / 'poses.tsv').write_bytes(states[2][:-9])  # after the second clip, as its row was written
  turns.clear()
  run(source, '--output', out)
  assert [name for name, _ in turns] == ['b', 'c'] and (out / 'poses.tsv').read_bytes() == whole


def test_names_with_line_ends_of_unicode_are_of_one_row(tmp_path, turns):
  source, out = clips(tmp_path / 'in', ('a\u2028b', 'c\x85d')), tmp_path / 'out'
  run(source, '--output', out)
  whole = (out / 'poses.tsv').read_bytes()
  run(source, '--output', out)
  assert len(turns) == 2 and (out / 'poses.tsv').read_bytes() == whole


def test_rows_of_before_are_gone_as_soon_as_a_clip_is_made_anew(tmp_path, turns):
  source, out = clips(tmp_path / 'in'), tmp_path / 'out'
  run(source, '--output', out)
  turns.clear()
  run(source, '--output', out, '--seed', 5, '--overwrite')
  for _, text in turns:
    rows = csv.DictReader(text.decode().splitlines(), delimiter='\t')
    assert {row['seed'] for row in rows} <= {'5'}
  assert turns[0][1].count(b'\n') == 1
  assert {row['seed'] for row in rows_of(out)} == {'5'}


def test_one_command_at_a_time_has_a_folder(tmp_path, turns):
  source, out = clips(tmp_path / 'in'), tmp_path / 'out'
  out.mkdir()
  with exclusive(out), pytest.raises(UserError, match=r'is being filled by process .* --output'):
    run(source, '--output', out)
  assert not turns


def test_kinds_and_sources_of_a_set_are_one(tmp_path):
  source, out = clips(tmp_path / 'in', 'a'), tmp_path / 'out'
  run(source, '--output', out)
  with pytest.raises(UserError, match=r'has a set of kind pose-crop: .* or drop --kind'):
    run(source, '--output', out, '--kind', 'full-face')
  run(source, '--output', out, '--kind', 'pose-crop', '--source', 'haar')
  table = out / 'poses.tsv'
  found = (
    table.read_text().replace('\tpose-crop\t', '\tfull-face\t').replace('\t0\t\t', '\t0\thaar\t')
  )
  assert found.count('haar') == 1
  table.write_text(found)
  run(source, '--output', out, '--source', 'haar')
  with pytest.raises(UserError, match=r'a set of faces found by haar: .* or drop --source'):
    run(source, '--output', out, '--source', 'mesh')


def test_clips_that_are_no_squares_are_no_crops_of_a_mouth(tmp_path, capsys):
  source = clips(tmp_path / 'in', 'a', size=(32, 48))
  with pytest.raises(UserError, match='1 of 1 clip could not be turned'):
    run(source, '--output', tmp_path / 'out', '--kind', 'pose-crop')
  assert 'frames of 48 x 32 are not mouth crops, which are square' in capsys.readouterr().err


def test_a_set_of_two_kinds_is_told_of(tmp_path, monkeypatch, capsys):
  turned = augmenting.turn_clip

  def turn(clip, *args):
    found = turned(clip, *args)
    return found._replace(kind='full-face') if clip.name == 'b' else found

  monkeypatch.setattr(augmenting, 'turn_clip', turn)
  run(clips(tmp_path / 'in', 'ab'), '--output', tmp_path / 'out', '--json')
  told = capsys.readouterr()
  assert 'treated 1 clip of 2 as mouth crops: --kind sets the kind of them all' in told.err
  assert f'{tmp_path / "in"} has no table of words: no reader can be evaluated' in told.err
  assert [json.loads(x)['kind'] for x in told.out.splitlines()] == ['pose-crop', 'full-face']


def test_drawn_clips_of_another_run_are_not_taken_for_those_of_this_one(tmp_path, monkeypatch):
  drawn = []

  def draw(speech, one):
    drawn.append(speech)
    return np.full((2, 32, 32), 100 + one.number, np.uint8)

  monkeypatch.setattr(unseen, 'frames_of', draw)
  runs = [tmp_path / name for name in ('one', 'two')]
  for i, folder in enumerate(runs):
    folder.mkdir()
    write_config(folder, tiny(seed=i, data__num_validation=2))
  out, straight = tmp_path / 'out', tmp_path / 'out' / 'straight'
  run('--of', runs[0], '--output', out)
  run('--of', runs[0], '--output', out)
  assert len(drawn) == 2
  words = (straight / 'words.tsv').read_bytes()
  with pytest.raises(UserError, match='straight has drawn clips of another run'):
    run('--of', runs[1], '--output', out)
  # Clips of before have no seal, but words.
  (straight / 'drawn.txt').unlink()
  with pytest.raises(UserError, match='straight has drawn clips of another run'):
    run('--of', runs[1], '--output', out)
  run('--of', runs[0], '--output', out)
  assert len(drawn) == 2 and (straight / 'words.tsv').read_bytes() == words
  run('--of', runs[1], '--output', out, '--overwrite')
  assert len(drawn) == 4 and (straight / 'words.tsv').read_bytes() != words
  assert [row['start'] for row in rows_of(out)] == [
    row['start'] for row in csv.DictReader((straight / 'words.tsv').open(), delimiter='\t')
  ]


def test_a_clip_without_a_face_is_told_what_helps(tmp_path, capsys):
  source = clips(tmp_path / 'in', 'a', size=(48, 64))
  with pytest.raises(UserError, match='1 of 1 clip could not be turned'):
    run(source, '--output', tmp_path / 'out', '--source', 'haar')
  told = capsys.readouterr().err
  assert 'no face in any frame' in told
  assert 'Crop the mouth with jaxgen mouths --landmarks FILE, and turn the crop' in told


def test_a_table_with_titles_of_ones_own_becomes_one_to_be_judged_by(tmp_path, capsys):
  source, out = clips(tmp_path / 'in', 'ab'), tmp_path / 'out'
  lines = 'Datei;Wort;von_frame;bis_frame;word;seed', 'a.mp4;bin;0;1;x;4', 'b;set;1;2;y;5'
  (source / 'liste.csv').write_text('\n'.join(lines))
  (source / 'bad.csv').write_bytes(b'\xff')
  run(source, '--output', tmp_path / 'none')
  told = capsys.readouterr().err
  assert (
    f'{source}/liste.csv has no column clip (set it with --columns clip=TITLE), found: Datei, W'
    in told
  )
  assert f'{source}/bad.csv is not a readable table' in told
  titles = 'clip=Datei,word=Wort,start=von_frame,end=bis_frame'
  run(source, '--output', out, '--columns', titles, '--seed', 3)
  assert "poses.tsv has its own seed: the table's are dropped" in capsys.readouterr().err
  head = (out / 'poses.tsv').read_text().splitlines()[0].split('\t')
  assert head[-3:] == ['word', 'start_frame', 'end_frame'] and head.count('seed') == 1
  assert {row['seed'] for row in rows_of(out)} == {'3'}
  spoken = [(x.clip, x.word, x.start, x.end) for x in read_table(out / 'poses.tsv')]
  assert spoken == [('a', 'bin', 0, 1), ('b', 'set', 1, 2)]
  for columns, error, what in (
    ('clip=Datei,word=Worte', DataError, 'has no column Worte; found: Datei, Wort.*word=TITLE'),
    ('clip=Clip', ConfigError, 'no table with a column Clip'),
    ('clip', ConfigError, 'must be one or more of clip=TITLE'),
    ('speaker=Wer', ConfigError, 'must be one or more of clip=TITLE'),
    ('clip=Datei,word=Datei', ConfigError, 'names a column twice'),
  ):
    with pytest.raises(error, match=what):
      run(source, '--output', out, '--columns', columns)


def test_of_a_run_on_a_table_with_titles_of_ones_own_words_have_the_usual_ones(
  tmp_path, monkeypatch
):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  source, one, out = clips(tmp_path / 'in', 'abcd'), tmp_path / 'run', tmp_path / 'out'
  rows = [f'{name},{word},0,0.08' for name, word in zip('abcd', 'xyxy', strict=True)]
  (tmp_path / 'liste.csv').write_text('\n'.join(['Datei,Wort,von,bis', *rows]))
  columns = zip(('clip', 'word', 'start', 'end'), ('Datei', 'Wort', 'von', 'bis'), strict=True)
  titles = {f'data__columns__{what}': title for what, title in columns}
  one.mkdir()
  data = {'data__name': str(tmp_path / 'liste.csv'), 'data__dir': str(source)}
  write_config(one, tiny('table', **data, **titles))
  run('--of', one, '--output', out)
  assert {x.word for x in read_table(out / 'poses.tsv')} <= {'x', 'y'}
