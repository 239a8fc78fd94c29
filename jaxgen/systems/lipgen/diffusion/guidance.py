"""Classifier-free guidance: extrapolate away from the unconditional prediction."""

import chex
import jax
import jax.numpy as jnp


def guided(given: jax.Array, without: jax.Array, scale: float | jax.Array) -> jax.Array:
  """Guided prediction, c + (scale - 1) (c - u): at scale 1 it is c, bit for bit.

  In the paper's notation, scale is 1 + w. It applies to velocities as to noise: each is linear in the other.

  Args:
    given: c, [B, ...], the conditional prediction.
    without: u, [B, ...], the unconditional prediction.
    scale: 1 is no guidance, 0 gives u.

  Reference: Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6.
  """
  chex.assert_equal_shape([given, without])
  return given + (jnp.asarray(scale, given.dtype) - 1) * (given - without)
