"""The objective of SrSENet."""

import chex
import jax
import jax.numpy as jnp


def charbonnier(prediction: jax.Array, target: jax.Array, epsilon: float) -> jax.Array:
  """Mean of sqrt(d^2 + epsilon^2) over the pixels of each example, d = prediction - target.

  Args:
    prediction: [B, H, W, 1].
    target: [B, H, W, 1].
    epsilon: where the loss turns from quadratic to linear; 1e-3 of a unit range in the authors' code.

  Returns:
    [B], in the units of the images.

  Reference: Mei et al., section on the loss; Lai et al. 2017 (LapSRN), eq. 3.
  """
  chex.assert_equal_shape([prediction, target])
  difference = prediction - target
  return jnp.sqrt(difference**2 + epsilon**2).mean((1, 2, 3))
