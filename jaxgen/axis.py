"""The device axis: collectives that are the identity without one, and sharding of rows over it.

A step is written once. Under `jit` over a mesh the batch is global and `axis` is None: collectives return
their input, and XLA decides which device computes what. It only propagates the sharding of its inputs:
arrays created inside the step (keys, latents, noise, words, and everything derived from them) would be
computed on every device, so their rows are sharded over the mesh here. Under `pmap` the batch is one device's
shard, `axis` names the device axis, and what a device creates is already limited to its own rows.
"""

import contextlib
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

AXIS = 'data'


def psum(tree: Any, axis: str | None = None) -> Any:
  """Sum of every leaf over the device axis."""
  return tree if axis is None else jax.lax.psum(tree, axis)


def rows_over(mesh: Mesh) -> contextlib.AbstractContextManager:
  """Context in which to trace a function: `split_rows` shards rows over the devices of this mesh."""
  return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def split_rows(tree: Any) -> Any:
  """Shards leaves [B, ...] that a step creates itself over the devices by rows, as the batch is.

  The values are unchanged. Does nothing without a mesh with an axis 'data' in context (`rows_over`, or
  `jax.set_mesh`), as in a notebook or under pmap. Rows that do not divide evenly are not sharded.
  """
  mesh = jax.sharding.get_abstract_mesh()
  if not _has_rows(mesh):
    return tree

  def split(x: jax.Array) -> jax.Array:
    if len(x) % mesh.shape[AXIS]:
      return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(AXIS))

  return jax.tree.map(split, tree)


def _has_rows(mesh: jax.sharding.AbstractMesh) -> bool:
  types = dict(zip(mesh.axis_names, mesh.axis_types, strict=True))
  return types.get(AXIS) == AxisType.Auto  # pmap's own axis is Manual


def global_rows(n: int, axis: str | None = None) -> jax.Array:
  """Indices [n] of this device's n rows in the global batch."""
  if axis is None:
    return split_rows(jnp.arange(n))
  return jnp.arange(n) + jax.lax.axis_index(axis) * n


def example_keys(key: jax.Array, n: int, axis: str | None = None) -> jax.Array:
  """One key for each of this device's n rows, a function of the global row index only.

  The draws are the same however many devices share the batch, and no two rows share a key. Whatever is drawn
  from them row by row is sharded like the keys.

  Args:
    key: () typed key.
    n: rows on this device.
    axis: the device axis, or None.

  Returns:
    [n] typed keys.
  """
  return row_keys(key, global_rows(n, axis))


def row_keys(key: jax.Array, rows: jax.Array) -> jax.Array:
  """The keys [n] of rows [n], given by their index in the whole set, however it is divided into batches."""
  mesh = jax.sharding.get_abstract_mesh()
  if _has_rows(mesh) and len(rows) % mesh.shape[AXIS]:
    # An evaluation batch whose rows do not divide evenly lies on a mesh of its own, and JAX cannot fold an
    # index on one mesh into a key on another.
    rows = jax.lax.with_sharding_constraint(rows, PartitionSpec())
  return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, rows)
