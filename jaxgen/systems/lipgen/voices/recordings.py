"""Recordings: words as log-mels, with the times of their phonemes."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.table import Spoken
from jaxgen.systems.lipgen.procedural.articulation import gestures_of
from jaxgen.systems.lipgen.speech.dictionary import Dictionary, find_dictionary
from jaxgen.systems.lipgen.units import RATE as FRAME_RATE
from jaxgen.systems.lipgen.voices import own_words
from jaxgen.systems.lipgen.voices.espeak import Utterance, speak_word
from jaxgen.systems.lipgen.voices.log_mel import HOP, ROWS_A_FRAME, SILENT, log_mel
from jaxgen.systems.lipgen.voices.own_words import COLUMNS
from jaxgen.systems.lipgen.voices.sounds import RATE, levelled

BUNDLED = Path(__file__).parents[3] / 'voices' / 'words.npz'
QUIET = 0.2  # seconds of silence before a spoken word, and at least as much after it
AROUND = 5  # frames kept before and after a word from the user's own sound
# Quantisation step of stored log-mels, 0.14 dB: less than half the bytes.
_STEP = 1 / 32


class Recording(NamedTuple):
  """A recorded word.

  Attributes:
    word: in lower case.
    voice: who said it.
    mel: float32 [L, 80] at 100 Hz, L a multiple of 4: four rows a frame, see `log_mel`.
    phonemes: P ARPAbet names without stress; '' is silence.
    times: [P, 2] float64, start and end of each in seconds, contiguous from 0 to L / 100.
  """

  word: str
  voice: str
  mel: np.ndarray
  phonemes: tuple[str, ...]
  times: np.ndarray


def recorded(word: str, voice: str, said: Utterance) -> Recording:
  """An utterance as a recording, at the loudness of all recordings, padded with `QUIET`."""
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


def spoken(words: Sequence[str], voices: Sequence[str]) -> list[Recording]:
  """Every word by every given espeak-ng voice, ordered by word.

  Raises:
    ConfigError: the extra `speech` is missing, or a voice does not exist; see `espeak.speak`.
    DataError: the dictionary lacks a word; see `espeak.speak_word`.
  """
  return [recorded(word, voice, speak_word(word, voice)) for word in words for voice in voices]


@functools.cache
def _bundled() -> tuple[Recording, ...]:
  return tuple(read(BUNDLED))


def bundled() -> list[Recording]:
  """The recordings shipped with jaxgen: `procedural.takes.WORDS` by 12 voices, ordered by word.

  Raises:
    DataError: their file is missing or damaged.
  """
  return list(_bundled())


def rounded(mel: np.ndarray) -> np.ndarray:
  """Log-mels quantised as in files."""
  return (np.round(mel / _STEP) * _STEP).astype(np.float16).astype(np.float32)


def packed(recordings: Sequence[Recording]) -> dict[str, np.ndarray]:
  """Recordings as the arrays of one file, see `read`; log-mels are `rounded`."""
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
  """The recordings in a file written from `packed` arrays.

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
    raise DataError(f'{path}: these recordings are damaged: reinstall jaxgen ({error})') from error


def _from_ends(ends: np.ndarray) -> np.ndarray:
  """Contiguous times [P, 2] from their ends [P], starting at 0."""
  return np.stack([np.concatenate([[0.0], ends[:-1]]), ends], axis=1)


def of_table(
  path: str | Path,
  columns: Mapping[str, str] = COLUMNS,
  dictionary: Dictionary | None = None,
) -> list[Recording]:
  """The words in the user's own sound files, listed in a table of files, words and times.

  Phoneme times are estimated: a word's span is divided among its dictionary phonemes by their usual lengths.
  The table's other words in the same file count as speech around a word, the rest as silence.

  Args:
    path: path of the table, in the folder of the files, see `clips.table.read_table`; times in seconds, or
      frames at 25 a second.
    columns: titles of the columns for the file ('clip'), 'word', 'start' and 'end'.
    dictionary: pronouncing dictionary; by default CMUdict, with letters pronounced by name.

  Returns:
    A recording for each row, in the table's order, with `AROUND` frames around the word as far as the file has
    them; its voice is the file's name without the extension.

  Raises:
    DataError: the table or a file cannot be read, a file is empty or silent, a word is not in the dictionary
      or lies outside its file, or two words in a file have the same start: one line that names it.
    ConfigError: PyAV is missing.
  """
  table = expanded(path, 'choose another table')
  known = dictionary or find_dictionary()
  made: dict[int, Recording] = {}
  for file in own_words.read_files(table, columns, own_words.ADVICE):
    mel = log_mel(own_words.sound_of(table, file))
    mel = np.pad(mel, ((0, -len(mel) % ROWS_A_FRAME), (0, 0)), constant_values=SILENT)
    phonemes, edges = _timeline(table, file, len(mel) // ROWS_A_FRAME, known)
    for row in file.rows:
      made[row.line] = _cut(row, file.path.stem, mel, phonemes, edges)
  return [made[line] for line in sorted(made)]


def _timeline(
  table: Path, file: own_words.OwnFile, num_frames: int, dictionary: Dictionary
) -> tuple[list[str], np.ndarray]:
  """Everything said in a file: P phonemes and their P + 1 boundaries in frames, from 0 to `num_frames`."""
  phonemes: list[str] = []
  edges = [0.0]
  for row, end in zip(file.rows, own_words.ends_of(table, file, num_frames), strict=True):
    try:
      said = dictionary.phonemes(row.word)
    except DataError as error:
      raise DataError(f'{table}, line {row.line}: {error}') from error
    if row.start > edges[-1]:
      phonemes.append('')
      edges.append(row.start)
    lengths = np.cumsum([gesture.frames for gesture in gestures_of(said)])
    phonemes += said
    edges += list(row.start + (end - row.start) * lengths / lengths[-1])
  if edges[-1] < num_frames:
    phonemes.append('')
    edges.append(float(num_frames))
  return phonemes, np.array(edges)


def _cut(
  row: Spoken, voice: str, mel: np.ndarray, phonemes: Sequence[str], edges: np.ndarray
) -> Recording:
  """Cuts a word out of its file, in whole frames."""
  first = max(0, math.floor(row.start) - AROUND)
  last = min(len(mel) // ROWS_A_FRAME, math.ceil(row.end) + AROUND)
  inside = np.clip(edges, first, last)
  kept = np.flatnonzero(np.diff(inside) > 0)
  times = np.stack([inside[kept], inside[kept + 1]], axis=1) - first
  return Recording(
    row.word,
    voice,
    mel[ROWS_A_FRAME * first : ROWS_A_FRAME * last],
    tuple(phonemes[int(k)] for k in kept),
    times / FRAME_RATE,
  )
