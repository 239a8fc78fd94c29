"""Wording of messages that depends on a number."""

from collections.abc import Collection
from itertools import islice


def counted(number: int, one: str, many: str = '') -> str:
  """'1 image', '3 images', '2,000 images'.

  Args:
    number: how many.
    one: the singular.
    many: the plural; `one` with an s by default.
  """
  return f'{number:,} {one if number == 1 else many or one + "s"}'


def named(items: Collection[object], most: int = 5, mark: str = ', ') -> str:
  """'a, b and 3 more'.

  Args:
    items: in order.
    most: how many to name.
    mark: separator.
  """
  more = f' and {len(items) - most:,} more' if len(items) > most else ''
  return mark.join(map(str, islice(items, most))) + more
