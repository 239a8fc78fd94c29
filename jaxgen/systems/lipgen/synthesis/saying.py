"""Text to speech."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, folded, with_own
from jaxgen.systems.lipgen.voices.espeak import MOST, mnemonics, speak
from jaxgen.systems.lipgen.voices.sounds import RATE

VOICE = 'f3'
_PAUSE = 0.3  # seconds between phrases, before the first and after the last
_STOPS = ',.;:!?'
_SPOKEN = '&@%'  # punctuation that is read aloud
_TOKEN = re.compile(
  rf"\[(?P<phonemes>[^\]]*)\]|(?P<word>[^\W_]+(?:'[^\W_]+)*)|(?P<stop>[{_STOPS}])"
)


def say(text: str, voice: str = VOICE, dictionary: str = '') -> np.ndarray:
  """Synthesises speech: float32 [n] in [-1, 1], 16,000 samples a second.

  Args:
    text: words of the pronouncing dictionary, and ARPAbet phonemes in brackets, as `[HH AH0 L OW1]`; the
      voice pauses at `,` `.` `;` `:` `!` `?` and line breaks, and between two words of a phrase that is too
      long for espeak-ng.
    voice: one of `espeak.voices()`.
    dictionary: a file of words that CMUdict lacks or says otherwise; '' for none.

  Raises:
    DataError: it has no words, the dictionary lacks one, it has a sign such as `&`, or see `espeak.speak`.
    ConfigError: the extra is missing, or the voice does not exist.
  """
  silence = np.zeros(round(_PAUSE * RATE), np.float32)
  parts = [silence]
  for said in _phrases(text, with_own(dictionary)):
    for phonemes in _breaths(said):
      parts += [speak(phonemes, voice).sound, silence]
  if len(parts) == 1:
    raise DataError(f'{text!r} has no words to speak')
  return np.concatenate(parts)


def _phrases(text: str, dictionary: Dictionary) -> Iterator[list[Sequence[str]]]:
  """The phonemes of each word, by phrase; quotes, dashes and other punctuation are not spoken."""
  phrases: list[list[Sequence[str]]] = [[]]
  rest = _TOKEN.sub('', text)
  if sign := next((c for c in rest if c in _SPOKEN or unicodedata.category(c)[0] in 'NS'), ''):
    raise DataError(f'{sign!r} in {text!r} cannot be spoken: write it as words')
  text = text.replace('\N{RIGHT SINGLE QUOTATION MARK}', "'")  # as in dictionaries
  for token in _TOKEN.finditer(one_line(text)):
    if token['stop']:
      phrases.append([])
    elif word := token['word']:
      if folded(word) not in dictionary:
        raise DataError(
          f'{word!r} is not in the pronouncing dictionary ({dictionary.name}): spell it with words that '
          'are, give its phonemes as [HH AH0 L OW1] or in a file with --dictionary, or record it'
        )
      phrases[-1].append(dictionary.stressed(word))
    else:
      phonemes = token['phonemes'].upper().split()
      mnemonics(phonemes)  # refuses what cannot be spoken
      phrases[-1].append(phonemes)
  return filter(None, phrases)


def one_line(text: str) -> str:
  """A text on one line, with commas for line breaks: it sounds the same."""
  lines = [' '.join(line.split()) for line in text.splitlines()]
  return re.sub(f'([{_STOPS}]), ', r'\1 ', ', '.join(filter(None, lines)))


def _breaths(said: Sequence[Sequence[str]]) -> Iterator[list[str]]:
  """Splits a phrase's phonemes between words into as few parts as espeak-ng allows, of similar lengths."""
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
