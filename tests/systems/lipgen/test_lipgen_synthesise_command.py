"""`jaxgen synthesise`: its pictures, what it prints, and mistakes. No net is run."""

import json
import wave

import numpy as np
import pytest
from lipgen_videos import optional

optional('av')

import av  # noqa: E402
from PIL import Image  # noqa: E402
from synthesis_cases import Chain  # noqa: E402

from jaxgen import config as configs  # noqa: E402
from jaxgen import locks  # noqa: E402
from jaxgen.command.cli import main  # noqa: E402
from jaxgen.errors import DataError  # noqa: E402
from jaxgen.files import temporary_beside  # noqa: E402
from jaxgen.run import lock  # noqa: E402
from jaxgen.systems.lipgen.synthesis import cast as casts  # noqa: E402
from jaxgen.systems.lipgen.synthesis import chain as chains  # noqa: E402
from jaxgen.systems.lipgen.synthesis import portraits  # noqa: E402
from jaxgen.systems.lipgen.synthesis.manifest import ABOUT, ROWS, Manifest  # noqa: E402
from jaxgen.task import Trained  # noqa: E402


@pytest.fixture
def command_of(tmp_path, monkeypatch, capsys):
  """Runs the command on faces/, without nets: a bright picture has a drawn face, and a dark one none."""
  drawn = casts.make_cast('drawn:1', 0)[0]

  def find(path):
    rgb, shrunk = portraits._read(path, 64)
    if rgb.mean() < 100:
      raise DataError(f'{path}: no face found')
    faces = 2 if path.stem.startswith('two') else 1
    return portraits.Portrait(path, rgb, *drawn[:2], np.eye(2, 3), 'mesh', faces, shrunk)

  net = Trained(configs.load('lipgen_render'), {}, {}, 1)
  monkeypatch.setattr(casts, 'make_finder', lambda longest: find)
  monkeypatch.setattr(chains, 'load_net', lambda *given: net)
  monkeypatch.setattr(chains, 'Chain', lambda *nets, steps: Chain())
  (tmp_path / 'faces').mkdir()
  usual = '--clips-per-face=1', '--json', f'--faces={tmp_path}/faces', f'--output={tmp_path}/out'

  def run(*more, said=('--words=about', '--voices=m1')):
    code = main(['synthesise', *said, *usual, *more])
    found = capsys.readouterr()
    return code, [json.loads(line) for line in found.out.splitlines()], found.err

  return run


def paint(path, level):
  Image.new('L', (8, 8), level).save(path)


def test_pictures_that_cannot_be_read_are_named_and_the_rest_goes_on(tmp_path, command_of):
  faces = tmp_path / 'faces'
  paint(faces / 'anna.png', 200)
  paint(faces / 'wall.png', 0)
  (faces / 'torn.png').write_bytes((faces / 'anna.png').read_bytes()[:50])
  code, found, told = command_of()
  assert code == 1 and '1 of 3 faces could not be read: torn.png' in told.replace('\n', ' ')
  assert [(x['face'], *(x.keys() - {'face'})) for x in found[:2]] == [
    ('torn.png', 'error'), ('wall.png', 'dropped')
  ]  # fmt: skip
  assert found[0]['error'] in told.replace('\n', '') and 'torn.png: not a' in found[0]['error']
  assert 'no face found' in found[1]['dropped']
  assert found[2:] == [{'clip': 'ABOUT/train/ABOUT_00001.mp4', 'word': 'about', 'face': 'anna.png'}]
  about = json.loads((tmp_path / 'out' / ABOUT).read_text())['faces']
  assert list(about['unreadable_files']) == ['torn.png'] and about['unreadable'] == 1
  assert list(about['dropped_files']) == ['wall.png'] and about['used'] == 1
  code, found, _ = command_of()  # tried again
  assert code == 1 and [list(x) for x in found] == [['face', 'error'], ['face', 'dropped']]
  (faces / 'torn.png').unlink()
  assert command_of('--overwrite')[0] == 0  # a picture without a face is no mistake


def test_how_a_face_was_found_is_told_once(tmp_path, command_of):
  for name in ('anna', 'two', 'two_more'):
    paint(tmp_path / 'faces' / f'{name}.png', 200)
  code, found, told = command_of('--clips-per-face=2', said=('--words=about,water', '--voices=m1'))
  assert code == 0 and len(found) == 6 and told.count('2 faces') == 2
  assert 'two.png: 2 faces: the largest talks' in told and 'anna.png' not in told
  assert '2 pictures: 2 faces: the largest talks' in told


def test_what_a_killed_command_left_is_removed(tmp_path, command_of):
  paint(tmp_path / 'faces' / 'anna.png', 200)
  assert command_of()[0] == 0
  out = tmp_path / 'out'
  clip, table = (
    temporary_beside(x) for x in (out / 'ABOUT' / 'train' / 'ABOUT_00002.mp4', out / ROWS)
  )
  mine, run = clip.with_name('.mine.tmp'), temporary_beside(out / 'run' / 'config.json')
  run.parent.mkdir()
  for path in (clip, table, mine, run):
    path.touch()
  assert command_of()[0] == 0
  assert mine.exists() and run.exists() and not clip.exists() and not table.exists()


def test_a_picture_that_was_replaced_is_not_taken_for_the_one_before(tmp_path, command_of):
  faces, table = tmp_path / 'faces', tmp_path / 'out' / ROWS
  for name, level in (('anna', 200), ('ben', 210)):
    paint(faces / f'{name}.png', level)
  assert command_of()[0] == 0
  header, *rows = (line.split('\t') for line in table.read_text().splitlines())
  digests = [row[header.index('picture')] for row in rows]
  assert len(set(digests)) == 2 and {len(x) for x in digests} == {16}
  kept = table.read_bytes()
  code, found, _ = command_of()
  assert code == 0 and not found
  paint(faces / 'ben.png', 220)
  code, found, told = command_of()
  assert code == 1 and not found and table.read_bytes() == kept
  assert 'has clips of another ben.png (ABOUT/train/ABOUT_00002)' in told.replace('\n', ' ')
  code, found, _ = command_of('--overwrite')
  assert code == 0 and len(found) == 2 and table.read_bytes() != kept


def test_tables_of_before_tell_pictures_by_their_names(tmp_path, command_of):
  faces, table = tmp_path / 'faces', tmp_path / 'out' / ROWS
  for name, level in (('anna', 200), ('ben', 0)):
    paint(faces / f'{name}.png', level)
  assert command_of()[0] == 0
  lines = [line.split('\t') for line in table.read_text().splitlines()]
  kept = [i for i, name in enumerate(lines[0]) if name not in ('picture', 'take')]
  table.write_text(''.join('\t'.join(x[i] for i in kept) + '\n' for x in lines))
  for name, level in (
    ('anna', 210),
    ('ben', 220),
  ):  # one with a clip, and one without a face so far
    paint(faces / f'{name}.png', level)
  code, found, _ = command_of()
  assert code == 0 and [x['face'] for x in found] == ['ben.png']
  header, *rows = (line.split('\t') for line in table.read_text().splitlines())
  assert [len(row[header.index('picture')]) for row in rows] == [0, 16]
  paint(faces / 'anna.png', 230)
  assert command_of()[0] == 0
  paint(faces / 'ben.png', 230)
  assert command_of()[0] == 1


def test_clips_of_pictures_that_were_made_smaller_are_not_gone_on_with(tmp_path, command_of):
  paint(tmp_path / 'faces' / 'anna.png', 200)
  about = tmp_path / 'out' / ABOUT
  assert command_of()[0] == 0
  kept = json.loads(about.read_text())
  assert kept['settings'].pop('pixels') == 'all'
  about.write_text(json.dumps(kept))  # of before
  code, found, told = command_of()
  expected = 'has clips with pixels = "at most 720 a side", not "all": choose another folder, or'
  assert code == 1 and not found and expected in told.replace('\n', ' ')
  assert command_of('--overwrite')[0] == 0 and command_of()[0] == 0
  # Drawn speakers are what they were.
  drawn = tmp_path / 'drawn'
  for _ in range(2):
    assert command_of('--faces=drawn:1', f'--output={drawn}')[0] == 0
  assert 'pixels' not in json.loads((drawn / ABOUT).read_text())['settings']


def hum(path, hertz):
  sound = 8000 * np.sin(hertz / 2546 * np.arange(16_000))
  with wave.open(str(path), 'wb') as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(16_000)
    file.writeframes(sound.astype('<i2').tobytes())


def recorded(folder, titles='file,word,start,end'):
  """A table of two words that Ann says, one twice, and one that Ben says."""
  for name, hertz in (('ann', 200), ('ben', 120)):
    hum(folder / f'{name}.wav', hertz)
  rows = 'ann,bin,0.1,0.3', 'ann,blue,0.3,0.5', 'ann,bin,0.5,0.9', 'ben.wav,gru\u00df,0.2,0.6'
  table = folder / 'words.csv'
  table.write_text('\n'.join([titles, *rows]), encoding='utf-8')
  return table


def test_faces_say_what_a_person_recorded(tmp_path, command_of):
  paint(tmp_path / 'faces' / 'anna.png', 200)
  said = (f'--recordings={recorded(tmp_path)}',)
  code, found, told = command_of('--clips-per-face=4', said=said)
  assert (code, len(found)) == (0, 4), told
  lines = (tmp_path / 'out' / ROWS).read_text().splitlines()
  rows = [dict(zip(lines[0].split('\t'), line.split('\t'), strict=True)) for line in lines[1:]]
  assert sorted((x['word'], x['voice'], x['take']) for x in rows) == [
    ('bin', 'ann', '1'), ('bin', 'ann', '2'), ('blue', 'ann', '1'), ('gru\u00df', 'ben', '1')
  ]  # fmt: skip
  with av.open(str(tmp_path / 'out' / f'{rows[0]["clip"]}.mp4')) as file:
    assert file.metadata['comment'].endswith(f'and a recording ({rows[0]["voice"]})')
  about = json.loads((tmp_path / 'out' / ABOUT).read_text())['settings']
  assert (about['speech'], about['voices']) == ('recordings', ['ann', 'ben'])
  assert about['words'] == ['bin', 'blue', 'gru\u00df']
  assert command_of('--clips-per-face=4', said=said)[:2] == (0, [])
  hum(tmp_path / 'ben.wav', 121)  # another sound of its name
  code, found, told = command_of('--clips-per-face=4', said=said)
  assert (code, found) == (1, []) and 'has clips with sounds = ' in told
  code, found, _ = command_of('--words=blue', '--overwrite', said=said)
  assert code == 0 and [x['word'] for x in found] == ['blue']


def test_mistakes_in_recordings_are_one_line(tmp_path, command_of):
  table = recorded(tmp_path, 'wav,text,start,end')
  said = (f'--recordings={table}',)
  columns = '--columns=clip=wav,word=text'
  for more, expected in (
    (
      (),
      "no column 'file'; found: 'wav', 'text', 'start', 'end': set it with --columns clip=TITLE",
    ),
    ((columns, '--voices=m1'), '--voices applies to synthetic voices only: drop it'),
    ((columns, '--dictionary=a.txt'), '--dictionary applies to synthetic voices only: drop it'),
    ((columns, '--words=bin,red'), "words.csv has no row for 'red'; it has bin, blue, gru\u00df"),
    ((columns, '--clips-per-face=5'), 'only 4 distinct ones exist, from 3 words in 2 voices'),
    (('--recordings=none.csv',), 'none.csv'),
  ):
    paint(tmp_path / 'faces' / 'anna.png', 200)
    code, found, told = command_of(*more, said=said)
    assert code and not found and told.count('\n') == 1 and expected in told
  for given, expected in (
    (('--columns=clip=wav',), 'give --words for synthetic voices, or --recordings'),
    (('--words=about', '--columns=clip=wav'), '--columns applies to --recordings only'),
  ):
    code, _, told = command_of(said=given)
    assert code and expected in told
  (tmp_path / 'ann.wav').write_bytes(b'no sound')
  code, _, told = command_of(columns, said=said)
  assert code == 1 and 'words.csv, line 2: ' in told and told.count('\n') == 1


@pytest.mark.parametrize(
  'more, told',
  [
    (['--words', 'EMPTY'], 'has no words'),
    (['--words', 'none.txt'], 'none.txt: no such file'),
    (['--words', 'about,qqqq'], "'qqqq' is not in CMUdict"),
    (['--faces', 'FOLDER/none'], 'no such folder of faces'),
    (['--faces', 'FOLDER'], 'has no pictures'),
    (['--faces', 'EMPTY'], 'is a file: give its folder'),
    (['--faces', 'drawn:0'], 'at least one face is needed'),
    (['--faces', 'drawn:2:c'], "unknown look 'c'"),
    (['--output', 'FOLDER'], 'choose a new or empty folder'),
    (['--output', 'EMPTY'], 'is a file'),
    (
      ['--clips-per-face', '25'],
      '25 clips per face: only 24 distinct ones exist, from 2 words in 12',
    ),
    (['--voices', 'm1,m1'], 'm1 is named twice'),
    (['--render', 'none'], 'no such file or folder'),
    (['--seed', '4294967296'], '--seed=4294967296 must be a whole number, 0 to 4294967295'),
    (['--clips-per-face', '0'], '--clips-per-face=0 must be a whole number, 1 or more'),
    (['--words', '..,zz', '--dictionary', 'OWN'], "'..' cannot name a folder of clips"),
    (['--words', 'zz,and/or', '--dictionary', 'OWN'], "'and/or' cannot name a folder of clips"),
    (
      ['--words', 'stra\u00dfe,zz,strasse', '--dictionary', 'OWN'],
      "'stra\u00dfe' and 'strasse' would share one folder of clips, STRASSE",
    ),
    (
      ['--words', 'about,zz', '--dictionary', 'OWN'],
      "'zz' in OWN or CMUdict: 'QX' cannot be spoken",
    ),
    (['--steps', '1001'], '--steps=1001 must be a whole number from 1 to 1000'),
  ],
)
def test_mistakes_are_one_line_before_any_work(tmp_path, capsys, more, told):
  empty = tmp_path / 'words.txt'
  empty.write_text('\n')
  own = tmp_path / 'own.txt'
  names = '..', 'and/or', 'stra\u00dfe', 'strasse', 'zz'
  own.write_text('about B AH1\n' + ''.join(f'{name} QX\n' for name in names), encoding='utf-8')
  told = told.replace('OWN', str(own))
  places = {
    'OWN': str(own),
    'EMPTY': str(empty),
    'FOLDER': str(tmp_path),
    'FOLDER/none': str(tmp_path / 'none'),
  }
  given = [places.get(x, x) for x in more]
  usual = ['--words', 'about,water', '--faces', 'drawn:1', '--output', str(tmp_path / 'out')]
  assert main(['synthesise', *usual, *given])
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert told in line


def test_two_commands_do_not_fill_one_folder(tmp_path, capsys):
  usual = ['--words', 'about,water', '--faces', 'drawn:1', '--output', str(tmp_path)]
  with lock.exclusive(tmp_path):
    assert main(['synthesise', *usual])
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert f'{tmp_path} is being filled by process' in line and 'another --output' in line
  assert [x.name for x in tmp_path.iterdir()] == [locks.FILE]  # and no clip
  Manifest(tmp_path, {'seed': 0})  # takes the folder: it has nothing else
