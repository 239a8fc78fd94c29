"""Whether the state of a run is finite, and if not, which array."""

import jax
import jax.numpy as jnp
from flax import struct

from jaxgen.task import TrainState


@struct.dataclass
class Finite:
  """Whether the state after a call is finite.

  Attributes:
    flags: [L] bool, one for each floating-point array.
    names: their names, such as 'params/model/w'.
  """

  flags: jax.Array
  names: tuple[str, ...] = struct.field(pytree_node=False)

  def __bool__(self) -> bool:
    return bool(self.flags.all())

  def first_bad(self) -> str | None:
    """The name of the first non-finite array, parameters before all others."""
    return next((n for n, flag in zip(self.names, self.flags, strict=True) if not flag), None)


def finite_of(state: TrainState) -> Finite:
  """`Finite` of all floating-point arrays of a state: parameters, optimizer moments, statistics, averages."""
  arrays = [
    (jax.tree_util.keystr(path, simple=True, separator='/'), x)
    for path, x in jax.tree_util.tree_leaves_with_path(state)
    if jnp.issubdtype(x.dtype, jnp.floating) and x.size
  ]
  # The maximum propagates NaN, and XLA vectorizes it on CPU, unlike a reduction of flags.
  flags = jnp.stack([jnp.isfinite(jnp.abs(x).max()) for _, x in arrays])
  return Finite(flags, tuple(name for name, _ in arrays))
