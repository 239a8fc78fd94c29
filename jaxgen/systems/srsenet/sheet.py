"""The comparison sheet: low resolution, bicubic, SrSENet and the truth, whole and in a detail."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jaxgen.evaluation.super_resolution import compare, rounded
from jaxgen.pictures.sheets import enlarged, overview, stacked, titled_row

DETAIL = 80  # side of the detail in pixels of the truth


class Compared(NamedTuple):
  """An image and the versions made from its low-resolution copy; grey [H, W] or RGB [H, W, 3] in [0, 1].

  Attributes:
    name: name of the image.
    low: downscaled.
    bicubic: upscaled bicubically.
    ours: upscaled by the net.
    truth: the original image, or None.
  """

  name: str
  low: np.ndarray
  bicubic: np.ndarray
  ours: np.ndarray
  truth: np.ndarray | None = None


def comparison_sheet(images: Sequence[Compared], scale: int) -> np.ndarray:
  """One row per image: the whole image with a box, then the box in every version; uint8 [H, W, 3].

  The box is where bicubic and the net differ most. PSNR (dB, luminance) is over the whole image.
  """
  return stacked([_row(image, scale) for image in images])


def _row(image: Compared, scale: int) -> np.ndarray:
  side = min(DETAIL, *image.bicubic.shape[:2]) // scale * scale or scale
  top, left = _detail(image, side, scale)
  box = slice(top, top + side), slice(left, left + side)
  small = tuple(slice(part.start // scale, part.stop // scale) for part in box)
  whole = image.ours if image.truth is None else image.truth
  cells = [
    (f'{image.name} x{scale}', overview(whole, (top, left, side))),
    ('low resolution', enlarged(image.low[small])),
    (_scored('bicubic', image.bicubic, image, scale), enlarged(image.bicubic[box])),
    (_scored('SrSENet', image.ours, image, scale), enlarged(image.ours[box])),
  ]
  if image.truth is not None:
    cells.append(('truth', enlarged(image.truth[box])))
  return titled_row(cells)


def _scored(title: str, result: np.ndarray, image: Compared, scale: int) -> str:
  if image.truth is None or min(image.truth.shape[:2]) < 2 * scale + 11:
    return title
  return f'{title} {compare(rounded(result), image.truth, scale).psnr:.2f} dB'


def _detail(image: Compared, side: int, scale: int) -> tuple[int, int]:
  """Top and left of the square where bicubic and the net differ most, aligned to low-resolution pixels."""
  difference = (np.clip(image.ours, 0, 1) - np.clip(image.bicubic, 0, 1)) ** 2
  if difference.ndim == 3:
    difference = difference.mean(-1)
  energy = ndimage.uniform_filter(difference, side, mode='constant', origin=-(side // 2))
  valid = energy[: energy.shape[0] - side + 1, : energy.shape[1] - side + 1]
  top, left = np.unravel_index(np.argmax(valid[::scale, ::scale]), valid[::scale, ::scale].shape)
  return int(top) * scale, int(left) * scale
