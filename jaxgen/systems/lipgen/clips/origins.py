"""Where the clips of a table are from, so that no reader learns from those that it is judged by."""

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
  """What a table tells of a clip.

  Attributes:
    names: its own, and that of the file it was turned from; one where the longer tells both.
    speaker: who was drawn, as 'a1000000'; '' where the table does not say.
  """

  names: tuple[str, ...]
  speaker: str

  @property
  def split(self) -> str:
    """Of clips of LRW, WORD/SPLIT/WORD_00001, the split; '' where no name has one."""
    folders = (bare_name(name).split('/')[:-1] for name in self.names)
    return next((x[-1] for x in folders if x and x[-1] in SPLITS), '')


def read_origins(path: Path, clip: str = 'clip') -> dict[str, Origin]:
  """Of the clips of a table, by their names there.

  Args:
    path: a table as `clips.table.read_table` reads.
    clip: the title of its column of clips.

  Raises:
    DataError: it cannot be read, or has no such column.
  """
  table = open_table(path)
  if clip not in table.titles:
    raise DataError(f'{path} has no column {clip!r}; it has {", ".join(map(repr, table.titles))}')
  found: dict[str, Origin] = {}
  for _, cells in table.rows:
    row = {title: cell.strip() for title, cell in zip(table.titles, cells, strict=False)}
    name, source = row.get(clip, ''), row.get(SOURCE, '')
    found.setdefault(name, Origin(_different(name, source), row.get(SPEAKER, '')))
  return found


def _different(name: str, source: str) -> tuple[str, ...]:
  """Both names, or the longer one where the other is its end."""
  if not source or bare_name(source) in ends(name):
    return (name,)
  return (source,) if bare_name(name) in ends(source) else (name, source)


def ends(name: str) -> list[str]:
  """What a clip may be called: its name with all of its folders, with fewer, and with none."""
  parts = bare_name(name).split('/')
  return ['/'.join(parts[i:]) for i in range(len(parts))]


class Among:
  """Whether a name of a clip means one of others: the shorter is the end of the longer, by folders.

  Of names it has digests alone, so that weights can say what they learned from without telling names.

  Args:
    others: names.
  """

  def __init__(self, others: Iterable[str] = ()):
    marks = [_marks(name) for name in others]
    self._whole = {mine[0] for mine in marks}
    self._ends = {mark for mine in marks for mark in mine}

  @classmethod
  def of_json(cls, values: Mapping[str, Sequence[str]]) -> 'Among':
    """What `to_json` told."""
    found = cls()
    found._whole = set(values['whole'])
    found._ends = found._whole | set(values['ends'])
    return found

  def to_json(self) -> dict[str, list[str]]:
    """Digests of the names and of their other ends."""
    return {'whole': sorted(self._whole), 'ends': sorted(self._ends - self._whole)}

  def __call__(self, name: str) -> bool:
    """Whether this name does."""
    marks = _marks(name)
    return marks[0] in self._ends or not self._whole.isdisjoint(marks)


def _marks(name: str) -> list[str]:
  """Digests of `ends`."""
  return [digests.name([end.encode()]) for end in ends(name)]
