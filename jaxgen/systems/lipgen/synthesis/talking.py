"""Talking pictures: for one sound, frames of a face at the size of its picture, or of its mouth alone."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.clips.framing import framed_points
from jaxgen.systems.lipgen.synthesis import lips
from jaxgen.systems.lipgen.synthesis.bending import bend
from jaxgen.systems.lipgen.synthesis.chain import Chain
from jaxgen.systems.lipgen.synthesis.compositing import Correction, Stage, correction_of
from jaxgen.systems.lipgen.synthesis.heads import Head
from jaxgen.systems.lipgen.synthesis.portraits import Portrait
from jaxgen.systems.lipgen.warping.placing import placed

# A mouth that moves less than this, in crop pixels, is at rest.
_STILL = 1e-3
_PIECE = 50  # frames warped at once, so that memory does not grow with the sound


class Spoken(NamedTuple):
  """The motion of lips and head for a sound.

  Attributes:
    offsets: float32 [T, 40, 2], see `Chain.lips`; 0 where nobody speaks.
    moves: [T, 6], head motion.
  """

  offsets: np.ndarray
  moves: np.ndarray


def spoken(chain: Chain, mel: np.ndarray, following: np.ndarray) -> Spoken:
  """The motion of lips and head for a sound with speech.

  Args:
    chain: provides the motion net.
    mel: [L, 80].
    following: [T], how far lips follow it, see `listening.following`.
  """
  offsets, moves = chain.lips(mel)
  return Spoken(offsets * following[:, None, None], moves * following[:, None])


class Talk:
  """One talking face, rendered.

  Args:
    chain: the nets.
    portrait: the face.
    said: the motion of its lips and head.
    number: seed of the renderer's noise.
    head: scale of the head motion; 1 as predicted by the motion net.

  Attributes:
    rendered: uint8 [T, H, W], the renderer's frames.
    was_open: whether the picture's mouth is open, in which case it is shut first.
  """

  def __init__(
    self, chain: Chain, portrait: Portrait, said: Spoken, number: int = 0, head: float = 0.0
  ):
    self._portrait, self._framing = portrait, chain.framing
    self._offsets, self._moves = said.offsets, head * said.moves
    self.was_open = lips.is_open(portrait.points)
    self._rest, face = lips.at_rest(portrait.points), portrait.face(chain.framing)
    # The mouth at rest is rendered first, as the baseline of the corrections.
    offsets = np.concatenate([np.zeros_like(said.offsets[:1]), said.offsets])
    resting = face._replace(points=framed_points(self._rest, chain.framing))
    at = chain.targets(resting, offsets)
    self._given = chain.conditions(face, at)
    self._all = chain.render([face], [at], [number], [self._given])[0]
    self.rendered = self._all[1:]

  @property
  def size(self) -> tuple[int, int]:
    """Height and width of frames."""
    height, width, _ = self._portrait.rgb.shape
    return height, width

  def notes(self) -> list[str]:
    """Notes for the user about how the picture was used."""
    if not self.was_open:
      return []
    return ['its mouth is open: it is drawn shut at rest, and as in the picture when it opens']

  def frames(self) -> Iterator[np.ndarray]:
    """Yields frames uint8 [H, W, 3] at the size of the picture."""
    if not self._moves.any():
      yield from self._mouth_frames()
      return
    head = Head(self._portrait)
    for frame, move in zip(self._mouth_frames(), self._moves, strict=True):
      yield head(frame, move)

  def _mouth_frames(self) -> Iterator[np.ndarray]:
    """Yields frames in which only the mouth moves."""
    stage, source = Stage(self._portrait, self._framing), lips.without_rims(self._portrait.points)
    at = placed(self._rest, self._offsets)
    still = abs(at - self._portrait.points).max((1, 2)) < _STILL
    for first in range(0, len(still), _PIECE):
      moving = first + np.flatnonzero(~still[first : first + _PIECE])
      moved: Iterator[np.ndarray] = iter(())
      if len(moving):
        points, added = at[moving], self._correction(first, min(first + _PIECE, len(still)))
        added = Correction(*(x[moving - first] for x in added))
        moved = stage.frames(points, bend(source, points), added)
      for quiet in still[first : first + _PIECE]:
        yield self._portrait.rgb if quiet else next(moved)

  def _correction(self, first: int, end: int) -> Correction:
    """Correction of frames `first` to `end` (exclusive), smoothed with their neighbours."""
    rows = np.r_[0, first : min(end + 2, len(self._all))]  # frame 0 is the mouth at rest
    given = self._given._replace(warp=self._given.warp[rows], raster=self._given.raster[rows])
    made = correction_of(self._all[rows], given, rest=0)
    return Correction(*(x[2 : 2 + end - first] for x in made))
