"""Column titles, shared by commands that read a table of words."""

import argparse

OF = 'clip', 'word', 'start', 'end'
SPELLED = 'clip=TITLE,word=TITLE,...'


def columns(text: str) -> dict[str, str]:
  """Parses column titles, keyed by what the columns contain.

  Raises:
    argparse.ArgumentTypeError: it is not a list of such titles.
  """
  pairs = [pair.partition('=') for pair in text.split(',')]
  found = {what.strip(): title.strip() for what, _, title in pairs}
  if not all(found.values()) or not found.keys() <= set(OF) or len(found) < len(pairs):
    known = ', '.join(f'{what}=TITLE' for what in OF)
    raise argparse.ArgumentTypeError(f'{text!r} is expected to be some of {known}, each once')
  if len(set(found.values())) < len(found):
    raise argparse.ArgumentTypeError(f'{text!r} names a column twice')
  return found
