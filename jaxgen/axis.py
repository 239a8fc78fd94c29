"""Collectives that are the identity where there is no device axis.

A step is written once. Under `jit` over a mesh the batch is global and `axis` is None: every function
here returns its input. Under `pmap` the batch is one device's part and `axis` names the device axis.
"""

import jax
import jax.numpy as jnp


def psum(tree, axis: str | None = None):
  """Sum of every leaf over the device axis."""
  return tree if axis is None else jax.lax.psum(tree, axis)


def pmean(tree, axis: str | None = None):
  """Mean of every leaf over the device axis."""
  return tree if axis is None else jax.lax.pmean(tree, axis)


def gather(x: jax.Array, axis: str | None = None) -> jax.Array:
  """The global batch [B, ...] from every device's rows [B / devices, ...], in row order."""
  return x if axis is None else jax.lax.all_gather(x, axis, tiled=True)


def global_rows(n: int, axis: str | None = None) -> jax.Array:
  """Indices [n] that this device's n rows have in the global batch."""
  start = 0 if axis is None else jax.lax.axis_index(axis) * n
  return jnp.arange(n) + start


def example_keys(key: jax.Array, n: int, axis: str | None = None) -> jax.Array:
  """One key for each of this device's n rows, a function of the global row only.

  The draws are the same however many devices share the batch, and no two rows share a key.

  Args:
    key: () typed key.
    n: rows on this device.
    axis: the device axis, or None.

  Returns:
    [n] typed keys.
  """
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, global_rows(n, axis))
