"""Tables of images and transcripts: csv or tsv, a list, or a text file beside each image."""

import csv
import io
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from jaxgen.data.image_files import has_image_suffix
from jaxgen.errors import ConfigError, DataError
from jaxgen.files import decoded_text
from jaxgen.schema import near_matches
from jaxgen.systems.handwriting.real.report import Report, Row
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.transcripts import tidied

# Names that tables give their columns, looked for where none is given. Of a table without a header columns are
# given by their numbers, from 0.
COLUMNS = {
  'file': ('file', 'file_name', 'filename', 'image', 'image_path', 'path'),
  'text': ('text', 'transcription', 'transcript', 'label', 'word'),
  'writer': ('writer', 'writer_id', 'author', 'hand'),
  'split': ('split', 'subset', 'partition'),
  'group': (),
}
_NEEDED = ('file', 'text')
_SPLITS = {
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
_WORD = re.compile(r'([^\W\d_]+)')
FOLDER = '<folder>'  # as the column of writers: the folder of an image names its writer
_TEXT_SUFFIXES = ('.gt.txt', '.txt')
_MARKS = '\t;,|'  # what may stand between columns
_SAYS_MARK = re.compile(r'"?sep=."?')  # a first line of Excel's
_Record = tuple[int, list[str]]  # the number of its line, and its fields
_LOOKED_AT = 50  # lines, for what stands between columns that have no names


def check_columns(columns: Mapping[str, str]) -> None:
  """Refuses a role of a column that there is not.

  Raises:
    ConfigError: names it.
  """
  for role in columns:
    if role not in COLUMNS:
      near = near_matches(role, tuple(COLUMNS))
      raise ConfigError(f'columns: unknown {role!r}.{near} Known are {", ".join(COLUMNS)}')


def find_tables(store: Store, table: str = '') -> dict[str, str]:
  """The tables of a set, with the split that each is; {} where there is none.

  One table says itself what its splits are, if anything: ''. Several make a set where their names differ in
  nothing but the split, as train.csv, val.csv and test.csv, or train/words.csv and test/words.csv.

  Args:
    store: the set's files.
    table: the name of the only one to read, where it is given.

  Raises:
    DataError: the given one is missing, or there are several that are no splits of a set.
  """
  tables = _named_as_tables(store)
  if table:
    if table not in store.names:
      there = ', '.join(tables) or 'none'
      raise DataError(f'{store.root}: no table {table!r}; there are: {there}')
    return {table: ''}
  return _by_split(store, tables, alike=True)


def find_lists(store: Store) -> dict[str, str]:
  """The lists of a set, with the split that each is, as `find_tables`; {} where there is none.

  A list is a .txt file whose lines are the name of an image, a space or tab, and its text, as those of RIMES.
  Several make a set where each name says another split, one of them train; they may differ in other words too.
  """
  images = {str(PurePosixPath(name).with_suffix('')) for name in store.images}
  texts = (name for name in store.names if name.lower().endswith('.txt'))
  return _by_split(
    store, [x for x in texts if _stem_of_text(x) not in images and _is_list(store, x)], alike=False
  )


def has_table(store: Store, columns: Mapping[str, str]) -> bool:
  """Whether a table of a set has columns of files and texts, or its columns are given."""

  def is_one(table: str) -> bool:
    try:
      _opened(store, table, columns)
    except DataError:
      return False
    return True

  tables = _named_as_tables(store)
  return bool(tables) and (_are_given(columns) or any(map(is_one, tables)))


def _named_as_tables(store: Store) -> list[str]:
  return [name for name in store.names if name.lower().endswith(('.csv', '.tsv'))]


def _by_split(store: Store, tables: Sequence[str], alike: bool) -> dict[str, str]:
  if len(tables) < 2:
    return dict.fromkeys(tables, '')
  splits = {name: _split_of_table(name) for name in tables}
  found = {split for split, _ in splits.values()}
  differ = alike and len({rest for _, rest in splits.values()}) > 1
  if differ or '' in found or 'train' not in found or len(found) < len(tables):
    raise DataError(
      f'{store.root}: has several tables that are not train, validation and test alone; say which one by '
      f'--config.data.table=NAME: {", ".join(tables)}'
    )
  return {name: split for name, (split, _) in splits.items()}


def _split_of_table(name: str) -> tuple[str, str]:
  """The split that the name of a table says, '' where it says none or several, and the rest of the name."""
  parts = _WORD.split(str(PurePosixPath(name).with_suffix('')).lower())
  said = {_SPLITS[part] for part in parts if part in _SPLITS}
  rest = ''.join('*' if part in _SPLITS else part for part in parts)
  return (said.pop() if len(said) == 1 else ''), rest


def read_tables(
  store: Store, splits: Mapping[str, str], columns: Mapping[str, str], report: Report
) -> Iterator[Row]:
  """The rows of tables that make a set, one table after the other, see `read_table`.

  A row's split is that of its table where it says none itself. Where some tables know writers, one that knows
  none counts as a writer, as its rows are in one split anyway.

  Args:
    store: the set's files.
    splits: of `find_tables`.
    columns: names of columns by role.
    report: gets lines with a wrong number of fields.

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
  """The rows of a table, in its order; those that have no place in it are put into the report.

  Args:
    store: the set's files.
    table: its name, of `find_tables` or `find_lists`. UTF-8 or UTF-16, with a byte-order mark or without; what
      stands between columns, a tab, semicolon, comma or bar, is seen from the header, or without one from the
      first lines. Quotes are those of csv; in a tsv they count only around a whole field.
    columns: names of columns by role, see COLUMNS; '<folder>' as writer stands for the image's folder.
    report: gets lines with a wrong number of fields.

  Raises:
    DataError: no such columns, not text, or damaged quotes.
  """
  where = store.shown(table)
  names, records = _opened(store, table, columns)
  place = {role: names.index(name) for role, name in _roles(names, columns).items()}
  for line, fields in records:
    report.rows += 1
    if len(fields) != len(names):
      report.add(
        'wrong number of fields', f'{where} line {line}', f'{len(fields)}, not {len(names)}'
      )
      continue
    values = {role: fields[i] for role, i in place.items()}
    row = _row(values, columns, f'{where} line {line}', store.find(values['file'], table))
    if not row.found and (found := store.find(values['file'], table, any_case=True)):
      row = _row(values, columns, row.place, found)._replace(fixed=('other case',))
    yield row


def _opened(
  store: Store, table: str, columns: Mapping[str, str]
) -> tuple[list[str], Iterator[_Record]]:
  """The names of a table's columns, and its rows."""
  where = store.shown(table)
  text = _decoded(store.read(table), where)
  lines = (line for line in text.splitlines() if line.strip())
  first = list(itertools.islice(lines, _LOOKED_AT))
  says_mark = bool(first) and _SAYS_MARK.fullmatch(first[0]) is not None
  first = first[says_mark:]
  if not first:
    raise DataError(f'{where}: is empty')
  if not _are_given(columns) and _is_list(store, table):
    return list(_NEEDED), _listed(text)
  without_header = _numbers(columns)
  if without_header:
    delimiter, names = _numbered(first, columns, where, table.lower().endswith('.tsv'))
  else:
    delimiter, names = _header(first[0], columns, where)
  skipped = says_mark + (not without_header)
  return names, itertools.islice(_records(text, delimiter, where), skipped, None)


def _is_list(store: Store, name: str) -> bool:
  """Whether the first line of a .txt is the name of an image and one more field."""
  if not name.lower().endswith('.txt'):
    return False
  try:
    first = next((line for _, line in _listed(_decoded(store.read(name), name))), [])
  except DataError:
    return False
  return len(first) == len(_NEEDED) and has_image_suffix(Path(first[0])) and '\t' not in first[1]


def _listed(text: str) -> Iterator[_Record]:
  """(number of the line, name and text) of each line that is not empty."""
  for number, line in enumerate(text.splitlines(), 1):
    if line.strip():
      yield number, line.strip().split(None, 1)


def _row(
  values: Mapping[str, str], columns: Mapping[str, str], place: str, found: Sequence[str]
) -> Row:
  """A split that is no known one is kept as it is, for `examples` to refuse."""
  file = str(PurePosixPath(values['file'].strip().replace('\\', '/')))
  writer, split, group = (tidied(values.get(role, '')) for role in ('writer', 'split', 'group'))
  if columns.get('writer') == FOLDER:  # that of the picture: its name may be without any
    writer = tidied(PurePosixPath(found[0] if len(found) == 1 else file).parent.name)
  split = _SPLITS.get(split.lower(), split)
  return Row(file, values['text'], writer, split, group, place, tuple(found))


def _decoded(content: bytes, where: str) -> str:
  try:
    return decoded_text(content)
  except UnicodeError as error:
    at = content[: getattr(error, 'start', 0)].count(b'\n') + 1
    raise DataError(f'{where} line {at}: is not UTF-8: save it in this encoding') from error


def _are_given(columns: Mapping[str, str]) -> bool:
  return any(name not in ('', FOLDER) for name in columns.values())


def _numbers(columns: Mapping[str, str]) -> bool:
  """Whether columns are given by their numbers, which says that there is no header."""
  given = [name for name in columns.values() if name not in ('', FOLDER)]
  return bool(given) and all(name.isdecimal() for name in given)


def _numbered(
  lines: Sequence[str], columns: Mapping[str, str], where: str, is_tsv: bool
) -> tuple[str, list[str]]:
  """What stands between columns without a header, and their numbers.

  A tab where the table is a tsv and has some, or each line has one; else, of the marks that make enough
  columns, the one that most lines have equally often, and of several the one that makes more columns.
  """
  missing = [role for role in _NEEDED if not columns.get(role)]
  if missing:
    raise DataError(
      f'{where}: without a header it needs the number of the column of {missing[0]}s: '
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
        f'{where}: no column {name} (--config.data.columns.{role}): it has {len(names)}, counted from 0'
      )
  return mark, names


def _fields(line: str, mark: str) -> list[str]:
  """Those of a line; where it is none of a csv, one, and `_records` says why."""
  try:
    return line.split(mark) if mark == '\t' else next(csv.reader([line], delimiter=mark))
  except csv.Error:
    return [line]


def _header(line: str, columns: Mapping[str, str], where: str) -> tuple[str, list[str]]:
  """What stands between columns, and their names."""
  splits = {mark: next(csv.reader([line], delimiter=mark)) for mark in _MARKS}
  splits = {mark: [name.strip() for name in names] for mark, names in splits.items()}
  for mark, names in splits.items():
    roles = _roles(names, columns)
    if all(role in roles for role in _NEEDED):
      for role, name in columns.items():
        if role not in roles and name not in ('', FOLDER):
          raise DataError(
            f'{where}: no column {name!r} (--config.data.columns.{role}); it has {", ".join(names)}'
          )
      return mark, names
  names = max(splits.values(), key=len)
  known = _roles(names, columns)
  role = next(role for role in _NEEDED if role not in known)
  raise DataError(
    f'{where}: no column {columns.get(role) or " or ".join(COLUMNS[role])}; its header has '
    f'{", ".join(names)[:200]}: name the column by --config.data.columns.{role}=NAME, or all by numbers from 0 '
    'where there is no header'
  )


def _roles(names: list[str], columns: Mapping[str, str]) -> dict[str, str]:
  """Names of the columns by role, as far as they are there."""
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
  """(number of the line, fields) of each line that is not empty."""
  if delimiter == '\t':
    text = text.replace('\r\n', '\n')
    if '\n' not in text:  # of an old Mac
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
    raise DataError(f'{where} line {start}: its quotes are damaged ({error})') from error


def _unquoted(field: str) -> str:
  """Of a tsv: quotes around a whole field, inner ones doubled, are not its own."""
  inner = field[1:-1]
  whole = len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', '')
  return inner.replace('""', '"') if whole else field


def read_pairs(store: Store, columns: Mapping[str, str], report: Report) -> Iterator[Row]:
  """Images with a text file of the same name beside each: a.png and a.txt, or a.gt.txt.

  Args:
    store: the set's files.
    columns: {'writer': '<folder>'} where the folder of an image names its writer, which else is not known.
    report: gets images without a text, texts without an image, and those that are not UTF-8.
  """
  images = defaultdict(list)
  for name in store.images:
    images[str(PurePosixPath(name).with_suffix(''))].append(name)
  texts = {stem: name for name in store.names if (stem := _stem_of_text(name))}
  for stem, name in texts.items():
    report.rows += 1
    found = images.get(stem, [])
    if len(found) == 1:
      try:
        text = _decoded(store.read(name), store.shown(name)).strip('\r\n')
      except DataError as error:
        report.add('damaged text', str(error))
        continue
      yield _row({'file': found[0], 'text': text}, columns, store.shown(name), found)
    elif found:
      report.add('ambiguous image', store.shown(name), ' or '.join(found[:3]))
    else:
      report.add('missing image', store.shown(name), f'no {stem}.png, or of another kind')
  for stem, found in images.items():
    if stem not in texts:
      report.rows += 1
      report.add('empty transcript', store.shown(found[0]), 'no text file beside it')


def has_pairs(store: Store, pages: Container[str]) -> bool:
  """Whether an image of a set, which is none of these, has a text file of its name beside it."""
  stems = {_stem_of_text(name) for name in store.names}
  return any(
    str(PurePosixPath(name).with_suffix('')) in stems and name not in pages for name in store.images
  )


def _stem_of_text(name: str) -> str:
  ends = (end for end in _TEXT_SUFFIXES if name.lower().endswith(end))
  return next((name[: -len(end)] for end in ends), '')
