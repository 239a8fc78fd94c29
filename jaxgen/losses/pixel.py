"""Losses between images, or sequences, by position: a mean over all but the batch."""

import chex
import jax
import jax.numpy as jnp


def charbonnier(prediction: jax.Array, target: jax.Array, epsilon: float) -> jax.Array:
  """Mean of sqrt(d^2 + epsilon^2) over each example, d = prediction - target: l1 with a round tip.

  Args:
    prediction: [B, ...], as [B, H, W, C].
    target: of the same shape.
    epsilon: where the loss turns from quadratic to linear, in units of the images.

  Returns:
    [B], in units of the images.

  Reference: Lai et al. 2017 (LapSRN), eq. 3.
  """
  return jnp.sqrt(_difference(prediction, target) ** 2 + epsilon**2).mean(_positions(target))


def l1(prediction: jax.Array, target: jax.Array) -> jax.Array:
  """Mean absolute difference [B] of [B, ...] and [B, ...]."""
  return jnp.abs(_difference(prediction, target)).mean(_positions(target))


def l2(prediction: jax.Array, target: jax.Array) -> jax.Array:
  """Mean squared difference [B] of [B, ...] and [B, ...]."""
  return (_difference(prediction, target) ** 2).mean(_positions(target))


def _difference(prediction: jax.Array, target: jax.Array) -> jax.Array:
  chex.assert_equal_shape([prediction, target])
  return prediction - target


def _positions(x: jax.Array) -> tuple[int, ...]:
  return tuple(range(1, x.ndim))
