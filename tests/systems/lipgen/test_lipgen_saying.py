"""Texts that `jaxgen talk` speaks: phrases, words of one's own, and what is too long for one breath."""

import numpy as np
import pytest

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.synthesis import saying
from jaxgen.systems.lipgen.synthesis.wishes import Wishes
from jaxgen.systems.lipgen.voices.espeak import Utterance, mnemonics
from jaxgen.systems.lipgen.voices.sounds import RATE


def test_text_is_said_in_phrases():
  whole, half = saying.say('Bin blue, now.'), saying.say('bin blue')
  assert len(whole) > len(half) > RATE // 2 and not whole[: RATE // 4].any()
  np.testing.assert_array_equal(whole[: len(half)], half)
  np.testing.assert_array_equal(
    saying.say("don't"), saying.say('don\N{RIGHT SINGLE QUOTATION MARK}t')
  )


def test_words_of_ones_own_are_said_by_phonemes_or_a_dictionary(tmp_path):
  (tmp_path / 'own.txt').write_text('jaxgen JH AE1 K S JH EH0 N\nblue R EH1 D\n')
  own, text = str(tmp_path / 'own.txt'), 'bin jaxgen, now'
  by_dictionary = saying.say(text, dictionary=own)
  np.testing.assert_array_equal(by_dictionary, saying.say('bin [jh ae1 k s jh eh0 n], now'))
  np.testing.assert_array_equal(saying.say('blue', dictionary=own), saying.say('red'))
  with pytest.raises(DataError, match=r"'jaxgen' is not in the .* \(CMUdict\): .*--dictionary"):
    saying.say(text)
  for wrong, told in (
    ('[QQ]', "'QQ' cannot be spoken"),
    ('bin []', 'no phonemes to speak'),
    ('bin & blue', "'&' in 'bin & blue' cannot be spoken: write it as words"),
    ('bin \N{EURO SIGN}', 'cannot be spoken: write it as words'),
  ):
    with pytest.raises(DataError, match=told):
      saying.say(wrong)
  plain = saying.say('bin blue')
  np.testing.assert_array_equal(
    saying.say('\N{LEFT DOUBLE QUOTATION MARK}bin\N{EM DASH}*blue*"'), plain
  )
  said = Wishes(text=text, dictionary=tmp_path / 'own.txt')
  said.check()
  with pytest.raises(ConfigError, match='--dictionary is for --text only'):
    said._replace(text=None, audio=tmp_path / 'a.wav').check()


def test_long_phrases_are_said_in_parts_and_line_breaks_are_rests(monkeypatch):
  assert len(saying.say('the village ' * 43)) > 15 * RATE
  said = []

  def speak(phonemes, voice):
    mnemonics(phonemes)  # which refuses what is too long
    said.append(len(phonemes))
    return Utterance(np.ones(10, np.float32), (), np.zeros((0, 2)))

  monkeypatch.setattr(saying, 'speak', speak)
  saying.say('the village ' * 43)
  assert sum(said) == 301 and max(said) < 1.2 * min(said) and {x % 7 for x in said} <= {0, 2, 5}
  sounds = [saying.say(text) for text in ('bin\n\nblue,\r\nnow', 'bin, blue, now')]
  np.testing.assert_array_equal(*sounds)
  assert len(sounds[0]) > len(saying.say('bin blue now'))
  assert saying.one_line(' bin  at\n\nblue,\r\nnow.\n') == 'bin at, blue, now.'
