"""Framing: the square of a mouth crop that a reader sees, and the pixels it is given of it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.imresize import resize_matrix
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.units import MOUTH


class Framing(NamedTuple):
  """A square of a crop of 96 x 96, and its size after.

  Attributes:
    top: its first row.
    left: its first column.
    size: its side in the crop.
    pixels: its side as the reader gets it.
  """

  top: int
  left: int
  size: int
  pixels: int

  def to_json(self) -> dict[str, int]:
    """As it is saved with weights."""
    return self._asdict()

  @classmethod
  def from_json(cls, values: Mapping[str, Any]) -> 'Framing':
    """Of what `to_json` gave.

    Raises:
      DataError: it is no framing.
    """
    try:
      found = cls(**{name: int(values[name]) for name in cls._fields})
    except (KeyError, TypeError, ValueError) as error:
      raise DataError(
        f'{values!r} is no framing: top, left, size and pixels are expected'
      ) from error
    check(found)
    return found


# The whole crop, as readers at the paper's size see it.
WHOLE = Framing(0, 0, MOUTH, MOUTH)
# Around the lips of `grid_s1_mouths` at full resolution, whose crops show half faces: a small net reads three
# times as many words of it as of the whole crop at half the resolution.
LIPS = Framing(29, 26, 48, 48)


def check(framing: Framing, side: int = MOUTH) -> None:
  """Refuses a square that leaves a crop of this side, or is none.

  Raises:
    DataError: it is or does.
  """
  top, left, size, pixels = framing
  if min(top, left) < 0 or min(size, pixels) < 1 or max(top, left) + size > side:
    raise DataError(
      f'framing {tuple(framing)} (top, left, size, pixels) leaves a crop of {side} x {side} pixels'
    )


def framed(frames: np.ndarray, framing: Framing) -> np.ndarray:
  """What a reader sees of crops.

  Args:
    frames: [..., H, W] uint8 grey.
    framing: a square inside of [H, W].

  Returns:
    [..., pixels, pixels] uint8, cut out as it is, or resized where its size is another (bicubic, antialiased).

  Raises:
    DataError: the square leaves the frame.
  """
  check(framing, min(frames.shape[-2:]))
  top, left, size, pixels = framing
  return resized(frames[..., top : top + size, left : left + size], pixels)


def framed_points(points: np.ndarray, framing: Framing) -> np.ndarray:
  """Points [..., 2] in pixels of a crop of 96 x 96, as float32 in those of what a framing shows of it."""
  top, left, size, pixels = framing
  return ((points - [left, top] + 0.5) * (pixels / size) - 0.5).astype(np.float32)


def resized(frames: np.ndarray, pixels: int) -> np.ndarray:
  """Squares [..., S, S] uint8 at [..., pixels, pixels], bicubic and antialiased."""
  side = frames.shape[-1]
  if side == pixels:
    return np.ascontiguousarray(frames)
  weights = resize_matrix(side, pixels, pixels / side).toarray().astype(np.float32)
  found = weights @ frames.astype(np.float32) @ weights.T
  return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def framing_of(config: ConfigDict) -> Framing:
  """What is seen of a mouth crop."""
  return Framing(*config.data.framing)
