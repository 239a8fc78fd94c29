"""How a video is asked to be read. Imports nothing heavy."""

import math
from collections.abc import Sequence

from jaxgen.errors import ConfigError


def check_asked(
  top: int | None,
  whole: bool,
  boundaries: Sequence[Sequence[float]],
  crops: bool,
  faces: bool,
) -> None:
  """Raises ConfigError for ways to read that cannot be, alone or together.

  Args:
    top: words of an answer; None: as many as there are by default.
    whole: whether a video is one word.
    boundaries: start and end of words in seconds, where they are given.
    crops: whether a video shows a mouth alone.
    faces: whether it is said how faces are to be found.
  """
  if top is not None and top < 1:
    raise ConfigError(f'--top={top} must be 1 or more')
  if whole and boundaries:
    raise ConfigError('--whole and --boundary both say where a word is: leave one of them out')
  for start, end in boundaries:
    if not 0 <= start < end < math.inf:
      raise ConfigError(
        f'--boundary {start:g} {end:g}: a word begins at 0 or later and ends after that'
      )
  if crops and faces:
    raise ConfigError('--crops are not searched for faces: leave --landmarks and --source out')
