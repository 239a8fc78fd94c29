"""Conversion of pictures between grey levels and the networks' range."""

from typing import Any

import jax
import jax.numpy as jnp


def to_levels(images: jax.Array) -> jax.Array:
  """[..., H, W, 1] in [-1, 1] as uint8 [..., H, W], 255 paper."""
  levels = jnp.round((jnp.clip(images.astype(jnp.float32), -1, 1) + 1) * 127.5)
  return levels[..., 0].astype(jnp.uint8)


def from_levels(levels: jax.Array, dtype: Any = jnp.float32) -> jax.Array:
  """uint8 [..., H, W] as [..., H, W, 1] in [-1, 1]."""
  return (levels.astype(dtype) / 127.5 - 1)[..., None]
