"""Folders of `jaxgen talk` know of what their videos are, also once runs were killed."""

from types import SimpleNamespace

import numpy as np
import pytest
from lipgen_videos import optional

optional('av')

import jaxgen  # noqa: E402
from jaxgen import config as configs  # noqa: E402
from jaxgen.command.arguments import Parser  # noqa: E402
from jaxgen.errors import DataError, UserError  # noqa: E402
from jaxgen.run.lock import exclusive  # noqa: E402
from jaxgen.systems.lipgen import commands, functions  # noqa: E402
from jaxgen.systems.lipgen.synthesis import chain as chains  # noqa: E402
from jaxgen.systems.lipgen.synthesis import filming  # noqa: E402
from jaxgen.systems.lipgen.video import jobs  # noqa: E402
from jaxgen.task import Trained  # noqa: E402


class Filming:
  """In place of `filming.Studio`: a video has the text of its picture and what is said."""

  frames = 2

  def __init__(self, chain, speech, wishes):
    self._said = speech

  def __call__(self, picture, target, bars, begin):
    text = picture.read_text()
    if text == '?':
      raise DataError(f'{picture}: no face found')
    begin()
    if text == '!':
      raise KeyboardInterrupt
    target.write_text(f'{text} {self._said}')
    if text == 'killed':
      raise SystemExit
    found = SimpleNamespace(source='haar', faces=1)
    return filming.Filmed(found, 2, (8, 8), False, ())


@pytest.fixture
def talks(monkeypatch):
  """What was said, in order; nets have the level that this has at its end."""
  said, level = [], [0.0]

  def net(path, system, load):
    return Trained(configs.load(system), {}, {'params': {'a': np.array(level[-1])}}, 1)

  def speech(wishes):
    said.append(wishes.text or wishes.audio.read_text())
    return said[-1]

  monkeypatch.setattr(chains, 'load_net', net)
  monkeypatch.setattr(chains, 'Chain', lambda *given: None)
  monkeypatch.setattr(filming, 'speech_of', speech)
  monkeypatch.setattr(filming, 'Studio', Filming)
  return said, level


def talk(*args):
  parser = Parser()
  commands.TALK.add_arguments(parser)
  commands.TALK.run(parser.parse_args([str(x) for x in args]))


def pictures(folder, **contents):
  folder.mkdir(exist_ok=True)
  for name, content in contents.items():
    (folder / f'{name}.png').write_text(content)
  return folder


def shown(out):
  return {path.stem: path.read_text() for path in sorted(out.glob('*.mp4'))}


def test_a_video_of_another_picture_sound_or_net_is_not_taken_for_this_one(tmp_path, talks, capsys):
  said, level = talks
  faces, out, sound = pictures(tmp_path / 'in', a='anna'), tmp_path / 'out', tmp_path / 'x.wav'
  sound.write_text('bin')
  given = faces, '--audio', sound, '--output', out
  for _ in range(2):
    talk(*given)
  assert shown(out) == {'a': 'anna bin'} and said == ['bin']
  kept = (out / 'talk.tsv').read_bytes()

  def refused(told, *options):
    with pytest.raises(UserError, match='1 of 1 picture could not be made to talk'):
      talk(*options)
    error = capsys.readouterr().err.replace('\n', ' ')
    assert f'{out}/a.mp4 {told}' in error and 'choose another folder, or --overwrite' in error
    assert shown(out) == {'a': 'anna bin'} and (out / 'talk.tsv').read_bytes() == kept

  other = pictures(tmp_path / 'other', a='ben')
  refused(f'comes from {faces}/a.png', other, *given[1:])
  for options in ('--head=1', '--seed=2', '--steps=3', '--longest=99', '--crop'):
    name = options[2:].partition('=')[0]
    refused(f'was made with {name} = ', *given, options)
  refused('was made with sound = ', faces, '--text', 'bin', '--output', out)
  level.append(1.0)
  refused('was made with motion = ', *given)
  level.pop()
  sound.write_text('set')
  refused('was made with sound = ', *given)
  pictures(faces, a='replaced')
  refused(f'comes from {faces}/a.png', *given)
  # Where nothing is made anew all stays, and the other is told of once it is.
  pictures(faces, a='?')
  with pytest.raises(UserError):
    talk(*given, '--overwrite')
  assert shown(out) == {'a': 'anna bin'} and (out / 'talk.tsv').read_bytes() == kept
  talk(other, *given[1:], '--overwrite')
  assert shown(out) == {'a': 'ben set'}
  # What a person, or a version of before, has put there is left.
  (out / 'b.mp4').write_text('mine')
  talk(pictures(tmp_path / 'more', b='carl'), *given[1:])
  told = capsys.readouterr().err.replace('\n', '')
  assert shown(out)['b'] == 'mine' and 'no talk.tsv records the source picture: kept 1 file' in told


def test_an_interrupted_folder_of_videos_goes_on_and_one_command_has_it(tmp_path, talks):
  faces, out = pictures(tmp_path / 'in', a='1', b='1', c='1'), tmp_path / 'out'
  given = faces, '--text', 'bin', '--output', out
  talk(*given)
  pictures(faces, a='2', b='!', c='2')
  with pytest.raises(KeyboardInterrupt):
    talk(*given, '--overwrite')
  pictures(faces, b='2')
  talk(*given)
  assert shown(out) == dict.fromkeys('abc', '2 bin')
  # A kill between a video and its row.
  pictures(faces, d='killed')
  with pytest.raises(SystemExit):
    talk(*given)
  pictures(faces, d='3')
  talk(*given)
  assert shown(out)['d'] == '3 bin'
  (out / 'd.mp4').write_bytes(b'')  # of a full disk
  talk(*given)
  assert shown(out)['d'] == '3 bin'
  (out / 'a.mp4').unlink()
  with exclusive(out), pytest.raises(UserError, match=r'is being filled by .* another --output'):
    talk(*given)
  assert 'a' not in shown(out)


def test_a_video_that_is_named_has_no_table_beside_it(tmp_path, talks):
  faces = pictures(tmp_path / 'in', a='1')
  for _ in range(2):
    talk(faces, '--text', 'bin', '--output', tmp_path / 'x.mp4')
  assert sorted(path.name for path in tmp_path.iterdir()) == ['in', 'x.mp4'] and len(talks[0]) == 1


class Speech(str):
  """What `Filming` says."""

  following = ()


@pytest.fixture
def made_by_function(monkeypatch):
  """`jaxgen.talk` without nets."""
  monkeypatch.setattr(functions, 'Studio', Filming)
  monkeypatch.setattr(functions, '_chain', lambda *_: SimpleNamespace(shown=lambda passes: None))
  monkeypatch.setattr(functions, 'speech_of', lambda wishes: Speech())
  for name in ('model_of', 'file_of', 'expected_frames'):
    monkeypatch.setattr(functions, name, lambda *_: None)


def files_of_rows(table):
  return [row['file'] for row in jobs.read_table(table, ['file'])]


def test_a_video_that_the_function_writes_has_no_row_of_the_one_before(
  tmp_path, talks, made_by_function, capsys
):
  faces, out = pictures(tmp_path / 'in', a='1', b='1'), tmp_path / 'out'
  given = faces, '--text', 'bin', '--output', out
  talk(*given)
  other = pictures(tmp_path / 'other', x='2') / 'x.png'
  with exclusive(out), pytest.raises(UserError, match=r'is being filled by process .*: wait for'):
    jaxgen.talk(other, text='bin', output=out / 'a.mp4', overwrite=True)
  assert files_of_rows(out / jobs.TALKED) == ['a.mp4', 'b.mp4']
  (out / 'a.mp4').unlink()
  jaxgen.talk(other, text='bin', output=out / 'a.mp4')
  assert files_of_rows(out / jobs.TALKED) == ['b.mp4']
  talk(*given)
  assert 'kept 1 file' in capsys.readouterr().err and shown(out)['a'].startswith('2')
  # So has one that the command names; the last row goes with the table.
  talk(other, *given[1:3], '--output', out / 'b.mp4', '--overwrite')
  assert shown(out)['b'] == '2 bin' and not (out / jobs.TALKED).exists()
  with exclusive(out):
    pass
