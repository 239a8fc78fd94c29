"""Pictures that talk: of one sound, frames of a face at the size of its picture, or of its mouth alone."""

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
    head: how much the head moves; 1 as the motion net says.

  Attributes:
    rendered: uint8 [T, H, W], the renderer's frames.
    was_open: whether the picture's mouth is not at rest, and is shut first.
  """

  def __init__(
    self, chain: Chain, portrait: Portrait, said: Spoken, number: int = 0, head: float = 0.0
  ):
    self._portrait, self._framing = portrait, chain.framing
    self._offsets, self._moves = said.offsets, head * said.moves
    self.was_open = lips.is_open(portrait.points)
    self._rest, face = lips.at_rest(portrait.points), portrait.face(chain.framing)
    # The renderer is shown the mouth at rest first, to know what it does to that.
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
    """What a person is to know of how the picture was used."""
    if not self.was_open:
      return []
    return [
      'its mouth is open: it is shut at rest, and shows what it shows in the picture when it opens'
    ]

  def frames(self) -> Iterator[np.ndarray]:
    """Frames uint8 [H, W, 3] at the size of the picture."""
    if not self._moves.any():
      yield from self._mouth_frames()
      return
    head = Head(self._portrait)
    for frame, move in zip(self._mouth_frames(), self._moves, strict=True):
      yield head(frame, move)

  def _mouth_frames(self) -> Iterator[np.ndarray]:
    """Those in which nothing but the mouth moves."""
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
    """Of frames from `first` to before `end`, which those next to them have a part in."""
    rows = np.r_[0, first : min(end + 2, len(self._all))]  # the mouth at rest is the first of all
    given = self._given._replace(warp=self._given.warp[rows], raster=self._given.raster[rows])
    made = correction_of(self._all[rows], given, rest=0)
    return Correction(*(x[2 : 2 + end - first] for x in made))
