"""The clips of turned heads that config.eval.pose names: which table lists them, and whether it can be used."""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.cells import open_table
from jaxgen.systems.lipgen.clips.placed import check_like
from jaxgen.systems.lipgen.clips.table import COLUMNS
from jaxgen.systems.lipgen.posing.heads import FULL_FACE
from jaxgen.systems.lipgen.video.crops import Cropping

TABLES = ('poses.tsv', 'words.tsv')  # names of the table in a folder


def table_of(config: ConfigDict, like: Cropping) -> tuple[Path, dict[str, str]]:
  """The table of the folder config.eval.pose, and the names of its columns.

  Args:
    config: of a run of lipgen.
    like: how the reader needs mouths to be placed.

  Raises:
    DataError: the folder has no table of words, the table cannot be read or is of whole faces, or mouths are
      placed otherwise.
  """
  folder = expanded(config.eval.pose)
  tables = [path for name in TABLES if (path := folder / name).is_file()]
  if not tables:
    raise DataError(
      f'config.eval.pose = {folder} has no {" or ".join(TABLES)}: make it with jaxgen pose-augment '
      'from clips with a table of words'
    )
  check_like(folder, like, f'config.eval.pose = {folder}')
  return tables[0], columns_of(tables[0], dict(config.data.columns))


def columns_of(path: Path, columns: dict[str, str]) -> dict[str, str]:
  """The column names of a table of turned heads: those of `jaxgen pose-augment`, or the run's but for `clip`.

  Raises:
    DataError: the table cannot be read, or is of whole faces.
  """
  cells = open_table(path)
  if 'kind' in cells.titles:
    place = cells.titles.index('kind')
    if any(row[place : place + 1] == [FULL_FACE] for _, row in cells.rows):
      raise DataError(f'{path} lists whole faces: make it with jaxgen pose-augment --crop')
  if path.name != TABLES[0]:
    return columns
  whole = all({name, f'{name}_frame'} & {*cells.titles} for name in COLUMNS)
  return dict(COLUMNS) if whole else {**columns, 'clip': 'clip'}
