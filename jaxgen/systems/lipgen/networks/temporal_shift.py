"""Temporal shift: channels taken from one frame ahead and one frame back, without parameters.

Reference: Lin, Gan & Han, "TSM: Temporal Shift Module for Efficient Video Understanding".
"""

import jax
import jax.numpy as jnp

from jaxgen.systems.lipgen.networks.layers import within


def temporal_shift(x: jax.Array, mask: jax.Array | None, shift_div: int) -> jax.Array:
  """Takes the first C / shift_div channels from the next frame, and as many from the previous one.

  Args:
    x: [B, T, ..., C].
    mask: [B, T] or None; padded frames are taken as zero, as are those before the first and after the last.
    shift_div: divisor of C, at least 2.

  Returns:
    An array of the shape of x; the remaining channels are unchanged.
  """
  if shift_div < 2:
    raise ValueError(f'shift_div must be at least 2, not {shift_div}: two parts are shifted')
  x = within(x, mask)
  n = x.shape[-1] // shift_div
  nothing = jnp.zeros_like(x[:, :1, ..., :n])
  ahead = jnp.concatenate([x[:, 1:, ..., :n], nothing], 1)
  behind = jnp.concatenate([nothing, x[:, :-1, ..., n : 2 * n]], 1)
  return jnp.concatenate([ahead, behind, x[..., 2 * n :]], -1)
