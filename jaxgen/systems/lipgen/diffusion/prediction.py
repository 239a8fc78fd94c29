"""v-prediction: the velocity of a noisy signal, and the signal and noise recovered from it.

With a = alpha-bar at a time, x the signal and e standard normal noise, z = sqrt(a) x + sqrt(1 - a) e. Every
function takes a as a scalar, or as [B] for arrays [B, ...].
"""

import chex
import jax
import jax.numpy as jnp


def noisy(signal: jax.Array, noise: jax.Array, alpha_bar: jax.Array) -> jax.Array:
  """The noisy signal, z = sqrt(a) x + sqrt(1 - a) e.

  Reference: Ho et al. 2020, eq. 4.
  """
  chex.assert_equal_shape([signal, noise])
  kept, added = _roots(alpha_bar, signal)
  return kept * signal + added * noise


def velocity(signal: jax.Array, noise: jax.Array, alpha_bar: jax.Array) -> jax.Array:
  """The velocity, v = sqrt(a) e - sqrt(1 - a) x: -x where z is pure noise, e where z is x.

  Reference: Salimans & Ho 2022, "Progressive Distillation for Fast Sampling of Diffusion Models", section 4
  and appendix D.
  """
  chex.assert_equal_shape([signal, noise])
  kept, added = _roots(alpha_bar, signal)
  return kept * noise - added * signal


def signal_of(z: jax.Array, v: jax.Array, alpha_bar: jax.Array) -> jax.Array:
  """The signal implied by a velocity, x = sqrt(a) z - sqrt(1 - a) v.

  Reference: Salimans & Ho 2022, appendix D.
  """
  chex.assert_equal_shape([z, v])
  kept, added = _roots(alpha_bar, z)
  return kept * z - added * v


def noise_of(z: jax.Array, v: jax.Array, alpha_bar: jax.Array) -> jax.Array:
  """The noise implied by a velocity, e = sqrt(1 - a) z + sqrt(a) v.

  Reference: Salimans & Ho 2022, appendix D.
  """
  chex.assert_equal_shape([z, v])
  kept, added = _roots(alpha_bar, z)
  return added * z + kept * v


def _roots(alpha_bar: jax.Array, like: jax.Array) -> tuple[jax.Array, jax.Array]:
  """sqrt(a) and sqrt(1 - a), shaped to broadcast against `like`."""
  a = jnp.asarray(alpha_bar, like.dtype)
  a = a.reshape(*a.shape, *[1] * (like.ndim - a.ndim))
  return jnp.sqrt(a), jnp.sqrt(1 - a)
