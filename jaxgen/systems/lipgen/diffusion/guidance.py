"""Classifier-free guidance: away from what a net predicts without its conditions."""

import chex
import jax
import jax.numpy as jnp


def guided(given: jax.Array, without: jax.Array, scale: float | jax.Array) -> jax.Array:
  """Guided prediction, c + (scale - 1) (c - u): at scale 1 it is c, bit for bit.

  With w of the paper, scale is 1 + w. It holds of velocities as of noise, since both are linear in one another.

  Args:
    given: c, [B, ...], predicted with the conditions.
    without: u, the same without them.
    scale: 1 is no guidance, 0 is u.

  Reference: Ho & Salimans 2022, "Classifier-Free Diffusion Guidance", eq. 6.
  """
  chex.assert_equal_shape([given, without])
  return given + (jnp.asarray(scale, given.dtype) - 1) * (given - without)
