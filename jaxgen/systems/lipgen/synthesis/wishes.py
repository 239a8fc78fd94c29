"""How a picture is asked to talk. Imports nothing heavy."""

import math
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import ConfigError


class Wishes(NamedTuple):
  """What is said, and how it is shown.

  Attributes:
    audio: a sound file, or a video with sound.
    text: in place of it, said by a voice.
    voice: of the text, see `espeak.voices`; None: `saying.VOICE`.
    seed: of the noise that sampling begins with.
    head: how much the head moves; 1 as the motion net says.
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
    for name, least in (('seed', 0), ('longest', 64), ('head', 0)):
      value = getattr(self, name)
      if value is not None and not least <= value < math.inf:
        raise ConfigError(f'--{name}={value} must be a number, {least} or more')
    if self.crop and self.head:
      raise ConfigError(
        f'--head={self.head} moves the whole picture, and --crop is of the mouth alone: leave one of them out'
      )
