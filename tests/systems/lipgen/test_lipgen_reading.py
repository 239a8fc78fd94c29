"""From windows to words: sliding, segmenting, sentences, subtitles."""

import tracemalloc
from itertools import product
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import benchmark
from lip_readers import FACTS, REACH, WORDS, Told, saying, trained_reader
from lipgen_videos import optional, steps, write
from ml_collections import ConfigDict
from scipy.special import log_softmax

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.apply import reading_model
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.front_end import FrontEnd
from jaxgen.systems.lipgen.reading import live, sentences
from jaxgen.systems.lipgen.reading.segmenting import Segmenting, doubted, segments
from jaxgen.systems.lipgen.reading.service import Model, Service, read_as, unseen
from jaxgen.systems.lipgen.reading.sliding import Evidence, Slider, nearest, reach
from jaxgen.systems.lipgen.reading.sources import Mouths, found_in, read_crops
from jaxgen.systems.lipgen.reading.subtitles import Word, srt
from jaxgen.systems.lipgen.steps import read_windows
from jaxgen.systems.lipgen.video.clock import Stills
from jaxgen.systems.lipgen.video.crops import place_crops
from jaxgen.systems.lipgen.video.decoding import Video
from jaxgen.systems.lipgen.video.faces import Box
from jaxgen.systems.lipgen.video.landmarks import of_boxes
from jaxgen.systems.lipgen.video.mouths import MouthClip

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.fixture(scope='module')
def model():
  return reading_model(trained_reader())


@pytest.fixture(scope='module')
def crops():
  return np.random.default_rng(1).integers(0, 256, (33, 96, 96), np.uint8)


def told(**how):
  return Service(Model(Told(), {}, Segmenting(**how)), top=2)


# --- Sliding ---


def test_features_in_pieces_are_those_of_the_whole_clip(model, crops):
  inference, variables = model.inference, model.variables
  seen = inference.seen(crops)
  frames = inference.shown(jnp.asarray(seen)[None])
  whole = jax.jit(inference.features)(variables, frames, jnp.ones((1, len(crops))))[0]
  slider = Slider(inference, variables, frames=7)
  assert reach(inference.net.front_end) == REACH
  np.testing.assert_allclose(slider.features(seen), whole, atol=2e-5)
  np.testing.assert_allclose(slider.features(seen[:1]).shape, (1, whole.shape[1]))
  # Frames as far away as that count, and none beyond.
  other = seen.copy()
  other[20] ^= 255
  moved = np.abs(slider.features(other) - slider.features(seen)).max(1) > 1e-4
  assert set(np.flatnonzero(moved)) == set(range(20 - REACH, 20 + REACH + 1))


def test_reach_of_the_papers_front_ends():
  assert reach(FrontEnd()) == 2
  assert reach(FrontEnd(shift_div=(8, 8, 8, 8), pooling='conv3d')) == 2 + 8 + 1


def test_windows_are_those_of_training_and_a_clip_may_be_of_any_length(model, crops):
  inference, variables = model.inference, model.variables
  slider = Slider(inference, variables, together=4)
  features = slider.features(inference.seen(crops))
  spans = np.float32([[3.25, 9.5], [0, 1.5], [28, 33], [10, 30], [14, 15]])
  batch = {
    'frames': inference.shown(jnp.asarray(inference.seen(crops))[None]),
    'counted': jnp.ones((1, len(crops))),
    'label': jnp.zeros((1, 5), jnp.int32),
    'span': jnp.asarray(spans)[None],
    'shift': jnp.zeros((1, 5), jnp.int32),
  }
  out = jax.jit(lambda v, b: inference.net.apply(v, b, method=read_windows).words)(variables, batch)
  expected = np.asarray(jax.nn.log_softmax(out))
  np.testing.assert_allclose(slider.read(features, spans), expected, atol=1e-4)
  assert slider.read(features, spans[:0]).shape == (0, 4)
  evidence = slider.evidence(features, longest=6)
  assert evidence.plain.shape == (33, 4)
  assert evidence.known.shape == (4, 33, 4)
  np.testing.assert_allclose(evidence.known[3, 6], expected[0], atol=1e-4)
  assert np.abs(evidence.plain[6] - expected[0]).max() > 1e-3
  strided = slider.slide(features, stride=3)
  np.testing.assert_array_equal(strided[[0, 1, 2, 31]], evidence.plain[[1, 1, 1, 31]])


def test_frames_between_windows_take_the_nearest_in_little_memory():
  for total, stride in product((1, 2, 7, 30), (2, 3, 4)):
    centres = np.arange(min(stride // 2, total - 1), total, stride)
    expected = np.abs(np.arange(total)[:, None] - centres).argmin(1)
    assert nearest(total, centres).tolist() == expected.tolist()
  peak, _ = peak_memory(lambda: nearest(9000, np.arange(1, 9000, 2)))
  assert peak < 1e6


# --- Segmenting ---


def peak_memory(call):
  """The most bytes of NumPy and Python that a call holds at a time, and what it returns."""
  tracemalloc.start()
  try:
    found = call()
    return tracemalloc.get_traced_memory()[1], found
  finally:
    tracemalloc.stop()


def test_the_search_holds_one_length_at_a_time():
  random = np.random.default_rng(0)
  evidence = Evidence(
    *(random.normal(size=s).astype(np.float32) for s in ((600, 50), (13, 600, 50)))
  )
  peak, _ = peak_memory(lambda: segments(evidence, Segmenting(), silent=False))
  assert peak < 1.5 * evidence.known.nbytes


def by_enumeration(evidence, how, silent):
  """The best score over all ways to cut a clip into words and pauses."""
  plain, known = doubted(evidence.plain, how.doubt), doubted(evidence.known, how.doubt)
  total, words = len(plain), plain.shape[1] - silent

  def score(start, end, word):
    duration = end - start
    mean = plain[start:end, word].mean()
    both = (1 - how.known) * mean + how.known * known[duration // 2, start + duration // 2, word]
    return duration * both - how.new_word

  def best(start):
    if start == total:
      return 0.0, ()
    quiet = np.log(how.unsure)
    if silent:
      quiet = max(quiet, plain[start, -1] + how.pause)
    rest, path = best(start + 1)
    found = [(rest + quiet, path)]
    for duration, word in product(range(how.least, how.longest + 1), range(words)):
      if start + duration <= total:
        rest, path = best(start + duration)
        gain = score(start, start + duration, word)
        found.append((rest + gain, ((start, start + duration), *path)))
    return max(found)

  return best(0)[1]


@pytest.mark.parametrize(('silent', 'weight'), [(True, 0.25), (False, 1.0)])
def test_the_search_is_exact(silent, weight):
  random = np.random.default_rng(3)
  how = Segmenting(new_word=0.4, least=2, longest=4, known=weight, unsure=0.2)
  lengths = set()
  for _ in range(5):
    evidence = Evidence(*(log_softmax(2 * random.normal(size=s), -1) for s in ((9, 3), (3, 9, 3))))
    found = segments(evidence, how, silent)
    assert tuple(map(tuple, found.tolist())) == by_enumeration(evidence, how, silent)
    lengths.add(len(found))
  assert lengths != {0}


def test_words_have_times_and_silence_has_none():
  service = told(unsure=0.05)
  words = service(saying(('', 9), ('bin', 6), ('blue', 10), ('', 5), ('now', 4), ('', 20)))
  assert [x.word for x in words] == ['bin', 'blue', 'now']
  ends = [[x.start, x.end] for x in words]
  np.testing.assert_allclose(ends, np.array([[9, 15], [15, 25], [30, 34]]) / 25)
  assert all(0.8 < x.confidence < 1 and len(x.alternatives) == 1 for x in words)
  assert service(saying(('', 40))) == []
  assert service(saying(('', 1))) == []
  again = told(unsure=0.05, lattice=False)(saying(('', 9), ('bin', 6), ('', 9)))
  assert [x.word for x in again] == ['bin']


def test_a_word_is_read_at_a_known_place_or_in_the_middle():
  service, crops = told(), saying(('', 5), ('bin', 6), ('blue', 8), ('now', 6))
  early, late = (Mouths(crops, '', begins=x) for x in (0.0, 2.0))
  words = read_as(service, 'a.mp4', early, spans=[(0.76, 1.0), (0.2, 0.44)])
  assert [(x.word, x.start, x.end) for x in words] == [('bin', 0.2, 0.44), ('now', 0.76, 1.0)]
  # Of a video whose first frame is shown later than its sound begins.
  later = read_as(service, 'a.mp4', late, spans=[(2.76, 3.0)])
  assert [x.word for x in later] == ['now'] and later[0].end == pytest.approx(3)
  spoken, shown = (read_as(service, 'a.mp4', mouths) for mouths in (early, late))
  assert [x.start + 2 for x in spoken] == [x.start for x in shown] != []
  with pytest.raises(DataError, match=r'has frames from 2\.00 to 3\.00 seconds'):
    read_as(service, 'a.mp4', late, spans=[(0.2, 0.44)])
  assert [x.word for x in read_as(service, 'a.mp4', early, whole=True)] == ['blue']
  for wrong in ((0.5, 0.5), (2, 3), (0.5, 1.1), (0, float('inf')), (-1, 0.2), (float('nan'), 1)):
    with pytest.raises(DataError, match=r'a\.mp4 has 1\.00 seconds: a word cannot span'):
      read_as(service, 'a.mp4', early, spans=[wrong])


def test_a_reader_that_always_had_boundaries_is_never_read_without_them():
  class Needs(Told):
    needs_boundaries = True

    def windows(self, variables, features, mask, boundary):
      found = super().windows(variables, features, mask, boundary)
      nonsense = jnp.log(jnp.array([0.97, 0.01, 0.01, 0.01]))  # always 'bin'
      return jnp.where(boundary.any(1, keepdims=True), found, nonsense)

  service = Service(Model(Needs(), {}, Segmenting(unsure=0.05, lattice=False)))
  crops = saying(('', 9), ('blue', 10), ('', 12), ('now', 6), ('', 9))
  assert [x.word for x in service(crops)] == ['blue', 'now']
  assert service.whole(saying(('', 9), ('blue', 10), ('', 9))).word == 'blue'
  assert '--boundary START END' in service.notes()[0]
  assert service.notes([(0.1, 0.2)]) == told().notes() == []
  for boundary, withheld, needs in ((True, 0.0, True), (True, 0.3, False), (False, 0.0, False)):
    config = ConfigDict({'augment': {'boundary_dropout': withheld}})
    assert Inference(SimpleNamespace(boundary=boundary), {}, config).needs_boundaries is needs


def test_no_word_is_read_where_nobody_is_in_sight():
  boxes = [[Box(10, 10, 60, 60)] if not 6 <= i < 40 else [] for i in range(60)]
  boxes[50] = []  # a moment, in which the mouth is where it was
  found = of_boxes(boxes, (96, 96))
  assert found.gaps == [(6, 40)]
  assert found._replace(source='file').gaps == []
  crops = saying(('bin', 6), ('', 9), ('blue', 8), ('', 20), ('now', 12), ('', 5))
  service = told(unsure=0.05)
  assert [x.word for x in service(crops)] == ['bin', 'blue', 'now']
  words = read_as(service, 'a.mp4', Mouths(crops, '', begins=2.0, gaps=found.gaps))
  assert [x.word for x in words] == ['bin', 'now']
  listener = live.Listener(service, lambda frame: boxes[listener.count])
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(live, 'place_crops', lambda landmarks, like: None)
    patched.setattr(live, 'cut', lambda frames, crops: list(frames))
    words = [word for frame in crops for word in listener(frame)] + listener.read(end=True)
  assert [x.word for x in words] == ['bin', 'now']


def test_words_that_are_asked_for_where_nobody_is_in_sight_are_left_out_and_told():
  crops = saying(('bin', 6), ('', 9), ('blue', 8), ('', 20), ('now', 12), ('', 5))
  mouths = Mouths(crops, '', begins=2.0, gaps=[(6, 40)])
  asked = dict(spans=[(2.6, 2.92), (2.0, 2.24)])
  assert [x.word for x in read_as(told(), 'a.mp4', mouths, **asked)] == ['bin']
  assert unseen(mouths, **asked) == [
    'the word from 2.60 to 2.92 seconds is left out: its middle is not seen'
  ]
  assert read_as(told(), 'a.mp4', mouths, whole=True) == []
  assert unseen(mouths, whole=True) == [
    'the word from 2.00 to 4.40 seconds is left out: its middle is not seen'
  ]
  at_the_end = mouths._replace(gaps=[(32, 60)])
  assert len(read_as(told(), 'a.mp4', at_the_end, whole=True)) == 1
  assert unseen(at_the_end, whole=True) == unseen(mouths) == []


def test_no_word_is_read_where_no_picture_is_new(tmp_path):
  optional('av')
  times = [i / 25 + (1 if i > 20 else 0) for i in range(60)]
  path = write(tmp_path / 'a.mp4', steps(60, 96, 96), times)
  mouths = read_crops(path)
  assert list(mouths.gaps) == [(20, 46)] and len(mouths.frames) == 85
  assert mouths.notes[-1] == 'frozen picture from 0.80 to 1.84 seconds: nothing is read there'
  crops = saying(('bin', 6), ('', 20), ('blue', 9), ('', 20), ('now', 12), ('', 5))
  words = read_as(told(unsure=0.05), 'a.mp4', mouths._replace(frames=crops))
  assert [x.word for x in words] == ['bin', 'now']
  # So it is where a face is found in the video, beside places without one.
  landmarks = of_boxes([[Box(10, 10, 60, 60)]] * 50 + [[]] * 35, (96, 96))
  video = Video(path)
  assert len(list(video.frames())) == 85
  seen = video.seen._replace(begins=2.0)
  clip = MouthClip(mouths.frames, np.zeros((85, 2)), seen, landmarks, place_crops(landmarks), ())
  found = found_in(clip)
  assert found.gaps == [(50, 85), (20, 46)]
  assert [note.split(' seconds')[0] for note in found.notes] == [
    'no face from 4.00 to 5.40',
    'frozen picture from 2.80 to 3.84',
  ]


def test_how_words_are_searched_for_goes_through_json():
  how = Segmenting(new_word=3.5, lattice=False)
  assert Segmenting.from_json(how.to_json()) == how
  assert Segmenting.from_json('{"least": 4}') == Segmenting(least=4)
  of_no_meaning = [f'{{"{x}": 0}}' for x in ('least', 'stride', 'unsure')] + [
    '{"doubt": 1}',
    '{"longest": 1}',
  ]
  for wrong in ('{"speed": 1}', '[1]', 'fast', '{"least": "two"}', *of_no_meaning):
    with pytest.raises(DataError, match='not a valid set of search settings'):
      Segmenting.from_json(wrong)


# --- Sentences ---


def test_word_errors_are_summed_before_they_are_divided():
  errors = sentences.word_errors(
    [('bin', 'blue', 'at'), ('set', 'red')], [('bin', 'red', 'at', 'now'), ('red',)]
  )
  assert errors == (1, 1, 1, 5)
  assert errors.wer == 3 / 5
  assert sentences.word_errors([()], [('bin',)]).wer is None


def test_sentences_are_read_with_true_times_and_without():
  said = [('', 6), ('bin', 6), ('now', 8), ('', 10)]
  frames = np.zeros((2, 40, 1, 1), np.uint8)
  frames[0, :30], frames[1, :14] = saying(*said, pixels=1), saying(('blue', 14), pixels=1)
  clips = ClipSet(
    WORDS,
    frames,
    np.int32([30, 14]),
    np.int32([[2, 0, 3], [1, -1, -1]]),
    np.float32([[[12, 20], [6, 12], [22, 28]], [[0, 14], [0, 0], [0, 0]]]),
    ['a', 'b'],
  )
  assert sentences.references(clips) == [('bin', 'now'), ('blue',)]
  service = told(unsure=0.05)
  assert sentences.sentence_figures(service, clips) == {'wer': 0, 'wer_known': 0}
  deaf = told(new_word=1e6)
  assert sentences.sentence_figures(deaf, clips) == {'wer': 1, 'wer_known': 0}


def test_a_search_is_chosen_by_the_errors_of_sentences():
  script = benchmark('lipgen_sentences')
  random, spans = np.random.default_rng(3), np.array([[2, 5], [4, 8]])
  plain, known = random.normal(size=(9, 3)), random.normal(size=(3, 9, 3))
  np.testing.assert_array_equal(
    script.verdicts(Evidence(plain, known), spans), known[[1, 2], [3, 6]]
  )
  np.testing.assert_array_equal(script.verdicts(Evidence(plain), spans), plain[[3, 6]])
  service = told()
  says = [('', 6), ('bin', 6), ('now', 8), ('', 10)], [('blue', 5), ('bin', 5), ('', 6)]
  clips = []
  for parts in says:
    features = service.slider.features(saying(*parts, pixels=1))
    evidence = service.slider.evidence(features, longest=12)
    clips.append(script.Clip(tuple(word for word, _ in parts if word), evidence))
  deaf = Segmenting(new_word=1e3, unsure=0.05)
  assert script.searched(clips, deaf, WORDS) == (0, 0, 4, 4)
  how, errors = script.choose(lambda x: script.searched(clips, x, WORDS), deaf)
  assert errors == script.searched(clips, how, WORDS) == (0, 0, 0, 4)
  assert how == deaf._replace(new_word=how.new_word) and how.new_word < 1e3
  assert script.halves(clips, how, WORDS).edits == 0
  pauses = ClipSet(
    WORDS,
    np.stack([saying(('', 10), ('bin', 6), ('', 9), pixels=1)]),
    np.int32([25]),
    np.int32([[0]]),
    np.float32([[[10, 16]]]),
    ['a'],
  )
  assert script.in_pauses(service, pauses) == {'pauses': 2, 'words': 0}


# --- Subtitles ---


def test_subtitles_have_lines_of_words_that_follow_each_other():
  words = [Word('bin', 0.96, 1.2, 0.9), Word('blue', 1.2, 1.5, 0.8), Word('now', 3661, 3661.5, 1)]
  assert srt(words) == (
    '1\n00:00:00,960 --> 00:00:01,500\nbin blue\n\n2\n01:01:01,000 --> 01:01:01,500\nnow\n'
  )
  assert srt([]) == ''
  assert '00:00:00,960 --> 00:00:02,000' in srt([words[0]._replace(end=2.0), words[1]])
  long = [Word('a' * 20, i, i + 1, 1) for i in range(6)]
  assert srt(long).count('-->') == 3
  assert words[0].line() == '0.96-1.20\tbin\t0.90'
  assert Word('bin', 0, 1, 0.5, (('pin', 0.25),)).to_json() == {
    **{'word': 'bin', 'start': 0, 'end': 1, 'confidence': 0.5},
    'alternatives': [{'word': 'pin', 'confidence': 0.25}],
  }


# --- Streams ---


def test_a_stream_tells_each_word_once(monkeypatch):
  # Crops are the frames as they are.
  monkeypatch.setattr(live, 'place_crops', lambda landmarks, like: None)
  monkeypatch.setattr(live, 'cut', lambda frames, crops: list(frames))
  says = [('', 30), ('bin', 8), ('', 30), ('blue', 7), ('now', 7), ('', 90), ('bin', 9), ('', 5)]
  listener = live.Listener(told(unsure=0.05), lambda frame: [Box(10, 10, 60, 60)])
  words = [word for frame in saying(*says) for word in listener(frame)]
  assert [x.word for x in words] == ['bin', 'blue', 'now']
  words += listener.read(end=True)
  assert [x.word for x in words] == ['bin', 'blue', 'now', 'bin']
  starts = [x.start * 25 for x in words]
  np.testing.assert_allclose(starts, [30, 68, 75, 172], atol=1)
  assert listener.read(end=True) == []


@pytest.mark.parametrize('colour', [False, True])
def test_a_stream_that_stands_is_read_as_a_file_that_does(monkeypatch, colour):
  # Words as a picture stands, between two that do, and as one stands too shortly.
  says = [('', 30), ('bin', 8), ('', 30), ('blue', 16), ('', 20), ('now', 8), ('', 40), ('bin', 20)]
  crops = saying(*says, ('', 40), ('blue', 9), ('', 20))
  pictures = np.arange(len(crops), dtype=np.uint8)[:, None, None].repeat(32, 1).repeat(32, 2)
  for first, end in ((70, 104), (112, 148), (154, 174), (215, 222)):
    pictures[first:end] = pictures[first]
  stills = Stills()
  for i, picture in enumerate(pictures):
    stills.add(picture, i / 25)
  stills.end(len(crops))
  assert stills.spans == [(70, 148)]
  expected = read_as(told(unsure=0.05), 'a.mp4', Mouths(crops, '', gaps=stills.spans))
  assert [x.word for x in expected] == ['bin', 'bin', 'blue']
  listener = live.Listener(told(unsure=0.05), lambda frame: [Box(10, 10, 20, 20)])
  monkeypatch.setattr(live, 'place_crops', lambda landmarks, like: None)
  monkeypatch.setattr(
    live, 'cut', lambda kept, _: crops[listener.count - len(kept) : listener.count]
  )
  words, stood = [], []
  for picture in pictures:
    words += listener(np.repeat(picture[..., None], 3, 2) if colour else picture)
    stood.append(listener.stands)
  words += listener.read(end=True)
  assert [x.word for x in words] == [x.word for x in expected]
  np.testing.assert_allclose([x.start for x in words], [x.start for x in expected], atol=0.05)
  assert np.flatnonzero(stood).tolist() == [94, 136]


def test_a_stream_without_a_face_tells_nothing_and_says_so_once():
  listener = live.Listener(told(), lambda frame: [])
  lost = []
  for frame in saying(('bin', 60)):
    assert listener(np.repeat(frame[..., None], 3, 2)) == []  # in colour
    lost.append(listener.lost_face)
  assert sum(lost) == 1


def test_frames_of_a_camera_come_at_25_a_second():
  fast = list(live.at_rate((i / 50, i) for i in range(50)))
  slow = list(live.at_rate((i / 10, i) for i in range(10)))
  assert fast == list(range(0, 50, 2))
  assert len(slow) == 23  # to .9 seconds
  assert slow[:4] == [0, 1, 1, 2]


def test_the_facts_name_the_classes(model):
  assert model.inference.words == tuple(FACTS['words'])
  assert model.inference.knows_silence
