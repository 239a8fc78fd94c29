"""Words of messages that depend on a number."""

from collections.abc import Collection
from itertools import islice


def counted(number: int, one: str, many: str = '') -> str:
  """'1 image', '3 images', '2,000 images'.

  Args:
    number: how many.
    one: the word for one.
    many: for any other number; `one` with an s by default.
  """
  return f'{number:,} {one if number == 1 else many or one + "s"}'


def named(items: Collection[object], most: int = 5, mark: str = ', ') -> str:
  """'a, b and 3 more'.

  Args:
    items: in their order.
    most: how many are named.
    mark: between two of them.
  """
  more = f' and {len(items) - most:,} more' if len(items) > most else ''
  return mark.join(map(str, islice(items, most))) + more
