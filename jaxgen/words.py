"""Words of messages that depend on a number."""


def counted(number: int, one: str, many: str = '') -> str:
  """'1 image', '3 images', '2,000 images'.

  Args:
    number: how many.
    one: the word for one.
    many: for any other number; `one` with an s by default.
  """
  return f'{number:,} {one if number == 1 else many or one + "s"}'
