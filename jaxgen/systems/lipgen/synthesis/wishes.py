"""How a picture is asked to talk. Imports nothing heavy."""

import math
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen.errors import ConfigError

LARGEST_SEED = 2**32 - 1  # noise is drawn by it as by numbers of rows, see `data.order.generator`
FARTHEST = 100.0  # times as far as the motion net says that a head moves


class Wishes(NamedTuple):
  """What is said, and how it is shown.

  Attributes:
    audio: a sound file, or a video with sound.
    text: in place of it, said by a voice.
    voice: of the text, see `espeak.voices`; None: `saying.VOICE`.
    seed: of the noise that sampling begins with.
    head: how much the head moves; 1 as the motion net says, at most `FARTHEST`.
    longest: pixels of a side at most; None: `portraits.LONGEST`.
    crop: the rendered mouth alone.
  """

  audio: Path | None = None
  text: str | None = None
  voice: str | None = None
  seed: int = 0
  head: float = 0.0
  longest: int | None = None
  crop: bool = False

  def check(self) -> None:
    """Raises ConfigError for what cannot be, alone or together."""
    if (self.audio is None) == (self.text is None):
      raise ConfigError('name what is said: --audio FILE, or --text WORDS, one of them')
    if self.voice and self.audio:
      raise ConfigError('--voice is of --text: --audio has its own')
    check_number('seed', self.seed, 0, LARGEST_SEED)
    check_number('head', self.head, 0, FARTHEST, whole=False)
    if self.longest is not None:
      check_number('longest', self.longest, 64)
    if self.crop and self.head:
      raise ConfigError(
        f'--head={self.head} moves the whole picture, and --crop is of the mouth alone: leave one of them out'
      )


def check_number(
  name: str, value: Any, least: int, most: float = math.inf, whole: bool = True
) -> None:
  """Raises ConfigError for an option that is no number, by default no whole one, from `least` to `most`."""
  kind: Any = Integral if whole else Real
  if not isinstance(value, kind) or not least <= value <= most:
    bounds = f'{least} or more' if most == math.inf else f'{least} to {most:.0f}'
    raise ConfigError(f'--{name}={value} must be a {"whole " if whole else ""}number, {bounds}')
