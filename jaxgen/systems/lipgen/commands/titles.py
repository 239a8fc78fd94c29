"""What commands share that read a table of words: the titles of its columns."""

import argparse

OF = 'clip', 'word', 'start', 'end'
SPELLED = 'clip=TITLE,word=TITLE,...'


def columns(text: str) -> dict[str, str]:
  """Titles of columns by what is in them.

  Raises:
    argparse.ArgumentTypeError: it is no list of such.
  """
  pairs = [pair.partition('=') for pair in text.split(',')]
  found = {what.strip(): title.strip() for what, _, title in pairs}
  if not all(found.values()) or not found.keys() <= set(OF) or len(found) < len(pairs):
    known = ', '.join(f'{what}=TITLE' for what in OF)
    raise argparse.ArgumentTypeError(f'{text!r} is expected to be some of {known}, each once')
  if len(set(found.values())) < len(found):
    raise argparse.ArgumentTypeError(f'{text!r} names a column twice')
  return found
