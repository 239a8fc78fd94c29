"""The audio of a clip, with its word in the middle: a log-mel that drives the lips, and the sound."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.corpus import read_words
from jaxgen.systems.lipgen.motion.acting import stretched, trimmed
from jaxgen.systems.lipgen.speech.dictionary import Dictionary
from jaxgen.systems.lipgen.synthesis.pairing import Clip, Take
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.systems.lipgen.voices import espeak, recordings
from jaxgen.systems.lipgen.voices.log_mel import BANDS, HOP, ROWS_A_FRAME, SILENT, log_mel
from jaxgen.systems.lipgen.voices.own_words import OwnWord
from jaxgen.systems.lipgen.voices.pacing import paced
from jaxgen.systems.lipgen.voices.rebuilding import rebuilt
from jaxgen.systems.lipgen.voices.sounds import RATE, levelled

ROWS = WINDOW * ROWS_A_FRAME
ALL = 'all'  # in place of voice names: all espeak-ng voices
BUNDLED, ESPEAK, RECORDED = 'bundled', 'espeak', 'recordings'
_WORDS_A_MINUTE = 150  # at the usual rate
_FASTEST = 2.0  # largest speed-up of a user's own word
_PAUSE = 6  # rows between a word and its neighbours


class Said(NamedTuple):
  """The audio of a clip.

  Attributes:
    mel: float32 [116, 80].
    sound: float32 [18560] in [-1, 1], 16,000 samples a second.
    span: start and end of the word in seconds, around the middle of the clip.
    heard: the kind of voice.
  """

  mel: np.ndarray
  sound: np.ndarray
  span: tuple[float, float]
  heard: str = 'a synthetic voice'


class Bundled:
  """The recordings shipped with jaxgen; their sound is reconstructed from log-mels."""

  kind = BUNDLED

  @cached_property
  def _known(self) -> dict[tuple[str, str], recordings.Recording]:
    return {(one.word, one.voice): one for one in recordings.bundled()}

  def __call__(self, clip: Clip) -> Said:
    """What is heard in a clip."""

    def spoken(word: str) -> recordings.Recording:
      return stretched(trimmed(self._known[word, clip.voice]), clip.rate)

    one = spoken(clip.word)
    start, end = _spoken(one)
    mel = np.full((ROWS, BANDS), SILENT, np.float32)
    parts = [spoken(word).mel if word else None for word in (clip.before, clip.after)]
    first = round(ROWS / 2 - 50 * (start + end))
    _place(mel, one.mel, first, parts)
    return Said(mel, rebuilt(mel, clip.number), (start + first / 100, end + first / 100))


class Espeak:
  """Words of a dictionary, spoken by espeak-ng; words longer than a clip are spoken faster.

  Args:
    dictionary: pronouncing dictionary.
  """

  kind = ESPEAK

  def __init__(self, dictionary: Dictionary):
    self._dictionary = dictionary

  def __call__(self, clip: Clip) -> Said:
    """What is heard in a clip.

    Raises:
      ConfigError: the extra `speech` is missing, or the voice does not exist.
      DataError: espeak-ng fails.
    """
    pace = round(_WORDS_A_MINUTE / clip.rate)

    def spoken(word: str, pace: int = pace) -> espeak.Utterance:
      return espeak.speak_word(word, clip.voice, pace, dictionary=self._dictionary)

    one = spoken(clip.word)
    while (lasts := float(one.times[-1, 1])) * 100 > ROWS and pace < espeak.RATES[1]:
      pace = min(math.ceil(pace * lasts * 100 / ROWS * 1.02), espeak.RATES[1])
      one = spoken(clip.word, pace)
    first = round(ROWS / 2 - 50 * lasts)
    sound = np.zeros(ROWS * HOP, np.float32)
    parts = [levelled(spoken(word).sound) if word else None for word in (clip.before, clip.after)]
    _place(sound, levelled(one.sound), first * HOP, parts, HOP)
    sound = np.clip(sound, -1, 1)
    # A word that does not fit into a clip even at the highest speed is cut off at both ends.
    start, end = (min(max(x, 0.0), ROWS / 100) for x in (first / 100, first / 100 + lasts))
    return Said(log_mel(sound), sound, (start, end))


class Recorded:
  """A user's own recorded words; words longer than a clip are sped up.

  Args:
    words: at least one.

  Attributes:
    takes: takes of each word, in the given order.
  """

  kind = RECORDED

  def __init__(self, words: Sequence[OwnWord]):
    self._known: dict[tuple[str, str], list[OwnWord]] = {}
    self.takes: dict[str, list[Take]] = {}
    for one in words:
      own = self._known.setdefault((one.word, one.voice), [])
      own.append(one)
      self.takes.setdefault(one.word, []).append(Take(one.voice, len(own)))

  @property
  def voices(self) -> tuple[str, ...]:
    """The voices of all words, sorted."""
    return tuple(sorted({voice for _, voice in self._known}))

  def __call__(self, clip: Clip) -> Said:
    """What is heard in a clip."""
    one = self._known[clip.word, clip.voice][clip.take - 1]
    start, end = one.span
    rate = min(clip.rate, max(ROWS / 100 / (end - start), 1 / _FASTEST))
    word = paced(one.sound, rate)
    start, end = (x * len(word) / len(one.sound) for x in one.span)
    around = [
      self._known[other, clip.voice] if other else [] for other in (clip.before, clip.after)
    ]
    parts = [paced(own[clip.number % len(own)].sound, clip.rate) if own else None for own in around]
    sound = np.zeros(ROWS * HOP, np.float32)
    first = round(len(sound) / 2 - RATE * (start + end) / 2)
    _place(sound, word, first, parts, HOP)
    sound = np.clip(sound, -1, 1)
    # A word that is too long even at the highest speed is cut off at both ends.
    start, end = (min(max(first / RATE + x, 0.0), ROWS / 100) for x in (start, end))
    return Said(log_mel(sound), sound, (start, end), 'a recording')


Saying = Bundled | Espeak | Recorded


def saying(words: Sequence[str], voices: Sequence[str], dictionary: Dictionary) -> Saying:
  """Chooses who says words: the recordings, if they have all voices and all words as in the dictionary.

  Otherwise espeak-ng does.

  Raises:
    ConfigError: the extra `speech` is needed and missing, or a voice does not exist.
    DataError: a word is not in the dictionary, or espeak-ng cannot say its phonemes.
  """
  said = {word: dictionary.phonemes(word) for word in words}
  bundled = recordings.bundled()
  known = {one.word: one.phonemes[1:-1] for one in bundled}  # without the silence around them
  speakers = {one.voice for one in bundled}
  other = next((word for word in words if known.get(word) != said[word]), None)
  if other is None and speakers.issuperset(voices):
    return Bundled()
  try:
    there = espeak.voices()
  except ConfigError as error:
    if other is None:
      what = 'these voices are not among those'
    elif other not in known:
      what = f'{other!r} is not among the {len(known)} words'
    else:
      what = f'{other!r} is {" ".join(said[other])} in {dictionary.name}, unlike in the recordings'
    raise ConfigError(f'{what} shipped with jaxgen: {error}') from error
  if missing := [voice for voice in voices if voice not in there]:
    raise ConfigError(f'unknown voice {missing[0]!r}; espeak-ng has {", ".join(there)}')
  for word in words:
    try:
      espeak.mnemonics(dictionary.stressed(word))
    except DataError as error:
      raise DataError(f'{word!r} in {dictionary.name}: {error}') from error
  return Espeak(dictionary)


def named_words(named: str) -> tuple[str, ...]:
  """Words from a file or a comma-separated list, each once.

  Raises:
    ConfigError: there are no words, or the file cannot be read.
  """
  path = Path(named).expanduser()
  # `mr.` is a word, not a file.
  like_a_file = len(path.suffix) > 1 or len(path.parts) > 1 or path.exists()
  if like_a_file and ',' not in named and not path.is_file():
    raise ConfigError(f'--words={named}: no such file')
  words = tuple(dict.fromkeys(read_words(named, '--words=')))
  if not words:
    raise ConfigError(f'--words={named} has no words: write one per line')
  return words


def named_voices(names: str) -> tuple[str, ...]:
  """Comma-separated voices; empty: the twelve of the recordings; 'all': those of espeak-ng.

  Raises:
    ConfigError: a duplicate name, or the extra `speech` is missing.
  """
  if not names:
    return tuple(sorted({one.voice for one in recordings.bundled()}))
  if names == ALL:
    return espeak.voices()
  found = tuple(name.strip() for name in names.split(',') if name.strip())
  twice = sorted({name for name in found if found.count(name) > 1})
  if twice or not found:
    raise ConfigError(
      f'--voices={names}: {twice[0] + " is named twice" if twice else "none given"}'
    )
  return found


def _spoken(one: recordings.Recording) -> tuple[float, float]:
  """Start and end of the speech in a recording, in seconds."""
  times = one.times[[phoneme != '' for phoneme in one.phonemes]]
  return float(times[0, 0]), float(times[-1, 1])


def _place(
  into: np.ndarray,
  word: np.ndarray,
  first: int,
  around: Sequence[np.ndarray | None],
  unit: int = 1,
) -> None:
  """Puts a word and its neighbours into a clip, in place; what extends beyond the clip is cut off."""
  before, after = around
  end = first + len(word)
  parts = [(word, first)]
  if before is not None:
    parts.append((before, first - _PAUSE * unit - len(before)))
  if after is not None:
    parts.append((after, end + _PAUSE * unit))
  for values, start in parts:
    low, high = max(0, start), min(len(into), start + len(values))
    if high > low:
      into[low:high] = values[low - start : high - start]
