"""The user's own words: a table of clips, words and times, with clips of mouths."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.cells import Cells, open_table
from jaxgen.systems.lipgen.clips.clip_set import (
  ClipSet,
  divided,
  held_out,
  spoken_in_training,
)
from jaxgen.systems.lipgen.clips.framing import Framing
from jaxgen.systems.lipgen.clips.prepared import Say, prepared
from jaxgen.systems.lipgen.speech.dictionary import folded
from jaxgen.systems.lipgen.units import RATE
from jaxgen.words import counted, named

COLUMNS = {'clip': 'clip', 'word': 'word', 'start': 'start', 'end': 'end'}
# File extensions that a clip's name may omit, tried in this order.
ENDINGS = ('', '.mp4', '.mkv', '.avi', '.mov', '.webm', '.mpg')
SPEAKER = 'speaker'  # default title of the column of speakers, which a table may lack
_IN_FRAMES = '_frame'  # suffix of columns with times in frames
_TOLERANCE = 1.0  # frames by which a word may end after its clip
_FEW = 5  # words named in a message
_LONGEST = 100  # characters of a clip's name in a message


class Spoken(NamedTuple):
  """A row of a table.

  Attributes:
    clip: its name.
    word: in lower case, stripped.
    start: in frames, 25 per second.
    end: in frames.
    line: line number in the file, from 1.
  """

  clip: str
  word: str
  start: float
  end: float
  line: int


def read_table(
  path: Path,
  columns: Mapping[str, str] = COLUMNS,
  advice: str = 'set config.data.columns.{}',
) -> list[Spoken]:
  """Reads the rows of a table of words.

  Args:
    path: a CSV or TSV file with a header line, see `cells.read_cells`.
    columns: the titles of 'clip', 'word', 'start' and 'end'. Times are in seconds, or in frames at 25 per
      second if a title ends in '_frame'; a table with start_frame and end_frame in place of start and end is
      accepted.
    advice: what to do about a missing column, with {} for 'clip', 'word', 'start' or 'end'.

  Raises:
    DataError: a file, column, word or time is missing or malformed; names the line.
  """
  table = open_table(path)
  if not table.titles:
    raise DataError(f'{path} is empty: expected a table of clips, words, starts and ends')
  places, frames = _places(path, table.titles, columns, advice)
  rows = [_row(path, line, cells, places, frames, table) for line, cells in table.rows]
  if not rows:
    raise DataError(f'{path} has a header but no rows')
  return rows


def _places(
  path: Path, titles: list[str], columns: Mapping[str, str], advice: str
) -> tuple[dict[str, int], dict[str, bool]]:
  """The indices of the columns, and which of them are in frames."""
  places, frames = {}, {}
  for what in COLUMNS:
    name = columns[what]
    if name not in titles and name == COLUMNS[what] and name + _IN_FRAMES in titles:
      name += _IN_FRAMES
    if name not in titles:
      raise DataError(
        f'{path} has no column {name!r}; found: {", ".join(map(repr, titles))}: '
        f'{advice.format(what)}'
      )
    places[what], frames[what] = titles.index(name), name.endswith(_IN_FRAMES)
  return places, frames


def _row(
  path: Path,
  line: int,
  cells: list[str],
  places: dict[str, int],
  frames: dict[str, bool],
  table: Cells,
) -> Spoken:
  """Parses and checks one row."""
  if any(cell.strip() for cell in cells[len(table.titles) :]):
    commas = ': if numbers use a decimal comma, separate cells by semicolons or tabs'
    raise DataError(
      f'{path}, line {line}: {len(cells)} cells, but {len(table.titles)} '
      f'titles{commas if table.mark == "," else ""}'
    )
  try:
    found = {what: cells[i].strip() for what, i in places.items()}
  except IndexError:
    raise DataError(f'{path}, line {line}: too few cells ({len(cells)})') from None
  times = {}
  for what in ('start', 'end'):
    try:
      times[what] = float(table.pointed(found[what])) * (1 if frames[what] else RATE)
    except ValueError:
      times[what] = math.nan
    if not math.isfinite(times[what]):
      point = ': use a decimal point, as in 0.48' if ',' in found[what] else ''
      raise DataError(f'{path}, line {line}: {what} {found[what]!r} is not a number{point}')
  if not found['clip'] or not found['word']:
    raise DataError(f'{path}, line {line}: expected a clip and a word')
  if not 0 <= times['start'] < times['end']:
    raise DataError(
      f'{path}, line {line}: {found["word"]!r} from {found["start"]} to {found["end"]}: a word '
      'must start at 0 or later and end after its start'
    )
  return Spoken(found['clip'], folded(found['word']), times['start'], times['end'], line)


def load_table(
  path: str | Path,
  framing: Framing,
  directory: str | Path = '',
  words: Sequence[str] | None = None,
  columns: Mapping[str, str] = COLUMNS,
  say: Say = logging.info,
) -> ClipSet:
  """Loads the clips of a table, each with the words that it lists.

  Args:
    path: of the table.
    framing: what is seen of the mouth crops, which are squares of any size at 25 frames per second.
    directory: of the clips; empty: `clips` beside the table, or the table's folder.
    words: the classes; by default those of the table, in alphabetical order.
    columns: see `read_table`.
    say: called with messages about damaged clips and duplicate rows, which are left out.

  Raises:
    DataError: a file is missing, no clip can be decoded, a word is not among `words`, or lies outside its
      clip; names the line of the table.
  """
  table = expanded(path, 'choose another table')
  rows = read_table(table, columns)
  return make_clip_set(table, rows, folder_of_clips(table, directory), framing, words, say)


def speakers_of(path: Path, names: Sequence[str], clip: str, title: str) -> list[str]:
  """Who is seen in each clip.

  Args:
    path: of the table.
    names: N clips of it.
    clip: title of the column of clips.
    title: of the column of speakers; '' if there is none.

  Returns:
    N names; [] without such a column.

  Raises:
    DataError: a title other than SPEAKER is not in the table, or a clip has several speakers or none.
  """
  table = open_table(path)
  if title not in table.titles:
    if title not in ('', SPEAKER):
      raise DataError(
        f'{path} has no column {title!r}; found: {", ".join(map(repr, table.titles))}: set '
        'config.data.columns.speaker'
      )
    return []
  places = [table.titles.index(x) for x in (clip, title)]
  found: dict[str, str] = {}
  for line, cells in table.rows:
    name, speaker = (cells[i].strip() if i < len(cells) else '' for i in places)
    if not speaker or found.setdefault(name, speaker) != speaker:
      raise DataError(f'{path}, line {line}: expected one {title} for all rows of {name!r}')
  return [found[name] for name in names]


def parts_of_table(
  path: str | Path,
  clips: ClipSet,
  share: float,
  say: Say = logging.warning,
  speakers: Sequence[str] = (),
) -> dict[str, ClipSet]:
  """Splits the clips of a table into {'train', 'validation'}.

  Clips are held out by name (see `clip_set.held_out`), or by the names of several speakers; except those that
  are the only ones with one of their words, which stay in training; one is held out in any case.

  Args:
    path: of the table, for messages.
    clips: of the table.
    share: share of clips, or speakers, held out.
    say: called with messages about words that are in only one part.
    speakers: of each clip, see `speakers_of`; () if they are not known.

  Raises:
    DataError: there are fewer than two clips.
  """
  if len(clips.names) < 2:
    raise DataError(
      f'{path} has {counted(len(clips.names), "clip")}: at least two are needed, one of them held '
      'out'
    )
  first = held_out(clips.names, share)
  if len(everyone := sorted(set(speakers))) > 1:
    those = {name for name, out in zip(everyone, held_out(everyone, share), strict=True) if out}
    first = np.array([speaker in those for speaker in speakers])
  out = spoken_in_training(clips, first)
  never, before = (set(range(len(clips.words))) - {*clips.labels[~x].flat} for x in (out, first))
  if never:
    say(
      f'{path}: no training clip has {_named(clips, never)}: cannot be learned until clips are '
      'added'
    )
  if before - never:
    kept = f'{counted(int((first & ~out).sum()), "clip")} kept for training instead of held out'
    say(f'{path}: {kept}, being the only ones with {_named(clips, before - never)}')
  return divided(clips, out)


def _named(clips: ClipSet, classes: Collection[int]) -> str:
  """The first few of these words, for a message."""
  return named([repr(clips.words[i]) for i in sorted(classes)], _FEW)


def folder_of_clips(table: Path, directory: str | Path = '') -> Path:
  """The folder of a table's clips.

  Raises:
    DataError: it is not a folder.
  """
  if not str(directory):
    beside = table.parent / 'clips'
    return beside if beside.is_dir() else table.parent
  folder = expanded(directory)
  if not folder.is_dir():
    raise DataError(f'{folder} is not a folder: give the one with the clips of {table}')
  return folder


def make_clip_set(
  table: Path,
  rows: Sequence[Spoken],
  folder: Path,
  framing: Framing,
  words: Sequence[str] | None = None,
  say: Say = logging.info,
) -> ClipSet:
  """Makes a set from the rows of a table; see `load_table`."""
  classes = tuple(sorted({row.word for row in rows}) if words is None else words)
  places = {word: i for i, word in enumerate(classes)}
  by_clip: dict[Path, list[Spoken]] = {}  # a file may be named with and without its extension
  known: dict[str, Path] = {}
  seen: set[tuple[Path, str, float, float]] = set()
  twice = []
  for row in rows:
    if row.word not in places:
      raise DataError(
        f'{table}, line {row.line}: {row.word!r} is not among the words in config.data.words or '
        'known to the reader: add it there, or remove its rows from the table'
      )
    if row.clip not in known:
      known[row.clip] = _path(table, folder, row)
    key = known[row.clip], row.word, row.start, row.end
    if key in seen:
      twice.append(row)
      continue
    seen.add(key)
    by_clip.setdefault(known[row.clip], []).append(row)
  if twice:
    say(
      f'{table}: {counted(len(twice), "row")} left out as duplicates, such as line {twice[0].line}'
    )
  found = prepared(list(by_clip), framing, say=say)
  spoken = [own for i, own in enumerate(by_clip.values()) if i not in found.left_out]
  most = max(map(len, spoken))
  labels = np.full((len(spoken), most), -1, np.int32)
  spans = np.zeros((len(spoken), most, 2), np.float32)
  for i, own in enumerate(spoken):
    for k, row in enumerate(sorted(own, key=lambda row: row.start)):
      _check_inside(table, row, int(found.lengths[i]))
      labels[i, k] = places[row.word]
      spans[i, k] = row.start, row.end
  names = [own[0].clip for own in spoken]
  return ClipSet(classes, found.frames, found.lengths, labels, spans, names)


def _check_inside(table: Path, row: Spoken, length: int) -> None:
  """Raises DataError for a word outside its clip of `length` frames."""
  starts, ends = row.start >= length, row.end > length + _TOLERANCE
  if starts or ends:
    verb, time = ('begins', row.start) if starts else ('ends', row.end)
    raise DataError(
      f'{table}, line {row.line}: {row.word!r} {verb} at {time / RATE:.2f} seconds, outside its '
      f'clip {row.clip} ({length / RATE:.2f} seconds)'
    )


def _path(table: Path, folder: Path, row: Spoken) -> Path:
  """The file of a clip, whose name may lack its extension and use Windows separators."""
  for name in (row.clip, row.clip.replace('\\', '/')):
    for ending in ENDINGS:
      path = folder / (name + ending)
      with suppress(OSError):  # the name is too long for a file
        if path.is_file():
          return path
  clip = row.clip if len(row.clip) <= _LONGEST else f'{row.clip[:_LONGEST]}...'
  raise DataError(f'{table}, line {row.line}: no clip {clip} in {folder}')
