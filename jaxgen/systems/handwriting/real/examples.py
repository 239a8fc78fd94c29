"""From the files of a set to clean examples: every row is kept, fixed or refused by the rules of `report`."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from jaxgen.errors import DataError
from jaxgen.systems.handwriting.real import pages, pairs, table_files, tables
from jaxgen.systems.handwriting.real.canvas import Ink, is_blank, read_levels, to_ink
from jaxgen.systems.handwriting.real.report import Report, Row, RowError
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.transcripts import cleaned
from jaxgen.words import counted

_LOWEST, _LARGEST, _SLIMMEST = 8, 16384, 128
_SPLITS = ('', 'train', 'validation', 'test')

Picture = Callable[[Row], np.ndarray]


class Settings(NamedTuple):
  """How the files of a set are read.

  Attributes:
    ink: how a picture becomes ink on paper.
    table: name of the table to read; '' for the only one, for one per split, or if there is none.
    columns: names of its columns by role, see `tables.COLUMNS`.
    level: 'line' or 'word', for pages.
    unread: marks for illegible parts in transcripts.
  """

  ink: Ink
  table: str = ''
  columns: Mapping[str, str] = {}
  level: str = 'line'
  unread: tuple[str, ...] = ()

  def to_json(self) -> dict[str, Any]:
    """All settings, for a digest."""
    return {**self._asdict(), 'ink': self.ink._asdict(), 'columns': dict(self.columns)}


class Example(NamedTuple):
  """A usable row.

  Attributes:
    number: of the row in the original set, from 0.
    image: uint8 [height, w].
    row: with its cleaned text.
  """

  number: int
  image: np.ndarray
  row: Row


def read_examples(store: Store, settings: Settings, report: Report) -> Iterator[Example]:
  """The usable rows of a set, in its order.

  A set is a table with images, or one per split; images with text files beside them that are not pages; ALTO or
  PAGE files with the pictures of their pages; or lists: the first of these that is present.

  Args:
    store: its files.
    settings: how they are read.
    report: collects all rows that are fixed or refused.

  Raises:
    DataError: the set is none of these, its table cannot be read, or no row is usable.
    ConfigError: an unknown column or level.
  """
  tables.check_columns(settings.columns)
  rows, reader = _open(store, settings, report)
  seen: set[bytes] = set()
  with store.paths() as path:
    picture = reader(path)
    for index, row in clean_rows(rows, settings, report):
      try:
        image, turned = to_ink(_checked_size(picture(row)), settings.ink)
        _check_new(image, row.text, seen)
      except RowError as error:
        report.add(error.kind, _shown(row), error.what)
        continue
      if turned and settings.ink.invert is None:
        report.add('light ink', _shown(row))
      yield Example(index, image, row)
  if not seen:
    raise report.nothing_left()


def _open(
  store: Store, settings: Settings, report: Report
) -> tuple[list[Row], Callable[[Callable[[str], Path]], Picture]]:
  """All rows of a set, and a factory of readers for their pictures."""
  found, rows = {}, list[Row]()
  if settings.table or table_files.has_table(store, settings.columns):
    found = table_files.find_tables(store, settings.table)
  elif pairs.has_pairs(store, _images_of_pages(store)):
    rows = list(pairs.read_pairs(store, settings.columns, report))
  else:
    rows, regions = _page_rows(store, settings, report)
    if rows:
      return rows, lambda path: _of_pages(store, regions, path)
    _check_level(store, settings.level)
    found = table_files.find_lists(store)
    if not found and not report.rows:  # a table that lacks needed columns raises an error
      found = table_files.find_tables(store)
  if found:
    rows = list(tables.read_tables(store, found, settings.columns, report))
  elif not rows and not report.rows:
    raise DataError(
      f'{store.root}: contains no table (.csv or .tsv), no images with text files of the same name, no ALTO or '
      'PAGE files, and no list of names and texts (.txt)'
    )
  return rows, lambda path: _of_files(store, path)


def _check_level(store: Store, level: str) -> None:
  """Raises DataError if pages have nothing at a level but something at the other one."""
  other = 'word' if level == 'line' else 'line'
  number = sum(len(page.regions) for _, page in _pages(store, other))
  if number:
    raise DataError(
      f'{store.root}: its ALTO or PAGE files have no {level}s, but {counted(number, other)}: set '
      f'--config.data.level={other}'
    )


def _of_files(store: Store, path: Callable[[str], Path]) -> Picture:
  def picture(row: Row) -> np.ndarray:
    assert row.found
    return _decoded(store, row.found[0], path)

  return picture


def _decoded(store: Store, name: str, path: Callable[[str], Path]) -> np.ndarray:
  file, shown = Path(), store.shown(name)
  try:
    file = path(name)
    return read_levels(file)
  except (DataError, MemoryError) as error:
    what = str(error).removeprefix(f'{file}: ').removeprefix(f'{shown}: ')
    what = what or 'too large for the memory of this machine'
    raise RowError('unreadable image', f'{shown}: {what}') from error


def _page_rows(
  store: Store, settings: Settings, report: Report
) -> tuple[list[Row], dict[str, tuple[str, pages.Page, pages.Region]]]:
  """Rows of all pages, and (XML, page, region) by the row's file; a row's group is its page.

  As writers are unknown, a page counts as a writer, so that no page is both trained and tested on; with
  '<folder>' as the column of writers, its folder does.
  """
  rows, regions = [], {}
  for xml, page in _pages(store, settings.level, report):
    whole = PurePosixPath(xml)
    by_folder = settings.columns.get('writer') == tables.FOLDER
    writer = whole.parent.name if by_folder else str(whole.with_suffix(''))
    for number, region in enumerate(page.regions):
      file = f'{xml}#{region.name}'
      file = f'{file}-{number}' if file in regions else file
      regions[file] = (xml, page, region)
      rows.append(Row(file, region.text.strip('\r\n'), writer, group=xml, place=store.shown(xml)))
  report.rows += len(rows)
  return rows, regions


def _pages(
  store: Store, level: str, report: Report | None = None
) -> Iterator[tuple[str, pages.Page]]:
  """The names of ALTO and PAGE files, and their contents; the report collects damaged ones."""
  for xml in (name for name in store.names if name.lower().endswith('.xml')):
    try:
      page = pages.read_page(store.read(xml), store.shown(xml), level)
    except DataError as error:
      if report is not None:
        report.rows += 1
        report.add('bad page', str(error))
      continue
    if page:
      yield xml, page


def _images_of_pages(store: Store) -> set[str]:
  return {
    x for xml, page in _pages(store, 'line') for x in pages.page_images(store, xml, page.image)
  }


def _of_pages(
  store: Store,
  regions: Mapping[str, tuple[str, pages.Page, pages.Region]],
  path: Callable[[str], Path],
) -> Picture:
  opened: dict[str, np.ndarray | RowError] = {}  # only for the last page

  def whole(xml: str, image: str) -> np.ndarray | RowError:
    found = pages.page_images(store, xml, image)
    if len(found) != 1:
      what = ' or '.join(found[:3]) or f'no picture {image or "of its name"}'
      return RowError('bad page', what)
    try:
      return _decoded(store, found[0], path)
    except RowError as error:
      return RowError('bad page', error.what)

  def picture(row: Row) -> np.ndarray:
    xml, page, region = regions[row.file]
    if xml not in opened:
      opened.clear()
      opened[xml] = whole(xml, page.image)
    pixels = opened[xml]
    if isinstance(pixels, RowError):
      raise RowError(pixels.kind, pixels.what)
    try:
      return pages.cut(pixels, region, page.size)
    except DataError as error:
      raise RowError('bad region', str(error)) from error

  return picture


def clean_rows(
  rows: Sequence[Row], settings: Settings, report: Report
) -> Iterator[tuple[int, Row]]:
  """The rows with a valid text that name exactly one picture; pictures are not opened.

  Args:
    rows: of a whole set.
    settings: of the set.
    report: collects rows that are fixed or refused.

  Yields:
    A row's number in the set, and the row with its cleaned text.
  """
  texts = defaultdict(set)
  usable = []
  knows_writers = any(row.writer for row in rows)
  for index, row in enumerate(rows):
    found = cleaned(row.text, settings.unread)
    kind, what = found.refused, found.what
    if not kind and row.found is not None and len(row.found) != 1:
      kind = 'ambiguous image' if row.found else 'missing image'
      what = ' or '.join(row.found[:3]) or row.file
    if not kind and knows_writers and not row.writer:
      kind = 'no writer'
    if not kind and row.split not in _SPLITS:
      kind, what = 'unknown split', row.split[:40]
    if kind:
      report.add(kind, _shown(row), what)
      continue
    for fixed in found.fixed + row.fixed:
      report.add(fixed, _shown(row))
    texts[_picture(row)].add(found.text)
    usable.append((index, row._replace(text=found.text)))
  seen = set()
  for index, row in usable:
    if len(texts[_picture(row)]) > 1:
      report.add('two transcripts', _shown(row), ' or '.join(sorted(texts[_picture(row)])[:3]))
    elif _picture(row) in seen:
      report.add('named twice', _shown(row))
    else:
      seen.add(_picture(row))
      yield index, row


def _picture(row: Row) -> str:
  """A picture's identity, however a row names it."""
  return row.found[0] if row.found else row.file


def _checked_size(image: np.ndarray) -> np.ndarray:
  height, width = image.shape
  slim = max(height, width) > _SLIMMEST * min(height, width)
  if height < _LOWEST or max(height, width) > _LARGEST or slim:
    raise RowError('absurd size', f'{width} x {height}')
  return image


def _check_new(image: np.ndarray, text: str, seen: set[bytes]) -> None:
  if is_blank(image):
    raise RowError('blank image')
  content = b'%d ' % image.shape[1] + image.tobytes() + text.encode()
  digest = hashlib.blake2b(content, digest_size=16).digest()
  if digest in seen:
    raise RowError('same picture')
  seen.add(digest)


def _shown(row: Row) -> str:
  return row.file if row.place in row.file else f'{row.place} ({row.file})'
