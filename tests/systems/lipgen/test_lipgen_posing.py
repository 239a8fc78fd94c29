"""Turned heads: identities of the turn, what poses are drawn, and `jaxgen pose-augment`."""

import csv
import json

import numpy as np
import pytest
from helpers import override
from lipgen_cases import tiny
from lipgen_videos import numbers, optional, steps, write

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, ConfigError, DataError, UserError
from jaxgen.run.workdir import write_config
from jaxgen.systems.lipgen import commands
from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.clips.prepared import grey_frames
from jaxgen.systems.lipgen.corpus import load_real, unseen_speech
from jaxgen.systems.lipgen.posing import augmenting, heads, surface, turning, unseen
from jaxgen.systems.lipgen.posing.assigning import ANGLES, Pose, assigned_poses
from jaxgen.systems.lipgen.posing.surface import Head
from jaxgen.systems.lipgen.procedural.takes import frames_of, take
from jaxgen.systems.lipgen.video.crops import LRW

SIZE = 48
HEAD = Head((SIZE - 1) / 2, 18.0, 20.0)  # upright in the middle


@pytest.fixture(scope='module')
def picture():
  """A smooth picture [1, 48, 48] that is not symmetric."""
  rng = np.random.default_rng(0)
  coarse = rng.uniform(60, 200, (6, 6))
  y = x = np.linspace(0, 4.999, SIZE)
  i, u = y.astype(int), (y % 1)[:, None]
  rows = coarse[i] * (1 - u) + coarse[i + 1] * u
  j, v = x.astype(int), x % 1
  return (rows[:, j] * (1 - v) + rows[:, j + 1] * v).round().astype(np.uint8)[None]


def turned(frames, yaw, pitch, **options):
  return turning.posed(frames, yaw, pitch, HEAD, **options).astype(int)


def test_no_turn_changes_nothing(picture):
  assert turning.posed(picture, 0, 0) is picture


def test_a_small_turn_changes_little_and_more_turns_change_more(picture):
  far = [np.abs(turned(picture, yaw, 0, follow=False) - picture).mean() for yaw in (0.01, 15, 45)]
  assert far[0] < 0.6
  assert far[0] < far[1] < far[2]


@pytest.mark.parametrize('yaw, pitch', [(30, 0), (45, -15), (0, 30)])
@pytest.mark.parametrize('follow', [True, False])
def test_a_mirrored_head_turns_the_other_way(picture, yaw, pitch, follow):
  one = turned(picture[..., ::-1], yaw, pitch, follow=follow)
  other = turned(picture, -yaw, pitch, follow=follow)[..., ::-1]
  assert np.abs(one - other).mean() < 0.5


def test_frames_are_turned_one_by_one_in_colour_too(picture):
  two = np.concatenate([picture, 255 - picture])
  found = turning.posed(two, 30, 15, HEAD)
  assert (found[1] == turning.posed(255 - picture, 30, 15, HEAD)[0]).all()
  colour = np.stack([two, two[::-1]], axis=-1)
  assert (turning.posed(colour, 30, 15, HEAD)[..., 0] == found).all()
  assert found.dtype == np.uint8


def test_a_flat_picture_stays_flat():
  flat = np.full((1, SIZE, SIZE), 77, np.uint8)
  assert (turned(flat, 60, -60) == 77).all()


def test_what_is_around_the_head_stays_where_the_head_does(picture):
  small = Head(HEAD.x, HEAD.y, 8.0)
  found = turning.posed(picture, 45, 0, small, follow=False)
  assert (found[0, :, :8] == picture[0, :, :8]).all()
  assert (found[0, -6:] == picture[0, -6:]).all()
  assert (found != picture).any()


def test_the_nearest_point_is_what_is_seen():
  # Turned by 60 degrees the nose stands before the far cheek: the z-buffer keeps the nearer of both.
  view = turning.make_view((SIZE, SIZE), 60, 0, HEAD, False)
  x, y = np.rint(heads.turned_anchors(HEAD, 60, 0)[2]).astype(int)
  assert np.hypot(*(view.places[y, x] - heads.turned_anchors(HEAD, 0, 0)[2])) < 4


def test_a_head_that_is_followed_keeps_its_mouth_in_place():
  view = turning.make_view((96, 96), 30, 30, surface.CROP, True)
  x, y = np.rint(heads.turned_anchors(surface.CROP, 0, 0)[3]).astype(int)
  assert np.hypot(*(view.places[y, x] - [x, y])) < 2


def test_turns_keep_lengths_and_compose():
  turn = turning.rotation(30, 45)
  assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-12)
  assert turning.rotation(15, 0) @ turning.rotation(15, 0) == pytest.approx(turning.rotation(30, 0))
  assert (turning.rotation(20, 0) @ [0, 0, 1])[0] > 0  # to the right of the picture
  assert (turning.rotation(0, 20) @ [0, 0, 1])[1] > 0  # down


def test_the_front_is_its_own_twin_and_the_sides_are_mirrored():
  points, twins = surface.surface(10)
  front = (points[:, 2] > 0.75) & (points[:, 1] < 1.1)  # above the chin
  assert twins[front] == pytest.approx(points[front])
  beyond = points[:, 2] < 0
  assert (twins[beyond][:, 2] > 0).mean() > 0.95
  flipped = surface.surface(10)[0].reshape(-1, 3) * [-1, 1, 1]
  assert np.sort(flipped[:, 0]) == pytest.approx(np.sort(points[:, 0]))


# --- Which poses ---


def test_a_fifth_stays_and_the_others_have_every_angle():
  names = [f'clip{i}' for i in range(500)]
  poses = assigned_poses(names, 3)
  assert sum(pose == Pose(0, 0) for pose in poses) == 100
  turned_ones = [pose for pose in poses if pose != Pose(0, 0)]
  signed = {sign * angle for angle in ANGLES for sign in (-1, 1)}
  assert {pose.yaw for pose in turned_ones} == {pose.pitch for pose in turned_ones} == signed | {0}
  both = sum(pose.yaw != 0 != pose.pitch for pose in turned_ones)
  assert 95 < both < 175


def test_poses_depend_on_names_and_seed_alone():
  names = [f'clip{i}' for i in range(50)]
  poses = dict(zip(names, assigned_poses(names, 3), strict=True))
  again = dict(zip(names[::-1], assigned_poses(names[::-1], 3), strict=True))
  assert poses == again
  assert list(poses.values()) != assigned_poses(names, 4)
  fewer = assigned_poses(names[:40], 3)
  same = [
    a == b or 0 in (sum(map(abs, a)), sum(map(abs, b)))
    for a, b in zip(fewer, poses.values(), strict=False)
  ]
  assert all(same)


# --- The command ---


def run(*args):
  from jaxgen.command.arguments import Parser

  parser = Parser()
  commands.POSE_AUGMENT.add_arguments(parser)
  commands.POSE_AUGMENT.run(parser.parse_args([str(x) for x in args]))


def rows_of(path):
  return list(csv.DictReader((path / 'poses.tsv').open(), delimiter='\t'))


@pytest.fixture
def clips(tmp_path):
  """Five crops and a table with two words of one of them."""
  optional('cv2')
  folder = tmp_path / 'clips'
  folder.mkdir()
  for name in 'abcde':
    write(folder / f'{name}.mp4', steps(2, 32, 32))
  table = [('clip', 'word', 'start', 'end'), ('a.mp4', 'bin', 0, 0.04), ('a', 'blue', 0.04, 0.08)]
  with (tmp_path / 'words.csv').open('w', newline='') as out:
    csv.writer(out, delimiter=';').writerows(table + [(name, 'red', 0, 0.08) for name in 'bcd'])
  return folder


def test_pose_augment_writes_clips_and_a_manifest_with_words(clips, tmp_path, capsys):
  out = tmp_path / 'out'
  run(clips, '--output', out, '--seed', 7)
  told = capsys.readouterr()
  assert '4 clips turned' in told.out
  assert '1 clip left out: not in the table' in told.err
  rows = rows_of(out)
  assert [(row['clip'], row['word']) for row in rows][:3] == [
    ('a', 'bin'),
    ('a', 'blue'),
    ('b', 'red'),
  ]
  poses = assigned_poses(list('abcd'), 7)
  assert [(int(rows[i]['yaw']), int(rows[i]['pitch'])) for i in (0, 2, 3, 4)] == poses
  assert {row['kind'] for row in rows} == {'pose-crop'}
  from jaxgen.systems.lipgen.video.decoding import Video

  assert numbers([frame.pixels for frame in Video(out / 'c.mp4').frames()]) == [0, 1]

  (out / 'b.mp4').unlink()
  run(clips, '--output', out, '--seed', 7, '--json')
  lines = [json.loads(x) for x in capsys.readouterr().out.splitlines()]
  assert [x.get('skipped', False) for x in lines] == [True, False, True, True]
  assert rows_of(out) == rows
  with pytest.raises(UserError, match='has a set of seed 7'):
    run(clips, '--output', out, '--seed', 8)
  run(clips, '--output', out, '--seed', 8, '--overwrite')
  assert {row['seed'] for row in rows_of(out)} == {'8'}
  (out / 'poses.tsv').write_text('clip\tyaw\na\t15\n')
  with pytest.raises(UserError, match=r'poses\.tsv is damaged'):
    run(clips, '--output', out, '--seed', 8)


def test_pose_augment_goes_on_after_a_failure_and_leaves_it_out(clips, tmp_path, capsys):
  (clips / 'b.mp4').write_bytes(b'no video')
  write(clips / 'c.mp4', steps(2, 32, 32), times=[0, 100])
  with pytest.raises(UserError, match=r'1 of 4 clips could not be turned: .*b\.mp4'):
    run(clips, '--output', tmp_path / 'out')
  assert {row['clip'] for row in rows_of(tmp_path / 'out')} == set('acd')
  assert 'c.mp4: its timestamps jump 1 time' in capsys.readouterr().err


def test_a_whole_face_is_turned_with_its_landmarks(tmp_path, capsys):
  cv2 = optional('cv2')
  skimage = pytest.importorskip('skimage.data')
  face = cv2.cvtColor(skimage.astronaut(), cv2.COLOR_RGB2GRAY)[:220, 120:340]
  face = cv2.resize(face, (150, 148), interpolation=cv2.INTER_AREA)
  (tmp_path / 'in').mkdir()
  for name in ('one', 'two'):
    write(tmp_path / 'in' / f'{name}.mp4', face[None])
  run(tmp_path / 'in', '--output', tmp_path / 'out', '--source', 'haar')
  rows = rows_of(tmp_path / 'out')
  assert [row['kind'] for row in rows] == ['full-face'] * 2
  from jaxgen.systems.lipgen.video.landmark_files import read_landmarks
  from jaxgen.systems.lipgen.video.mouths import mouths_of

  given = read_landmarks(tmp_path / 'out' / 'landmarks' / 'one.csv')
  mouth = mouths_of(tmp_path / 'out' / 'one.mp4', given=given).frames
  assert mouth.shape == (1, 96, 96)
  options = '--output', tmp_path / 'cut', '--source', 'haar', '--crop'
  run(tmp_path / 'in', *options)
  assert {row['kind'] for row in rows_of(tmp_path / 'cut')} == {'cropped-face'}
  cut = grey_frames(tmp_path / 'cut' / 'one.mp4')
  assert cut.shape == (1, 96, 96) and np.abs(cut.astype(int) - mouth).mean() < 6
  with pytest.raises(UserError, match=r'has a set of kind cropped-face: .* or add --crop'):
    run(tmp_path / 'in', *options[:-1])
  run(tmp_path / 'in', '--output', tmp_path / 'paper', *options[2:], '--like', 'lrw')
  assert {row['like'] for row in rows_of(tmp_path / 'paper')} == {'lrw'}
  paper = grey_frames(tmp_path / 'paper' / 'one.mp4').astype(int)
  mouth = mouths_of(tmp_path / 'out' / 'one.mp4', given=given, like=LRW).frames
  assert np.abs(paper - mouth).mean() < 6 < np.abs(paper - cut).mean()
  with pytest.raises(UserError, match=r'has a set of crops like lrw: .* or set --like lrw'):
    run(tmp_path / 'in', '--output', tmp_path / 'paper', *options[2:])


def test_clips_of_one_name_keep_their_folders_and_lrw_its_words(tmp_path):
  optional('cv2')
  for word, split, number in [('ABOUT', 'train', 1), ('ABOUT', 'test', 1), ('MONEY', 'test', 2)]:
    path = tmp_path / 'lrw' / word / split / f'{word}_{number:05}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, steps(2, 32, 32))
    path.with_suffix('.txt').write_text('Duration: 0.56 seconds\n')
  run(tmp_path / 'lrw', '--output', tmp_path / 'out')
  rows = rows_of(tmp_path / 'out')
  # LRW's own folder has these in another.
  (tmp_path / 'whole').mkdir()
  (tmp_path / 'lrw').rename(tmp_path / 'whole' / 'lipread_mp4')
  run(tmp_path / 'whole', '--output', tmp_path / 'same')
  assert rows_of(tmp_path / 'same') == rows
  assert [(row['clip'], row['word']) for row in rows] == [
    ('ABOUT/test/ABOUT_00001', 'about'),
    ('ABOUT/train/ABOUT_00001', 'about'),
    ('MONEY/test/MONEY_00002', 'money'),
  ]
  assert [row['source_clip'] for row in rows] == [f'{row["clip"]}.mp4' for row in rows]
  assert (rows[0]['start'], rows[0]['end']) == ('0.3000', '0.8600')  # 29 frames are 1.16 seconds
  assert all((tmp_path / 'out' / f'{row["clip"]}.mp4').is_file() for row in rows)


def test_a_table_names_clips_by_the_ends_of_their_paths(tmp_path):
  for name in ('x/a.mp4', 'y/a.mp4', 'y/b.c.mpg'):
    path = tmp_path / 'in' / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
  table = augmenting.Table((), {'x/a': [{'n': '1'}], 'b.c': [{'n': '2'}], 'a': [{'n': '3'}]})
  clips, told = augmenting.plan(tmp_path / 'in', tmp_path / 'out', table, 0)
  assert [(clip.name, clip.rows) for clip in clips] == [
    ('x/a', [{'n': '1'}]),
    ('y/b.c', [{'n': '2'}]),
  ]
  assert any('as a' in line for line in told)  # which of both is not told
  clips, told = augmenting.plan(tmp_path / 'in', tmp_path / 'out', table, 0, {'b.c'})
  assert [clip.name for clip in clips] == ['y/b.c'] and not told


def run_of(folder, **overrides):
  """The config of a run that was never trained, in its folder."""
  folder.mkdir()
  write_config(folder, tiny(**overrides))
  return folder


def test_drawn_speakers_of_a_run_are_turned(tmp_path):
  optional('cv2')
  one = run_of(tmp_path / 'run', data__num_validation=2, data__framing=(29, 26, 48, 18))
  run('--of', one, '--output', tmp_path / 'out', '--seed', 3)
  rows = rows_of(tmp_path / 'out')
  assert [row['word'] for row in rows] == ['about', 'before']
  assert {row['kind'] for row in rows} == {'pose-crop'}
  shown = grey_frames(tmp_path / 'out' / 'straight' / '0000_about.mp4')
  speech = unseen_speech(tiny(data__num_validation=2))._replace(pixels=48, square=LIPS[:3])
  alone = frames_of(speech, take(speech, 0))
  assert shown.shape == (29, 96, 96)
  assert np.abs(shown[:, 29:77, 26:74].astype(int) - alone).mean() < 8  # noise of the camera


def test_of_lrw_the_test_clips_of_its_words_are_turned(tmp_path, monkeypatch):
  for name in ('ABOUT/train/ABOUT_00001', 'ABOUT/test/ABOUT_00001', 'MONEY/test/MONEY_00001'):
    path = tmp_path / 'lipread_mp4' / f'{name}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.with_suffix('.txt').write_text('Duration: 0.5 seconds\n')
  config = tiny('lrw', data__dir=str(tmp_path), data__words='about,water')
  found = unseen.unseen(config, tmp_path / 'out')
  clips, told = augmenting.plan(found.folder, tmp_path / 'out', found.table, 0, found.only)
  assert [clip.name for clip in clips] == ['ABOUT/test/ABOUT_00001'] and not told
  # Imported weights do not know where LRW is.
  turned, done = [], augmenting.Turned('full-face', 1)
  monkeypatch.setattr(augmenting, 'turn_clip', lambda clip, *_: turned.append(clip.name) or done)
  (one := tmp_path / 'run').mkdir()
  write_config(one, override(configs.load('lipgen:lrw'), {'data__words': 'about,water'}))
  run(f'data.dir={tmp_path}', '--of', one, '--output', tmp_path / 'out')
  assert turned == ['ABOUT/test/ABOUT_00001']
  run('--of', one, '--output', tmp_path / 'other', f'data.dir={tmp_path}')
  assert turned == ['ABOUT/test/ABOUT_00001'] * 2


def test_of_a_table_the_clips_that_were_held_out_are_turned(clips, tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path / 'cache'))
  table = tmp_path / 'words.csv'
  one = run_of(tmp_path / 'run', variant='table', data__name=str(table), data__dir=str(clips))
  run('--of', one, '--output', tmp_path / 'out')
  shown = load_real(tiny('table', data__name=str(table), data__dir=str(clips)))
  assert {row['clip'] for row in rows_of(tmp_path / 'out')} == set(shown['validation'].names)


def test_mistakes_are_told_before_any_work(clips, tmp_path):
  for args, error, what in [
    ((tmp_path / 'none', '--output', tmp_path / 'out'), ConfigError, 'no such folder'),
    ((clips, '--output', clips), ConfigError, 'must not be the folder of the clips'),
    (('--output', tmp_path / 'out'), ConfigError, 'give either a folder of clips or --of RUN'),
    ((clips, clips, '--output', tmp_path / 'out'), ConfigError, 'give either a folder of clips'),
    ((clips, '--of', clips, '--output', tmp_path / 'out'), ConfigError, 'drop .*, or --of'),
    (('--of', clips, '--output', tmp_path / 'out'), CheckpointError, 'is not a run'),
    ((clips, '--output', tmp_path / 'out', '--seed', -1), ConfigError, '--seed=-1'),
    (
      (clips, '--output', tmp_path / 'out', '--table', clips / 'a.mp4'),
      DataError,
      'not a readable table',
    ),
  ]:
    with pytest.raises(error, match=what):
      run(*args)
  (tmp_path / 'other.tsv').write_text('clip\tword\n')
  with pytest.raises(ConfigError, match='may both be the table of words'):
    run(clips, '--output', tmp_path / 'out')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(DataError, match='contains no video'):
    run(tmp_path / 'empty', '--output', tmp_path / 'out', '--table', tmp_path / 'words.csv')
  assert not (tmp_path / 'out').exists()
