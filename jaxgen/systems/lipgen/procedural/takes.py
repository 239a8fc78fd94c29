"""Takes: what is said in each clip, by whom and how, before anything is drawn."""

from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError
from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.procedural.articulation import (
  REST,
  Timed,
  gestures_of,
  mouths,
  utterance,
)
from jaxgen.systems.lipgen.procedural.drawing import Camera, View, draw, random_camera
from jaxgen.systems.lipgen.procedural.geometry import Pose, contours, random_pose
from jaxgen.systems.lipgen.procedural.identity import Speaker, find_look, speaker
from jaxgen.systems.lipgen.speech.dictionary import Dictionary

# Common words whose viseme sequences differ, with every viseme among them.
_WORDS = """
about before family follow general meeting money morning never people
person police question service system thousand value village water woman
"""
WORDS = tuple(_WORDS.split())
# What is said before and after: short words of everyday speech.
_AROUND = """
the of and to in is it you that he was for on are with as his they be at one have this from had by hot but some
what there we can out other were all your when up use word how said an each she which do their time if will way
many then them would write like so these her long make thing see him two has look more day could go come did my
sound no most who over know than call first may down side been find
"""
AROUND = tuple(_AROUND.split())
# How often nothing is said on one side of the word: speech all around a word is much harder to learn from.
SILENCE = 0.75
# How fast sentences are: words of them take 6 frames on the average then, as GRID's do.
FRAMES_A_WORD = 5.0


class Speech(NamedTuple):
  """Everything that decides a set of clips.

  Attributes:
    words: what is said; the class of a word is its place here.
    dictionary: its phonemes.
    seed: of clips.
    first_speaker: the least number of a speaker, see `identity.speaker`.
    num_speakers: how many numbers from there on.
    look: their family.
    pixels: side of the pictures.
    num_frames: of each clip.
    square: top, left and side in pixels of what the pictures show of a mouth crop of 96 x 96, in which the lips
      are where they are in `framing.LIPS`.
    sentences: classes that clips say one after another, in turn; empty: clips say a word each, in turn, amid
      other speech.
  """

  words: tuple[str, ...]
  dictionary: Dictionary
  seed: int = 0
  first_speaker: int = 0
  num_speakers: int = 100
  look: str = 'a'
  pixels: int = 48
  num_frames: int = 29
  square: tuple[int, int, int] = LIPS[:3]
  sentences: tuple[tuple[int, ...], ...] = ()

  @property
  def view(self) -> View:
    """The square in the drawing's units."""
    top, left, side = self.square
    half = LIPS.size / 2
    return View((left - LIPS.left) / half - 1, (top - LIPS.top) / half - 1, side / half)


class Take(NamedTuple):
  """One clip, not yet drawn.

  Attributes:
    number: its number in the speech.
    labels: classes of its words; one but for sentences.
    spans: start and end of each in frames.
    who: the speaker.
    timed: the phonemes of the whole clip with their times in frames, what is around the word too.
    mouth: [T, 7], see `articulation.Mouth`.
    pose: of T frames.
    camera: and light.
  """

  number: int
  labels: tuple[int, ...]
  spans: tuple[tuple[float, float], ...]
  who: Speaker
  timed: Timed
  mouth: np.ndarray
  pose: Pose
  camera: Camera


def check_speech(speech: Speech) -> None:
  """Refuses what cannot be spoken.

  Raises:
    ConfigError: no words, a word twice, no speakers, or a look or size that does not exist.
    DataError: a word is not in the dictionary, or has a phoneme without a gesture.
  """
  find_look(speech.look)
  twice = sorted({word for word in speech.words if speech.words.count(word) > 1})
  if twice or not speech.words:
    raise ConfigError(
      f'words to speak: {twice[0] + " is named twice" if twice else "there is none"}'
    )
  if speech.num_speakers < 1 or speech.first_speaker < 0:
    raise ConfigError(
      f'speakers {speech.first_speaker} and {speech.num_speakers - 1} more: ask for at least one, from 0 on'
    )
  if speech.pixels < 16 or speech.num_frames < 4:
    raise ConfigError(
      f'clips of {speech.num_frames} frames of {speech.pixels} pixels: at least 4 frames of 16 pixels'
    )
  if any(
    not (said and min(said) >= 0 and max(said) < len(speech.words)) for said in speech.sentences
  ):
    raise ConfigError('sentences to speak: each has at least one word, of those that are named')
  for word in speech.words:
    if not gestures_of(speech.dictionary.phonemes(word)):
      raise ConfigError(f'words to speak: {word!r} has no phonemes')


def take(speech: Speech, index: int) -> Take:
  """The clip of a number, the same whenever and beside whatever it is made.

  The words, or sentences, take turns; the speaker, what is said around a word, times, pose and camera are
  random by (seed, look, first speaker, index).

  Raises:
    DataError: a phoneme has no gesture.
  """
  rng = generator(speech.seed, _stream(speech, 'take'), index)
  who = speaker(speech.first_speaker + int(rng.integers(speech.num_speakers)), speech.look)
  said = (_sentence if speech.sentences else _word)(rng, speech, index, who.pace)
  return _take(rng, speech, index, who, said)


def acted(
  speech: Speech,
  index: int,
  labels: tuple[int, ...],
  timed: Timed,
  spans: tuple[tuple[float, float], ...],
) -> Take:
  """A clip of given phonemes, as of somebody's sound; speaker, pose and camera are random as those of `take`.

  Args:
    speech: of speakers and pictures; its words are not said.
    index: number of the clip.
    labels: classes of what is said, to be kept with it.
    timed: all phonemes of the clip, with `REST` for silence.
    spans: start and end of each word in frames.

  Raises:
    DataError: a phoneme has no gesture.
  """
  rng = generator(speech.seed, _stream(speech, 'act'), index)
  who = speaker(speech.first_speaker + int(rng.integers(speech.num_speakers)), speech.look)
  return _take(rng, speech, index, who, (labels, timed, spans))


_Said = tuple[tuple[int, ...], Timed, tuple[tuple[float, float], ...]]


def _take(rng: np.random.Generator, speech: Speech, index: int, who: Speaker, said: _Said) -> Take:
  labels, timed, spans = said
  return Take(
    number=index,
    labels=labels,
    spans=spans,
    who=who,
    timed=timed,
    mouth=mouths(timed, np.arange(speech.num_frames) + 0.5),
    pose=random_pose(rng, speech.num_frames),
    camera=random_camera(rng, find_look(speech.look)),
  )


def _word(rng: np.random.Generator, speech: Speech, index: int, pace: float) -> _Said:
  """A word amid other speech: its class, all phonemes in time, its times."""
  label = index % len(speech.words)
  timed, span = utterance(
    rng,
    speech.dictionary.phonemes(speech.words[label]),
    [REST, *_around(rng, speech), *_pause(rng)],
    [*_pause(rng), *_around(rng, speech), REST],
    speech.num_frames,
    pace,
  )
  return (label,), timed, (span,)


def _sentence(rng: np.random.Generator, speech: Speech, index: int, pace: float) -> _Said:
  """Words one after another, in silence: their classes, all phonemes in time, their times."""
  labels = speech.sentences[index % len(speech.sentences)]
  said = [speech.dictionary.phonemes(speech.words[label]) for label in labels]
  phonemes = [phoneme for word in said for phoneme in word]
  usual = FRAMES_A_WORD * len(labels)
  timed, _ = utterance(rng, phonemes, [REST], [REST], speech.num_frames, pace, usual)
  last = np.cumsum([len(word) for word in said])
  times = timed.times[1:]  # after the pause before
  spans = (
    (times[end - len(word), 0], times[end - 1, 1]) for word, end in zip(said, last, strict=True)
  )
  return labels, timed, tuple((float(start), float(end)) for start, end in spans)


def _stream(speech: Speech, what: str) -> str:
  """Names a stream of random numbers: sets of other speakers have others, under the same seed too."""
  return f'procedural {what} {speech.look}{speech.first_speaker}'


def _around(rng: np.random.Generator, speech: Speech) -> list[str]:
  """Phonemes of what is said on one side of the word: nothing, or some words."""
  if rng.random() < SILENCE:
    return []
  known = [word for word in AROUND if word in speech.dictionary] or list(speech.words)
  words = rng.choice(known, rng.integers(1, 4))
  return [phoneme for word in words for phoneme in speech.dictionary.phonemes(str(word))]


def _pause(rng: np.random.Generator) -> list[str]:
  """A pause next to the word, or none."""
  return [REST] if rng.random() < 0.2 else []


def frames_of(speech: Speech, one: Take) -> np.ndarray:
  """The pictures of a take: uint8 [T, pixels, pixels]."""
  rng = generator(speech.seed, _stream(speech, 'noise'), one.number)
  return draw(rng, one.who, one.mouth, one.pose, one.camera, speech.pixels, speech.view)


def contours_of(speech: Speech, one: Take) -> np.ndarray:
  """The lips' outlines in a take: float32 [T, 40, 2], x and y in pixels, see `geometry.contours`."""
  halves = contours(one.who, one.mouth, one.pose)
  left, top, side = speech.view
  return ((halves - (left, top)) * (speech.pixels / side) - 0.5).astype(np.float32)
