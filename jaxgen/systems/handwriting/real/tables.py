"""Rows of tables of images and transcripts: csv or tsv, or a list."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from jaxgen.data.image_files import has_image_suffix
from jaxgen.errors import ConfigError, DataError
from jaxgen.files import decoded_text
from jaxgen.schema import near_matches
from jaxgen.systems.handwriting.real.report import Report, Row
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.transcripts import tidied
from jaxgen.words import named

# Usual names of columns, searched for if none is given. Columns of a table without a header are given by their
# numbers, from 0.
COLUMNS = {
  'file': ('file', 'file_name', 'filename', 'image', 'image_path', 'path'),
  'text': ('text', 'transcription', 'transcript', 'label', 'word'),
  'writer': ('writer', 'writer_id', 'author', 'hand'),
  'split': ('split', 'subset', 'partition'),
  'group': (),
}
_NEEDED = ('file', 'text')
SPLIT_WORDS = {
  'train': 'train',
  'training': 'train',
  'validation': 'validation',
  'valid': 'validation',
  'val': 'validation',
  'dev': 'validation',
  'eval': 'validation',
  'test': 'test',
  'testing': 'test',
}
FOLDER = '<folder>'  # as the column of writers: the folder of an image names its writer
_MARKS = '\t;,|'  # possible delimiters
_SAYS_MARK = re.compile(r'"?sep=."?')  # a first line written by Excel
_Record = tuple[int, list[str]]  # its line number and its fields
_LOOKED_AT = 50  # lines examined for the delimiter if there is no header


def check_columns(columns: Mapping[str, str]) -> None:
  """Refuses unknown column roles.

  Raises:
    ConfigError: names the role.
  """
  for role in columns:
    if role not in COLUMNS:
      near = near_matches(role, tuple(COLUMNS))
      raise ConfigError(f'columns: unknown {role!r}.{near} Known: {", ".join(COLUMNS)}')


def read_tables(
  store: Store, splits: Mapping[str, str], columns: Mapping[str, str], report: Report
) -> Iterator[Row]:
  """The rows of the tables of a set, one table after the other, see `read_table`.

  A row's split is that of its table unless it names one itself. If only some tables know writers, each of the
  others counts as one writer, as its rows are in one split anyway.

  Args:
    store: the set's files.
    splits: from `find_tables`.
    columns: names of columns by role.
    report: collects lines with a wrong number of fields.

  Raises:
    DataError: see `read_table`.
  """
  rows = {table: list(read_table(store, table, columns, report)) for table in splits}
  knowing = {table for table, found in rows.items() if any(row.writer for row in found)}
  for table, found in rows.items():
    for row in found:
      writer = table if knowing and table not in knowing else row.writer
      yield row._replace(split=row.split or splits[table], writer=writer)


def read_table(
  store: Store, table: str, columns: Mapping[str, str], report: Report
) -> Iterator[Row]:
  """The rows of a table, in order; malformed rows go to the report.

  Args:
    store: the set's files.
    table: its name, as found by `table_files`. UTF-8 or UTF-16, with or without a byte-order mark; the
      delimiter, a tab, semicolon, comma or bar, is inferred from the header, or without one from the first
      lines. Quoting follows csv; in a tsv, quotes only count around a whole field.
    columns: names of columns by role, see COLUMNS; '<folder>' as writer stands for the image's folder.
    report: collects lines with a wrong number of fields.

  Raises:
    DataError: no such columns, not text, or broken quotes.
  """
  where = store.shown(table)
  names, records = opened(store, table, columns)
  place = {role: names.index(name) for role, name in _roles(names, columns).items()}
  for line, fields in records:
    report.rows += 1
    if len(fields) != len(names):
      report.add(
        'wrong number of fields', f'{where} line {line}', f'{len(fields)}, not {len(names)}'
      )
      continue
    values = {role: fields[i] for role, i in place.items()}
    row = row_of(values, columns, f'{where} line {line}', store.find(values['file'], table))
    if not row.found and (found := store.find(values['file'], table, any_case=True)):
      row = row_of(values, columns, row.place, found)._replace(fixed=('other case',))
    yield row


def opened(
  store: Store, table: str, columns: Mapping[str, str]
) -> tuple[list[str], Iterator[_Record]]:
  """The names of a table's columns, and its rows; raises DataError like `read_table`."""
  where = store.shown(table)
  text = decoded(store.read(table), where)
  lines = (line for line in text.splitlines() if line.strip())
  first = list(itertools.islice(lines, _LOOKED_AT))
  says_mark = bool(first) and _SAYS_MARK.fullmatch(first[0]) is not None
  first = first[says_mark:]
  if not first:
    raise DataError(f'{where}: is empty')
  if not are_given(columns) and is_list(store, table):
    return list(_NEEDED), _listed(text)
  without_header = _numbers(columns)
  if without_header:
    delimiter, names = _numbered(first, columns, where, table.lower().endswith('.tsv'))
  else:
    delimiter, names = _header(first[0], columns, where)
  skipped = says_mark + (not without_header)
  return names, itertools.islice(_records(text, delimiter, where), skipped, None)


def is_list(store: Store, name: str) -> bool:
  """Whether the first line of a .txt file is the name of an image and one more field."""
  if not name.lower().endswith('.txt'):
    return False
  try:
    first = next((line for _, line in _listed(decoded(store.read(name), name))), [])
  except DataError:
    return False
  return len(first) == len(_NEEDED) and has_image_suffix(Path(first[0])) and '\t' not in first[1]


def _listed(text: str) -> Iterator[_Record]:
  """(line number, name and text) of each non-empty line."""
  for number, line in enumerate(text.splitlines(), 1):
    if line.strip():
      yield number, line.strip().split(None, 1)


def row_of(
  values: Mapping[str, str], columns: Mapping[str, str], place: str, found: Sequence[str]
) -> Row:
  """The row with given values by role. An unknown split is kept as it is, for `examples` to refuse."""
  file = str(PurePosixPath(values['file'].strip().replace('\\', '/')))
  writer, split, group = (tidied(values.get(role, '')) for role in ('writer', 'split', 'group'))
  if columns.get('writer') == FOLDER:  # the picture's folder: the name may have none
    writer = tidied(PurePosixPath(found[0] if len(found) == 1 else file).parent.name)
  split = SPLIT_WORDS.get(split.lower(), split)
  return Row(file, values['text'], writer, split, group, place, tuple(found))


def decoded(content: bytes, where: str) -> str:
  """Decodes bytes to text; raises DataError with the line that is not text."""
  try:
    return decoded_text(content)
  except UnicodeError as error:
    at = content[: getattr(error, 'start', 0)].count(b'\n') + 1
    raise DataError(f'{where} line {at}: is not UTF-8: save it as UTF-8') from error


def are_given(columns: Mapping[str, str]) -> bool:
  """Whether any column is given by name or number."""
  return any(name not in ('', FOLDER) for name in columns.values())


def _numbers(columns: Mapping[str, str]) -> bool:
  """Whether columns are given by their numbers, which means that there is no header."""
  given = [name for name in columns.values() if name not in ('', FOLDER)]
  return bool(given) and all(name.isdecimal() for name in given)


def _numbered(
  lines: Sequence[str], columns: Mapping[str, str], where: str, is_tsv: bool
) -> tuple[str, list[str]]:
  """The delimiter of a table without a header, and its column numbers.

  A tab if the table is a tsv and has any, or each line has one; else, of the marks that give enough columns,
  the one whose number of columns most lines agree on, and of several the one that gives more columns.
  """
  missing = [role for role in _NEEDED if not columns.get(role)]
  if missing:
    raise DataError(
      f'{where}: a table without a header needs the number of its column of {missing[0]}s: '
      f'--config.data.columns.{missing[0]}=NUMBER'
    )
  tabs = ['\t' in line for line in lines]
  marks = '\t' if all(tabs) or (is_tsv and any(tabs)) else _MARKS.replace('\t', '')
  # (number of columns, lines that have it) by mark
  usual = {
    mark: Counter(len(_fields(line, mark)) for line in lines).most_common(1)[0] for mark in marks
  }
  last = max(int(name) for name in columns.values() if name not in ('', FOLDER))
  mark = max(usual, key=lambda mark: (usual[mark][0] > last, usual[mark][1], usual[mark][0]))
  names = [str(i) for i in range(usual[mark][0])]
  for role, name in columns.items():
    if name not in (*names, FOLDER, ''):
      raise DataError(
        f'{where}: no column {name} (--config.data.columns.{role}): it has {len(names)}, numbered from 0'
      )
  return mark, names


def _fields(line: str, mark: str) -> list[str]:
  """The fields of a line; quotes are part of those between tabs."""
  return line.split(mark) if mark == '\t' else _by_csv(line, mark)


def _by_csv(line: str, mark: str) -> list[str]:
  """The fields of a line; a single one if it is not valid csv, which `_records` then reports."""
  try:
    return next(csv.reader([line], delimiter=mark))
  except csv.Error:
    return [line]


def _header(line: str, columns: Mapping[str, str], where: str) -> tuple[str, list[str]]:
  """The delimiter, and the names of the columns."""
  splits = {mark: _by_csv(line, mark) for mark in _MARKS}
  splits = {mark: [name.strip() for name in names] for mark, names in splits.items()}
  for mark, names in splits.items():
    roles = _roles(names, columns)
    if all(role in roles for role in _NEEDED):
      for role, name in columns.items():
        if role not in roles and name not in ('', FOLDER):
          raise DataError(
            f'{where}: no column {name!r} (--config.data.columns.{role}); it has {named(names, 20)}'
          )
      return mark, names
  names = max(splits.values(), key=len)
  known = _roles(names, columns)
  role = next(role for role in _NEEDED if role not in known)
  raise DataError(
    f'{where}: no column {columns.get(role) or " or ".join(COLUMNS[role])}; its header has '
    f'{", ".join(names)[:200]}: name the column with --config.data.columns.{role}=NAME, or number all from 0 '
    'if there is no header'
  )


def _roles(names: list[str], columns: Mapping[str, str]) -> dict[str, str]:
  """Names of the columns by role, as far as they exist."""
  lower = {name.lower(): name for name in reversed(names)}
  found = {}
  for role, usual in COLUMNS.items():
    given = columns.get(role, '')
    wanted = (given,) if given else usual
    there = [name if name in names else lower.get(name.lower()) for name in wanted]
    if any(there):
      found[role] = next(name for name in there if name)
  return found


def _records(text: str, delimiter: str, where: str) -> Iterator[_Record]:
  """(line number, fields) of each non-empty line."""
  if delimiter == '\t':
    text = text.replace('\r\n', '\n')
    if '\n' not in text:  # line endings of old Macs
      text = text.replace('\r', '\n')
    for number, line in enumerate(text.split('\n'), 1):
      if line.strip():
        yield number, [_unquoted(field) for field in line.split('\t')]
    return
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter, strict=True)
  start = 1
  try:
    for fields in reader:
      if len(fields) > 1 or ''.join(fields).strip():
        yield start, fields
      start = reader.line_num + 1
  except csv.Error as error:
    raise DataError(f'{where} line {start}: broken quotes ({error})') from error


def _unquoted(field: str) -> str:
  """A tsv field without the quotes around it, if it is quoted as a whole with inner quotes doubled."""
  inner = field[1:-1]
  whole = len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', '')
  return inner.replace('""', '"') if whole else field
