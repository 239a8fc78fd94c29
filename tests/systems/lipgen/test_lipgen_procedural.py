"""Procedural speakers: what they say, how their mouths move and how they are drawn."""

import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import benchmark, override

from jaxgen import config as configs
from jaxgen.errors import ConfigError, DataError
from jaxgen.notes import PROGRESS
from jaxgen.systems.lipgen import beside, corpus
from jaxgen.systems.lipgen.alike import groups
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.clips.framing import LIPS, WHOLE, framed
from jaxgen.systems.lipgen.procedural import takes
from jaxgen.systems.lipgen.procedural.articulation import (
  GESTURES,
  OFF_CENTRE,
  REST,
  Mouth,
  Timed,
  mouths,
  utterance,
)
from jaxgen.systems.lipgen.procedural.clips import name_of, speak
from jaxgen.systems.lipgen.procedural.drawing import draw, random_camera
from jaxgen.systems.lipgen.procedural.geometry import (
  CONTOUR,
  Pose,
  contours,
  lips,
  random_pose,
  to_face,
  to_picture,
)
from jaxgen.systems.lipgen.procedural.identity import LOOKS, speaker
from jaxgen.systems.lipgen.procedural.takes import (
  WORDS,
  Speech,
  acted,
  check_speech,
  contours_of,
  frames_of,
  take,
)
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary
from jaxgen.systems.lipgen.speech.visemes import find_visemes


def speech(**changed):
  return Speech(('about', 'people', 'water'), find_dictionary(), pixels=24)._replace(**changed)


def spoken(*phonemes, frames=4.0):
  """These phonemes between pauses, each of some frames, and the mouth in the middle of each."""
  said = (REST, *phonemes, REST)
  ends = frames * np.arange(1, len(said) + 1)
  timed = Timed(said, np.stack([ends - frames, ends], axis=1))
  return Mouth(*mouths(timed, ends[1:-1] - frames / 2).T)


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  return tmp_path / 'spoken'


def test_the_default_words_look_different_and_have_every_viseme():
  dictionary, visemes = find_dictionary(), find_visemes()

  def look(word):
    return visemes.sequence(dictionary.phonemes(word))

  assert len(WORDS) == 20
  assert len(groups(WORDS, look)) == 20
  assert {viseme for word in WORDS for viseme in look(word)} == set(range(18))
  assert {len(look(word)) for word in WORDS} <= {4, 5, 6, 7}


def test_phonemes_of_a_viseme_are_made_alike_and_visemes_differ():
  table = find_visemes()
  assert set(GESTURES) == {phoneme for group in table.groups for phoneme in group}
  made = [{GESTURES[phoneme] for phoneme in group} for group in table.groups]
  assert all(len(gestures) == 1 for gestures in made)
  assert len(set.union(*made)) == 18


def test_lips_meet_for_b_are_round_for_w_and_wide_open_for_a():
  mouth = spoken('AH', 'B', 'IY', 'W', 'AA', 'F', 'AA', 'TH')
  assert mouth.opening[1] < 0 and mouth.press[1] > 0.5
  assert mouth.rounding[3] == mouth.rounding.max() > 0.7
  assert mouth.spread[2] == mouth.spread.max() > 0.4
  assert min(mouth.opening[[0, 4, 6]]) > 0.6 > 0.4 > max(mouth.opening[[1, 2, 3, 5, 7]])
  assert mouth.tuck[5] == mouth.tuck.max() > 0.5
  assert mouth.tongue[7] == mouth.tongue.max() > 0.5


def test_a_round_vowel_is_seen_before_it_is_heard():
  before = {vowel: spoken('S', vowel).rounding[0] for vowel in ('UW', 'IY')}
  assert before['UW'] > before['IY'] + 0.1


def test_a_mouth_rests_where_nothing_is_said():
  timed = Timed((REST, 'AA', REST), np.array([[0.0, 20.0], [20.0, 23.0], [23.0, 40.0]]))
  mouth = mouths(timed, np.array([2.0, 21.5, 38.0]))
  assert np.abs(mouth[[0, 2]]).max() < 0.01
  assert mouth[1, 0] > 0.4


def test_a_word_is_centred_and_inside_the_clip():
  phonemes = find_dictionary().phonemes('responsibilities')
  for seed in range(20):
    rng = np.random.default_rng(seed)
    timed, (start, end) = utterance(rng, phonemes, [REST, 'AA'], ['B', REST], 29, 1.2)
    assert 0 <= start < end <= 29
    assert abs((start + end) / 2 - 14.5) <= OFF_CENTRE + 1e-9
    assert timed.times[0, 0] <= 0 and timed.times[-1, 1] >= 29
    np.testing.assert_allclose(timed.times[1:, 0], timed.times[:-1, 1], atol=1e-9)
    np.testing.assert_allclose(timed.times[2, 0], start, atol=1e-9)
    np.testing.assert_allclose(timed.times[1 + len(phonemes), 1], end, atol=1e-9)


def test_a_phoneme_that_nobody_can_make_is_named():
  with pytest.raises(DataError, match=r"cannot say the phoneme 'Q'.*AA AE"):
    mouths(Timed(('Q',), np.array([[0.0, 4.0]])), np.array([2.0]))


def test_the_pose_and_its_inverse():
  pose = random_pose(np.random.default_rng(3), 5)
  u, v = np.random.default_rng(4).uniform(-1, 1, (2, 5, 7))
  x, y = np.moveaxis(to_picture(pose, u, v), -1, 0)
  found = to_face(pose, x, y)
  np.testing.assert_allclose(found[0], u, atol=1e-9)
  np.testing.assert_allclose(found[1], v, atol=1e-9)


def test_lips_lie_one_above_the_other():
  u = np.linspace(-1.6, 1.6, 101)
  mouth = np.random.default_rng(0).uniform(-0.2, 1.0, (50, 7))
  for number in range(5):
    curves = lips(speaker(number), mouth, u)
    assert (curves.outer_top <= curves.inner_top + 1e-9).all()
    assert (curves.inner_top <= curves.inner_bottom + 1e-9).all()
    assert (curves.inner_bottom <= curves.outer_bottom + 1e-9).all()
    assert (curves.inner_half_width <= curves.half_width).all()


def test_contours_are_where_the_mouth_is_drawn():
  who = speaker(1)._replace(
    skin=0.9, lips=0.3, gloss=0.0, texture=0.0, beard=0.0, inside=0.0, teeth=0.0
  )
  who = who._replace(tongue=0.0, folds=0.0)
  mouth = np.array([Mouth(), Mouth(opening=0.9), Mouth(opening=0.3, spread=-0.8, rounding=1.0)])
  still = Pose(*np.array([[0.1, 0.05, 0.6, 0.2, 0.0, 0.0]] * 3).T)
  rng = np.random.default_rng(0)
  camera = random_camera(rng, LOOKS['b'])._replace(
    light=np.zeros(2), gain=1.0, contrast=0.0, noise=0.0, blur=0.0, flicker=0.0
  )
  frames = draw(rng, who, mouth, still, camera, 96) / 255
  points = contours(who, mouth, still)
  assert points.shape == (3, 2 * CONTOUR, 2)
  centre = points.mean(1, keepdims=True)

  def level(at):
    column, row = np.moveaxis(np.floor((at + 1) * 48).astype(int), -1, 0)
    return np.take_along_axis(frames.reshape(3, -1), row * 96 + column, axis=1)

  outer, inner = points[:, :CONTOUR], points[:, CONTOUR:]
  clear = [i for i in range(CONTOUR) if i % (CONTOUR // 2) not in (0, 1, 9)]  # not at the corners
  assert level(centre + 1.2 * (outer - centre))[:, clear].min() > 0.55
  between = (outer + inner) / 2
  assert level(between)[:, clear].max() < 0.45
  assert level(inner.mean(1, keepdims=True))[1:].max() < 0.05
  width = np.ptp(outer[..., 0], axis=1)
  height = np.ptp(inner[..., 1], axis=1)
  assert width[2] < 0.8 * width[0] and height[1] > 2 * height[2] > height[0]


def test_a_take_depends_on_seed_and_number_alone():
  one = take(speech(seed=3), 7)
  again = take(speech(seed=3), 7)
  assert one.spans == again.spans and one.timed.phonemes == again.timed.phonemes
  np.testing.assert_array_equal(frames_of(speech(), one), frames_of(speech(), again))
  others = [take(speech(seed=3), 10), take(speech(seed=4), 7)]
  others += [take(speech(seed=3, first_speaker=100), 7), take(speech(seed=3, look='b'), 7)]
  assert all(other.spans != one.spans for other in others)
  assert one.labels == (7 % 3,)


def test_a_take_keeps_what_is_said_when():
  for number in range(12):
    one = take(speech(), number)
    phonemes = speech().dictionary.phonemes(speech().words[one.labels[0]])
    ((start, end),) = one.spans
    middles = one.timed.times.mean(1)
    inside = [p for p, t in zip(one.timed.phonemes, middles, strict=True) if start < t < end]
    assert tuple(inside) == phonemes
    assert contours_of(speech(), one).shape == (29, 40, 2)
    assert one.mouth.shape == (29, 7) and np.asarray(one.pose).shape == (6, 29)


def test_homophenes_are_drawn_alike():
  a, b = (take(speech(words=(word,)), 5) for word in ('bet', 'bat'))
  np.testing.assert_array_equal(frames_of(speech(), a), frames_of(speech(), b))


def test_speakers_are_their_numbers_and_ranges_do_not_meet():
  a, b = speaker(5), speaker(5)
  assert a._replace(gains=None) == b._replace(gains=None)
  np.testing.assert_array_equal(a.gains, b.gains)
  assert a._replace(gains=None) != speaker(6)._replace(gains=None)
  train = {take(speech(num_speakers=4), i).who.number for i in range(40)}
  test = {take(speech(first_speaker=4, num_speakers=4), i).who.number for i in range(40)}
  assert train == {0, 1, 2, 3} and test == {4, 5, 6, 7}


def test_looks_differ_as_rendered_ones_do_from_filmed_ones():
  def unevenness(look):
    frames = np.stack([frames_of(s, take(s, i)) for s in [speech(look=look)] for i in range(12)])
    frames = frames.astype(np.float32)
    return float(np.abs(np.diff(frames, 2, axis=1)).mean())  # noise changes with every frame

  assert unevenness('a') > 1.5 * unevenness('b')


def test_clips_are_drawn_once_and_kept(cache, caplog):
  made = {'seed': 1, 'num_speakers': 2, 'pixels': 16, 'num_frames': 12}
  with caplog.at_level(PROGRESS):
    clips = speak(['about', 'people'], 5, **made)
    again = speak(['about', 'people'], 5, **made)
  told = f'drawing 5 clips, once (0.1 MB in {cache})'
  assert [record.getMessage() for record in caplog.records] == [told]
  assert clips.words == ('about', 'people')
  assert clips.frames.shape == (5, 12, 16, 16) and clips.frames.dtype == np.uint8
  assert isinstance(again.frames, np.memmap)
  np.testing.assert_array_equal(clips.frames, again.frames)
  assert clips.labels.tolist() == [[0], [1], [0], [1], [0]] and clips.labels.dtype == np.int32
  assert clips.spans.shape == (5, 1, 2) and clips.spans.dtype == np.float32
  assert clips.lengths.tolist() == [12] * 5
  assert re.fullmatch(r'people_3_a[01]', clips.names[3])
  talk = Speech(('about', 'people'), find_dictionary(), 1, 0, 2, 'a', 16, 12)
  np.testing.assert_array_equal(clips.frames[4], frames_of(talk, take(talk, 4)))


def test_clips_that_the_disk_has_no_room_for_are_not_begun(cache, monkeypatch):
  monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=10**9))
  with pytest.raises(DataError) as told:
    speak(['about'], 400_000, pixels=96)
  assert str(told.value) == (
    f'400,000 clips of 96 x 96 pixels need 106.9 GB, but {cache} has only 1.0 GB free: set JAXGEN_CACHE to a '
    'folder with more space'
  )
  assert not cache.exists()


def test_a_sentence_is_its_words_one_after_another_in_silence():
  said = speech()._replace(sentences=((2, 0), (1, 2, 1)), num_frames=60)
  one = take(said, 3)
  assert one.labels == (1, 2, 1)
  phonemes = [p for label in one.labels for p in said.dictionary.phonemes(said.words[label])]
  assert list(one.timed.phonemes) == [REST, *phonemes, REST]
  assert one.spans[0][0] > 4 and one.spans[-1][1] < 56
  for word, (start, end) in zip(one.labels, one.spans, strict=True):
    inside = (one.timed.times[:, 0] > start - 1e-9) & (one.timed.times[:, 1] < end + 1e-9)
    spoken = [p for p, x in zip(one.timed.phonemes, inside, strict=True) if x]
    assert tuple(spoken) == said.dictionary.phonemes(said.words[word])
  assert frames_of(said, one).shape == (60, 24, 24)
  with pytest.raises(ConfigError, match='sentences to speak'):
    check_speech(said._replace(sentences=((0, 3),)))


def test_phonemes_of_a_sound_are_acted_by_a_speaker_of_the_set():
  said = speech()
  timed = Timed(
    (REST, 'M', 'AA', REST), np.array([[0, 9], [9, 12], [12, 18], [18, 29]], np.float64)
  )
  one, other = acted(said, 3, (1,), timed, ((9, 18),)), acted(said, 4, (1,), timed, ((9, 18),))
  np.testing.assert_array_equal(one.mouth, other.mouth)
  assert one.who.number != other.who.number
  opening = one.mouth[:, Mouth._fields.index('opening')]
  assert 12 < opening.argmax() < 18 and abs(opening[:5]).max() < 0.1 * opening.max()
  assert frames_of(said, one).shape == (29, 24, 24)


def test_beside_sentences_drawn_speakers_say_those_with_their_pauses(monkeypatch, tmp_path):
  monkeypatch.setenv('JAXGEN_CACHE', str(tmp_path))
  words = 'about', 'before'
  spans = np.array([[[20, 30], [10, 18], [0, 0]], [[8, 16], [0, 0], [0, 0]]], np.float32)
  real = ClipSet(
    words,
    np.zeros((2, 40, 24, 24), np.uint8),
    np.full(2, 40, np.int32),
    np.array([[0, 1, -1], [1, -1, -1]], np.int32),
    spans,
    ['a', 'b'],
  )
  config = configs.load('lipgen:grid,syn')
  with config.unlocked():
    config.data.framing, config.data.num_clips = (29, 26, 48, 24), 4
    config.data.synthetic.share = 0.5
  drawn = beside.drawn_beside(config, real, find_dictionary())
  np.testing.assert_array_equal(drawn.labels, [[1, 0], [1, -1]])
  assert drawn.frames.shape == (2, 40, 24, 24)
  monkeypatch.setattr(corpus, '_load', lambda *_: {'train': real, 'validation': real})
  train = corpus.load_corpus(config).clips['train']
  assert train.words == (*words, '') and len(train.labels) == 4
  assert (train.labels[2:] == 2).any(1).all()  # pauses of drawn clips


def test_pictures_show_the_square_that_is_framed():
  near = speech(pixels=48)
  whole = near._replace(pixels=96, square=WHOLE[:3])
  one = take(near, 1)
  still = {'noise': 0.0, 'blur': 0.0, 'flicker': 0.0, 'light': np.zeros(2)}
  one = one._replace(camera=one.camera._replace(background=np.array([0.5, 0, 0, 0]), **still))
  a, b = (frames_of(x, one).astype(int) for x in (near, whole))
  assert b.shape == (29, 96, 96)
  # But for single pixels whose place in a table is rounded to the next one.
  assert (abs(framed(b.astype(np.uint8), LIPS).astype(int) - a) > 1).mean() < 1e-3
  offset = LIPS.left, LIPS.top
  np.testing.assert_allclose(contours_of(whole, one) - offset, contours_of(near, one), atol=1e-3)


@pytest.mark.usefixtures('cache')
def test_drawn_clips_beside_real_ones_are_framed_alike_and_repeated():
  changed = {'data__framing': WHOLE, 'data__crop': 88, 'data__num_clips': 3}
  config = override(configs.load('lipgen:lrw,syn'), changed)
  real = speak(['about', 'people'], 11, pixels=96, num_frames=29)
  drawn = beside.drawn_beside(config, real, find_dictionary())
  assert drawn.frames.shape == (9, 29, 96, 96)  # 45 %
  assert drawn.labels[:, 0].tolist() == [0, 1, 0] * 3 and len(set(drawn.names)) == 3
  np.testing.assert_array_equal(drawn.frames[4], drawn.frames[1])
  talk = Speech(real.words, find_dictionary(), config.seed, beside.SYNTHETIC, 1, 'b', 96, 29)
  higher = talk._replace(square=(10, 0, 96))  # as LRW's mouths lie
  np.testing.assert_array_equal(drawn.frames[0], frames_of(higher, take(higher, 0)))
  middle = contours_of(higher, take(higher, 0)).mean((0, 1))
  np.testing.assert_allclose(middle, [50, 43], atol=6)


def test_no_clips_are_refused(cache):
  with pytest.raises(ConfigError, match=r'0 clips .* at least one'):
    speak(['about'], 0)
  assert not cache.exists()


def test_a_damaged_cache_is_named(cache):
  speak(['about'], 1, pixels=16, num_frames=4)
  (folder,) = cache.iterdir()
  (folder / 'table.npz').write_bytes(b'broken')
  with pytest.raises(DataError, match='is damaged: remove it'):
    speak(['about'], 1, pixels=16, num_frames=4)


def test_the_name_of_drawn_clips_is_what_they_are_made_of():
  own = Dictionary('own', {'about': ('B', 'AW')}, {'people': ('B',)}, {'water': ('W',)})
  changed = [
    {'words': ('about', 'people')},
    {'dictionary': own},
    {'seed': 1},
    {'first_speaker': 1},
    {'num_speakers': 3},
    {'look': 'b'},
    {'pixels': 25},
    {'num_frames': 30},
    {'square': WHOLE[:3]},
    {'sentences': ((0, 1),)},
  ]
  assert {key for one in changed for key in one} == set(Speech._fields)
  names = {name_of(speech(**one), 4) for one in [{}, *changed]} | {name_of(speech(), 5)}
  assert len(names) == len(changed) + 2
  assert name_of(speech(), 4) == name_of(speech(), 4)


def test_one_s_own_dictionary_is_spoken_without_english_around_it():
  own = Dictionary('own', {'ba': ('B', 'AA'), 'wi': ('W', 'IY')})
  one = take(speech(words=('ba', 'wi'), dictionary=own), 3)
  assert set(one.timed.phonemes) <= {'B', 'AA', 'W', 'IY', REST}


@pytest.mark.parametrize(
  ('changed', 'message'),
  [
    ({'look': 'c'}, "unknown look 'c'.*known: a, b"),
    ({'words': ('about', 'about')}, 'about is named twice'),
    ({'words': ()}, 'none given'),
    ({'num_speakers': 0}, 'at least one'),
    ({'pixels': 8}, 'at least 4 frames of 16 pixels'),
    ({'words': ('abuot',)}, "'abuot' is not in CMUdict"),
    ({'words': ('',)}, 'no phonemes'),
  ],
)
def test_what_cannot_be_spoken_is_refused(changed, message):
  with pytest.raises((ConfigError, DataError), match=message):
    takes.check_speech(speech(**changed))


def test_a_sheet_shows_words_and_visemes():
  pixels = benchmark('procedural_speakers').sheet([speech(), speech(look='b')], 2, 5)
  row = 22 + 24 + 22 + 2 * 2
  assert pixels.shape == (4 * row, 5 * (24 + 2) + 2, 3) and pixels.dtype == np.uint8


def test_linear_accuracy_of_the_benchmark_on_separable_features():
  rng = np.random.default_rng(0)
  labels = np.arange(60) % 3
  features = (np.eye(3)[labels] + 0.1 * rng.standard_normal((60, 3))).astype(np.float32)
  found = benchmark('procedural_speakers').linear_accuracy(
    features[:40], features[40:], labels[:40], labels[40:]
  )
  assert set(found) == {'least_squares', 'logistic'} and min(found.values()) == 1
