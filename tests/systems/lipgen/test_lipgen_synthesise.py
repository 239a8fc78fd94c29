"""Synthetic clips: who says what, their files, and going on after a stop. No net is run."""

import json
from collections import Counter

import numpy as np
import pytest
from lipgen_videos import optional

optional('av')

import av  # noqa: E402
from PIL import Image  # noqa: E402
from synthesis_cases import VOICES, WORDS, Chain, say  # noqa: E402

from jaxgen import config as configs  # noqa: E402
from jaxgen.command.cli import main  # noqa: E402
from jaxgen.errors import ConfigError, DataError, UserError  # noqa: E402
from jaxgen.exchange.weight_files import load_weights, save_weights  # noqa: E402
from jaxgen.systems.lipgen import corpus  # noqa: E402
from jaxgen.systems.lipgen.beside import folder_of_clips  # noqa: E402
from jaxgen.systems.lipgen.clips import lrw  # noqa: E402
from jaxgen.systems.lipgen.clips.framing import LIPS  # noqa: E402
from jaxgen.systems.lipgen.commands import synthesise as command  # noqa: E402
from jaxgen.systems.lipgen.synthesis import cast as casts  # noqa: E402
from jaxgen.systems.lipgen.synthesis import spoken_clips  # noqa: E402
from jaxgen.systems.lipgen.synthesis.cast import DRAWN, LIKE, make_cast, raised  # noqa: E402
from jaxgen.systems.lipgen.synthesis.chain import digest_of  # noqa: E402
from jaxgen.systems.lipgen.synthesis.clip_files import files_of, is_written, pasted, write_clip  # noqa: E402
from jaxgen.systems.lipgen.synthesis.making import make_clips, synthesise  # noqa: E402
from jaxgen.systems.lipgen.synthesis.manifest import ABOUT, ROWS, Manifest  # noqa: E402
from jaxgen.systems.lipgen.synthesis.pairing import Take, every, paired  # noqa: E402
from jaxgen.systems.lipgen.voices.sound_files import read_sound  # noqa: E402
from jaxgen.task import Trained  # noqa: E402

SETTINGS = {'seed': 0, 'words': WORDS}


class Cast:
  """Drawn speakers, of whom one hides."""

  higher = 0

  def __init__(self, count, hidden=-1):
    self._drawn, self._hidden = make_cast(f'drawn:{count}', 0), hidden
    self.names = self._drawn.names

  def __getitem__(self, number):
    if number == self._hidden:
      raise DataError('no face found')
    return self._drawn[number]

  def picture(self, number):
    return self._drawn.picture(number)


def make(folder, faces=3, hidden=-1, each=2, settings=SETTINGS, **options):
  """The clips of some faces, and how many were made by this call."""
  cast, clips = Cast(faces, hidden), paired(faces, every(WORDS, VOICES), each, 0)
  manifest = Manifest(folder, settings, **options)
  left = manifest.left(clips, cast)
  return clips, synthesise(Chain(), cast, say(), left, manifest), manifest


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """Six clips of three faces, one of them without a face."""
  folder = tmp_path_factory.mktemp('synthetic')
  return folder, *make(folder, hidden=1)


def test_faces_say_distinct_things_and_words_take_turns():
  clips = paired(7, every(WORDS, VOICES), 5, 3)
  for face in range(7):
    own = [(x.word, x.voice) for x in clips if x.face == face]
    assert len(set(own)) == len(own) == 5
  counts = Counter(x.word for x in clips).values()
  assert max(counts) - min(counts) <= 1
  assert (
    paired(9, every(WORDS, VOICES), 5, 3)[:35] == clips != paired(7, every(WORDS, VOICES), 5, 4)
  )
  assert len({x.name for x in clips}) == 35
  around = [
    (x.word, y) for x in paired(60, every(WORDS, VOICES), 5, 3) for y in (x.before, x.after)
  ]
  assert {y for _, y in around} == {'', *WORDS} and all(x != y for x, y in around)
  with pytest.raises(ConfigError, match='7 clips per face: only 6 distinct ones exist'):
    paired(1, every(WORDS, VOICES), 7, 0)


def test_faces_say_what_is_recorded_and_nothing_twice():
  takes = {
    'bin': [Take('ann', 1), Take('ann', 2)],
    'blue': [Take('ann', 1)],
    'red': [Take('ben', 1)],
  }
  clips = paired(40, takes, 4, 0)
  for face in range(40):
    own = [(x.word, x.voice, x.take) for x in clips if x.face == face]
    assert sorted(own) == [(word, *take) for word, all_takes in takes.items() for take in all_takes]
  around = {(x.word, y) for x in clips for y in (x.before, x.after)}
  assert around == {('bin', ''), ('bin', 'blue'), ('blue', ''), ('blue', 'bin'), ('red', '')}
  with pytest.raises(
    ConfigError,
    match=r'5 clips per face: .* 4 distinct ones exist, from 3 words in 2 voices: lower',
  ):
    paired(1, takes, 5, 0)


def test_clips_of_words_with_a_dot_have_files_each(tmp_path):
  clips = paired(2, every(('mr.',), VOICES), 1, 0)
  said = say()(paired(1, every(WORDS, VOICES), 1, 0)[0])
  for clip in clips:
    assert not is_written(tmp_path, clip.name)
    write_clip(tmp_path, clip, 'face', said, np.full((29, 96, 96), 90, np.uint8))
    assert is_written(tmp_path, clip.name)
  names = sorted(path.name for path in tmp_path.rglob('*.*') if path.is_file())
  assert names == ['MR._00001.mp4', 'MR._00001.txt', 'MR._00002.mp4', 'MR._00002.txt']
  assert lrw.spoken_in(files_of(tmp_path, clips[1].name)[0]).word == 'mr.'


def test_no_clip_is_written_beside_its_folder(tmp_path):
  clip = paired(1, every(WORDS, VOICES), 1, 0)[0]
  for name in ('../train/.._00001', 'AND/OR/train/AND/OR_00001', '/A/train/A_00001'):
    with pytest.raises(ValueError, match='is not a clip name'):
      write_clip(
        tmp_path / 'in', clip._replace(name=name), 'face', say()(clip), np.zeros((1, 96, 96))
      )
  assert not list(tmp_path.iterdir())


def test_what_is_rendered_lies_in_the_face():
  crop, frames = np.full((96, 96), 200, np.uint8), np.full((2, 48, 48), 100, np.uint8)
  found = pasted(crop, frames, LIPS)
  assert (found[:, LIPS.top + 6 : LIPS.top + 42, LIPS.left + 6 : LIPS.left + 42] == 100).all()
  outside = np.ones((96, 96), bool)
  outside[LIPS.top : LIPS.top + 48, LIPS.left : LIPS.left + 48] = False
  assert (found[:, outside] == 200).all() and found[0, LIPS.top, LIPS.left + 24] > 180


def test_mouths_are_where_lrw_has_them():
  usual, higher = (make_cast('drawn:2', 0, rows)[1] for rows in (0, LIKE['lrw']))
  np.testing.assert_allclose(usual.points - higher.points, [[0, 10]] * 40, atol=1e-4)
  same = np.abs(usual.crop[10:].astype(int) - higher.crop[:-10])
  assert same.mean() < 12  # light and noise are the picture's own
  from jaxgen.systems.lipgen.synthesis.portraits import Portrait

  rgb = np.random.default_rng(0).integers(0, 255, (130, 130, 3), np.uint8)
  to_crop = np.array([[1.0, 0, -10], [0, 1, -10]])
  crop, points = raised(Portrait(None, rgb, None, np.zeros((40, 2)), to_crop, 'mesh', 1, 1), 10)
  grey = np.asarray(Image.fromarray(rgb).convert('L'))
  np.testing.assert_array_equal(crop, grey[20:116, 10:106])
  assert (points == [0, -10]).all()


def test_clips_have_lrws_layout_their_sound_and_say_what_they_are(made):
  folder, clips, count, manifest = made
  assert count == 4 and len(manifest.rows) == 4
  told = json.loads((folder / ABOUT).read_text())
  assert told['synthetic'] is True and told['settings']['seed'] == 0
  assert told['faces']['dropped_files'] == {Cast(3).names[1]: 'no face found'}
  assert (told['faces']['asked'], told['faces']['used']) == (3, 2)
  path = folder / f'{clips[0].name}.mp4'
  spoken = lrw.spoken_in(path)
  row = manifest.rows[clips[0].name]
  assert spoken.word == clips[0].word == row['word']
  assert spoken.end - spoken.start == pytest.approx(
    25 * (float(row['end']) - float(row['start'])), abs=0.2
  )
  with av.open(str(path)) as file:
    assert file.metadata['comment'].startswith('synthetic: made by jaxgen')
    assert file.streams.video[0].frames == 29
  assert np.abs(read_sound(path)).max() > 0.1


def test_a_reader_learns_from_them_at_its_share(made):
  config = configs.load('lipgen:procedural,syn')
  values = {
    'data.words': ','.join(WORDS),
    'data.synthetic.dir': str(made[0]),
    'data.num_clips': 6,
    'data.num_validation': 3,
  }
  config.update_from_flattened_dict(values)
  train = corpus.load_corpus(config).clips['train']
  assert train.frames.shape == (11, 29, 48, 48)  # 5 of 11 are synthetic, one of the four twice
  beside = dict(zip(train.names[6:], np.asarray(train.frames)[6:], strict=True))
  rows = made[3].rows
  assert beside.keys() <= rows.keys()
  for name, frames in beside.items():
    assert np.abs(frames[:, 24, 24] - 40.0 - int(rows[name]['number'])).max() < 3
  (made[0] / ROWS).rename(made[0] / 'away.tsv')  # as any set in LRW's layout
  try:
    again = corpus.load_corpus(config).clips['train']
  finally:
    (made[0] / 'away.tsv').rename(made[0] / ROWS)
  np.testing.assert_allclose(again.spans[6:].sum(-1), 29, atol=0.01)
  config.data.name = 'lrw'
  with pytest.raises(DataError, match='synthesise --like lrw'):
    folder_of_clips(config, made[0], {'train': train})
  config.data.name = 'procedural'
  config.data.words = 'about,water,people,system'
  with pytest.raises(DataError, match='has no training clip of system'):
    corpus.load_corpus(config)


def test_a_run_that_is_killed_goes_on_and_makes_the_same(made, tmp_path):
  cast, clips = Cast(3), paired(3, every(WORDS, VOICES), 2, 0)
  manifest = Manifest(tmp_path, SETTINGS)
  manifest.write_about(3)
  maker = make_clips(Chain(), cast, say(), clips, manifest)
  assert [next(maker).clip for _ in range(3)] == clips[:3]
  del maker  # killed while it wrote the fourth: its row is cut off
  with (tmp_path / ROWS).open('a') as file:
    file.write(f'{clips[3].name}\tpeo')
  (tmp_path / f'{clips[2].name}.txt').unlink()
  _, count, after = make(tmp_path)
  assert count == 4 and list(after.rows) == [x.name for x in (*clips[:2], *clips[2:])]
  lines = (tmp_path / ROWS).read_text().splitlines()
  assert [line.split('\t')[0] for line in lines[1:]] == [x.name for x in clips]
  for name in made[3].rows:
    same = [(folder / f'{name}.txt').read_text() for folder in (made[0], tmp_path)]
    assert same[0] == same[1]
  assert make(tmp_path)[1] == 0
  assert make(tmp_path, faces=4)[1] == 2  # more faces


def test_folders_of_other_clips_are_refused(made, tmp_path):
  folder = made[0]
  with pytest.raises(
    UserError, match='clips with seed = 0, not 1: choose another folder, or --over'
  ):
    Manifest(folder, {**SETTINGS, 'seed': 1})
  other = Cast(3)
  other.names = [f'c{i}' for i in range(3)]
  with pytest.raises(UserError, match='of other faces'):
    Manifest(folder, SETTINGS).left(made[1], other)
  (tmp_path / 'letter.txt').write_text('dear')
  with pytest.raises(ConfigError, match=r'no synthetic\.json of synthetic clips'):
    Manifest(tmp_path, SETTINGS, overwrite=True)
  assert make(tmp_path / 'new', faces=1)[1] == 2
  assert make(tmp_path / 'new', faces=1, settings={'seed': 1}, overwrite=True)[1] == 2


def test_only_clips_of_the_folder_are_read_and_removed(made, tmp_path):
  folder = tmp_path / 'new'
  assert make(folder, faces=1)[1] == 2
  first, second = Manifest(folder, SETTINGS).rows
  outside = [tmp_path / f'{name}{end}' for name in ('x', 'train/.._1') for end in ('.mp4', '.txt')]
  for path in outside:
    path.parent.mkdir(exist_ok=True)
    path.write_text('mine')
  row = (folder / ROWS).read_text().splitlines()[1].split('\t')
  with (folder / ROWS).open('a') as file:
    for clip in ('../x', str(tmp_path / 'x'), '../train/.._1', first.replace('1', '7')):
      file.write('\t'.join([clip, *row[1:]]) + '\n')
    file.write('\t'.join([*row[:-3], 'x9', *row[-2:]]) + '\n')
  assert list(Manifest(folder, SETTINGS).rows) == [first, second]
  (folder / f'{second}.mp4').write_bytes(b'')  # as a full disk leaves it
  assert list(Manifest(folder, SETTINGS).rows) == [first]
  # Without the table its clips still are of these settings, and give way as they do with it.
  (folder / ROWS).unlink()
  with pytest.raises(UserError, match='clips with seed = 0, not 1'):
    Manifest(folder, {**SETTINGS, 'seed': 1})
  assert make(folder, faces=1, each=1, settings={'seed': 1}, overwrite=True)[1] == 1
  assert len([path for path in folder.rglob('*') if path.suffix]) == 4
  assert [path.read_text() for path in outside] == ['mine'] * 4


def test_words_are_of_a_file_or_by_commas_as_those_of_a_config(tmp_path):
  file = tmp_path / 'words.txt'
  for encoding in ('utf-8-sig', 'utf-16'):
    file.write_text('# mine\nAbout  # round\n\nmr. about\n', encoding)
    for named in ('mr.,about', ' mr., About ,', 'about,mr.,about', str(file)):
      assert sorted(spoken_clips.named_words(named)) == ['about', 'mr.']
  assert spoken_clips.named_words('a.m.') == ('a.m.',)
  file.write_bytes(b'\xff\xfe\xff')
  with pytest.raises(ConfigError, match=r'^--words=.*words\.txt cannot be read as text'):
    spoken_clips.named_words(str(file))


def test_settings_tell_nets_dictionaries_and_finders_apart(tmp_path, monkeypatch):
  config = configs.load('lipgen_render')
  net = Trained(config, {'spread': [0.1]}, {'params': {'a': np.zeros(2, np.float32)}}, 1)
  guided, seeded = configs.load('lipgen_render'), configs.load('lipgen_render')
  guided.eval.guidance, seeded.seed = 1.5, 1
  others = [
    net._replace(config=guided),
    net._replace(config=seeded),
    net._replace(facts={'spread': [0.2]}),
    net._replace(variables={'params': {'a': np.ones(2, np.float32)}}),
    net._replace(variables={'params': {'b': np.zeros(2, np.float32)}}),
  ]
  assert len({digest_of(one) for one in (net, *others)}) == 6
  file = save_weights(tmp_path / 'net.safetensors', net._replace(step=2))
  assert digest_of(load_weights(file)) == digest_of(net)

  Image.new('RGB', (8, 8)).save(tmp_path / 'face.png')
  told = []
  monkeypatch.setattr(command, '_make', lambda *given: told.append(given[-1]))
  words = tmp_path / 'words.dict'
  for entry, faces in (('AH0', 'drawn:1'), ('AH1', 'drawn:1'), ('AH1', str(tmp_path))):
    words.write_text(f'about  {entry} B AW1 T\n')  # water is in CMUdict
    usual = ['--words', 'about,water', '--faces', faces, '--output', str(tmp_path / 'out')]
    assert not main(['synthesise', *usual, '--dictionary', str(words)])
  first, second, third = told
  assert first['dictionary'] != second['dictionary'] and first['faces_by'] == DRAWN
  assert third['faces_by'] in ('mesh', 'haar') and third['dictionary'] == second['dictionary']


def test_old_clips_are_there_until_a_new_one_is_made(tmp_path):
  class Deaf(Chain):
    def lips(self, mel):
      raise RuntimeError('no such steps')

  make(tmp_path, faces=1)
  files = {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
  cast, clips = Cast(1), paired(1, every(WORDS, VOICES), 2, 0)
  new = Manifest(tmp_path, {'seed': 1}, overwrite=True)
  left = new.left(clips, cast)
  assert left == clips
  with pytest.raises(RuntimeError, match='no such steps'):
    synthesise(Deaf(), cast, say(), left, new)
  with pytest.raises(DataError, match='none of the pictures can be used: no face found'):
    make(tmp_path, faces=1, hidden=0, settings={'seed': 1}, overwrite=True)
  assert files == {path: path.read_bytes() for path in tmp_path.rglob('*.*')}
  assert make(tmp_path, faces=1, each=1, settings={'seed': 1}, overwrite=True)[1] == 1
  assert len(list(tmp_path.rglob('*.mp4'))) == 1


def test_pictures_without_a_face_are_tried_again_and_bind_nobody(tmp_path):
  with pytest.raises(DataError, match='none of the pictures can be used'):
    make(tmp_path, faces=1, hidden=0)
  _, count, manifest = make(tmp_path, faces=2, hidden=1, settings={'seed': 1})  # no clip of seed 0
  assert count == 2 and list(manifest.dropped.values()) == ['no face found']
  cast, clips = Cast(2), paired(2, every(WORDS, VOICES), 2, 0)
  again = Manifest(tmp_path, {'seed': 1})
  assert again.left(clips, cast) == clips[2:] and not again.dropped


def test_what_is_no_face_in_a_folder_is_told_and_names_are_text(tmp_path):
  with pytest.raises(DataError, match='has no pictures: give'):
    make_cast(str(tmp_path), 0)
  (tmp_path / 'a.heic').write_bytes(b'x')
  with pytest.raises(DataError, match=r'has no pictures \(1 file that cannot be read: 1 \.heic'):
    make_cast(str(tmp_path), 0)
  (tmp_path / 'ben.mov').write_bytes(b'x')
  with pytest.raises(DataError, match=r'1 video left out, as ben.mov: a face is a picture'):
    make_cast(str(tmp_path), 0)
  for name in ('.hidden.png', 'änna.png'):
    Image.new('RGB', (8, 8)).save(tmp_path / name)
  (tmp_path / 'änna.mp4').write_bytes(b'x')  # an output of `jaxgen talk` with the picture
  cast = make_cast(str(tmp_path), 0)
  assert cast.names == ['änna.png'] and '1 .heic' in cast.told[0]
  assert len(cast.told) == 2 and '1 video left out, as ben.mov' in cast.told[1]
  with pytest.raises(DataError, match='no face'):
    cast[0]
  assert casts._plain('d\udce9\n.png') == r'd\udce9\n.png'
