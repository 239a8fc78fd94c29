"""User-supplied tables: CSV and TSV, as spreadsheets write them."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import DataError
from jaxgen.files import decoded_text

MARKS = '\t;,'  # possible delimiters


class Cells(NamedTuple):
  """The contents of a table.

  Attributes:
    titles: of its columns, stripped.
    rows: the line number, from 1, and the cells of each non-empty row.
    mark: the delimiter.
  """

  titles: list[str]
  rows: list[tuple[int, list[str]]]
  mark: str

  def pointed(self, text: str) -> str:
    """A number with a decimal point; it may have a decimal comma unless commas are the delimiter."""
    return text if self.mark == ',' else text.replace(',', '.')


def read_cells(path: Path) -> Cells:
  """Reads a file in UTF-8 or UTF-16, with the delimiter of its first line: tabs, semicolons or commas.

  Raises:
    OSError: it cannot be read.
    ValueError: it is not such text, or its quotes are damaged.
  """
  return of_text(decoded_text(path.read_bytes()))


def open_table(path: Path) -> Cells:
  """`read_cells` for a file that the user named.

  Raises:
    DataError: it is missing, not UTF-8 or UTF-16 text, or not a table.
  """
  try:
    return read_cells(path)
  except UnicodeError as error:
    raise DataError(
      f'{path}: cannot be read as a table of words: it is not UTF-8 or UTF-16 ({error}): save it '
      'as UTF-8'
    ) from error
  except (OSError, ValueError) as error:
    raise DataError(f'{path}: cannot be read as a table of words ({error})') from error


def of_text(text: str) -> Cells:
  """The cells of a text; raises as `read_cells` does."""
  first = next((line for line in text.splitlines() if line.strip()), '')
  try:
    mark = max(MARKS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), ())))
  except csv.Error as error:
    raise ValueError(f'its first line: {error}') from error
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=mark)
  try:
    rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
  except csv.Error as error:
    raise ValueError(f'line {reader.line_num}: {error}') from error
  titles = [title.strip() for title in rows[0][1]] if rows else []
  return Cells(titles, rows[1:], mark)
