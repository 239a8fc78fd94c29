"""Motion of real faces: crops found in frames and labelled, pseudo-audio, and nets that tell a mesh."""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from motion_cases import recording, tiny

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.labelling import labeller, registration
from jaxgen.systems.lipgen.labelling.labels import FRAMES, Labels
from jaxgen.systems.lipgen.labelling.utterances import Utterance
from jaxgen.systems.lipgen.motion import grid_corpus, real, targets
from jaxgen.systems.lipgen.motion.acting import trimmed
from jaxgen.systems.lipgen.motion.config import check_config
from jaxgen.systems.lipgen.motion.inference import Inference
from jaxgen.systems.lipgen.motion.networks import MotionOutput
from jaxgen.systems.lipgen.motion.parts import Sound
from jaxgen.systems.lipgen.voices.log_mel import SILENT
from jaxgen.systems.lipgen.warping import mesh

cv2 = pytest.importorskip('cv2')


def picture(height, width):
  """Something smooth to see, uint8."""
  small = np.random.default_rng(3).uniform(40, 220, (height // 12, width // 12)).astype(np.float32)
  return (
    cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
  )


@pytest.mark.parametrize(('drawn', 'frames'), [(0, FRAMES), (8, 100)])
def test_clips_are_as_long_as_the_longest_drawn_one(drawn, frames):
  config = tiny(data__drawn=drawn, data__num_frames=100)
  basis = SimpleNamespace(basis=np.zeros((2, 80)), mean=np.zeros(80))
  sound = SimpleNamespace(floor=0.0, loud=1.0, mean=0.0, std=1.0)
  assert grid_corpus.facts_of(config, sound, basis)['clip_frames'] == frames


def test_crops_are_found_in_the_frames_that_they_were_cut_from():
  frame = picture(240, 300)
  maps = np.array([[[1.03, 0, 90.4], [0, 1.03, 70.7]], [[1.03, 0, 92.1], [0, 1.03, 69.2]]])
  crops = np.stack([
    cv2.warpAffine(frame, one, (96, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for one in maps
  ])  # fmt: skip
  found = registration.find_crops(np.stack([frame, frame]), crops)
  assert found.alike.min() > 0.99
  points = np.array([[20.0, 30.0], [70.0, 60.0]])
  there = np.stack([points * 1.03 + one[:, 2] for one in maps])
  np.testing.assert_allclose(found.into_crops(there), [points, points], atol=0.3)


def test_a_crop_that_is_moved_takes_its_contours_along():
  points = np.tile(np.array([[40.0, 46.0], [62.0, 58.0]]), (30, 20, 1))[:, :40]
  crops = np.zeros((30, 96, 96), np.uint8)
  crops[:, 46, 40] = crops[:, 58, 62] = 255
  crops = np.stack([cv2.GaussianBlur(x, (0, 0), 2.0) * 8 for x in crops])
  one = Utterance('a', crops, points, np.zeros((30, mesh.POINTS, 2)), 1.0)
  seen, moved = labeller.moved(one, labeller.Training(), generator(0, 'test'))
  assert np.ptp(moved[:, 0], axis=0).min() > 3
  to_view = np.linalg.inv(np.vstack([labeller.view(), [0, 0, 1]]))
  for view, both in zip(seen[..., 0], moved[:, :2], strict=True):
    for x, y in both @ to_view[:2, :2].T + to_view[:2, 2]:
      part = view[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
      weights = part - part.min()
      near = np.arange(-3, 4)
      np.testing.assert_allclose((weights.sum(0) @ near) / weights.sum(), x - round(x), atol=0.5)
      np.testing.assert_allclose((weights.sum(1) @ near) / weights.sum(), y - round(y), atol=0.5)


@pytest.fixture(scope='module')
def labels():
  """Made-up labels of four clips of GRID, one of them with sound."""
  rng = np.random.default_rng(0)
  names = ('bbaf2n', 'bbaf3s', 'lbax4n', 'pwij3p')
  fitted = mesh.fit([rng.normal(size=(22, mesh.POINTS, 2))])
  neutral = rng.uniform(60, 200, (mesh.POINTS, 2)).astype(np.float32)
  components = rng.normal(size=(4, FRAMES, 20)).astype(np.float32)
  true = np.array([name in grid.WITH_SOUND for name in names])
  points = np.zeros((4, FRAMES, 40, 2), np.float32)
  return Labels(names, np.full(4, FRAMES, np.int32), components, points, true, fitted, neutral)


def test_values_of_a_mesh_are_offsets_of_the_contour_in_half_widths_of_the_mouth(labels):
  basis = real.basis_of(labels)
  numbers = labels.components[0]
  contour = list(mesh.CONTOUR)
  corners = labels.neutral[contour][[0, 10]]
  half = np.hypot(*(corners[1] - corners[0])) / 2
  expected = labels.fitted.decode(numbers)[:, contour].reshape(FRAMES, 80) / half
  facts = {
    'target': 'mesh',
    'contour_basis': basis.basis.tolist(),
    'contour_mean': basis.mean.tolist(),
  }
  for library in (np, jnp):
    found = targets.as_contours(library.asarray(numbers * basis.scale), facts)
    np.testing.assert_allclose(found, expected, atol=1e-4)
  untouched = np.ones((2, 80))
  assert targets.as_contours(untouched, {}) is untouched
  neutral = basis.neutral.reshape(40, 2)
  np.testing.assert_allclose(np.hypot(*(neutral[10] - neutral[0])), 2, rtol=1e-5)


def test_facts_name_the_words_that_drawn_speakers_keep_from_a_net(labels):
  sound, basis = Sound(-11.0, 0.0, -6.0, 3.0), real.basis_of(labels)
  for drawn, unseen in ((0, []), (5, ['money', 'person'])):
    config = tiny(data__source='grid', data__drawn=drawn, data__unseen_words='person,Money')
    found = grid_corpus.facts_of(config, sound, basis)
    assert found['unseen_words'] == unseen and found['unseen_voices'] == ['carl']


def test_who_follows_a_net_of_a_mesh_sees_contours(labels):
  basis = real.basis_of(labels)

  class Net:
    context = 2

    def apply(self, variables, mel, counted):
      frames = mel[:, ::4, :20] * counted[..., None]
      return MotionOutput(frames, jnp.ones((*counted.shape, 6)))

  facts = {
    'target': 'mesh',
    'floor': -16.0,
    'contour_basis': basis.basis.tolist(),
    'contour_mean': basis.mean.tolist(),
  }
  mel = np.random.default_rng(1).normal(size=(4 * 13, 80)).astype(np.float32)
  found, pose = Inference(Net(), facts, tiny(loss__pose=0.0)).follower({}, window=9)(mel)
  np.testing.assert_allclose(found, mel[::4, :20] @ basis.basis + basis.mean, atol=1e-5)
  assert pose.shape == (13, 6) and not pose.any()  # of which it has learnt nothing


@pytest.fixture
def words():
  """Recordings of nobody for GRID's words."""
  return {word: trimmed(recording(word, 'anna')) for word in grid.WORDS}


def test_pseudo_audio_says_each_word_in_its_time(words):
  said = real.Sentence(
    'a', ('bin', 'blue'), np.array([[20.0, 26.5], [30.0, 34.0]]), np.zeros((75, 20), np.float32)
  )
  mel = real.pseudo_audio(generator(0, 'test'), said, words, gain=0.0)
  assert mel.shape == (300, 80)
  loud = mel.max(1) > SILENT + 4
  assert not loud[:76].any() and loud[82:104].all() and not loud[140:].any()
  own = words['blue']
  inside = own.mel[4:-4]
  middle = inside[len(inside) // 2]
  assert np.abs(mel[120:136] - middle[None]).mean(1).min() < 1.0


def test_true_utterances_are_judged_by_and_never_learnt_from(labels, words, monkeypatch, tmp_path):
  rows = 'clip\tword\tstart_frame\tend_frame\n' + ''.join(
    f'{name}\t{word}\t{20 + 4 * i}\t{24 + 4 * i}\n'
    for name in labels.names
    for i, word in enumerate(grid.sentence(name))
  )
  monkeypatch.setattr(grid_corpus, 'load_labels', lambda say: labels)
  monkeypatch.setattr(real, 'speak_all', lambda voices: {voice: words for voice in voices})
  monkeypatch.setattr(real, 'true_sound', lambda name: np.full((297, 80), -5.0, np.float32))
  config = tiny(data__source='grid', data__copies=2, data__held_out=0.5, data__silent=0.5)
  (tmp_path / 'words.tsv').write_text(rows)
  monkeypatch.setattr(grid, 'folder_of', lambda: tmp_path)
  corpus = grid_corpus.load(config, True)
  train, true = corpus.train.arrays(), corpus.judged['validation'].arrays()
  assert len(train['mel']) == 2 * (2 * 2) and len(true['mel']) == 1
  assert len(corpus.judged['pseudo']) == 1
  assert corpus.facts['titles'][true['label'][0]] == 'bin blue at f three soon'
  np.testing.assert_array_equal(true['mel'][0], -5.0)
  values = labels.components[1] * real.basis_of(labels).scale
  np.testing.assert_allclose(true['offsets'][0], values, rtol=1e-5)
  assert all(np.abs(row - values).max() > 1e-3 for row in train['offsets'])
  still = targets.as_contours(corpus.judged['silence'].arrays()['offsets'][0, :30], corpus.facts)
  assert np.abs(still @ targets.opening_weights()).max() < 0.3


def test_utterances_keep_their_titles_and_sentences_of_all_verbs_are_judged(words, monkeypatch):
  monkeypatch.setattr(real, 'true_sound', lambda name: np.full((300, 80), -5.0, np.float32))
  values = np.zeros((75, 20), np.float32)
  names = [f'{verb}baf{digit}n' for verb in 'blps' for digit in range(1, 9)]
  said = [
    real.Sentence(name, ('bin',), np.array([[20.0, 26.0]]), values)
    for name in (*grid.WITH_SOUND[1:3], *names)
  ]
  labels = [row.label for row in real.true_rows({one.name: one for one in said}, 51)]
  assert labels == [52, 53]  # the first is damaged: it is left out
  judged = []
  monkeypatch.setattr(real, 'speak_all', lambda voices: {voice: words for voice in voices})
  monkeypatch.setattr(real, 'pseudo_rows', lambda said, *_: judged.extend(said) or [])
  monkeypatch.setattr(real, 'columns', lambda rows, neutral: rows)
  basis = SimpleNamespace(rest=np.zeros(20), neutral=np.zeros(80))
  grid_corpus.judged_rows(tiny(data__source='grid', data__num_validation=12), said, basis)
  assert len(judged) == 12 and {one.name[0] for one in judged} == set('blps')


def test_a_voice_is_either_learnt_from_or_judged_by():
  with pytest.raises(ConfigError, match=r'config.data.voices = carl,m1'):
    check_config(tiny(data__source='grid', data__voices='carl,m1'))
