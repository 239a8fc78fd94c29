"""Luminance and chroma: BT.601 with limited range, as in MATLAB's `rgb2ycbcr`."""

import numpy as np

# Rows: Y, Cb, Cr from R, G, B in [0, 1], as 8-bit levels above the offsets: black is 16, white 235.
_MATRIX = np.array(
  [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
)
_OFFSET = np.array([16.0, 128.0, 128.0])


def rgb_to_y(rgb: np.ndarray) -> np.ndarray:
  """Luminance [...] in [16, 235] / 255 of RGB [..., 3] in [0, 1]."""
  return (rgb @ _MATRIX[0].astype(rgb.dtype) + rgb.dtype.type(16)) / rgb.dtype.type(255)


def rgb_to_ycbcr(rgb: np.ndarray) -> np.ndarray:
  """Y, Cb, Cr [..., 3] in [0, 1] of RGB [..., 3] in [0, 1], both of the same floating-point dtype."""
  dtype = rgb.dtype
  return (rgb @ _MATRIX.T.astype(dtype) + _OFFSET.astype(dtype)) / dtype.type(255)


def ycbcr_to_rgb(ycbcr: np.ndarray) -> np.ndarray:
  """The inverse of `rgb_to_ycbcr`; colours outside the RGB cube are not clipped."""
  dtype = ycbcr.dtype
  inverse = np.linalg.inv(_MATRIX).T.astype(dtype)
  return (ycbcr * dtype.type(255) - _OFFSET.astype(dtype)) @ inverse


def luminance_u8(image: np.ndarray) -> np.ndarray:
  """[H, W] uint8: grey images [H, W] unchanged, RGB uint8 [H, W, 3] as rounded luminance."""
  if image.ndim == 2:
    return image
  return np.floor(rgb_to_y(image / 255.0) * 255 + 0.5).astype(np.uint8)
