"""Finds the tables or lists of a set, and the split of each."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real.pairs import stem_of_text
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.tables import SPLIT_WORDS, are_given, is_list, opened

_WORD = re.compile(r'([^\W\d_]+)')


def find_tables(store: Store, table: str = '') -> dict[str, str]:
  """The tables of a set, with the split of each; {} if there are none.

  A single table has the split '', as its rows may name their own. Several form a set if their names differ only
  in the split, such as train.csv, val.csv and test.csv, or train/words.csv and test/words.csv.

  Args:
    store: the set's files.
    table: the name of the only one to read, if given.

  Raises:
    DataError: the given one is missing, or there are several that are not splits of a set.
  """
  tables = _named_as_tables(store)
  if table:
    if table not in store.names:
      there = ', '.join(tables) or 'none'
      raise DataError(f'{store.root}: no table {table!r}; available: {there}')
    return {table: ''}
  return _by_split(store, tables, alike=True)


def find_lists(store: Store) -> dict[str, str]:
  """The lists of a set, with the split of each, like `find_tables`; {} if there are none.

  A list is a .txt file whose lines are the name of an image, a space or tab, and its text, as in RIMES. Several
  form a set if each name contains a different split, one of them train; they may differ in other words too.
  """
  images = {str(PurePosixPath(name).with_suffix('')) for name in store.images}
  texts = (name for name in store.names if name.lower().endswith('.txt'))
  return _by_split(
    store, [x for x in texts if stem_of_text(x) not in images and is_list(store, x)], alike=False
  )


def has_table(store: Store, columns: Mapping[str, str]) -> bool:
  """Whether a table of a set has columns for files and texts, or its columns are given."""

  def is_one(table: str) -> bool:
    try:
      opened(store, table, columns)
    except DataError:
      return False
    return True

  tables = _named_as_tables(store)
  return bool(tables) and (are_given(columns) or any(map(is_one, tables)))


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
      f'{store.root}: has several tables that are not just train, validation and test; choose one with '
      f'--config.data.table=NAME: {", ".join(tables)}'
    )
  return {name: split for name, (split, _) in splits.items()}


def _split_of_table(name: str) -> tuple[str, str]:
  """The split in the name of a table, '' if there is none or several, and the rest of the name."""
  parts = _WORD.split(str(PurePosixPath(name).with_suffix('')).lower())
  said = {SPLIT_WORDS[part] for part in parts if part in SPLIT_WORDS}
  rest = ''.join('*' if part in SPLIT_WORDS else part for part in parts)
  return (said.pop() if len(said) == 1 else ''), rest
