"""Upscales a photo from top to bottom: luminance by the net, the other channels bicubically.

Of everything that is as large as the output, only one band is held at a time.
"""

import functools
from collections.abc import Iterator

import numpy as np

from jaxgen.data.color import rgb_to_y, rgb_to_ycbcr, ycbcr_to_rgb
from jaxgen.data.imresize import resize_axis, resize_matrix
from jaxgen.systems.srsenet.ensemble import ensembled
from jaxgen.systems.srsenet.means import preserve_means
from jaxgen.systems.srsenet.tiles import Band
from jaxgen.systems.srsenet.tiling import Upscaler

CHUNK = 2**22  # values of the rows whose colours are computed at once
UNSEEN = 0.02  # up to this alpha a pixel's own colour is ignored


class PhotoBands:
  """Upscales pixels as they are stored in files.

  Args:
    upscaler: upscales luminance.
    ensemble: average the luminance over the eight flips and quarter turns; it is then held as a whole.
    preserve_mean: see `means.preserve_means`; this, too, holds the luminance as a whole.
  """

  def __init__(self, upscaler: Upscaler, ensemble: bool = False, preserve_mean: bool = False):
    self._upscaler, self._ensemble, self._preserve_mean = upscaler, ensemble, preserve_mean

  def __call__(
    self, pixels: np.ndarray, size: tuple[int, int], tiling: str = 'auto'
  ) -> Iterator[Band]:
    """Yields the output from top to bottom.

    Args:
      pixels: uint8 or uint16 [H, W, C]: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
      size: output height and width, at most the net's scale times that of `pixels`; smaller ones are reached
        by a final bicubic resize.
      tiling: see `Upscaler`.

    Returns:
      (first row, [rows, W', C] of the dtype of `pixels`). Colours of transparent pixels do not bleed:
      visible ones are extended in their place. Transparent pixels become black.
    """
    height, width, channels = pixels.shape
    scale = self._upscaler.scale
    native = height * scale, width * scale
    bands = self._channels(continued(pixels) if channels in (2, 4) else pixels, tiling)
    if tuple(size) != native:
      bands = resized_bands(bands, native, size)
    peak = np.iinfo(pixels.dtype).max
    for top, band in bands:
      levels = np.floor(np.clip(band, 0, 1) * peak + np.float32(0.5)).astype(pixels.dtype)
      if channels in (2, 4):
        levels[levels[..., -1] == 0] = 0
      yield top, levels

  def _channels(self, pixels: np.ndarray, tiling: str) -> Iterator[Band]:
    """Yields grey or RGB, and alpha, each [rows, s W, C] float32, not clipped."""
    height, width, channels = pixels.shape
    scale = self._upscaler.scale
    rows = resize_matrix(height, height * scale, scale).astype(np.float32)
    columns = resize_matrix(width, width * scale, scale).astype(np.float32)
    rows_at_once = max(1, CHUNK // (width * scale * channels))
    for top, y in _split(self._luminance(pixels, tiling), rows_at_once):
      matrix = rows[top : top + len(y)]
      first, end = int(matrix.indices.min()), int(matrix.indices.max()) + 1
      small = _floating(pixels[first:end])
      parts = [y[..., None]]
      beside = small[..., 1:] if channels < 3 else rgb_to_ycbcr(small[..., :3])[..., 1:]
      if channels == 4:
        beside = np.concatenate([beside, small[..., 3:]], -1)
      if beside.shape[-1]:
        tall = resize_axis(matrix[:, first:end], beside, 0)
        parts.append(resize_axis(columns, tall, 1))
      image = np.concatenate(parts, -1)
      if channels >= 3:
        image[..., :3] = ycbcr_to_rgb(image[..., :3])
      yield top, image

  def _luminance(self, pixels: np.ndarray, tiling: str) -> Iterator[Band]:
    height, width, channels = pixels.shape

    def read(first: int, end: int) -> np.ndarray:
      small = _floating(pixels[first:end])
      return small[..., 0] if channels < 3 else rgb_to_y(small[..., :3])

    if not (self._ensemble or self._preserve_mean):
      yield from self._upscaler.bands(read, height, width, tiling)
      return
    y = read(0, height)
    upscale = functools.partial(self._upscaler, tiling=tiling)
    large = ensembled(upscale, y) if self._ensemble else upscale(y)
    yield 0, preserve_means(large, y, self._upscaler.scale) if self._preserve_mean else large


def _split(bands: Iterator[Band], rows: int) -> Iterator[Band]:
  """Splits bands to at most `rows` rows: a tile's height of a wide image takes much memory in three colours."""
  for top, band in bands:
    for start in range(0, len(band), rows):
      yield top + start, band[start : start + rows]


def _floating(pixels: np.ndarray) -> np.ndarray:
  """Converts pixels to float32 in [0, 1]."""
  return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def continued(pixels: np.ndarray) -> np.ndarray:
  """Gives transparent pixels the colour of the nearest visible one.

  The net sharpens edges: premultiplied by alpha, as for bicubic resizing, colours would overshoot at the edges
  of visible areas, and the softer alpha would turn that into rings.

  Args:
    pixels: [H, W, C], with alpha as the last channel.
  """
  from scipy import ndimage  # lazily: a tenth of the start-up time

  seen = pixels[..., -1] > UNSEEN * np.iinfo(pixels.dtype).max
  if seen.all():
    return pixels
  found = pixels.copy()
  if not seen.any():
    found[..., :-1] = 0
    return found
  rows, columns = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
  found[..., :-1] = pixels[rows, columns, :-1]
  return found


def resized_bands(
  bands: Iterator[Band], size: tuple[int, int], new_size: tuple[int, int]
) -> Iterator[Band]:
  """`imresize` to `new_size` for an image that arrives in bands, keeping only the rows that are still needed.

  Args:
    bands: [rows, W, C] from top to bottom.
    size: of the image, (H, W).
    new_size: output size, (H', W').
  """
  rows, columns = (
    resize_matrix(n, m, m / n).astype(np.float32) for n, m in zip(size, new_size, strict=True)
  )
  last = np.maximum.accumulate([rows[[i]].indices.max() for i in range(new_size[0])])
  first = np.minimum.accumulate([rows[[i]].indices.min() for i in range(new_size[0])][::-1])[::-1]
  held, start, done = None, 0, 0
  for top, band in bands:
    narrow = resize_axis(columns, band, 1)
    held = narrow if held is None else np.concatenate([held, narrow])
    end = top + len(band)
    ready = int(np.searchsorted(last, end, side='left'))
    if ready > done:
      part = rows[done:ready][:, start:end]
      yield done, resize_axis(part, held, 0)
      done = ready
      keep = int(first[done]) if done < len(first) else end
      held, start = held[keep - start :], keep
