"""Speakers: the properties of a face that stay the same from clip to clip."""

from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError


class Look(NamedTuple):
  """A family of speakers, as ranges that a speaker's values are drawn from. Levels are of grey, 0 to 1.

  Attributes:
    skin: level of the skin.
    lips: ratio of the levels of lips and skin.
    teeth: level of the teeth.
    gloss: strength of the highlight on the lower lip.
    texture: strength of the skin's unevenness.
    beard: share of speakers with facial hair.
    outline: darkness of the lips' outline.
    light: how much the light may change over half a picture.
    noise: standard deviation of the camera's noise.
    blur: weight of a neighbour in the camera's blur.
  """

  skin: tuple[float, float]
  lips: tuple[float, float]
  teeth: tuple[float, float]
  gloss: tuple[float, float]
  texture: tuple[float, float]
  beard: float
  outline: tuple[float, float]
  light: float
  noise: tuple[float, float]
  blur: tuple[float, float]


LOOKS = {
  # As filmed: uneven skin, side light, lips darker than the skin, a noisy camera.
  'a': Look(
    (0.3, 0.78), (0.55, 0.85), (0.72, 0.95), (0.0, 0.25), (0.015, 0.06), 0.2, (0.0, 0.15), 0.3,
    (0.005, 0.02), (0.05, 0.18),
  ),
  # As rendered: smooth and soft, flat light, made-up lips with gloss and an outline, no beards.
  'b': Look(
    (0.3, 0.95), (0.35, 0.8), (0.85, 1.0), (0.25, 0.55), (0.0, 0.015), 0.0, (0.12, 0.3), 0.18,
    (0.0, 0.008), (0.15, 0.28),
  ),
}  # fmt: skip


class Speaker(NamedTuple):
  """A face and a manner of speaking. Lengths are in half widths of the mouth at rest.

  Attributes:
    look: the name of its family.
    number: its number there.
    pace: of speech; more is slower.
    gains: [7] strength of its movements, see `articulation.Mouth`.
    rest_opening: of the inner lips between words.
    upper: thickness of the upper lip.
    lower: of the lower lip.
    bow: depth of the cupid's bow.
    fullness: exponent of the lips' outline: less is fuller towards the corners.
    corners: how far the corners hang, negative if raised.
    skew: asymmetry of the opening.
    teeth_length: of the upper incisors.
    skin: grey level, as are the next four.
    lips: level.
    teeth: level.
    inside: level between the lips.
    tongue: level.
    gloss: see `Look`.
    texture: see `Look`.
    outline: see `Look`.
    beard: strength of the hair; 0 for none.
    folds: strength of the folds beside the mouth.
    chin: height of the chin below the mouth.
    cheeks: half width of the face at the mouth.
    marks: seed of the skin's texture.
  """

  look: str
  number: int
  pace: float
  gains: np.ndarray
  rest_opening: float
  upper: float
  lower: float
  bow: float
  fullness: float
  corners: float
  skew: float
  teeth_length: float
  skin: float
  lips: float
  teeth: float
  inside: float
  tongue: float
  gloss: float
  texture: float
  outline: float
  beard: float
  folds: float
  chin: float
  cheeks: float
  marks: int


def find_look(name: str) -> Look:
  """The family with a given name.

  Raises:
    ConfigError: there is none.
  """
  if name not in LOOKS:
    raise ConfigError(f'unknown look {name!r} of procedural speakers; known: {", ".join(LOOKS)}')
  return LOOKS[name]


def speaker(number: int, look: str = 'a') -> Speaker:
  """One speaker of a family; the number is the only seed, so equal numbers are equal faces.

  Raises:
    ConfigError: there is no such look, or the number is negative.
  """
  family = find_look(look)
  rng = generator(number, f'procedural speaker {look}')
  skin = rng.uniform(*family.skin)
  lips = skin * rng.uniform(*family.lips)
  bearded = rng.random() < family.beard
  return Speaker(
    look=look,
    number=number,
    pace=float(np.exp(rng.normal(0, 0.1))),
    gains=np.exp(rng.normal(0, 0.13, 7)),
    rest_opening=max(0.0, rng.normal(0.0, 0.05)),
    upper=rng.uniform(0.15, 0.3),
    lower=rng.uniform(0.22, 0.4),
    bow=rng.uniform(0.1, 0.42),
    fullness=rng.uniform(0.55, 0.85),
    corners=rng.normal(0.0, 0.06),
    skew=rng.normal(0.0, 0.08),
    teeth_length=rng.uniform(0.16, 0.25),
    skin=skin,
    lips=lips,
    teeth=rng.uniform(*family.teeth) * (0.55 + 0.45 * skin / family.skin[1]),
    inside=rng.uniform(0.03, 0.12),
    tongue=0.55 * lips + rng.uniform(0.05, 0.16),
    gloss=rng.uniform(*family.gloss),
    texture=rng.uniform(*family.texture),
    outline=rng.uniform(*family.outline),
    beard=rng.uniform(0.15, 0.55) if bearded else 0.0,
    folds=rng.uniform(0.0, 0.25),
    chin=rng.uniform(1.25, 1.7),
    cheeks=rng.uniform(1.75, 2.3),
    marks=int(rng.integers(2**32)),
  )
