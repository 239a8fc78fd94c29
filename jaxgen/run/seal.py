"""The fingerprint of a state's bits: it shows damage that no file format would."""

import jax
import jax.numpy as jnp

from jaxgen.task import PyTree, TrainState

INFERENCE_FIELDS = ('params', 'variables', 'ema')


@jax.jit
def fingerprint(tree: PyTree) -> jax.Array:
  """() uint32 that depends on every bit of every leaf and its place; integer sums, so layout-free."""

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

  total = jnp.uint32(0)
  for x in jax.tree.leaves(tree):
    total = total * jnp.uint32(31) + leaf_sum(x)
  return total


def make_seal(state: TrainState) -> dict[str, int]:
  """Fingerprints of a whole state, and of what inference reads of it."""
  used = {name: getattr(state, name) for name in INFERENCE_FIELDS}
  return {'fingerprint': int(fingerprint(state)), 'inference': int(fingerprint(used))}


def check_seal(tree: PyTree, expected: int) -> None:
  """Raises ValueError where a tree is not what was saved."""
  if int(fingerprint(tree)) != expected:
    raise ValueError('its contents do not match their fingerprint')
