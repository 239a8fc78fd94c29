"""Pixels of a photo, and what a header says of them."""

from typing import Any, NamedTuple

import numpy as np
from PIL import Image


class Size(NamedTuple):
  """What a file's header says.

  Attributes:
    height: upright.
    width: upright.
    channels: 1 to 4.
    depth: bits a channel, 8 or 16.
    format: Pillow's name of the file format.
  """

  height: int
  width: int
  channels: int
  depth: int
  format: str

  @property
  def item(self) -> int:
    """Bytes a channel."""
    return self.depth // 8


class Photo(NamedTuple):
  """An image file.

  Attributes:
    pixels: uint8 or uint16 [H, W, C].
    format: Pillow's name of the file format.
    info: metadata to be written again.
    notes: what a person should know of how it was read, each a sentence without a full stop.
  """

  pixels: np.ndarray
  format: str
  info: dict[str, Any]
  notes: tuple[str, ...] = ()


def as_array(image: Image.Image, mode: str) -> np.ndarray:
  """[H, W, C] of an image brought to a mode. Some rows at a time: Pillow would copy it twice."""
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
  """Colours that were stored multiplied by alpha, of uint8 or uint16."""
  top = np.iinfo(pixels.dtype).max
  alpha = np.maximum(pixels[..., -1:], 1).astype(np.float64)
  colours = np.minimum(np.round(pixels[..., :-1] * (top / alpha)), top).astype(pixels.dtype)
  return np.concatenate([colours, pixels[..., -1:]], -1)


def known_orientation(number: int) -> int:
  """1 to 8; 1, upright, where EXIF or TIFF has a number without a meaning."""
  return number if 1 <= number <= 8 else 1


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
  """Pixels upright by EXIF's orientation, as ImageOps.exif_transpose does with images."""
  if orientation in (2, 4, 5, 7):
    pixels = pixels[:, ::-1]
  # After the mirroring 4 is half a turn, 5 a quarter to the left, 7 one to the right.
  turns = {3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}.get(orientation, 0)
  return np.ascontiguousarray(np.rot90(pixels, turns))
