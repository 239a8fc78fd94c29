"""Colour images: the net upscales luminance; chroma is upscaled bicubically."""

from collections.abc import Callable

import numpy as np

from jaxgen.data.color import rgb_to_ycbcr, ycbcr_to_rgb
from jaxgen.data.imresize import imresize

Luminance = Callable[[np.ndarray], np.ndarray]


def upscale_image(upscale: Luminance, scale: int, image: np.ndarray) -> np.ndarray:
  """Upscales a whole image; `bands.PhotoBands` does the same in bands, for files of any size.

  Args:
    upscale: luminance [h, w] to [s h, s w].
    scale: s.
    image: grey [h, w], taken as luminance, or RGB [h, w, 3], in [0, 1].

  Returns:
    [s h, s w] or [s h, s w, 3] float64, not clipped.
  """
  if image.ndim == 2:
    return np.asarray(upscale(image), np.float64)
  ycbcr = rgb_to_ycbcr(np.asarray(image, np.float64))
  chroma = imresize(ycbcr[..., 1:], scale=scale)
  y = np.asarray(upscale(ycbcr[..., 0]), np.float64)
  return ycbcr_to_rgb(np.concatenate([y[..., None], chroma], -1))
