"""Pictures that talk: of one sound, frames of a face at the size of its picture, or of its mouth alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.synthesis import lips
from jaxgen.systems.lipgen.synthesis.bending import bend
from jaxgen.systems.lipgen.synthesis.chain import Chain, framed_points
from jaxgen.systems.lipgen.synthesis.compositing import Stage, correction_of
from jaxgen.systems.lipgen.synthesis.portraits import Portrait

# A mouth that moves less, in pixels of its crop, is at rest.
_STILL = 1e-3
_PIECE = 50  # frames that are bent at once, so that long sounds need no more room than short ones


class Spoken(NamedTuple):
  """How lips move with a sound.

  Attributes:
    offsets: float32 [T, 40, 2], see `Chain.lips`; 0 where nobody speaks.
    moves: [T, 6] of the head.
  """

  offsets: np.ndarray
  moves: np.ndarray


def spoken(chain: Chain, mel: np.ndarray, following: np.ndarray) -> Spoken:
  """How lips move with a sound in which somebody speaks.

  Args:
    chain: whose motion net hears it.
    mel: [L, 80].
    following: [T], how far lips follow it, see `listening.following`.
  """
  offsets, moves = chain.lips(mel)
  return Spoken(offsets * following[:, None, None], moves * following[:, None])


class Talk:
  """One face that talks, rendered.

  Args:
    chain: nets.
    portrait: the face.
    said: how its lips move.
    number: by which the renderer's noise is drawn.
  """

  def __init__(self, chain: Chain, portrait: Portrait, said: Spoken, number: int = 0):
    self._portrait, self._framing = portrait, chain.framing
    rest = lips.at_rest(portrait.points)
    self.was_open = rest is not portrait.points
    face = portrait.face(chain.framing)
    # The renderer is shown the mouth at rest first, to know what it does to that.
    offsets = np.concatenate([np.zeros_like(said.offsets[:1]), said.offsets])
    resting = face._replace(points=framed_points(rest, chain.framing))
    at = chain.targets(resting, offsets)
    given = chain.conditions(face, at)
    self.rendered = chain.render([face], [at], [number], [given])[0]
    self._added = correction_of(self.rendered, given, 0)
    crop = Chain.targets(chain, face._replace(points=rest), offsets)
    self._points = crop

  def mouths(self) -> np.ndarray:
    """The renderer's frames, uint8 [T, H, W]."""
    return self.rendered[1:]

  def frames(self) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] at the size of the picture."""
    stage = Stage(self._portrait, self._framing)
    points = self._points[1:]
    still = abs(points - self._portrait.points).max((1, 2)) < _STILL
    for first in range(0, len(points), _PIECE):
      part = slice(first, first + _PIECE)
      added = type(self._added)(*(x[1:][part] for x in self._added))
      bent = bend(self._portrait.points, points[part])
      yield from stage.frames(points[part], bent, added, still[part])
