"""Where the clips of a table come from, so that no reader is trained on clips that it is evaluated on."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen import digests
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.cells import open_table
from jaxgen.systems.lipgen.clips.lrw import SPLITS
from jaxgen.systems.lipgen.video.jobs import bare_name

SOURCE, SPEAKER = 'source_clip', 'speaker'  # columns of `jaxgen pose-augment`


class Origin(NamedTuple):
  """What a table says about a clip's origin.

  Attributes:
    names: its own, and that of the file it was turned from; only the longer one if the other is its end.
    speaker: the drawn speaker, such as 'a1000000'; '' if the table does not say.
  """

  names: tuple[str, ...]
  speaker: str

  @property
  def split(self) -> str:
    """The split of a clip of LRW, WORD/SPLIT/WORD_00001; '' if no name has one."""
    folders = (bare_name(name).split('/')[:-1] for name in self.names)
    return next((x[-1] for x in folders if x and x[-1] in SPLITS), '')


def read_origins(path: Path, clip: str = 'clip') -> dict[str, Origin]:
  """Reads the origins of a table's clips, by their names there.

  Args:
    path: a table as `clips.table.read_table` reads it.
    clip: the title of its clip column.

  Raises:
    DataError: it cannot be read, or has no such column.
  """
  table = open_table(path)
  if clip not in table.titles:
    raise DataError(f'{path} has no column {clip!r}; found: {", ".join(map(repr, table.titles))}')
  found: dict[str, Origin] = {}
  for _, cells in table.rows:
    row = {title: cell.strip() for title, cell in zip(table.titles, cells, strict=False)}
    name, source = row.get(clip, ''), row.get(SOURCE, '')
    found.setdefault(name, Origin(_different(name, source), row.get(SPEAKER, '')))
  return found


def _different(name: str, source: str) -> tuple[str, ...]:
  """Both names, or only the longer one if the other is its end."""
  if not source or bare_name(source) in ends(name):
    return (name,)
  return (source,) if bare_name(name) in ends(source) else (name, source)


def ends(name: str) -> list[str]:
  """The names a clip may go by: with all of its folders, with fewer, and with none."""
  parts = bare_name(name).split('/')
  return ['/'.join(parts[i:]) for i in range(len(parts))]


class Among:
  """Tests whether a clip's name matches one of a set: the shorter must be the end of the longer, by folders.

  Stores only digests of names, so that weights can record their training clips without revealing names.

  Args:
    others: names.
  """

  def __init__(self, others: Iterable[str] = ()):
    marks = [_marks(name) for name in others]
    self._whole = {mine[0] for mine in marks}
    self._ends = {mark for mine in marks for mark in mine}

  @classmethod
  def of_json(cls, values: Mapping[str, Sequence[str]]) -> 'Among':
    """The inverse of `to_json`."""
    found = cls()
    found._whole = set(values['whole'])
    found._ends = found._whole | set(values['ends'])
    return found

  def to_json(self) -> dict[str, list[str]]:
    """Digests of the names and of their shorter forms."""
    return {'whole': sorted(self._whole), 'ends': sorted(self._ends - self._whole)}

  def __call__(self, name: str) -> bool:
    """Whether this name matches."""
    marks = _marks(name)
    return marks[0] in self._ends or not self._whole.isdisjoint(marks)


def _marks(name: str) -> list[str]:
  """Digests of `ends`."""
  return [digests.name([end.encode()]) for end in ends(name)]
