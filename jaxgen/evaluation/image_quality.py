"""PSNR and SSIM of luminance in [0, 1]: float64 references on the host, and a jitted PSNR for training."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

WINDOW, SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # for a unit range
SSIM_VARIANTS = ('valid', 'matlab')
PSNR_LIMIT = 100.0  # dB of `batch_psnr`; at 256 levels, images below 392 x 392 cannot come closer


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
  """10 log10(1 / mean squared error) in dB; infinite if the images are equal.

  Args:
    image: in [0, 1].
    truth: the same shape.
  """
  _check_shapes(image, truth)
  error = np.mean((np.asarray(image, np.float64) - truth) ** 2)
  return float('inf') if error == 0 else float(-10 * np.log10(error))


def ssim(image: np.ndarray, truth: np.ndarray, variant: str = 'valid') -> float:
  """Structural similarity with an 11 x 11 Gaussian window of sigma 1.5.

  Args:
    image: [H, W] in [0, 1].
    truth: the same shape.
    variant: 'valid' averages where the window lies inside the image; 'matlab' replicates the borders and
      averages over all pixels, as MATLAB's `ssim` does.

  Raises:
    ValueError: an unknown variant, images of different shapes, or smaller than the window with 'valid'.

  Reference: Wang et al. 2004, eq. 13.
  """
  _check_shapes(image, truth)
  if variant not in SSIM_VARIANTS:
    raise ValueError(f'SSIM variant {variant!r} is not one of {", ".join(SSIM_VARIANTS)}')
  if variant == 'valid' and min(image.shape) < WINDOW:
    raise ValueError(
      f"an image of {image.shape[0]} x {image.shape[1]} is smaller than SSIM's window of {WINDOW}"
    )

  found, cut = ssim_map(image, truth), WINDOW // 2
  return float((found[cut:-cut, cut:-cut] if variant == 'valid' else found).mean())


def ssim_map(image: np.ndarray, truth: np.ndarray) -> np.ndarray:
  """Structural similarity at each pixel, float64 [H, W], with replicated borders.

  Args:
    image: [H, W] in [0, 1].
    truth: the same shape.

  Reference: Wang et al. 2004, eq. 13.
  """
  from scipy import ndimage  # keeps training and `jaxgen upscale` from waiting for it

  _check_shapes(image, truth)

  def blurred(x: np.ndarray) -> np.ndarray:
    for axis in (0, 1):
      x = ndimage.correlate1d(x, window(), axis, mode='nearest')
    return x

  x, y = np.asarray(image, np.float64), np.asarray(truth, np.float64)
  return _similarity(blurred, x, y)


def window() -> np.ndarray:
  """[11] Gaussian weights for one axis; they sum to 1."""
  offset = np.arange(WINDOW) - WINDOW // 2
  weights = np.exp(-(offset**2) / (2 * SIGMA**2))
  return weights / weights.sum()


def _similarity(
  blurred: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray
) -> np.ndarray:
  """The SSIM map."""
  mean_x, mean_y = blurred(x), blurred(y)
  var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
  covariance = blurred(x * y) - mean_x * mean_y
  above = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
  return above / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))


def batch_psnr(images: jax.Array, truth: jax.Array) -> jax.Array:
  """`psnr` of each example, [B] dB, from [B, H, W, C]; differentiable where the images differ.

  At most PSNR_LIMIT: a mean squared error below 1e-10 counts as 1e-10, so that the mean over a batch stays
  finite if a black patch is reproduced exactly. Such a patch contributes 100 dB.
  """
  _check_shapes(images, truth)
  error = ((images - truth) ** 2).mean((1, 2, 3))
  return -10 * jnp.log10(jnp.maximum(error, 10 ** (-PSNR_LIMIT / 10)))


def _check_shapes(image: np.ndarray | jax.Array, truth: np.ndarray | jax.Array) -> None:
  if image.shape != truth.shape:
    raise ValueError(f'cannot compare images of shapes {image.shape} and {truth.shape}')
