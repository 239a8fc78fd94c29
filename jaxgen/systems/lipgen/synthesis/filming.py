"""Talking-picture videos: one speech, analysed once, and one video file per picture."""

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
  """The speech of a video of T frames.

  Attributes:
    sound: float32 [n], 16,000 samples a second.
    mel: [L, 80], see `listening.heard`.
    following: [T], see `listening.heard`.
  """

  sound: np.ndarray
  mel: np.ndarray
  following: np.ndarray


def speech_of(wishes: Wishes) -> Speech:
  """The requested speech, read from a file or synthesised from text.

  Raises:
    DataError: it cannot be read or spoken, or nobody speaks in it.
    ConfigError: the voice does not exist, or the extra is missing.
  """
  if wishes.text is not None:
    own = str(wishes.dictionary or '')
    sound, name = saying.say(wishes.text, wishes.voice or saying.VOICE, own), '--text'
  else:
    assert wishes.audio is not None  # by `Wishes.check`
    sound, name = read_sound(wishes.audio), str(wishes.audio)
  return Speech(sound, *listening.heard(name, sound))


def made_with(
  wishes: Wishes, motion: Trained, render: Trained, steps: int | None
) -> dict[str, str]:
  """Everything that determines the video of a picture, keyed by the titles of `outputs.HOW`.

  Args:
    wishes: the request.
    motion: the motion net.
    render: the renderer.
    steps: number of sampling steps; None: as in the renderer's config.
  """
  if wishes.text is None:
    sound = digest_of(wishes.audio) if wishes.audio else ''
  else:
    sound = f'{wishes.voice or saying.VOICE}: {saying.one_line(wishes.text)}'
    if wishes.dictionary:
      sound += f' ({digest_of(wishes.dictionary)})'
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
    frames: number of frames, 25 a second.
    size: height and width of the frames.
    was_open: see `Talk`.
    notes: notes for the user, a line each.
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
    wishes: the request.

  Attributes:
    frames: number of frames in each video.

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
    """Atomically writes the video of one picture.

    Args:
      picture: a picture of a face.
      target: the video file.
      bars: shows progress over its frames.
      begin: called once everything but the writing has succeeded.

    Raises:
      DataError: the picture cannot be read, or has no usable face.
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
    size = height + height % 2, width + width % 2  # padded to even sizes
    notes = *portrait.notes(), *talk.notes()
    return Filmed(portrait, count, size, talk.was_open, notes)
