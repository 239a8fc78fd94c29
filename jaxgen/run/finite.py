"""Whether the state of a run is finite, and which of its arrays is not."""

import jax
import jax.numpy as jnp
from flax import struct

from jaxgen.task import TrainState


@struct.dataclass
class Finite:
  """Whether the state after a call is finite.

  Attributes:
    flags: [L] bool, of each of its floating arrays.
    names: of these, as 'params/model/w'.
  """

  flags: jax.Array
  names: tuple[str, ...] = struct.field(pytree_node=False)

  def __bool__(self) -> bool:
    return bool(self.flags.all())

  def first_bad(self) -> str | None:
    """The name of the first array that is not finite, the parameters before all others."""
    return next((n for n, flag in zip(self.names, self.flags, strict=True) if not flag), None)


def finite_of(state: TrainState) -> Finite:
  """Of all floating arrays of a state: parameters, moments of optimizers, statistics and averages."""
  arrays = [
    (jax.tree_util.keystr(path, simple=True, separator='/'), x)
    for path, x in jax.tree_util.tree_leaves_with_path(state)
    if jnp.issubdtype(x.dtype, jnp.floating) and x.size
  ]
  # The largest, which a NaN is passed on by: XLA vectorizes it on processors, and not a reduction of flags.
  flags = jnp.stack([jnp.isfinite(jnp.abs(x).max()) for _, x in arrays])
  return Finite(flags, tuple(name for name, _ in arrays))
