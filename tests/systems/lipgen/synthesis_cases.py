"""What tests of synthetic clips share: words and voices, what says them, and a chain without nets."""

import functools

import numpy as np

from jaxgen.systems.lipgen.clips.framing import LIPS
from jaxgen.systems.lipgen.speech.dictionary import find_dictionary
from jaxgen.systems.lipgen.synthesis import spoken_clips

WORDS, VOICES = ('about', 'water', 'people'), ('m1', 'f1')


@functools.cache
def say():
  """What says a clip; sound is rebuilt once."""
  return functools.cache(spoken_clips.saying(WORDS, VOICES, find_dictionary()))


class Chain:
  """Renders a level by the clip's number, and no lips that move."""

  framing = LIPS

  def lips(self, mel):
    return np.zeros((len(mel) // 4, 40, 2), np.float32), None

  def render(self, faces, points, numbers):
    return [
      np.full((len(at), *face.reference.shape), 40 + n, np.uint8)
      for face, at, n in zip(faces, points, numbers, strict=True)
    ]
