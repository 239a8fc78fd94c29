"""`jaxgen talk`, and what it is made of: from a sound and a picture to a video of a mouth that moves."""

import json
import wave
from pathlib import Path

import av
import jax
import jax.numpy as jnp
import motion_cases
import numpy as np
import pytest
import render_cases
from browsing import Person
from lip_files import squares, write_video
from PIL import Image
from skimage.data import astronaut

import jaxgen
from jaxgen.command import cli
from jaxgen.demo.server import serving
from jaxgen.errors import CheckpointError, ConfigError, DataError
from jaxgen.exchange.weight_files import save_weights
from jaxgen.notes import UserNote
from jaxgen.systems.lipgen.clips.framing import LIPS, framed_points
from jaxgen.systems.lipgen.motion import task as motion_task
from jaxgen.systems.lipgen.render import task as render_task
from jaxgen.systems.lipgen.synthesis import (
  bending,
  lips,
  listening,
  outputs,
  portraits,
  talking,
)
from jaxgen.systems.lipgen.synthesis import chain as chains
from jaxgen.systems.lipgen.synthesis.chain import Chain
from jaxgen.systems.lipgen.synthesis.talking import Spoken, Talk
from jaxgen.systems.lipgen.tabs import TABS
from jaxgen.systems.lipgen.video import face_mesh
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.encoding import SYNTHETIC
from jaxgen.systems.lipgen.voices.sound_files import read_sound
from jaxgen.task import Trained

PIXELS = 16
RATE = 16_000


@pytest.fixture
def coarse(monkeypatch):
  """A grid of a quarter of the points."""
  monkeypatch.setattr(bending, 'FINE', 0.5)
  monkeypatch.setattr(bending, 'SIDE', 80)
  forget_bends()
  yield
  forget_bends()


def forget_bends():
  """What is compiled and triangulated is of the grid that was there then."""
  bending._bent.clear_cache()
  bending._triangles.cache_clear()


def random_net(module, config, facts):
  """A net of a task with random weights."""
  shapes = jax.eval_shape(module.make_task(config, facts).init, jax.random.key(0))
  random = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda x: (0.3 * random.normal(size=x.shape)).astype(np.float32), shapes.params['model']
  )
  return Trained(config, facts, {'params': variables}, 1)


@pytest.fixture(scope='module')
def nets():
  """Motion and renderer, tiny."""
  facts = {'floor': -16.1, 'loud': -4.0, 'mel_mean': -9.0, 'mel_std': 4.0, 'num_values': 80}
  facts |= {'clip_frames': 24}
  seen = {'pixels': PIXELS, 'framing': LIPS._replace(pixels=PIXELS).to_json()}
  seen['spread'] = [0.1, 0.1, 0.2]
  return (
    random_net(motion_task, motion_cases.tiny(), facts),
    random_net(render_task, render_cases.tiny(), seen),
  )


@pytest.fixture(scope='module')
def chain(nets):
  return Chain(*nets)


@pytest.fixture(scope='module')
def files(nets, tmp_path_factory):
  """Weights, sounds, a face, and pictures and sounds that will not do."""
  folder = tmp_path_factory.mktemp('talk')
  for name, net in zip(('motion', 'render'), nets, strict=True):
    save_weights(folder / f'{name}.safetensors', net)
  Image.fromarray(astronaut()[:220, 120:340]).save(folder / 'face.png')
  Image.fromarray(squares(1, side=200)[0]).save(folder / 'wall.png')
  (folder / 'text.png').write_text('no picture')
  random = np.random.default_rng(0)
  said = spoken_sound()
  for name, sound in {
    'said': said,
    'noise': 0.1 * random.normal(size=RATE),
    'hush': 0 * said,
  }.items():
    write_wave(folder / f'{name}.wav', sound)
  (folder / 'empty.wav').touch()
  (folder / 'words.wav').write_text('these are words')
  write_video(folder / 'dumb.mp4', squares(5))
  return folder


def spoken_sound(seconds=1.4):
  """A fifth of a second of sound in the middle of silence."""
  at = np.arange(round(seconds * RATE)) / RATE
  sound = 0.4 * np.sin(2 * np.pi * 700 * at)
  return sound * (abs(at - seconds / 2) < 0.1)


def write_wave(path, sound):
  with wave.open(str(path), 'wb') as file:
    file.setparams((1, 2, RATE, 0, 'NONE', ''))
    file.writeframes((32767 * np.clip(sound, -1, 1)).astype('<i2').tobytes())


def portrait(opening=0.0):
  """A smooth picture whose crop is half as fine, with a mouth in the middle of it."""
  y, x = np.mgrid[:240, :260].astype(np.float64)
  rgb = np.stack([120 + 60 * np.sin(x / 31), 110 + 50 * np.cos(y / 23), 90 + 0.3 * x], -1)
  points = portraits.mean_mouth()
  points[31:40, 1] += opening
  points[11:20, 1] += opening
  points = (19.0 * points + 49).astype(np.float32)
  to_crop = np.array([[0.5, 0, -15.0], [0, 0.5, -10.0]])
  crop = np.full((96, 96), 120, np.uint8)
  return portraits.Portrait(
    Path('x.png'), rgb.astype(np.uint8), crop, points, to_crop, 'mesh', 1, 1.0
  )


def test_lips_are_at_rest_as_they_are_or_shut():
  shut, wide = portrait().points, portrait(opening=0.6).points
  assert lips.at_rest(shut) is shut and lips.without_rims(shut) is shut
  assert lips.gap(shut) < lips.OPEN < 0.55 < lips.gap(wide) < 0.75
  rest = lips.at_rest(wide)
  assert lips.gap(rest) < 0.05
  # Corners stay; the lower lip goes up, more than the upper one comes down.
  np.testing.assert_allclose(rest[[0, 10]], wide[[0, 10]], atol=1e-5)
  assert wide[15, 1] - rest[15, 1] > 2 * (rest[5, 1] - wide[5, 1]) > 1
  assert -0.5 < lips.jaw(wide, rest[None])[0] < -0.25
  # A mean mouth goes once around in each ring, as all contours do.
  for ring in (shut[:20], shut[20:]):
    assert ring[0, 0] < ring[5, 0] < ring[10, 0] > ring[15, 0] and ring[5, 1] < ring[15, 1]
    assert len(np.unique(ring.round(3), axis=0)) == 20


def test_who_speaks_and_when():
  sound = spoken_sound().astype(np.float32)
  mel, following = listening.heard('said.wav', sound)
  assert len(mel) == 140 and following.shape == (35,)
  assert not following[:2].any() and not following[-2:].any()
  assert (following[12:24] == 1).all() and np.abs(np.diff(following)).max() < 0.3
  random = np.random.default_rng(0)
  for steady in (random.normal(size=RATE), np.sin(np.arange(RATE))):
    with pytest.raises(DataError, match=r'^x has no speech: its sound is steady, at most [0-3] dB'):
      listening.heard('x', 0.1 * steady)
  with pytest.raises(
    DataError, match=r'^x has 0\.10 seconds of sound: speech needs at least 0\.20'
  ):
    listening.heard('x', sound[: RATE // 10])


def test_zeros_around_a_recording_are_no_silence_of_its_room():
  random = np.random.default_rng(0)
  said = 0.1 * np.pad(spoken_sound(), RATE) + 0.003 * random.normal(size=round(3.4 * RATE))
  said = said.astype(np.float32)
  _, alone = listening.heard('x', said)
  assert alone[:20].max() == 0 and alone.max() == 1
  for zeros in (RATE // 4, RATE):
    _, padded = listening.heard('x', np.pad(said, (0, zeros)))
    np.testing.assert_allclose(padded[: len(alone)], alone, atol=0.05)
  for steady in (random.normal(size=RATE), np.sin(np.arange(RATE))):
    for zeros in (0.1, 0.2, 0.4, 1.0):
      sound = np.pad(0.1 * steady, (0, round(zeros * RATE))).astype(np.float32)
      with pytest.raises(DataError, match='has no speech'):
        listening.heard('x', sound)


def test_an_offset_of_a_recorder_is_not_heard():
  random = np.random.default_rng(0)
  said = 0.1 * np.pad(spoken_sound(), RATE) + 0.003 * random.normal(size=round(3.4 * RATE))
  zeros = np.zeros(RATE // 4)
  alone, following = listening.heard('x', np.concatenate([zeros, said, zeros]))
  mel, other = listening.heard('x', np.concatenate([zeros, said + 0.1, zeros]))
  np.testing.assert_allclose(mel, alone, atol=1e-3)
  np.testing.assert_allclose(other, following, atol=1e-4)


def test_a_click_leaves_speech_at_its_level():
  quiet = 0.1 * spoken_sound().astype(np.float32)
  alone, _ = listening.heard('x', quiet)
  clicked = quiet.copy()
  clicked[3200:3202] = 1, -1
  found, _ = listening.heard('x', clicked)
  spoken = slice(55, 85)
  np.testing.assert_allclose(found[spoken], alone[spoken], atol=1e-4)
  assert np.ptp(found[:40].max(1)) > 5  # it is heard, though
  with pytest.raises(DataError, match=r'has no speech'):
    listening.heard('x', clicked - quiet)


def test_a_bend_to_where_lips_are_is_none_and_ends_within_the_grid():
  face = portrait()
  moved = np.repeat(face.points[None], 3, 0)
  moved[2, 11:20, 1] += 6
  found = bending.bend(face.points, moved)
  off = np.abs(found.around - bending.grid_places())
  assert off[:2].max() < 1e-4 and 4 < off[2].max() < 6.1
  assert max(off[2, [0, -1]].max(), off[2, :, [0, -1]].max()) < 0.05
  np.testing.assert_allclose(bending.to_grid(bending.grid_places())[3, 5], [5, 3], atol=1e-4)


def test_a_mouth_moves_where_it_is_and_at_rest_the_picture_is_as_it_was(chain, coarse, monkeypatch):
  face = portrait()
  still = np.zeros((53, 40, 2), np.float32)
  offsets = still.copy()
  offsets[20:24, 11:20, 1] = offsets[20:24, 31:40, 1] = 0.5
  before = bending._bent._cache_size()
  talk = Talk(chain, face, Spoken(offsets, np.zeros((53, 6))))
  frames = np.stack(list(talk.frames()))
  assert frames.shape == (53, 240, 260, 3) and talk.size == (240, 260) and not talk.notes()
  assert talk.rendered.shape == (53, PIXELS, PIXELS)
  same = (frames == face.rgb).all((1, 2, 3))
  assert same[:20].all() and not same[20:24].any() and same[24:].all()
  # Nothing changes far from the mouth, whatever the renderer says, and no step is seen before that.
  changed = np.abs(frames[21].astype(int) - face.rgb).max(-1)
  at = np.stack(np.meshgrid(np.arange(260), np.arange(240)), -1) * 0.5 - [15, 10]
  far = np.abs(at - 49).max(-1)
  assert changed[far > 60].max() < 8 and changed.max() > 30
  # In whatever pieces frames are bent and corrected, they are the same.
  monkeypatch.setattr(talking, '_PIECE', 22)
  assert (frames == np.stack(list(talk.frames()))).all()
  # Nothing is compiled for a length.
  Talk(chain, face, Spoken(offsets[:9], np.zeros((9, 6))))
  assert bending._bent._cache_size() <= before + 1


def test_an_open_mouth_is_shut_first_and_shows_what_the_picture_shows(chain, coarse):
  face = portrait(opening=0.6)
  offsets = np.zeros((2, 40, 2), np.float32)
  offsets[1, 11:20, 1] = offsets[1, 31:40, 1] = 0.45
  talk = Talk(chain, face, Spoken(offsets, np.zeros((2, 6))))
  assert talk.was_open and 'open' in talk.notes()[0]
  shut, wide = (frame.astype(int) for frame in talk.frames())
  # In the middle of the gap there is a dark line between lips, and then the picture again.
  x, upper, lower = 2 * (49 + 15), *(2 * (face.points[[25, 35], 1] + 10))
  here = slice(round(upper) + 6, round(lower) - 8), x
  off = [np.abs(frame[here] - face.rgb[here]).max(-1) for frame in (shut, wide)]
  assert off[1][2:].max() < 4 and off[0].argmax() < 3 and off[0].max() > 40


def test_a_head_moves_as_far_as_is_asked(chain):
  moves = np.zeros((2, 6))
  moves[1, :4] = 0.3, 0.1, 0.05, 0.05
  said = Spoken(np.zeros((2, 40, 2), np.float32), moves)
  face = portrait()
  first, second = Talk(chain, face, said, head=0.5).frames()
  assert (first == face.rgb).all() and (second != face.rgb).any()
  assert all((frame == face.rgb).all() for frame in Talk(chain, face, said).frames())


def test_a_chain_is_of_two_nets_of_their_kinds(chain, nets, files, tmp_path):
  with pytest.raises(
    ConfigError, match=r'motion\.safetensors is a lipgen_motion: rendering frames needs a'
  ):
    Chain.load(files / 'motion.safetensors', files / 'motion.safetensors')
  with pytest.raises(
    CheckpointError, match='is a folder: export the run to a file with jaxgen export'
  ):
    Chain.load(tmp_path, None)
  with pytest.raises(CheckpointError, match='no such file'):
    Chain.load(tmp_path / 'none.safetensors', None)
  old = save_weights(tmp_path / 'old.safetensors', nets[1]._replace(facts={'pixels': 16}))
  with pytest.raises(ConfigError, match=r'lacks 2 facts about its data \(framing, spread\)'):
    Chain.load(files / 'motion.safetensors', old)
  # Pixels' centres are whole numbers: the middle of a square is the middle of what is seen of it.
  middle = np.array([[LIPS.left, LIPS.top]]) + (LIPS.size - 1) / 2
  np.testing.assert_allclose(framed_points(middle, chain.framing), (PIXELS - 1) / 2)
  offsets, moves = chain.lips(np.zeros((10, 80), np.float32))
  assert offsets.shape == (3, 40, 2) and moves.shape == (3, 6)


def run(capsys, *args):
  """The exit code, JSON objects of standard output, and standard error."""
  code = cli.main(['talk', *map(str, args)])
  found = capsys.readouterr()
  return code, [json.loads(line) for line in found.out.splitlines()], found.err


def test_pictures_talk_and_what_has_no_face_is_told(
  coarse, files, chain, tmp_path, monkeypatch, capsys
):
  monkeypatch.setattr(face_mesh, 'available', lambda: False)
  nets = [f'--{name}={files / name}.safetensors' for name in ('motion', 'render')]
  flags = *nets, f'--audio={files / "said.wav"}', f'--output={tmp_path}', '--json'
  pictures = files / 'wall.png', files / 'text.png', files / 'face.png'
  code, found, told = run(capsys, *pictures, *flags)
  assert code == 1 and ['error' in x for x in found] == [True, True, False]
  assert 'no face found' in found[0]['error'] and 'not an image' in found[1]['error']
  assert '2 of 3 pictures could not be made to talk' in told and "Haar's box" in told
  assert found[2]['frames'] == 35 and found[2]['size'] == [220, 220]
  made = tmp_path / 'face.mp4'
  video = Video(made)
  frames = [frame.pixels.astype(int) for frame in video.frames(colour=True)]
  kept = ['.lock', 'face.mp4', 'talk.tsv']
  assert len(frames) == 35 and sorted(p.name for p in tmp_path.iterdir()) == kept
  rgb = astronaut()[:220, 120:340].astype(int)
  off = [np.abs(frame - frames[0]).max() for frame in frames]
  assert np.abs(frames[0] - rgb).mean() < 3 and max(off[:2]) < 8 and max(off) > 40
  heard = read_sound(made)
  assert abs(heard[: RATE // 2]).max() < 0.05 < abs(heard).max()
  with av.open(str(made)) as container:
    assert container.metadata['comment'].startswith(SYNTHETIC)
  # The function writes the same file, warns of the same, and leaves no file where it is ended.
  warned = ''.join(told.split('\n'))
  options = {name: files / f'{name}.safetensors' for name in ('motion', 'render')}
  asked, told = (files / 'face.png', files / 'said.wav'), []
  with pytest.warns(UserNote, match="Haar's box") as notes:
    own = jaxgen.talk(
      *asked, **options, output=tmp_path / 'own.mp4', progress=lambda *x: told.append(x)
    )
  assert notes[0].filename == __file__ and f'warning: {notes[0].message}' in warned
  assert own.read_bytes() == made.read_bytes()
  assert told == sorted(told) and len(set(told)) > 30 and told[-1][0] == told[-1][1]

  # So does the page, with these nets as runs.
  with serving(0, list(options.values()), TABS) as address:
    person = Person(address, 'somebody')
    face, sound = (person.upload(path) for path in asked)
    nets = [path.name for path in options.values()]
    (video,) = person.ask('talk', face, sound, '', 'f3', 0, False, 0, *nets)
    assert person.fetch(video) == made.read_bytes() and video['orig_name'] == 'face.mp4'

  def stop(done, total):
    if done > 0.8 * total:
      raise InterruptedError

  with pytest.raises(InterruptedError):
    jaxgen.talk(*asked, **options, output=tmp_path / 'no.mp4', progress=stop)
  assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*kept, 'own.mp4'])
  with pytest.warns(UserNote, match=r'own\.mp4 already exists: nothing was written'):
    assert jaxgen.talk(*asked, **options, output=own) == own
  with pytest.raises(DataError, match='no face found'):
    jaxgen.talk(files / 'wall.png', asked[1], **options, output=tmp_path / 'no.mp4')
  # Again: what is there is left; its mouth alone.
  made.write_bytes(b'mine')
  code, found, told = run(capsys, files / 'face.png', *flags)
  assert code == 0 and found[0]['skipped'] and made.read_bytes() == b'mine'
  code, found, told = run(capsys, files / 'face.png', *flags, '--head', '1')
  assert code == 1 and 'was made with head = 0, not 1: choose' in found[0]['error']
  monkeypatch.setattr(chains, 'Chain', lambda *_: chain)
  mouth = tmp_path / 'mouth.mp4'
  code, found, _ = run(capsys, files / 'face.png', *flags, f'--output={mouth}', '--crop')
  assert code == 0 and found[0]['size'] == [PIXELS, PIXELS] and mouth.is_file()
  # The size is the file's, whose sides are even; what a folder has besides is told.
  (tmp_path / 'faces').mkdir()
  Image.fromarray(astronaut()[:221, 120:341]).save(tmp_path / 'faces' / 'odd.png')
  (tmp_path / 'faces' / 'x.heic').write_bytes(b'x')
  code, found, told = run(capsys, tmp_path / 'faces', *flags)
  assert code == 0 and '1 file that cannot be read: 1 .heic' in told
  shape = next(Video(tmp_path / 'odd.mp4').frames()).pixels.shape
  assert found[0]['size'] == list(shape) == [222, 222]


@pytest.mark.parametrize(
  ('options', 'told'),
  [
    (['--audio=noise.wav'], 'noise.wav has no speech: its sound is steady, at most'),
    (['--audio=hush.wav'], 'hush.wav is silent'),
    (['--audio=empty.wav'], 'empty.wav is empty (0 bytes)'),
    (['--audio=none.wav'], 'none.wav: no such sound file'),
    (['--audio=text.png'], 'text.png has no sound'),
    (['--audio=words.wav'], 'words.wav is not a readable sound file (Invalid data found'),
    (['--audio=dumb.mp4'], 'dumb.mp4 has no sound (video)'),
    (['--text=xyzzyq'], "'xyzzyq' is not in the pronouncing dictionary"),
    (['--text=...'], "'...' has no words to speak"),
    ([], 'give the speech: either --audio FILE or --text WORDS'),
    (['--audio=said.wav', '--voice=f3'], '--voice is for --text only'),
    (
      ['--audio=said.wav', '--crop', '--head=1'],
      '--head=1.0 moves the whole picture, but --crop shows',
    ),
    (['--audio=said.wav', '--steps=0'], '--steps=0 must be a whole number from 1 to 1000'),
    (['--audio=said.wav', '--head=inf'], '--head=inf must be a number, 0 to 100'),
    (['--audio=said.wav', '--head=1e30'], '--head=1e+30 must be a number, 0 to 100'),
    (
      ['--audio=said.wav', '--seed=4294967296'],
      '--seed=4294967296 must be a whole number, 0 to 4294967295',
    ),
    (['--audio=said.wav', '--output=talk.avi'], '--output=talk.avi: videos are .mp4 files'),
    (['--audio=dumb.mp4', '--output=dumb.mp4'], 'dumb.mp4 would be overwritten'),
    (['--audio=said.wav', '--motion=none'], '--motion=none: no such file or folder'),
    (
      ['wall.png', '--audio=said.wav'],
      'no --output is given, but there are 2 pictures: give a folder',
    ),
    (
      ['--audio=said.wav', '--motion=motion.safetensors', '--render=motion.safetensors'],
      'motion.safetensors is a lipgen_motion: rendering frames needs a lipgen_render',
    ),
  ],
)
def test_mistakes_are_one_line(options, told, files, monkeypatch, capsys):
  monkeypatch.chdir(files)
  code, _, error = run(capsys, 'face.png', *options)
  lines = [line for line in error.splitlines() if line.startswith('error')]
  assert code and len(lines) == 1 and told in lines[0] and not Path('talk.mp4').exists()


@pytest.mark.parametrize(
  ('options', 'told'),
  [
    ({'seed': 1.5}, '--seed=1.5 must be a whole number, 0 to'),
    ({'seed': 2**32}, '--seed=4294967296 must be'),
    ({'steps': 1.5}, '--steps=1.5 must be a whole number'),
    ({'head': 'a'}, '--head=a must be a number, 0 to 100'),
    ({'longest': '9'}, '--longest=9 must be a whole number, 64 or more'),
  ],
)
def test_numbers_that_are_none_are_told_before_any_work(options, told):
  with pytest.raises(ConfigError, match=f'^{told}'):
    jaxgen.talk('face.png', 'said.wav', **options)


def test_videos_of_pictures_of_one_name_lie_in_their_folders(tmp_path):
  names = 'anna/me.jpg', 'ben/me.jpg', 'ben/me.png', 'you.png'
  for name in names:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
  pictures, told = outputs.pictures_of([tmp_path])
  found = outputs.targets_of(pictures, Path('out'), [tmp_path])
  assert [x.as_posix() for x in found] == [
    'out/anna/me.mp4', 'out/ben/me.mp4', 'out/me_png.mp4', 'out/you.mp4'
  ] and not told  # fmt: skip
  with pytest.raises(ConfigError, match='would both be written'):
    outputs.targets_of(pictures, Path('out'), pictures)


def test_faces_too_small_or_at_the_border_are_refused():
  face = portrait()
  tiny = face._replace(to_crop=face.to_crop * 16)
  with pytest.raises(DataError, match=r'its face is too small: the mouth is 5 pixels wide, but 10'):
    portraits._checked(tiny)
  with pytest.raises(DataError, match=r'wide after resizing to 260 x 240, but 10 are needed: crop'):
    portraits._checked(tiny._replace(shrunk=2.0))
  beside = face._replace(to_crop=face.to_crop + np.eye(2, 3, 2) * 60)
  with pytest.raises(DataError, match='is at the border: use a picture with more space around'):
    portraits._checked(beside)
  wide = face._replace(points=face.points * 1.3 - 15)
  fitted = portraits._fitted(wide)
  np.testing.assert_allclose(fitted.half_width, portraits.WIDEST, rtol=1e-5)
  back = np.linalg.inv(np.vstack([fitted.to_crop, [0, 0, 1]]))
  there = fitted.points[3] @ back[:2, :2].T + back[:2, 2]
  np.testing.assert_allclose(there, (wide.points[3] + [15, 10]) * 2, atol=1e-3)
  assert jnp.array_equal(portraits._fitted(face).points, face.points)
