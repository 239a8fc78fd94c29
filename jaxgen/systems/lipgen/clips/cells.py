"""Tables as people have them: CSV and TSV of spreadsheets."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import DataError
from jaxgen.files import decoded_text

MARKS = '\t;,'  # between cells


class Cells(NamedTuple):
  """What a table holds.

  Attributes:
    titles: of its columns, without blanks around them.
    rows: the number of its line, from 1, and the cells of each row that is not empty.
    mark: what stands between cells.
  """

  titles: list[str]
  rows: list[tuple[int, list[str]]]
  mark: str

  def pointed(self, text: str) -> str:
    """A number with a point: where cells are not separated by commas it may have one in its place."""
    return text if self.mark == ',' else text.replace(',', '.')


def read_cells(path: Path) -> Cells:
  """The cells of a file in UTF-8 or UTF-16, separated as its first line is: by tabs, semicolons or commas.

  Raises:
    OSError: it cannot be read.
    ValueError: it is no such text, or its quotes are damaged.
  """
  return of_text(decoded_text(path.read_bytes()))


def open_table(path: Path) -> Cells:
  """`read_cells` of a file that a person named.

  Raises:
    DataError: it is missing, no text in UTF-8 or UTF-16, or no table.
  """
  try:
    return read_cells(path)
  except UnicodeError as error:
    raise DataError(
      f'{path}: cannot be read as a table of words, since it is no UTF-8 or UTF-16 ({error}): save it as UTF-8'
    ) from error
  except (OSError, ValueError) as error:
    raise DataError(f'{path}: cannot be read as a table of words ({error})') from error


def of_text(text: str) -> Cells:
  """The cells of a text; errors as `read_cells`."""
  first = next((line for line in text.splitlines() if line.strip()), '')
  mark = max(MARKS, key=lambda mark: len(next(csv.reader([first], delimiter=mark), ())))
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=mark)
  try:
    rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
  except csv.Error as error:
    raise ValueError(f'line {reader.line_num}: {error}') from error
  titles = [title.strip() for title in rows[0][1]] if rows else []
  return Cells(titles, rows[1:], mark)
