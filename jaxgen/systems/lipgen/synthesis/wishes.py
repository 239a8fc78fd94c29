"""Options of a talking-picture request. Imports nothing heavy."""

import math
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.errors import ConfigError

LARGEST_SEED = 2**32 - 1  # it seeds noise as row numbers do, see `data.order.generator`
FARTHEST = 100.0  # largest scale of the predicted head motion


class Wishes(NamedTuple):
  """What is said, and how it is shown.

  Attributes:
    audio: a sound file, or a video with sound.
    text: text to be spoken in place of `audio`.
    voice: voice for the text, see `espeak.voices`; None: `saying.VOICE`.
    seed: seed of the initial sampling noise.
    head: scale of the head motion; 1 as predicted by the motion net, at most `FARTHEST`.
    longest: largest side in pixels; None: `portraits.LONGEST`.
    crop: show the rendered mouth alone.
    dictionary: a pronouncing dictionary for words of the text that CMUdict lacks or says otherwise.
  """

  audio: Path | None = None
  text: str | None = None
  voice: str | None = None
  seed: int = 0
  head: float = 0.0
  longest: int | None = None
  crop: bool = False
  dictionary: Path | None = None

  def check(self) -> None:
    """Raises ConfigError for invalid options or combinations of them."""
    if (self.audio is None) == (self.text is None):
      raise ConfigError('give the speech: either --audio FILE or --text WORDS')
    if self.voice and self.audio:
      raise ConfigError('--voice is for --text only: --audio has its own')
    if self.dictionary and self.audio:
      raise ConfigError('--dictionary is for --text only: --audio is not pronounced')
    check_number('seed', self.seed, 0, LARGEST_SEED)
    check_number('head', self.head, 0, FARTHEST, whole=False)
    if self.longest is not None:
      check_number('longest', self.longest, 64)
    if self.crop and self.head:
      raise ConfigError(
        f'--head={self.head} moves the whole picture, but --crop shows only the mouth: drop one of '
        'them'
      )


def check_number(
  name: str, value: Any, least: int, most: float = math.inf, whole: bool = True
) -> None:
  """Raises ConfigError for an option that is not a number, by default a whole one, from `least` to `most`."""
  kind: Any = Integral if whole else Real
  if not isinstance(value, kind) or not least <= value <= most:
    bounds = f'{least} or more' if most == math.inf else f'{least} to {most:.0f}'
    raise ConfigError(f'--{name}={value} must be a {"whole " if whole else ""}number, {bounds}')
