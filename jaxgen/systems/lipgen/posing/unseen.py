"""A reader's evaluation clips, as files whose heads can be turned."""

from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from ml_collections import ConfigDict

from jaxgen import digests
from jaxgen.data.folders import expanded
from jaxgen.errors import UserError
from jaxgen.files import write_bytes
from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.clips import grid, lrw, table
from jaxgen.systems.lipgen.config import GRID, LRW, PROCEDURAL
from jaxgen.systems.lipgen.corpus import load_real, unseen_speech, wanted_words
from jaxgen.systems.lipgen.posing.augmenting import Table, read_table
from jaxgen.systems.lipgen.procedural.takes import AROUND, Speech, Take, frames_of, take
from jaxgen.systems.lipgen.units import RATE
from jaxgen.systems.lipgen.video.encoding import write_video
from jaxgen.systems.lipgen.video.jobs import bare_name, tab_lines

STRAIGHT = 'straight'  # folder of drawn clips, in that of the turned ones
WORDS = 'words.tsv'
SEAL = 'drawn.txt'  # identifies the run that clips belong to
_OTHERS = '{folder} has drawn clips of another run: choose another folder, or --overwrite'
_COLUMNS = 'word', 'start', 'end'


class Unseen(NamedTuple):
  """Clips that a reader was not trained on.

  Attributes:
    folder: of their videos, possibly in subfolders.
    table: their words.
    only: their names in the table, if it has others; None: all.
  """

  folder: Path
  table: Table
  only: Container[str] | None


def unseen(
  config: ConfigDict, output: Path, bars: Bars = no_bars, overwrite: bool = False
) -> Unseen:
  """The clips that a run's accuracy is measured on.

  Those of drawn speakers are drawn once, as mouth crops, into `straight` in the output; those of LRW are its
  test clips.

  Args:
    config: of the run.
    output: folder of the set to be made.
    bars: shows the progress of drawing.
    overwrite: whether to redraw existing drawn clips.

  Raises:
    DataError: files are missing or damaged.
    UserError: the output has drawn clips of another run.
  """
  data = config.data
  if data.name == PROCEDURAL:
    return _drawn(config, output / STRAIGHT, bars, overwrite)
  if data.name == LRW:
    root = lrw.root_of(data.dir)
    found = layout_table(root, ('test',), wanted_words(config))
    return Unseen(root, found, found.rows)
  clips = load_real(config)['validation']
  only = {bare_name(name) for name in clips.names}
  if data.name == GRID:
    folder = grid.folder_of(data.dir)
    return Unseen(folder / 'clips', read_table(folder / 'words.tsv'), only)
  words = expanded(data.name, 'choose another table')
  folder = table.folder_of_clips(words, data.dir)
  return Unseen(folder, read_table(words, dict(data.columns)), only)


def layout_table(
  folder: Path, splits: Sequence[str] = lrw.SPLITS, words: Sequence[str] = ()
) -> Table:
  """The words of clips in LRW's layout, WORD/SPLIT/WORD_00001.mp4; no rows if there are none.

  Clips whose text has no duration are left out.

  Args:
    folder: of words.
    splits: some of `lrw.SPLITS`.
    words: in lower case; empty: all.
  """
  rows: dict[str, list[Mapping[str, str]]] = {}
  for path in sorted(path for split in splits for path in folder.glob(f'*/{split}/*.mp4')):
    spoken = lrw.spoken_in(path)
    if spoken and (not words or spoken.word in words):
      name = bare_name(path.relative_to(folder).as_posix())
      times = (f'{frame / RATE:.4f}' for frame in (spoken.start, spoken.end))
      rows[name] = [dict(zip(_COLUMNS, (spoken.word, *times), strict=True))]
  return Table(_COLUMNS, rows)


def _drawn(config: ConfigDict, folder: Path, bars: Bars, overwrite: bool) -> Unseen:
  """Draws the unseen speakers as mouth crops, in which the reader's framing shows what training showed it."""
  speech = unseen_speech(config)
  takes = [take(speech, i) for i in range(config.data.num_validation)]
  names = [f'{i:04}_{speech.words[one.labels[0]]}' for i, one in enumerate(takes)]
  rows = [_row(name, speech, one) for name, one in zip(names, takes, strict=True)]
  _claim(folder, speech, rows, overwrite)
  todo = [
    (name, one)
    for name, one in zip(names, takes, strict=True)
    if not (folder / f'{name}.mp4').is_file()
  ]

  def drawn(pair: tuple[str, Take]) -> None:
    name, one = pair
    write_video(folder / f'{name}.mp4', frames_of(speech, one))

  with ThreadPoolExecutor() as pool:
    for _ in bars(pool.map(drawn, todo), 'drawing'):
      pass
  words = write_bytes(folder / WORDS, _table(rows))
  return Unseen(folder, read_table(words), None)


def _claim(
  folder: Path, speech: Speech, rows: Sequence[Mapping[str, str]], overwrite: bool
) -> None:
  """Seals a folder with a digest of all that its clips depend on, before any is drawn.

  Raises:
    UserError: it has clips of other speech. Without a seal, as in older versions, their words are compared.
  """
  seal, words = folder / SEAL, folder / WORDS
  known = [*speech.words, *(word for word in AROUND if word in speech.dictionary)]
  said = [(word, speech.dictionary.phonemes(word)) for word in known]
  own = digests.name([repr((said, speech.words, *speech[2:], _table(rows).decode())).encode()])
  clips = list(folder.glob('[0-9]*_*.mp4'))
  if overwrite:
    for path in clips:
      path.unlink()
  elif clips and seal.is_file():
    if seal.read_text(errors='replace').strip() != own:
      raise UserError(_OTHERS.format(folder=folder))
  elif clips and not (words.is_file() and words.read_bytes() == _table(rows)):
    raise UserError(_OTHERS.format(folder=folder))
  write_bytes(seal, f'{own}\n'.encode())


def _row(name: str, speech: Speech, one: Take) -> dict[str, str]:
  start, end = (f'{frame / RATE:.4f}' for frame in one.spans[0])
  return {
    'clip': name,
    'word': speech.words[one.labels[0]],
    'start': start,
    'end': end,
    'speaker': f'{one.who.look}{one.who.number}',
  }


def _table(rows: Sequence[Mapping[str, str]]) -> bytes:
  """The rows as a tab-separated table."""
  return tab_lines(list(rows[0]), rows, titles=True)
