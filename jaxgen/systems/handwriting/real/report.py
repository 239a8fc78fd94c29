"""The report on a set: rows that were fixed or refused, and the paper's Table I."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxgen.errors import DataError
from jaxgen.words import counted

# Everything that can be wrong with a row, and its rule. Rows of the first dict are kept, fixed as described.
FIXED = {
  'not NFC': 'normalised to NFC',
  'odd spaces': 'white space collapsed to single plain spaces, and trimmed at both ends',
  'invisible characters': 'soft hyphens, direction marks and zero-width characters removed',
  'other case': 'no file has exactly this name, but one differs only in letter case',
  'light ink': 'light ink on dark paper was inverted',
}
REFUSED = {
  'wrong number of fields': 'the line has more or fewer fields than the header',
  'missing image': 'no such file in the set, in a folder that matches the name',
  'ambiguous image': 'several files have this name: give its folder and suffix, or keep only one',
  'unreadable image': 'not an image, or damaged',
  'blank image': 'nothing is written on it',
  'absurd size': 'under 8 pixels high, over 16,384 either way, or one side over 128 times the other',
  'empty transcript': 'no text',
  'unread': "contains the set's mark for what could not be read",
  'line break': 'a transcript must be one line of text; in a table, look for an unclosed quote',
  'control character': 'not text',
  'damaged text': 'a replacement or unassigned character: check the encoding',
  'no writer': 'the table names writers, but none for this row',
  'unknown split': 'neither train, validation nor test',
  'named twice': 'the same image with the same text: the first one is kept',
  'two transcripts': 'the same image with different texts: none is kept',
  'same picture': 'same pixels and text as an earlier row',
  'bad region': 'its polygon is missing, outside the page or too small',
  'bad page': 'its XML or its image cannot be used',
  'symbol outside the charset': 'cannot be encoded',
  'too wide': 'wider than the canvas at its height',
  'too long': 'more characters than allowed',
  'too short': 'fewer characters than allowed',
  'too long for the frames': 'CTC needs one frame per character, and one between two equal ones',
  'too narrow for the frames': 'trained at its own width it has fewer frames than CTC needs for its text',
  'narrower than its text': 'under 3 pixels per character at height 64: its crop is wrong',
  'not a single word': 'contains spaces where single words are expected',
}
_NAMED = 5


class Row(NamedTuple):
  """One picture of writing, as described by its set.

  Attributes:
    file: names the picture; for pages 'page.xml#line'.
    text: as it is written in the set.
    writer: '' if unknown; this, split and group are NFC with single spaces.
    split: 'train', 'validation', 'test'; '' if the set does not say.
    group: kept in one split when splitting by group, such as a page; '' for none.
    place: where the row is, for messages: 'words.csv line 12'.
    found: names of the pictures in the set that `file` may refer to, ideally one; None for pages.
    fixed: kinds of FIXED that were applied in reading it.
  """

  file: str
  text: str
  writer: str = ''
  split: str = ''
  group: str = ''
  place: str = ''
  found: tuple[str, ...] | None = None
  fixed: tuple[str, ...] = ()


class RowError(Exception):
  """An unusable row.

  Args:
    kind: of REFUSED.
    what: describes what is wrong.
  """

  def __init__(self, kind: str, what: str = ''):
    super().__init__(what)
    self.kind, self.what = kind, what


class SplitTable(NamedTuple):
  """One line of the paper's Table I, plus the number of writers.

  Attributes:
    split: its name.
    images: number of images.
    words: number of distinct transcripts.
    characters: number of distinct symbols.
    writers: number of distinct writers; 0 if unknown.
  """

  split: str
  images: int
  words: int
  characters: int
  writers: int


class Report:
  """Counts of problems, with the first few of each kind by name.

  Args:
    name: of the set.
    rows: number of rows that it describes.

  Attributes:
    name: the same.
    rows: the same.
    counts: of each kind of FIXED and REFUSED that occurs.
    named: the first five of each, as 'place: what'.
    tables: the paper's Table I, a line per split and one for all.
    notes: messages about the splits.
  """

  def __init__(self, name: str, rows: int = 0):
    self.name, self.rows = name, rows
    self.counts: dict[str, int] = {}
    self.named: dict[str, list[str]] = {}
    self.tables: list[SplitTable] = []
    self.notes: list[str] = []

  def add(self, kind: str, row: str, what: str = '') -> None:
    """Counts one row, and names it if it is among the first."""
    assert kind in FIXED or kind in REFUSED, kind
    self.counts[kind] = self.counts.get(kind, 0) + 1
    names = self.named.setdefault(kind, [])
    if len(names) < _NAMED:
      names.append(f'{row}: {what}' if what else row)

  @property
  def refused(self) -> int:
    """Number of rows that were refused."""
    return sum(n for kind, n in self.counts.items() if kind in REFUSED)

  def bad_rows(self) -> list[str]:
    """A line for each kind of row that was fixed or refused."""
    lines = []
    for rules, did in ((REFUSED, 'left out'), (FIXED, 'fixed')):
      for kind in rules:
        if kind in self.counts:
          n, names = self.counts[kind], self.named[kind]
          more = f' and {n - len(names):,} more' if n > len(names) else ''
          lines.append(
            f'{did} {counted(n, "row")}, {kind} ({rules[kind]}): {"; ".join(names)}{more}'
          )
    return lines

  def lines(self) -> list[str]:
    """The whole report as lines of text: Table I, then notes, then bad rows."""
    lines = [f'{self.name}: {counted(self.rows, "row")}, {self.refused:,} left out']
    if self.tables:
      lines.append(f'{"":12}{"images":>10}{"words":>10}{"characters":>12}{"writers":>9}')
    for table in self.tables:
      writers = f'{table.writers:,}' if table.writers else '-'
      lines.append(
        f'{table.split:12}{table.images:>10,}{table.words:>10,}{table.characters:>12,}{writers:>9}'
      )
    return lines + self.notes + self.bad_rows()

  def to_json(self) -> dict[str, Any]:
    """Counts and names, for a JSON file."""
    return {'name': self.name, 'rows': self.rows, 'counts': self.counts, 'named': self.named}

  @classmethod
  def from_json(cls, values: Mapping[str, Any]) -> 'Report':
    """The inverse of `to_json`."""
    report = cls(values['name'], values['rows'])
    report.counts, report.named = dict(values['counts']), dict(values['named'])
    return report

  def nothing_left(self) -> DataError:
    """The error for a set without a usable row."""
    worst = sorted((k for k in self.counts if k in REFUSED), key=lambda k: -self.counts[k])
    why = [f'{self.counts[kind]:,} {kind}, such as {self.named[kind][0]}' for kind in worst[:3]]
    return DataError(f'{self.name}: no row is usable: {"; ".join(why) or "it has none"}')


def split_table(split: str, texts: Sequence[str], writers: Sequence[str]) -> SplitTable:
  """A line of the paper's Table I for some rows: images, distinct words, distinct characters."""
  symbols = set().union(*texts) if texts else set()
  return SplitTable(split, len(texts), len(set(texts)), len(symbols), len(set(writers) - {''}))
