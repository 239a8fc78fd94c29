"""Pairs faces with words and voices, as in the paper: random audio, and distinct clips for each face."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.words import counted

# Largest relative change of a word's duration, and of the amplitude of a face's motion, either way.
RATE, GAIN = 0.15, 0.2
# Probability, per side, of hearing another word of the same voice, cut off by the clip's end.
AROUND = 0.25


class Take(NamedTuple):
  """One of a word's recordings: its voice, and its number among those by that voice, from 1."""

  voice: str
  number: int


class Clip(NamedTuple):
  """One clip to be made.

  Attributes:
    name: path of its files in the folder of clips, without extension: WORD/train/WORD_00001.
    face: number of the face.
    word: what is said.
    voice: who says it.
    take: number of the word's recording by that voice, from 1.
    before: the word before it; '' for silence.
    after: the word after it; '' for silence.
    rate: factor on the word's usual duration.
    gain: factor on the usual motion of the lips.
    number: number of the clip, from 0; with the renderer's own seed it seeds the rendering noise.
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
  """Takes with each word once by each voice."""
  return {word: [Take(voice, 1) for voice in voices] for word in words}


def paired(
  num_faces: int, takes: Mapping[str, Sequence[Take]], clips_per_face: int, seed: int
) -> list[Clip]:
  """The clips of all faces, ordered by face.

  No face has a recording twice. Words alternate as far as that allows, so that each is said about equally
  often; neighbouring words are by the same voice. Adding faces does not change the clips of the first ones.

  Args:
    num_faces: number of faces.
    takes: at least one for each word.
    clips_per_face: number of clips per face.
    seed: seed of all random choices.

  Raises:
    ConfigError: more clips per face than recordings.
  """
  words, most = list(takes), sum(map(len, takes.values()))
  speakers = {word: {take.voice for take in takes[word]} for word in words}
  if clips_per_face > most:
    voices = len(set().union(*speakers.values()))
    raise ConfigError(
      f'{clips_per_face} clips per face: only {most} distinct ones exist, from '
      f'{counted(len(words), "word")} in {counted(voices, "voice")}: lower --clips-per-face'
    )
  said: Counter[str] = Counter()
  clips: list[Clip] = []
  for face in range(num_faces):
    rng = np.random.default_rng([seed, face])
    left = {word: list(takes[word]) for word in words}
    gain = float(np.exp(rng.uniform(-1, 1) * np.log1p(GAIN)))
    for _ in range(clips_per_face):
      # The word said least often so far, with random tie-breaking.
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
