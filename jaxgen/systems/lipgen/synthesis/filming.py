"""Videos of pictures that talk: what is said, heard once, and a file of each picture."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.passes import Bars, no_bars
from jaxgen.systems.lipgen.synthesis import listening, portraits, saying
from jaxgen.systems.lipgen.synthesis.chain import Chain
from jaxgen.systems.lipgen.synthesis.chain import digest_of as digest_of_net
from jaxgen.systems.lipgen.synthesis.portraits import Portrait
from jaxgen.systems.lipgen.synthesis.talking import Talk, spoken
from jaxgen.systems.lipgen.synthesis.wishes import Wishes
from jaxgen.systems.lipgen.video import encoding
from jaxgen.systems.lipgen.video.ledger import digest_of
from jaxgen.systems.lipgen.voices.sound_files import read_sound
from jaxgen.systems.lipgen.voices.sounds import RATE
from jaxgen.task import Trained


class Speech(NamedTuple):
  """What is said, in T frames.

  Attributes:
    sound: float32 [n], 16,000 samples a second.
    mel: [L, 80], see `listening.heard`.
    following: [T], see there.
  """

  sound: np.ndarray
  mel: np.ndarray
  following: np.ndarray


def speech_of(wishes: Wishes) -> Speech:
  """What is asked for, heard or said.

  Raises:
    DataError: it cannot be read or said, or nobody speaks.
    ConfigError: there is no such voice, or the extra is missing.
  """
  if wishes.text is not None:
    sound, name = saying.say(wishes.text, wishes.voice or saying.VOICE), '--text'
  else:
    assert wishes.audio is not None  # by `Wishes.check`
    sound, name = read_sound(wishes.audio), str(wishes.audio)
  return Speech(sound, *listening.heard(name, sound))


def made_with(
  wishes: Wishes, motion: Trained, render: Trained, steps: int | None
) -> dict[str, str]:
  """All that decides what the video of a picture is, by titles of `outputs.HOW`.

  Args:
    wishes: how it is to be.
    motion: the net that moves lips.
    render: the net that renders mouths.
    steps: of sampling; None: as the renderer says.
  """
  if wishes.text is None:
    sound = digest_of(wishes.audio) if wishes.audio else ''
  else:
    sound = f'{wishes.voice or saying.VOICE}: {saying.one_line(wishes.text)}'
  return {
    'sound': sound,
    'motion': digest_of_net(motion),
    'render': digest_of_net(render),
    'steps': str(steps or render.config.eval.steps),
    'seed': str(wishes.seed),
    'head': f'{wishes.head:g}',
    'longest': str(wishes.longest or portraits.LONGEST),
    'crop': 'yes' if wishes.crop else 'no',
    'faces_by': portraits.finder_kind(),
  }


class Filmed(NamedTuple):
  """A video that was written.

  Attributes:
    portrait: the face.
    frames: how many there are, 25 a second.
    size: their height and width.
    was_open: see `Talk`.
    notes: what a person is to know, a line each.
  """

  portrait: Portrait
  frames: int
  size: tuple[int, int]
  was_open: bool
  notes: tuple[str, ...]


class Studio:
  """Writes videos of one speech.

  Args:
    chain: the nets.
    speech: what is said.
    wishes: how.

  Attributes:
    frames: of each video.

  Raises:
    ConfigError: OpenCV is not installed.
  """

  def __init__(self, chain: Chain, speech: Speech, wishes: Wishes):
    self._chain, self._wishes, self._sound = chain, wishes, speech.sound
    self._find = portraits.make_finder(wishes.longest or portraits.LONGEST)
    self._said = spoken(chain, speech.mel, speech.following)
    self.frames = len(self._said.offsets)

  def __call__(
    self,
    picture: Path,
    target: Path,
    bars: Bars = no_bars,
    begin: Callable[[], None] = lambda: None,
  ) -> Filmed:
    """Writes the video of one picture, complete or not at all.

    Args:
      picture: of a face.
      target: the file.
      bars: shows the pass over its frames.
      begin: called once all but the writing has gone well.

    Raises:
      DataError: the picture cannot be read, or has no face that can talk.
      OSError: the file cannot be written.
    """
    wishes = self._wishes
    portrait = self._find(picture)
    talk = Talk(self._chain, portrait, self._said, wishes.seed, wishes.head)
    frames = iter(talk.rendered) if wishes.crop else talk.frames()
    about = {
      'comment': f'{encoding.SYNTHETIC} talk; the face was not filmed saying this',
      'description': f'jaxgen talk: one picture of a face, lips moved with a sound; seed {wishes.seed}',
    }
    begin()
    count = encoding.write_video(
      target, bars(frames, 'frames'), sound=(self._sound, RATE), metadata=about
    )
    height, width = (self._chain.side, self._chain.side) if wishes.crop else talk.size
    size = height + height % 2, width + width % 2  # as they are filled up
    notes = *portrait.notes(), *talk.notes()
    return Filmed(portrait, count, size, talk.was_open, notes)
