"""Text to speech."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary, folded
from jaxgen.systems.lipgen.voices.espeak import MOST, mnemonics, speak
from jaxgen.systems.lipgen.voices.sounds import RATE

VOICE = 'f3'
_PAUSE = 0.3  # seconds between phrases, before the first and after the last
_STOPS = ',.;:!?'


def say(text: str, voice: str = VOICE) -> np.ndarray:
  """Synthesises speech: float32 [n] in [-1, 1], 16,000 samples a second.

  Args:
    text: words of the pronouncing dictionary; the voice pauses at `,` `.` `;` `:` `!` `?` and line breaks, and
      between two words of a phrase that is too long for espeak-ng.
    voice: one of `espeak.voices()`.

  Raises:
    DataError: it has no words, the dictionary lacks one, or see `espeak.speak`.
    ConfigError: the extra is missing, or the voice does not exist.
  """
  text = text.replace('\N{RIGHT SINGLE QUOTATION MARK}', "'")  # as in dictionaries
  parted = re.split(f'[{_STOPS}]', one_line(text))
  phrases = [re.findall(r"[^\W_]+(?:'[^\W_]+)*", part) for part in parted]
  dictionary, silence = find_dictionary(), np.zeros(round(_PAUSE * RATE), np.float32)
  parts = [silence]
  for words in filter(None, phrases):
    for word in words:
      if folded(word) not in dictionary:
        raise DataError(
          f'{word!r} is not in the pronouncing dictionary: spell it with words that are, or record '
          'it'
        )
    for phonemes in _breaths(words, dictionary):
      parts += [speak(phonemes, voice).sound, silence]
  if len(parts) == 1:
    raise DataError(f'{text!r} has no words to speak')
  return np.concatenate(parts)


def one_line(text: str) -> str:
  """A text on one line, with commas for line breaks: it sounds the same."""
  lines = [' '.join(line.split()) for line in text.splitlines()]
  return re.sub(f'([{_STOPS}]), ', r'\1 ', ', '.join(filter(None, lines)))


def _breaths(words: Sequence[str], dictionary: Dictionary) -> Iterator[list[str]]:
  """Splits a phrase's phonemes between words into as few parts as espeak-ng allows, of similar lengths."""
  said = [dictionary.stressed(word) for word in words]
  signs = [len(mnemonics(phonemes)) + 1 for phonemes in said]
  enough = sum(signs) / -(-sum(signs) // MOST)
  part: list[str] = []
  length = 0
  for phonemes, own in zip(said, signs, strict=True):
    if part and (length >= enough or length + own > MOST):
      yield part
      part, length = [], 0
    part += phonemes
    length += own
  yield part
