"""What is heard in synthetic clips: bundled words, recordings, and words by espeak-ng."""

import numpy as np
import pytest
from lipgen_videos import optional

optional('av')

from synthesis_cases import VOICES, WORDS, say  # noqa: E402

from jaxgen.errors import ConfigError  # noqa: E402
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary  # noqa: E402
from jaxgen.systems.lipgen.synthesis import spoken_clips  # noqa: E402
from jaxgen.systems.lipgen.synthesis.pairing import every, paired  # noqa: E402
from jaxgen.systems.lipgen.voices.log_mel import SILENT, log_mel  # noqa: E402
from jaxgen.systems.lipgen.voices.own_words import OwnWord  # noqa: E402
from jaxgen.systems.lipgen.voices.rebuilding import rebuilt  # noqa: E402
from jaxgen.systems.lipgen.voices.recordings import bundled  # noqa: E402


def own_word(word, level, seconds=0.4, voice='ann'):
  """Of a person who hums, with 40 ms before and after it."""
  sound = level * np.sin(0.1 * np.arange(round(16_000 * (seconds + 0.08)))).astype(np.float32)
  return OwnWord(word, voice, sound, (0.04, 0.04 + seconds))


def test_recordings_are_heard_in_their_own_sound():
  words = (
    own_word('bin', 0.2),
    own_word('blue', 0.1),
    own_word('bin', 0.3),
    own_word('so', 0.2, 1.5),
  )
  says = spoken_clips.Recorded(words)
  assert says.takes == {'bin': [('ann', 1), ('ann', 2)], 'blue': [('ann', 1)], 'so': [('ann', 1)]}
  assert says.voices == ('ann',)
  clip = paired(1, says.takes, 1, 0)[0]._replace(before='', after='', word='bin', take=2, rate=1.0)
  said = says(clip)
  assert said.span == pytest.approx((0.38, 0.78)) and said.heard == 'a recording'
  first = round(16_000 * 0.34)
  np.testing.assert_array_equal(said.sound[first : first + 7680], words[2].sound)
  assert not said.sound[:first].any() and not said.sound[first + 7680 :].any()
  np.testing.assert_array_equal(said.mel, log_mel(said.sound))
  slower = says(clip._replace(rate=1.1, after='blue'))
  assert slower.span == pytest.approx((0.36, 0.80), abs=0.002)
  assert np.abs(slower.sound[-1600:]).max() == pytest.approx(0.1, abs=0.01)
  # As long as a clip; what is still longer at twice its pace is cut off at both ends.
  assert says(clip._replace(word='so', take=1)).span == pytest.approx((0, 1.16), abs=0.01)
  long = spoken_clips.Recorded([own_word('so', 0.2, 3.0)])(clip._replace(word='so', take=1))
  assert long.span == (0, 1.16) and long.sound.shape == (18_560,)
  assert np.abs(long.sound[:1000]).max() > 0.15 < np.abs(long.sound[-1000:]).max()


def test_sound_that_is_rebuilt_has_the_log_mels():
  mel = bundled()[3].mel
  error = np.abs(log_mel(rebuilt(mel)) - mel)[mel > -9]
  assert error.mean() < 0.4  # nats


def test_words_are_heard_in_the_middle_of_a_clip():
  clip = paired(1, every(WORDS, VOICES), 1, 0)[0]._replace(before='', after='water', rate=1.1)
  alone, said = say()(clip._replace(after='')), say()(clip)
  start, end = said.span
  assert (start + end) / 2 == pytest.approx(0.58, abs=0.01)
  usual = next(x for x in bundled() if (x.word, x.voice) == (clip.word, clip.voice))
  assert end - start == pytest.approx(1.1 * (usual.times[-2, 1] - usual.times[1, 0]), abs=0.02)
  loud = np.flatnonzero(alone.mel.max(1) > SILENT + 3)
  assert (loud[0] / 100, loud[-1] / 100) == pytest.approx((start, end), abs=0.06)
  assert said.mel.shape == (116, 80) and said.sound.shape == (18_560,)
  assert np.abs(said.sound[-1600:]).max() > 5 * np.abs(alone.sound[-1600:]).max()


def test_other_words_and_voices_need_the_extra(monkeypatch):
  monkeypatch.setattr(spoken_clips.espeak, '_loader', refuse)
  for words, voices, told in (
    (('zebra',), VOICES, "'zebra' is not among the 20 words"),
    (WORDS, ('croak',), 'these voices are not among those'),
  ):
    with pytest.raises(ConfigError, match=told):
      spoken_clips.saying(words, voices, find_dictionary())


def test_recordings_are_heard_of_words_that_are_said_as_in_the_dictionary(monkeypatch):
  other = Dictionary('own.txt', {'about': ('B', 'AH1'), 'water': ('W', 'AO2', 'T', 'ER0')})
  assert spoken_clips.saying(('water',), VOICES, other).kind == spoken_clips.BUNDLED
  said = []
  monkeypatch.setattr(spoken_clips.espeak, 'voices', lambda: VOICES)
  monkeypatch.setattr(spoken_clips.espeak, 'speak', lambda *given: said.append(given))
  says = spoken_clips.saying(('water', 'about'), VOICES, other)
  assert says.kind == spoken_clips.ESPEAK
  with pytest.raises(AttributeError):
    says(paired(1, every(('about',), VOICES), 1, 0)[0])
  assert said[0][0] == ('B', 'AH1')
  monkeypatch.setattr(spoken_clips.espeak, 'voices', refuse)
  with pytest.raises(
    ConfigError, match=r"^'about' is B AH in own\.txt, unlike in the recordings shipped"
  ):
    spoken_clips.saying(('water', 'about'), VOICES, other)


def refuse():
  raise ConfigError("pip install 'jaxgen[speech]'")


def test_espeak_says_any_word_in_the_middle():
  pytest.importorskip('espeakng_loader')
  says = spoken_clips.saying(('zebra',), VOICES, find_dictionary())
  found = says(paired(1, every(('zebra',), VOICES), 1, 0)[0])
  assert says.kind == spoken_clips.ESPEAK
  assert sum(found.span) / 2 == pytest.approx(0.58, abs=0.02)
  assert found.mel.shape == (116, 80) and np.abs(found.sound).max() > 0.1


@pytest.mark.parametrize('slowest, faster', [(1.8, True), (9.0, False)])
def test_words_that_are_longer_than_a_clip_are_spoken_faster(monkeypatch, slowest, faster):
  paces = []

  def speak_word(word, voice, pace, dictionary):
    paces.append(pace)
    lasts = slowest * (paces[0] / pace) ** 0.9
    sound = np.full(round(16_000 * lasts), 0.1, np.float32)
    return spoken_clips.espeak.Utterance(sound, ('AA',), np.array([[0, lasts]]))

  monkeypatch.setattr(spoken_clips.espeak, 'speak_word', speak_word)
  clip = paired(1, every(('zebra',), VOICES), 1, 0)[0]._replace(rate=1.0, before='', after='')
  start, end = spoken_clips.Espeak(find_dictionary())(clip).span
  assert 0 <= start < end <= 1.16 and (start + end) / 2 == pytest.approx(0.58, abs=0.01)
  assert paces[:2] == [150, 238 if faster else 450] and (end - start < 1.16) == faster
