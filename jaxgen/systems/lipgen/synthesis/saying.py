"""Text as the sound of a voice."""

import re

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary, folded
from jaxgen.systems.lipgen.voices.espeak import speak
from jaxgen.systems.lipgen.voices.sounds import RATE

VOICE = 'f3'
_PAUSE = 0.3  # seconds between phrases, before the first and after the last


def say(text: str, voice: str = VOICE) -> np.ndarray:
  """The sound of words: float32 [n] in [-1, 1], 16,000 samples a second.

  Args:
    text: words of the pronouncing dictionary; at `,` `.` `;` `:` `!` `?` the voice rests.
    voice: one of `espeak.voices()`.

  Raises:
    DataError: there is no word in it, the dictionary lacks one, or see `espeak.speak`.
    ConfigError: the extra is missing, or there is no such voice.
  """
  text = text.replace('\N{RIGHT SINGLE QUOTATION MARK}', "'")  # as dictionaries spell it
  phrases = [re.findall(r"[^\W_]+(?:'[^\W_]+)*", part) for part in re.split(r'[,.;:!?]', text)]
  dictionary, silence = find_dictionary(), np.zeros(round(_PAUSE * RATE), np.float32)
  parts = [silence]
  for words in filter(None, phrases):
    for word in words:
      if folded(word) not in dictionary:
        raise DataError(
          f'{word!r} is not in the pronouncing dictionary: write it as words that are, or record it'
        )
    phonemes = [phoneme for word in words for phoneme in dictionary.stressed(word)]
    parts += [speak(phonemes, voice).sound, silence]
  if len(parts) == 1:
    raise DataError(f'{text!r} has no word to say')
  return np.concatenate(parts)
