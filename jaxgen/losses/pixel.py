"""Position-wise loss between images or sequences: a mean over all axes but the batch."""

import chex
import jax
import jax.numpy as jnp


def charbonnier(prediction: jax.Array, target: jax.Array, epsilon: float) -> jax.Array:
  """Mean of sqrt(d^2 + epsilon^2) over each example, d = prediction - target: a smoothed l1 loss.

  Args:
    prediction: [B, ...], such as [B, H, W, C].
    target: of the same shape.
    epsilon: where the loss turns from quadratic to linear, in units of the images.

  Returns:
    [B], in units of the images.

  Reference: Lai et al. 2017 (LapSRN), eq. 3.
  """
  chex.assert_equal_shape([prediction, target])
  positions = tuple(range(1, target.ndim))
  return jnp.sqrt((prediction - target) ** 2 + epsilon**2).mean(positions)
