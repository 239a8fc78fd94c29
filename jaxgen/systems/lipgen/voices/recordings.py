"""Recordings: words as log-mels, with the times of their phonemes."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.lipgen.speech.dictionary import Dictionary
from jaxgen.systems.lipgen.voices.espeak import Utterance, speak_word
from jaxgen.systems.lipgen.voices.log_mel import HOP, ROWS_A_FRAME, log_mel
from jaxgen.systems.lipgen.voices.sounds import RATE, levelled

BUNDLED = Path(__file__).parents[3] / 'voices' / 'words.npz'
QUIET = 0.2  # seconds of silence before a spoken word, and at least as much after it
SECONDS = HOP / RATE  # that a row of log-mels lasts
# Log-mels are kept in steps of this, which is 0.14 dB: less than half the bytes.
_STEP = 1 / 32


class Recording(NamedTuple):
  """A word that somebody said.

  Attributes:
    word: in small letters.
    voice: who said it.
    mel: float32 [L, 80] at 100 Hz, L a multiple of 4: four rows a frame, see `log_mel`.
    phonemes: P names of ARPAbet without stress; '' is silence.
    times: [P, 2] float64, start and end of each in seconds, one after the other from 0 to L / 100.
  """

  word: str
  voice: str
  mel: np.ndarray
  phonemes: tuple[str, ...]
  times: np.ndarray


def recorded(word: str, voice: str, said: Utterance) -> Recording:
  """What a voice said as a recording, at the level of all recordings, with `QUIET` around it."""
  before = round(QUIET * RATE)
  frame = ROWS_A_FRAME * HOP
  length = -(-(len(said.sound) + 2 * before) // frame) * frame
  sound = np.zeros(length)
  sound[before : before + len(said.sound)] = levelled(said.sound)
  edges = np.concatenate(
    [[0.0], QUIET + said.times[:, 0], [QUIET + said.times[-1, 1], length / RATE]]
  )
  times = np.stack([edges[:-1], edges[1:]], axis=1)
  return Recording(word, voice, rounded(log_mel(sound)), ('', *said.phonemes, ''), times)


def spoken(
  words: Sequence[str],
  voices: Sequence[str],
  rate: int = 150,
  pitch: int = 50,
  dictionary: Dictionary | None = None,
) -> list[Recording]:
  """Every word by every voice of espeak-ng, the words in turn.

  Raises:
    ConfigError: the extra `speech` is missing, or there is no such voice; see `espeak.speak`.
    DataError: the dictionary does not have a word; see `espeak.speak_word`.
  """
  return [
    recorded(word, voice, speak_word(word, voice, rate, pitch, dictionary))
    for word in words
    for voice in voices
  ]


@functools.cache
def _bundled() -> tuple[Recording, ...]:
  return tuple(read(BUNDLED))


def bundled() -> list[Recording]:
  """The recordings that come with jaxgen: the words of `procedural.takes.WORDS` by 12 voices, the words in turn.

  Raises:
    DataError: their file is missing or damaged.
  """
  return list(_bundled())


def rounded(mel: np.ndarray) -> np.ndarray:
  """Log-mels in the steps in which files have them."""
  return (np.round(mel / _STEP) * _STEP).astype(np.float16).astype(np.float32)


def packed(recordings: Sequence[Recording]) -> dict[str, np.ndarray]:
  """Recordings as the arrays of one file, see `read`; log-mels become `rounded`."""
  return {
    'words': np.array([one.word for one in recordings]),
    'voices': np.array([one.voice for one in recordings]),
    'rows': np.array([len(one.mel) for one in recordings], np.int32),
    'spoken': np.array([len(one.phonemes) for one in recordings], np.int32),
    'mels': np.concatenate([rounded(one.mel) for one in recordings]).astype(np.float16),
    'phonemes': np.array([phoneme for one in recordings for phoneme in one.phonemes]),
    'ends': np.concatenate([one.times[:, 1] for one in recordings]),
  }


def read(path: Path) -> list[Recording]:
  """The recordings of a file of the arrays of `packed`.

  Raises:
    DataError: it is missing or damaged.
  """
  try:
    with np.load(path) as file:
      found = {name: file[name] for name in file.files}
    mels = np.split(found['mels'].astype(np.float32), np.cumsum(found['rows'])[:-1])
    cuts = np.cumsum(found['spoken'])[:-1]
    phonemes, ends = np.split(found['phonemes'], cuts), np.split(found['ends'], cuts)
    who = zip(found['words'], found['voices'], strict=True)
    return [
      Recording(str(word), str(voice), mel, tuple(map(str, names)), _from_ends(end))
      for (word, voice), mel, names, end in zip(who, mels, phonemes, ends, strict=True)
    ]
  except Exception as error:
    raise DataError(
      f'{path}: these recordings are damaged: install jaxgen again ({error})'
    ) from error


def _from_ends(ends: np.ndarray) -> np.ndarray:
  """Times [P, 2] that follow each other, by their ends."""
  return np.stack([np.concatenate([[0.0], ends[:-1]]), ends], axis=1)
