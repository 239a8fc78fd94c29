"""Motion: what recordings become, the net's bounds in time, its losses, and the gates of its evaluation."""

import itertools
from operator import attrgetter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from lipgen_videos import optional
from motion_cases import FLOOR, recording, recordings, tiny
from scipy.io import wavfile

from jaxgen import config as configs
from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.motion import config as motion_config
from jaxgen.systems.lipgen.motion import data as motion_data
from jaxgen.systems.lipgen.motion import targets
from jaxgen.systems.lipgen.motion.acting import Acting, heard, spliced, stretched, trimmed
from jaxgen.systems.lipgen.motion.augmentation import Augmentation, augmented
from jaxgen.systems.lipgen.motion.data import divided, sound_of
from jaxgen.systems.lipgen.motion.evaluation import Judged, correlation, lag
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.networks import Motion, make_motion
from jaxgen.systems.lipgen.motion.steps import Steps, distances, masks_of, velocity_distances
from jaxgen.systems.lipgen.motion.task import make_model
from jaxgen.systems.lipgen.procedural.articulation import Mouth
from jaxgen.systems.lipgen.procedural.geometry import contours, random_pose
from jaxgen.systems.lipgen.procedural.identity import speaker

pytestmark = pytest.mark.usefixtures('quick_compilation')

FACTS = {'num_values': 80, 'mel_mean': -8.0, 'mel_std': 4.0, 'floor': FLOOR, 'clip_frames': 24}
ACTING = Acting(num_frames=60, words=3, silent=0.0, spliced=0.0, pause=0.3, rate=0.2, floor=FLOOR)


@pytest.fixture(scope='module')
def small():
  """(net, variables, its jitted application), with outputs that are not tiny."""
  net = make_model(tiny(model__layers=2), FACTS)
  mel = jnp.zeros((1, 8, 80))
  variables = jax.jit(net.init)(jax.random.key(0), mel, jnp.ones((1, 2)))
  variables['params']['motion']['kernel'] *= 100
  return net, variables, jax.jit(net.apply)


def sounds(rows, seed=0):
  return np.random.default_rng(seed).normal(-8, 4, (rows, 80)).astype(np.float32)


def test_the_net_has_as_many_parameters_as_the_page_says():
  net = make_motion(configs.load('lipgen_motion').model.to_dict(), FACTS)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 4, 80)), jnp.ones((1, 1)))
  assert sum(x.size for x in jax.tree.leaves(shapes)) == 591_318


def test_what_pads_a_sound_changes_no_result(small):
  _, variables, apply = small
  mel = sounds(4 * 24)
  counted = (np.arange(24) < 9).astype(np.float32)[None]
  padded = apply(variables, mel[None], counted)
  alone = apply(variables, mel[None, : 4 * 9], np.ones((1, 9), np.float32))
  for a, b in zip(padded, alone, strict=True):
    np.testing.assert_allclose(a[:, :9], b, atol=2e-5)
    assert not np.any(a[:, 9:]) and np.ptp(b) > 0.1


def test_a_frame_sees_its_context_to_the_end_and_nothing_beyond(small):
  net, variables, apply = small
  middle, frames = 12, 25
  assert net.context == 2 * 3 + 2
  mel, counted = sounds(4 * frames)[None], np.ones((1, frames), np.float32)
  before = apply(variables, mel, counted).offsets[0, middle]
  for away in (net.context, net.context + 1):
    for at in (middle - away, middle + away):
      changed = mel.copy()
      changed[:, 4 * at : 4 * at + 4] += 3
      moved = np.abs(apply(variables, changed, counted).offsets[0, middle] - before).max()
      assert (moved > 1e-6) == (away == net.context)


def test_windows_are_joined_without_a_jump_in_one_program_whatever_the_length(small, monkeypatch):
  net, variables, apply = small
  traced, motion = [], Inference.motion

  def counted(self, variables, mel, frames):
    traced.append(mel.shape)
    return motion(self, variables, mel, frames)

  monkeypatch.setattr(Inference, 'motion', counted)
  follow = Inference(net, FACTS, tiny()).follower(variables, window=2 * net.context + 8)
  for rows in (1, 33, 4 * 24):
    mel = sounds(rows, rows)
    frames = -(-rows // 4)
    offsets, pose = follow(mel)
    whole = np.full((4 * frames, 80), FLOOR, np.float32)
    whole[:rows] = mel
    expected = apply(variables, whole[None], np.ones((1, frames), np.float32))
    np.testing.assert_allclose(offsets, expected.offsets[0], atol=2e-5)
    np.testing.assert_allclose(pose, expected.pose[0], atol=2e-5)
  assert len(traced) == 1


@pytest.mark.parametrize(('layers', 'reach', 'window'), [(2, 12, 128), (6, 12, 296), (2, 31, 256)])
def test_a_net_that_sees_far_has_windows_that_are_longer(layers, reach, window):
  """Of stub moves, so that nothing is compiled for each net."""
  net = make_model(tiny(model__layers=layers, model__reach=reach), FACTS)
  asked = []

  class Stub(Inference):
    def motion(self, variables, mel, counted):
      asked.append(mel.shape[1] // 4)
      first = mel.reshape(1, -1, 4, 80)[:, :, 0, :1]
      return first * counted[..., None], first

  mel = sounds(4 * 300)
  offsets, _ = Stub(net, FACTS, tiny()).follower({})(mel)
  np.testing.assert_array_equal(offsets[:, 0], mel[::4, 0])
  assert set(asked) == {window}


def test_words_are_heard_where_their_phonemes_are():
  own = [x for x in recordings() if x.voice == 'anna']
  words = {x.word: x for x in own}
  for index in range(20):
    found = heard(generator(0, 'test', index), own, ACTING._replace(rate=0.0), 1 + index % 3)
    frames = len(found.mel) / 4
    assert frames == int(frames) <= 60
    times = found.timed.times
    assert times[0, 0] == 0 and times[-1, 1] == frames
    np.testing.assert_allclose(times[1:, 0], times[:-1, 1])
    assert (times[:, 1] > times[:, 0]).all()
    pauses = [phoneme == '' for phoneme in found.timed.phonemes]
    assert not any(a and b for a, b in itertools.pairwise(pauses))
    for word, (start, end) in zip(found.words, found.spans, strict=True):
      one = words[word]
      spoken = one.mel[8:-10]  # of its ten and eight rows of silence
      rows = slice(round(4 * start), round(4 * end))
      np.testing.assert_array_equal(found.mel[rows], spoken)
      inside = (times[:, 0] >= start - 1e-6) & (times[:, 1] <= end + 1e-6)
      said = [p for p, x in zip(found.timed.phonemes, inside, strict=True) if x]
      assert said == [p for p in one.phonemes if p]


def test_silence_around_a_word_is_cut_off_but_for_a_margin():
  one = recording('about', 'anna')
  found = trimmed(one)
  np.testing.assert_array_equal(found.mel, one.mel[4:-6])
  np.testing.assert_allclose(found.times[1:-1], one.times[1:-1] - 0.04)
  np.testing.assert_allclose(found.times[[0, -1], [0, 1]], [0, len(found.mel) / 100])
  np.testing.assert_array_equal(trimmed(found).mel, found.mel)


def test_pieces_of_words_keep_their_sound_and_their_times():
  own = [x for x in recordings() if x.voice == 'anna']
  sounds = {
    (phoneme, one.mel[round(100 * start)].tobytes())
    for one in own
    for phoneme, (start, _) in zip(one.phonemes, one.times, strict=True)
  }
  for index in range(10):
    found = spliced(generator(0, 'test', index), own)
    assert 2 <= len(found.phonemes) <= 12 and '' not in found.phonemes
    assert found.times[0, 0] == 0 and found.times[-1, 1] == len(found.mel) / 100
    np.testing.assert_allclose(found.times[1:, 0], found.times[:-1, 1])
    for phoneme, (start, _) in zip(found.phonemes, found.times, strict=True):
      assert (phoneme, found.mel[round(100 * start)].tobytes()) in sounds
  said = heard(generator(0, 'test'), own, ACTING._replace(spliced=1.0), 2)
  assert set(said.words) == {''}


def test_nothing_said_is_silence_and_a_word_that_is_too_long_is_spoken_faster():
  rng = generator(0, 'test')
  silence = heard(rng, recordings(), ACTING, 0)
  assert (silence.mel == np.float32(FLOOR)).all() and silence.timed.phonemes == ('',)
  short = heard(rng, recordings(), ACTING._replace(num_frames=8), 2)
  assert len(short.mel) == 32 and len(short.words) == 1
  one = recording('about', 'anna')
  slow = stretched(one, 1.5)
  assert len(slow.mel) == round(1.5 * len(one.mel))
  np.testing.assert_allclose(slow.times[-1, 1], len(slow.mel) / 100)
  np.testing.assert_allclose(slow.mel[::3].mean(), one.mel[::2].mean(), atol=0.3)


def test_offsets_are_from_the_own_neutral_mouth_without_pose():
  who = speaker(3)
  mouth = np.array([Mouth(), Mouth(opening=0.5), Mouth(opening=1.0, rounding=0.5)])
  found = targets.offsets(who, mouth)
  assert not found[0].any()
  openings = found @ targets.opening_weights()
  assert openings[0] == 0 < openings[1] < openings[2]
  pose = random_pose(np.random.default_rng(0), 3)
  picture = targets.in_picture(targets.neutral_points(who), found, pose)
  np.testing.assert_allclose(picture, contours(who, mouth, pose), atol=1e-5)


def test_a_head_is_moved_by_what_it_differs_from_its_mean():
  pose = random_pose(np.random.default_rng(1), 10)
  moves = targets.pose_moves(pose)
  np.testing.assert_allclose(moves.mean(0), 0, atol=1e-7)
  held = np.mean(pose, axis=1)
  held[2] = np.exp(np.log(pose.scale).mean())
  np.testing.assert_allclose(targets.moved(held, moves), pose, rtol=1e-5)


def test_losses_are_means_over_frames_and_pairs_that_count():
  random = np.random.default_rng(2)
  found, truth = random.normal(size=(2, 2, 5, 6))
  counted = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1.0]])
  masks = masks_of(jnp.asarray(counted))
  error = float((distances(found, truth) * masks['error']).sum())
  velocity = float((velocity_distances(found, truth) * masks['velocity']).sum())
  lengths = (3, 5)
  expected = [np.abs(found[i, :n] - truth[i, :n]).mean(1).sum() for i, n in enumerate(lengths)]
  steps = [np.diff(x[i, :n], axis=0) for x in (found, truth) for i, n in enumerate(lengths)]
  moving = [np.abs(a - b).mean(1).sum() for a, b in zip(steps[:2], steps[2:], strict=True)]
  assert error == pytest.approx(sum(expected), rel=1e-5)
  assert velocity == pytest.approx(sum(moving), rel=1e-5)
  assert masks['velocity'].sum() == 6


def test_terms_of_the_loss_have_their_weights():
  config = tiny(loss__velocity=0.5, loss__pose=2.0)
  steps = Steps(config, make_model(config, FACTS))
  names = ('mouth_error', 'mouth_velocity', 'pose_error', 'pose_velocity')
  assert [steps.weight(name) for name in names] == [1, 0.5, 2, 1]


def test_sound_is_changed_within_bounds():
  mel = jnp.asarray(np.maximum(sounds(40), FLOOR))
  none = Augmentation(0.0, (50.0, 50.0), 0)
  change = jax.jit(augmented, static_argnums=(2, 3, 4))
  np.testing.assert_allclose(change(jax.random.key(0), mel, none, FLOOR, 0.0), mel, atol=1e-4)
  silence = jnp.full((40, 80), FLOOR)
  found = [
    change(jax.random.key(i), silence, Augmentation(1.0, (4.0, 6.0), 2), FLOOR, 0.0)
    for i in range(12)
  ]
  noisy = [x for x in found if x.max() > FLOOR + 1.1]
  assert 2 < len(noisy) < 10
  assert all(x.min() >= FLOOR for x in found)
  assert all(-9 < x.mean() < -3 for x in noisy)


def judged(truth, found, counted):
  return Judged(truth, found, 0 * truth, counted, *[0 * truth] * 5)


def test_a_late_mouth_is_told_by_its_lag():
  random = np.random.default_rng(3)
  truth = np.cumsum(random.normal(size=(4, 40)), 1)
  counted = np.arange(40)[None] < np.array([[40], [30], [25], [33]])
  for late in (-2, 0, 3):
    found = np.where(counted, np.roll(truth, late, 1), 99.0)
    one = judged(np.where(counted, truth, -99.0), found, counted)
    assert lag(one) == late
    inside = judged(truth, np.where(counted, truth * 0.5 + 1, 99), counted)
    assert correlation(inside, inside.found) == pytest.approx(1)
  assert correlation(one, one.mean) == 0  # of what does not move


def test_words_and_voices_that_are_judged_by_are_not_trained_on():
  parts = divided(recordings(), ['Person'], ['carl'])
  assert [len(x) for x in parts[:4]] == [6, 1, 2, 3]
  assert {(x.word, x.voice) for x in parts.validation} == {('person', 'carl')}
  assert not {'person', 'carl'} & {name for x in parts.train for name in (x.word, x.voice)}
  with pytest.raises(ConfigError, match=r"unseen_voices = dora: no recording has 'dora'"):
    divided(recordings(), ['person'], ['dora'])
  with pytest.raises(ConfigError, match='no training or held-out clips'):
    divided(recordings(voices=['carl']), ['person'], ['carl'])
  sound = sound_of(recordings())
  assert sound.floor == pytest.approx(FLOOR, abs=1e-3) and sound.floor < sound.mean < sound.loud


@pytest.mark.parametrize(
  ('overrides', 'told'),
  [
    ({'model__width': 6}, 'must be a multiple of twice config.model.heads = 2'),
    ({'model__kernel': 4}, 'is even: it must be odd'),
    ({'optim__warmup_steps': 4}, 'below config.num_steps = 4'),
    ({'augment__noise': (5.0, 4.0)}, 'smaller value first'),
    ({'data__num_speakers': 1_000_001}, 'must be between 1 and 1000000'),
  ],
)
def test_values_that_cannot_work_together_are_told(overrides, told):
  with pytest.raises(ConfigError, match=told):
    configs.check(tiny(**overrides))


def test_keys_of_data_that_is_not_there_are_told(caplog):
  own = configs.load('lipgen_motion')
  of_drawn = {f'data__{key}': x for key, x in (('spliced', 0.0), ('look', 'b'), ('pause', 0.1))}
  configs.check(tiny(**of_drawn))
  configs.check(tiny(**of_drawn, data__source='grid', data__drawn=5))
  configs.check(tiny(data__source='grid'))
  assert not caplog.messages
  configs.check(tiny(**of_drawn, data__source='grid'))
  configs.check(tiny(data__drawn=5))
  assert caplog.messages == [
    'config.data.spliced, config.data.pause, config.data.look: of no effect, since config.data.drawn = 0',
    "config.data.drawn: of no effect, since config.data.source = 'procedural'",
  ]
  for key, off in {**motion_config.OF_GRID, **motion_config.OF_DRAWN}.items():
    assert attrgetter(key)(own) == off


def test_own_recordings_are_learnt_from_beside_the_bundled_ones(tmp_path, monkeypatch):
  optional('av')
  monkeypatch.setattr(motion_data, 'bundled', recordings)
  sound = np.random.default_rng(0).integers(-9000, 9000, 32_000).astype(np.int16)
  wavfile.write(tmp_path / 'me.wav', 16_000, sound)
  table, words = tmp_path / 'words.csv', tmp_path / 'own.dict'
  table.write_text('file,word,start,end\nme.wav,moin,0.4,0.8\nme.wav,person,1.2,1.6')
  words.write_text('moin M OY1 N\nabout AH0 B AW1 T\nfamily F AE1 M\npeople P IY1\nperson P ER1\n')
  own = {'data__recordings': str(table), 'data__dictionary': str(words)}
  corpus = motion_data.load_corpus(tiny(**own), training=True)
  assert corpus.facts['words'] == ['about', 'family', 'moin', 'people', 'person']
  labels = corpus.train.arrays()['label']
  assert 2 in labels and 4 not in labels  # of words that are not known to training
  with pytest.raises(DataError, match=r"words\.csv, line 2: 'moin' is not in CMUdict"):
    motion_data.load_corpus(tiny(data__recordings=str(table)), training=True)


def test_types_are_those_of_the_config():
  net = Motion(num_values=4, width=8, heads=2, hidden=8, layers=1, reach=2, dtype=jnp.bfloat16)
  mel, counted = jnp.zeros((1, 8, 80)), jnp.ones((1, 2))
  shapes = jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), mel, counted))
  assert {x.dtype for x in jax.tree.leaves(shapes)} == {jnp.dtype('float32')}
