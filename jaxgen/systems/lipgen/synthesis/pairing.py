"""Which face says which word in whose voice: the paper's pairing, random audio and distinct clips a face."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.words import counted

# How much longer or shorter than recorded a word is spoken, and how much more or less a face moves, at most.
RATE, GAIN = 0.15, 0.2
# How often another word of the same voice is heard on one side of the word, cut off by the clip's end.
AROUND = 0.25


class Take(NamedTuple):
  """One of the recordings of a word: who says it, and which of those by that voice it is, from 1."""

  voice: str
  number: int


class Clip(NamedTuple):
  """One clip to be made.

  Attributes:
    name: of its files without an ending, in the folder of clips: WORD/train/WORD_00001.
    face: number of the face.
    word: what is said.
    voice: who says it.
    take: which of the word's recordings by that voice, from 1.
    before: the word before it; '' for silence.
    after: the word after it.
    rate: how much longer than usual the word lasts.
    gain: how much more than usual the lips move.
    number: of the clip, from 0; by it and the renderer's own seed the noise of rendering is drawn.
  """

  name: str
  face: int
  word: str
  voice: str
  take: int
  before: str
  after: str
  rate: float
  gain: float
  number: int


def name_of(word: str, number: int) -> str:
  """The name of a word's clip, numbered from 1: WORD/train/WORD_00001."""
  return f'{word.upper()}/train/{word.upper()}_{number:05d}'


def every(words: Sequence[str], voices: Sequence[str]) -> dict[str, list[Take]]:
  """Each word once by each voice."""
  return {word: [Take(voice, 1) for voice in voices] for word in words}


def paired(
  num_faces: int, takes: Mapping[str, Sequence[Take]], clips_per_face: int, seed: int
) -> list[Clip]:
  """The clips of each face after those of the one before.

  No face has a recording twice. Words take turns as far as that allows, so that each is said about equally
  often; those that are heard beside one are of its voice. More faces leave the clips of the first ones as they
  are.

  Args:
    num_faces: how many.
    takes: of each word, one at least.
    clips_per_face: how many each.
    seed: of all that is random.

  Raises:
    ConfigError: a face is to say more than there is.
  """
  words, most = list(takes), sum(map(len, takes.values()))
  speakers = {word: {take.voice for take in takes[word]} for word in words}
  if clips_per_face > most:
    voices = len(set().union(*speakers.values()))
    raise ConfigError(
      f'{clips_per_face} clips a face: there are {most} different ones, of {counted(len(words), "word")} in '
      f'{counted(voices, "voice")}: ask for no more by --clips-per-face'
    )
  said: Counter[str] = Counter()
  clips: list[Clip] = []
  for face in range(num_faces):
    rng = np.random.default_rng([seed, face])
    left = {word: list(takes[word]) for word in words}
    gain = float(np.exp(rng.uniform(-1, 1) * np.log1p(GAIN)))
    for _ in range(clips_per_face):
      # The word that was said least, by lot among equals.
      lots = rng.permutation(len(words))
      word = min(
        (words[i] for i in lots if left[words[i]]),
        key=lambda x: said[x],
      )
      voice, take = left[word].pop(int(rng.integers(len(left[word]))))
      others = [other for other in words if other != word and voice in speakers[other]]
      before, after = (
        str(rng.choice(others)) if rng.random() < AROUND and others else '' for _ in range(2)
      )
      said[word] += 1
      rate = float(np.exp(rng.uniform(-1, 1) * np.log1p(RATE)))
      name = name_of(word, said[word])
      clips.append(Clip(name, face, word, voice, take, before, after, rate, gain, len(clips)))
  return clips
