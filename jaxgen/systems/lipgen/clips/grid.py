"""GRID: sentences of six words in fixed slots, "bin blue at f two now"; mouth crops of one of its speakers."""

import logging
from pathlib import Path

from jaxgen.data.folders import data_folder
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.clip_set import ClipSet, divided, held_out
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing
from jaxgen.systems.lipgen.clips.prepared import Say
from jaxgen.systems.lipgen.clips.table import Spoken, make_clip_set, read_table

MOUTHS = 'grid_s1_mouths'
_CODES = (
  {'b': 'bin', 'l': 'lay', 'p': 'place', 's': 'set'},
  {'b': 'blue', 'g': 'green', 'r': 'red', 'w': 'white'},
  {'a': 'at', 'b': 'by', 'i': 'in', 'w': 'with'},
  {
    letter: letter for letter in 'abcdefghijklmnopqrstuvxyz'
  },  # w is the only letter of three syllables
  dict(
    zip(
      'z123456789',
      ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'),
      strict=True,
    )
  ),
  {'a': 'again', 'n': 'now', 'p': 'please', 's': 'soon'},
)
# The words of each slot of a sentence: verb, colour, preposition, letter, digit, adverb.
SLOTS = tuple(tuple(code.values()) for code in _CODES)
WORDS = tuple(sorted(word for slot in SLOTS for word in slot))
# The utterances whose full faces and sound are in `grid_sound`: always held out, from readers and from any
# other model of this speaker that is evaluated on them, except the labeller of the others (`labelling`).
WITH_SOUND = (
  *('bbaf3s', 'bbbz8n', 'bbbz9s', 'bbie8n', 'bbie9s', 'bbif1a', 'bbifzp'),
  *('bbil3s', 'bbil4p', 'bbil5a', 'bbir6n', 'bbir7s', 'bbir8p'),
)
# Labels that are not words: silence and a short pause.
_SILENT = ('sil', 'sp')
_UNITS = 1000  # time units of .align files per frame: 25,000 per second


def sentence(name: str) -> tuple[str, ...]:
  """The six words of a clip, decoded from its name.

  Args:
    name: GRID's code, one character per word, such as 'bbaf2n'; anything up to the last underscore
      ('id2_vcd_swwp2s') and a file extension are ignored.

  Raises:
    DataError: it is not such a code.
  """
  code = Path(name).stem.split('_')[-1]
  words = [of.get(letter, '') for of, letter in zip(_CODES, code, strict=False)]
  if len(code) != len(_CODES) or not all(words):
    raise DataError(f'{name} is not a GRID name, such as bbaf2n for bin blue at f two now')
  return tuple(words)


def read_align(path: Path) -> list[Spoken]:
  """Reads the words of a GRID .align file with their times in frames, without silence.

  Raises:
    DataError: it cannot be read, a line is not start, end, word, or there is no word.
  """
  try:
    lines = path.read_text().splitlines()
  except (OSError, UnicodeError) as error:
    raise DataError(f'{path}: cannot be read ({error})') from error
  found = []
  for number, line in enumerate(lines, 1):
    cells = line.split()
    if not cells:
      continue
    try:
      start, end = (int(x) / _UNITS for x in cells[:2])
      (word,) = cells[2:]
    except ValueError:
      raise DataError(
        f'{path}, line {number}: {line!r} is not a start, an end and a word'
      ) from None
    if not 0 <= start <= end:
      raise DataError(f'{path}, line {number}: {word!r} ends before it begins')
    if word not in _SILENT and start < end:
      found.append(Spoken(path.stem, word, start, end, number))
  if not found:
    raise DataError(f'{path} contains no words')
  return found


def folder_of(directory: str = '') -> Path:
  """The given folder, or $JAXGEN_DATA/grid_s1_mouths.

  Raises:
    DataError: there is none.
  """
  return data_folder(MOUTHS, directory, 'words.tsv and clips/*.mp4')


def load_grid(
  directory: str = '',
  framing: Framing = LIPS,
  share: float = 0.2,
  say: Say = logging.info,
) -> dict[str, ClipSet]:
  """Loads mouth crops of one speaker of GRID, in two disjoint parts.

  Args:
    directory: with words.tsv and clips; empty for $JAXGEN_DATA/grid_s1_mouths.
    framing: what is seen of their 96 x 96 pixels.
    share: share of clips held out, see `clip_set.held_out`; the 13 in `grid_sound` always are.
    say: called with messages about damaged clips, which are left out.

  Returns:
    {'train', 'validation'} with 75 frames and six words per clip, the 51 words in alphabetical order.

  Raises:
    DataError: files are missing or damaged.
  """
  folder = folder_of(directory)
  table = folder / 'words.tsv'
  rows = read_table(table)
  clips = make_clip_set(table, rows, folder / 'clips', framing, WORDS, say)
  return divided(clips, held_out(clips.names, share, always=WITH_SOUND))
