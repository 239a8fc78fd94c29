"""The fingerprint of a state's bits: it detects damage that no file format would."""

import functools
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.task import PyTree, TrainState

INFERENCE_FIELDS = ('params', 'variables', 'ema')


@jax.jit
def leaf_sums(tree: PyTree) -> jax.Array:
  """uint32 [leaves] that depend on every bit of a leaf and its position; integer sums: layout-independent."""

  def leaf_sum(x: jax.Array) -> jax.Array:
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
      x = jax.random.key_data(x)
    if x.dtype == jnp.bool_:
      x = x.astype(jnp.uint8)
    words = jax.lax.bitcast_convert_type(x, jnp.dtype(f'uint{min(x.dtype.itemsize, 4) * 8}'))
    words = words.reshape(-1).astype(jnp.uint32)
    place = jax.lax.iota(jnp.uint32, words.size) * jnp.uint32(2654435761) + jnp.uint32(1)
    mixed = (words ^ place) * jnp.uint32(2246822519)
    return jnp.sum(mixed ^ (mixed >> 15), dtype=jnp.uint32)

  return jnp.stack([leaf_sum(x) for x in jax.tree.leaves(tree)])


def combined(sums: Iterable[int]) -> int:
  """One 32-bit number from the sums of the leaves, in order."""
  return functools.reduce(lambda total, x: (31 * total + int(x)) % 2**32, sums, 0)


def fingerprint(tree: PyTree) -> int:
  """32 bits that depend on every bit of every leaf and its position."""
  return combined(np.asarray(leaf_sums(tree)))


def make_seal(state: TrainState) -> dict[str, int]:
  """Fingerprints of the whole state and of the part that inference reads, in one pass over the leaves."""
  sums = np.asarray(leaf_sums(state))
  of_state = jax.tree.unflatten(jax.tree.structure(state), list(sums))
  used = {name: getattr(of_state, name) for name in INFERENCE_FIELDS}
  return {'fingerprint': combined(sums), 'inference': combined(jax.tree.leaves(used))}


def check_seal(tree: PyTree, expected: int) -> None:
  """Raises ValueError if a tree is not what was saved."""
  if fingerprint(tree) != expected:
    raise ValueError('its contents do not match their fingerprint')
