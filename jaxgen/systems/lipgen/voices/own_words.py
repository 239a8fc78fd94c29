"""Words from the user's own sound files, listed in a table of files, words and times."""

import itertools
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.table import Spoken, read_table
from jaxgen.systems.lipgen.units import RATE as FRAME_RATE
from jaxgen.systems.lipgen.voices.log_mel import HOP, ROWS_A_FRAME
from jaxgen.systems.lipgen.voices.sound_files import AUDIBLE, read_sound
from jaxgen.systems.lipgen.voices.sounds import RATE, centred, levelled
from jaxgen.words import named

COLUMNS = {'clip': 'file', 'word': 'word', 'start': 'start', 'end': 'end'}
# Extensions that a file's name may omit, tried in this order.
ENDINGS = ('', '.wav', '.flac', '.mp3', '.ogg', '.opus', '.m4a', '.mp4', '.mkv', '.mov', '.mpg')
FRAME = HOP * ROWS_A_FRAME  # samples
ADVICE = 'rename the {} column'
_TOLERANCE = 1.0  # frames by which a word may extend beyond its file
_MARGIN = FRAME  # samples over which a word fades in before its start and out after its end
_FEW = 10  # most words in a message


class OwnFile(NamedTuple):
  """A sound file and its rows in a table.

  Attributes:
    path: path of the file.
    rows: its rows, sorted by their distinct starts.
  """

  path: Path
  rows: list[Spoken]


class OwnWord(NamedTuple):
  """A word recorded by the user.

  Attributes:
    word: in lower case.
    voice: the file's name without the extension.
    sound: float32 [n], 16,000 samples a second, at the loudness of all recordings; fades in and out.
    span: start and end of the word in the sound, seconds.
  """

  word: str
  voice: str
  sound: np.ndarray
  span: tuple[float, float]


class OwnWords(NamedTuple):
  """The words of a table.

  Attributes:
    words: one per row, in the table's order.
    table: digest of the table's contents.
    sounds: digest of the sound files' contents.
  """

  words: list[OwnWord]
  table: str
  sounds: str


def read_files(table: Path, columns: Mapping[str, str], advice: str) -> list[OwnFile]:
  """The sound files of a table, in its order.

  Args:
    table: path, in the files' folder, see `clips.table.read_table`; times in seconds, or frames at 25 a second.
    columns: titles of the columns for the file ('clip'), 'word', 'start' and 'end'.
    advice: see `clips.table.read_table`.

  Raises:
    DataError: the table cannot be read, a file is missing, or two words in a file have the same start.
  """
  places: dict[str, Path] = {}
  found: dict[Path, list[Spoken]] = {}  # a file may be named with its ending and without
  for row in read_table(table, columns, advice):
    if row.clip not in places:
      places[row.clip] = _file(table, row)
    found.setdefault(places[row.clip], []).append(row)
  for rows in found.values():
    rows.sort(key=lambda row: row.start)
    for row, after in itertools.pairwise(rows):
      if row.start == after.start:
        raise DataError(
          f'{table}, lines {row.line} and {after.line}: {row.word!r} and {after.word!r} start '
          f'together in {row.clip}: remove one of them'
        )
  return [OwnFile(path, rows) for path, rows in found.items()]


def _file(table: Path, row: Spoken) -> Path:
  """The sound file of a row, whose name may lack its extension."""
  for ending in ENDINGS:
    file = table.parent / (row.clip + ending)
    with suppress(OSError):  # name too long for a file
      if file.is_file():
        return file
  raise DataError(f'{table}, line {row.line}: no sound file {row.clip} in {table.parent}')


def sound_of(table: Path, file: OwnFile) -> np.ndarray:
  """The whole sound of a file, float32 [n], without DC offset and at the loudness of all recordings.

  Raises:
    DataError: it cannot be read or is silent; names the first line of the table with the file.
    ConfigError: PyAV is missing.
  """
  try:
    return levelled(centred(read_sound(file.path))).astype(np.float32)
  except DataError as error:
    line = min(row.line for row in file.rows)
    raise DataError(
      f'{table}, line {line}: {error}; replace the file, or remove its rows'
    ) from error


def ends_of(table: Path, file: OwnFile, num_frames: int) -> list[float]:
  """Ends of a file's words in frames, limited to the file's end and to the start of the next word.

  Raises:
    DataError: a word lies outside its file of `num_frames` frames.
  """
  ends = []
  for row, after in zip(file.rows, [*file.rows[1:], None], strict=True):
    outside = 'ends' if row.end > num_frames + _TOLERANCE else ''
    outside = 'begins' if row.start >= num_frames else outside
    if outside:
      seconds = (row.start if outside == 'begins' else row.end) / FRAME_RATE
      raise DataError(
        f'{table}, line {row.line}: {row.word!r} {outside} at {seconds:.2f} seconds, outside its '
        f'file {row.clip} ({num_frames / FRAME_RATE:.2f} seconds): times are in seconds, or frames '
        'at 25 per second if the title ends in _frame'
      )
    ends.append(min(row.end, num_frames, after.start if after else math.inf))
  return ends


def words_of_table(
  path: str | Path,
  columns: Mapping[str, str] = COLUMNS,
  wanted: Sequence[str] = (),
  advice: str = ADVICE,
) -> OwnWords:
  """The sounds of a table's words. Surrounding speech is faded out; no dictionary is needed.

  Args:
    path: path of the table, beside its sound files; see `read_files`.
    columns: see `read_files`.
    wanted: words in lower case, empty for all; files with only other words are not opened.
    advice: see `read_files`.

  Raises:
    DataError: the table or a file cannot be read, a file is empty or silent, a word's span is silent or lies
      outside its file, two words in a file have the same start, or a wanted word has no row: one line that
      names it.
    ConfigError: PyAV is missing.
  """
  table = expanded(path, 'choose another table')
  files = read_files(table, columns, advice)
  there = dict.fromkeys(row.word for file in files for row in file.rows)
  if missing := [word for word in wanted if word not in there]:
    raise DataError(f'{table} has no row for {missing[0]!r}; it has {named(sorted(there), _FEW)}')
  words = set(wanted or there)
  files = [file for file in files if any(row.word in words for row in file.rows)]
  made: dict[int, OwnWord] = {}
  for file in files:
    sound = sound_of(table, file)
    ends = ends_of(table, file, -(-len(sound) // FRAME))
    for row, end in zip(file.rows, ends, strict=True):
      if row.word in words:
        made[row.line] = _cut(table, row, end, file.path.stem, sound)
  return OwnWords(
    [made[line] for line in sorted(made)],
    digests.name_of_file(table),
    digests.name(digests.of_file(file.path) for file in files),
  )


def _cut(table: Path, row: Spoken, end: float, voice: str, sound: np.ndarray) -> OwnWord:
  """Cuts a word that ends at frame `end` out of its file's sound."""
  start, stop = (min(round(FRAME * x), len(sound)) for x in (row.start, end))
  if np.abs(sound[start:stop]).max(initial=0) < AUDIBLE:
    raise DataError(
      f'{table}, line {row.line}: {row.clip} is silent where {row.word!r} should be, from '
      f'{start / RATE:.2f} to {stop / RATE:.2f} seconds: correct its times, or remove it'
    )
  first, last = max(0, start - _MARGIN), min(len(sound), stop + _MARGIN)
  at = np.arange(first, last)
  outside = np.maximum(np.maximum(start - at, at - (stop - 1)), 0) / _MARGIN
  fading = (0.5 + 0.5 * np.cos(np.pi * outside)).astype(np.float32)
  return OwnWord(
    row.word, voice, sound[first:last] * fading, ((start - first) / RATE, (stop - first) / RATE)
  )
