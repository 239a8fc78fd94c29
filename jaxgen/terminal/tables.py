"""Readable tables: numbers with few digits, never truncated."""

from collections.abc import Iterable
from typing import Any

from rich.table import Table

from jaxgen.terminal.plain import plain

FIRST_COLUMN = 16  # its minimum width on a narrow terminal


def make_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
  """A table; floats with two decimals, or two digits if those would be 0, None as a dash.

  No value is truncated: on a narrow terminal the first column wraps.
  """
  cells = [[_cell(value) for value in row] for row in rows]
  table = Table(title=plain(title), title_justify='left')
  for i, name in enumerate(columns):
    widest = max((len(row[i]) for row in cells), default=0)
    first = i == 0
    table.add_column(
      plain(name),
      justify='left' if first else 'right',
      overflow='fold',
      min_width=min(widest, FIRST_COLUMN) if first else widest,
    )
  for row in cells:
    table.add_row(*row)
  return table


def _cell(value: Any) -> str:
  if value is None:
    return '-'
  if isinstance(value, float):
    return f'{value:.2g}' if 0 < abs(value) < 0.005 else f'{value:,.2f}'
  return f'{value:,}' if isinstance(value, int) else plain(str(value))
