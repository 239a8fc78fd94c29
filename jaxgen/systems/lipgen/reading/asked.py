"""Checks of the options for reading a video. Imports nothing heavy."""

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
  """Raises ConfigError for reading options that are invalid, alone or together.

  Args:
    top: candidates per word; None: the default number.
    whole: whether a video is one word.
    boundaries: start and end of words in seconds, if given.
    crops: whether a video is a mouth crop.
    faces: whether options for finding faces are given.
  """
  if top is not None and top < 1:
    raise ConfigError(f'--top={top} must be 1 or more')
  if whole and boundaries:
    raise ConfigError('--whole and --boundary both set where a word is: drop one of them')
  for start, end in boundaries:
    if not 0 <= start < end < math.inf:
      raise ConfigError(
        f'--boundary {start:g} {end:g}: a word must start at 0 or later and end after its start'
      )
  if crops and faces:
    raise ConfigError('--crops skips the search for faces: drop --landmarks and --source')
