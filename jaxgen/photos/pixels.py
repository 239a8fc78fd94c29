"""Pixels of a photo, and its size from the header."""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image


class Size(NamedTuple):
  """Properties from a file's header.

  Attributes:
    height: when upright.
    width: when upright.
    channels: 1 to 4.
    depth: bits per channel, 8 or 16.
    format: Pillow's name of the file format.
  """

  height: int
  width: int
  channels: int
  depth: int
  format: str

  @property
  def item(self) -> int:
    """Bytes per channel."""
    return self.depth // 8


class Photo(NamedTuple):
  """An image file.

  Attributes:
    pixels: uint8 or uint16 [H, W, C].
    format: Pillow's name of the file format.
    info: metadata to be written again.
    notes: remarks for the user on how it was read, each a sentence without a full stop.
  """

  pixels: np.ndarray
  format: str
  info: dict[str, Any]
  notes: tuple[str, ...] = ()


def as_array(image: Image.Image, mode: str) -> np.ndarray:
  """Converts an image to a mode, as [H, W, C]. A few rows at a time: Pillow would copy it twice."""
  rows = max(1, 2**22 // image.width)

  def band(top: int) -> np.ndarray:
    part = image.crop((0, top, image.width, min(top + rows, image.height)))
    found = np.asarray(part if part.mode == mode else part.convert(mode))
    return found if found.ndim == 3 else found[..., None]

  first = band(0)
  whole = np.empty((image.height, *first.shape[1:]), first.dtype)
  whole[: len(first)] = first
  for top in range(rows, image.height, rows):
    whole[top : top + rows] = band(top)
  return whole


def straight(pixels: np.ndarray) -> np.ndarray:
  """Undoes the premultiplication of colours by alpha, for uint8 or uint16."""
  top = np.iinfo(pixels.dtype).max
  alpha = np.maximum(pixels[..., -1:], 1).astype(np.float64)
  colours = np.minimum(np.round(pixels[..., :-1] * (top / alpha)), top).astype(pixels.dtype)
  return np.concatenate([colours, pixels[..., -1:]], -1)


def known_orientation(number: int) -> int:
  """An orientation from 1 to 8; 1, upright, for an undefined number in EXIF or TIFF."""
  return number if 1 <= number <= 8 else 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Turns pixels upright by EXIF's orientation, as ImageOps.exif_transpose does for images."""
  if orientation in (2, 4, 5, 7):
    pixels = pixels[:, ::-1]
  # After the mirroring, 4 is half a turn, 5 a quarter turn left, 7 one right.
  turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
  return np.ascontiguousarray(np.rot90(pixels, turns))
