"""How many frames of a recogniser CTC needs for a text."""

import itertools


def frames_needed(text: str) -> int:
  """The fewest frames with a CTC alignment: one per character, and one between equal neighbours."""
  return len(text) + sum(a == b for a, b in itertools.pairwise(text))
