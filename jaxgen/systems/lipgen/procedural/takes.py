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

# Common words with distinct viseme sequences that cover every viseme.
_WORDS = """
about before family follow general meeting money morning never people
person police question service system thousand value village water woman
"""
WORDS = tuple(_WORDS.split())
# Filler before and after the word: short words of everyday speech.
_AROUND = """
the of and to in is it you that he was for on are with as his they be at one have this from had by hot but some
what there we can out other were all your when up use word how said an each she which do their time if will way
many then them would write like so these her long make thing see him two has look more day could go come did my
sound no most who over know than call first may down side been find
"""
AROUND = tuple(_AROUND.split())
# Probability of silence on each side of the word: words surrounded by speech are much harder to learn from.
SILENCE = 0.75
# Pace of sentences: it makes their words 6 frames long on average, as GRID's are.
FRAMES_A_WORD = 5.0


class Speech(NamedTuple):
  """Everything that determines a set of clips.

  Attributes:
    words: what is said; the class of a word is its index here.
    dictionary: gives their phonemes.
    seed: of clips.
    first_speaker: number of the first speaker, see `identity.speaker`.
    num_speakers: number of speakers from there on.
    look: their family.
    pixels: side of the pictures.
    num_frames: of each clip.
    square: top, left and side in pixels of the part of a 96 x 96 mouth crop that pictures show; in the crop the
      lips are placed as in `framing.LIPS`.
    sentences: sequences of classes that clips say, in turn; empty: each clip says a single word, in turn, amid
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
    """The square in units of the drawing."""
    top, left, side = self.square
    half = LIPS.size / 2
    return View((left - LIPS.left) / half - 1, (top - LIPS.top) / half - 1, side / half)


class Take(NamedTuple):
  """One clip, not yet drawn.

  Attributes:
    number: its number in the speech.
    labels: classes of its words; one unless there are sentences.
    spans: start and end of each in frames.
    who: the speaker.
    timed: the phonemes of the whole clip with their times in frames, including those around the word.
    mouth: [T, 7], see `articulation.Mouth`.
    pose: of T frames.
    camera: camera and light.
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
  """Checks that a set of clips can be made.

  Raises:
    ConfigError: there are no words, a word is named twice, there are no speakers, or the look or size is
      invalid.
    DataError: a word is not in the dictionary, or has a phoneme without a gesture.
  """
  find_look(speech.look)
  twice = sorted({word for word in speech.words if speech.words.count(word) > 1})
  if twice or not speech.words:
    raise ConfigError(f'words to speak: {twice[0] + " is named twice" if twice else "none given"}')
  if speech.num_speakers < 1 or speech.first_speaker < 0:
    raise ConfigError(
      f'speakers {speech.first_speaker} and {speech.num_speakers - 1} more: at least one is '
      'needed, numbered from 0'
    )
  if speech.pixels < 16 or speech.num_frames < 4:
    raise ConfigError(
      f'clips of {speech.num_frames} frames of {speech.pixels} pixels: needs at least 4 frames of '
      '16 pixels'
    )
  if any(
    not (said and min(said) >= 0 and max(said) < len(speech.words)) for said in speech.sentences
  ):
    raise ConfigError(
      'sentences to speak: each needs at least one of the given words and no others'
    )
  for word in speech.words:
    if not gestures_of(speech.dictionary.phonemes(word)):
      raise ConfigError(f'words to speak: {word!r} has no phonemes')


def take(speech: Speech, index: int) -> Take:
  """The clip of a given index, independent of when it is made and of the other clips.

  Words, or sentences, are used in turn; the speaker, the speech around a word, times, pose and camera are
  random, seeded by (seed, look, first speaker, index).

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
  """A clip of given phonemes, such as from recorded sound; speaker, pose and camera are random as in `take`.

  Args:
    speech: speakers and pictures; its words are not said.
    index: of the clip.
    labels: classes of what is said, stored with the clip.
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
  """A word amid other speech: its class, all timed phonemes, its span."""
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
  """A sentence surrounded by silence: its classes, all timed phonemes, the words' spans."""
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
  """The name of a random stream; sets of different speakers differ even with the same seed."""
  return f'procedural {what} {speech.look}{speech.first_speaker}'


def _around(rng: np.random.Generator, speech: Speech) -> list[str]:
  """Phonemes of the filler on one side of the word: none, or some words."""
  if rng.random() < SILENCE:
    return []
  known = [word for word in AROUND if word in speech.dictionary] or list(speech.words)
  words = rng.choice(known, rng.integers(1, 4))
  return [phoneme for word in words for phoneme in speech.dictionary.phonemes(str(word))]


def _pause(rng: np.random.Generator) -> list[str]:
  """Randomly, a pause next to the word."""
  return [REST] if rng.random() < 0.2 else []


def frames_of(speech: Speech, one: Take) -> np.ndarray:
  """Draws the pictures of a take: uint8 [T, pixels, pixels]."""
  rng = generator(speech.seed, _stream(speech, 'noise'), one.number)
  return draw(rng, one.who, one.mouth, one.pose, one.camera, speech.pixels, speech.view)


def contours_of(speech: Speech, one: Take) -> np.ndarray:
  """The lip contours of a take: float32 [T, 40, 2], x and y in pixels, see `geometry.contours`."""
  halves = contours(one.who, one.mouth, one.pose)
  left, top, side = speech.view
  return ((halves - (left, top)) * (speech.pixels / side) - 0.5).astype(np.float32)
