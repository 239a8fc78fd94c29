"""Framing: the square of a mouth crop that a reader sees, and the resolution it is resized to."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.imresize import resize_matrix
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.units import MOUTH


class Framing(NamedTuple):
  """A square of a 96 x 96 crop, and the size it is resized to.

  Attributes:
    top: its first row.
    left: its first column.
    size: its side in the crop.
    pixels: its side after resizing.
  """

  top: int
  left: int
  size: int
  pixels: int

  def to_json(self) -> dict[str, int]:
    """The form in which it is saved with weights."""
    return self._asdict()

  @classmethod
  def from_json(cls, values: Mapping[str, Any]) -> 'Framing':
    """The inverse of `to_json`.

    Raises:
      DataError: the values are not a framing.
    """
    try:
      found = cls(**{name: int(values[name]) for name in cls._fields})
    except (KeyError, TypeError, ValueError) as error:
      raise DataError(
        f'{values!r} is not a framing: expected top, left, size and pixels'
      ) from error
    check(found)
    return found


# The whole crop, for readers of the paper's size.
WHOLE = Framing(0, 0, MOUTH, MOUTH)
# The lips in `grid_s1_mouths` at full resolution, whose crops show half the face: a small net reads three times
# as many words from it as from the whole crop at half the resolution.
LIPS = Framing(29, 26, 48, 48)


def check(framing: Framing, side: int = MOUTH) -> None:
  """Checks that a square is valid and lies within a crop of this side.

  Raises:
    DataError: it does not.
  """
  top, left, size, pixels = framing
  if min(top, left) < 0 or min(size, pixels) < 1 or max(top, left) + size > side:
    raise DataError(
      f'framing {tuple(framing)} (top, left, size, pixels) leaves a crop of {side} x {side} pixels'
    )


def framed(frames: np.ndarray, framing: Framing) -> np.ndarray:
  """Cuts out the part of crops that a reader sees.

  Args:
    frames: [..., H, W] uint8 grey.
    framing: a square within [H, W].

  Returns:
    [..., pixels, pixels] uint8, resized if the size differs (bicubic, antialiased).

  Raises:
    DataError: the square extends beyond the frame.
  """
  check(framing, min(frames.shape[-2:]))
  top, left, size, pixels = framing
  return resized(frames[..., top : top + size, left : left + size], pixels)


def framed_points(points: np.ndarray, framing: Framing) -> np.ndarray:
  """Maps points [..., 2] from pixels of a 96 x 96 crop to pixels of the framed picture, float32."""
  top, left, size, pixels = framing
  return ((points - [left, top] + 0.5) * (pixels / size) - 0.5).astype(np.float32)


def resized(frames: np.ndarray, pixels: int) -> np.ndarray:
  """Resizes squares [..., S, S] uint8 to [..., pixels, pixels], bicubic and antialiased."""
  side = frames.shape[-1]
  if side == pixels:
    return np.ascontiguousarray(frames)
  weights = resize_matrix(side, pixels, pixels / side).toarray().astype(np.float32)
  found = weights @ frames.astype(np.float32) @ weights.T
  return np.clip(np.rint(found), 0, 255).astype(np.uint8)


def framing_of(config: ConfigDict) -> Framing:
  """The framing of a config."""
  return Framing(*config.data.framing)
