"""Scales depths other than 8 and 16 bits per channel to the full range of one of these."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def full_range(levels: np.ndarray, bits: int) -> np.ndarray:
  """Scales levels from 0 to 2^bits - 1 to uint8 (up to 8 bits) or uint16; black stays black, white stays white.

  Args:
    levels: unsigned integers of any shape.
    bits: bits of each, 1 to 16.
  """
  kind = np.uint8 if bits <= 8 else np.uint16
  table = np.arange(2**bits, dtype=np.float64) * (np.iinfo(kind).max / (2**bits - 1))
  return np.round(table).astype(kind)[levels]


def declared_depth(pixels: np.ndarray, tops: Iterable[Any]) -> int | None:
  """The depth of 16-bit pixels if a file declares a lower one by its maximum level; else None.

  TIFF's tags for this may also be statistics of the picture itself: they count only if they give the maximum
  level of a depth, and no pixel exceeds it.

  Args:
    pixels: uint16.
    tops: what the file gives as maximum levels: numbers, one or one per channel, or None.
  """
  for top in tops:
    levels = {int(x) for x in np.ravel(top)} if top is not None else set()
    if len(levels) == 1:
      bits = max(levels).bit_length()
      if 9 <= bits <= 15 and levels == {2**bits - 1} and pixels.max(initial=0) < 2**bits:
        return bits
  return None


def restored(shifted: np.ndarray, bits: int) -> np.ndarray:
  """Rescales levels that a decoder shifted up to 8 or 16 bits, leaving white too dark, to the full range."""
  size = 8 * shifted.dtype.itemsize
  return (
    shifted if bits >= size else full_range(shifted >> (size - bits), bits).astype(shifted.dtype)
  )
