"""How many frames of a recogniser a text needs."""

import itertools


def frames_needed(text: str) -> int:
  """The frames below which CTC has no alignment: one a character, and one between two of a kind."""
  return len(text) + sum(a == b for a, b in itertools.pairwise(text))
