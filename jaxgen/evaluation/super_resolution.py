"""Evaluation of super-resolution: an image is downscaled, upscaled, and compared in luminance.

Protocols, all with the image cropped to a multiple of the scale and `scale` border pixels left out:

- y_u8: luminance rounded to 256 levels, downscaled in floating point, the result rounded (SRCNN, VDSR).
- rgb_double: RGB downscaled in floating point, the result rounded in RGB (LapSRN).
- rgb_u8: RGB downscaled as uint8, rounded after each axis, the result rounded in RGB.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxgen.data.color import luminance_u8, rgb_to_y
from jaxgen.data.imresize import imresize
from jaxgen.evaluation.image_quality import WINDOW, psnr, ssim

PROTOCOLS = ('y_u8', 'rgb_double', 'rgb_u8')
Upscale = Callable[[np.ndarray], np.ndarray]  # [h, w] or [h, w, 3] in [0, 1] -> s times as large


class Quality(NamedTuple):
  """The quality of one image.

  Attributes:
    psnr: dB.
    ssim: over windows inside the image.
    ssim_matlab: over all pixels, with replicated borders.
  """

  psnr: float
  ssim: float
  ssim_matlab: float


def measure(
  levels: np.ndarray,
  scale: int,
  upscale: Upscale,
  protocol: str = 'y_u8',
  gray_as_rgb: bool = False,
) -> Quality:
  """How well `upscale` restores a downscaled image.

  Args:
    levels: uint8, grey [H, W] or RGB [H, W, 3]. Grey levels are taken as luminance.
    scale: downscaling factor.
    upscale: the method to measure; in y_u8 it gets luminance, else the channels of the file.
    protocol: see the module.
    gray_as_rgb: treat grey images as RGB with equal channels, as some published baselines do.

  Raises:
    ValueError: an unknown protocol, or an image too small to measure.
  """
  if protocol not in PROTOCOLS:
    raise ValueError(f'protocol {protocol!r} is not one of {", ".join(PROTOCOLS)}')
  if gray_as_rgb and levels.ndim == 2:
    levels = np.repeat(levels[..., None], 3, -1)
  height, width = (n // scale * scale for n in levels.shape[:2])
  if min(height, width) < WINDOW + 2 * scale:
    raise ValueError(
      f'{levels.shape[1]} x {levels.shape[0]} pixels are too few at scale {scale}: SSIM needs '
      f'{WINDOW + 2 * scale} each way'
    )
  levels = levels[:height, :width]
  if protocol == 'y_u8':
    levels = luminance_u8(levels)
  truth = levels / 255.0
  low = imresize(levels if protocol == 'rgb_u8' else truth, scale=1 / scale)
  result = np.asarray(upscale(low / 255.0 if protocol == 'rgb_u8' else low), np.float64)
  return compare(rounded(result), truth, scale)


def bicubic(scale: int, protocol: str = 'y_u8') -> Upscale:
  """Bicubic upscaling in the form that `measure` takes: on uint8 levels in rgb_u8, else in floating point."""

  def upscale(low: np.ndarray) -> np.ndarray:
    if protocol == 'rgb_u8':
      return imresize(np.round(low * 255).astype(np.uint8), scale=scale) / 255.0
    return imresize(low, scale=scale)

  return upscale


def compare(image: np.ndarray, truth: np.ndarray, shave: int) -> Quality:
  """Quality of an image, grey or RGB in [0, 1], in luminance, without `shave` border pixels."""
  inside = slice(shave, -shave)
  x, y = (
    (rgb_to_y(a) if a.ndim == 3 else a)[inside, inside].astype(np.float64) for a in (image, truth)
  )
  return Quality(psnr(x, y), ssim(x, y), ssim(x, y, 'matlab'))


def rounded(image: np.ndarray) -> np.ndarray:
  """Clips to [0, 1] and rounds half up to 256 levels."""
  return np.floor(np.clip(image, 0, 1) * 255 + 0.5) / 255
