"""Temporal shift: channels that look one frame ahead and one frame back, without parameters.

Reference: Lin, Gan & Han, "TSM: Temporal Shift Module for Efficient Video Understanding".
"""

import jax
import jax.numpy as jnp

from jaxgen.systems.lipgen.networks.layers import within


def temporal_shift(x: jax.Array, mask: jax.Array | None, shift_div: int) -> jax.Array:
  """The first C / shift_div channels from the next frame, as many from the one before, the rest as it is.

  Args:
    x: [B, T, ..., C].
    mask: [B, T] or None; a padded frame is taken as zero, as is what lies before the first and after the last.
    shift_div: of C, at least 2.

  Returns:
    Of the shape of x.
  """
  if shift_div < 2:
    raise ValueError(f'shift_div is at least 2, not {shift_div}: two parts are shifted')
  x = within(x, mask)
  n = x.shape[-1] // shift_div
  nothing = jnp.zeros_like(x[:, :1, ..., :n])
  ahead = jnp.concatenate([x[:, 1:, ..., :n], nothing], 1)
  behind = jnp.concatenate([nothing, x[:, :-1, ..., n : 2 * n]], 1)
  return jnp.concatenate([ahead, behind, x[..., 2 * n :]], -1)
