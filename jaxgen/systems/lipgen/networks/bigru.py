"""A bidirectional GRU that skips padded frames."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.lipgen.networks.layers import Layer, dropped


class BidirectionalGRU(Layer):
  """Stacked bidirectional GRU layers.

  Attributes:
    hidden: state size of each direction.
    layers: number of layers.
    dropout: rate between layers.
  """

  hidden: int = 1024
  layers: int = 3
  dropout: float = 0.2

  @nn.compact
  def __call__(
    self, x: jax.Array, mask: jax.Array | None, train: bool, keys: jax.Array | None
  ) -> jax.Array:
    """States [B, T, 2 hidden] (forward, backward) of features [B, T, F]; arguments as in `DenseTCN`."""
    del train
    for i in range(1, self.layers + 1):
      if i > 1:
        x = dropped(x, keys, self.dropout, self.place(f'dropout{i}'))
      both = [
        Direction(hidden=self.hidden, reverse=reverse, name=f'layer{i}_{name}', **self.options)
        for name, reverse in (('forward', False), ('backward', True))
      ]
      x = jnp.concatenate([direction(x, mask) for direction in both], -1)
    return x


class Direction(Layer):
  """One direction of a GRU layer; padded frames, at either end, leave the state unchanged.

  Parameters and their initialisation are those of `nn.GRUCell`, but the input projection is computed for all
  time steps at once.

  Attributes:
    hidden: state size.
    reverse: whether to run from the last frame to the first.
  """

  hidden: int
  reverse: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """States [B, T, hidden] of [B, T, C]."""
    chex.assert_rank(x, 3)
    b, t, _ = x.shape
    seen = nn.Dense(3 * self.hidden, name='input', **self.types)(x).swapaxes(0, 1)
    shape = (self.hidden, 3 * self.hidden)
    kernel = self.param('kernel', orthogonal_gates, shape, self.param_dtype).astype(self.dtype)
    bias = self.param('bias', nn.initializers.zeros, (self.hidden,), self.param_dtype)
    counted = jnp.ones((t, b, 1), bool) if mask is None else (mask > 0).T[..., None]

    def step(state: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
      of_input, counts = now
      of_state = state.astype(self.dtype) @ kernel
      pairs = zip(jnp.split(of_input, 3, -1), jnp.split(of_state, 3, -1), strict=True)
      (reset_x, reset_h), (update_x, update_h), (new_x, new_h) = (
        (a.astype(self.param_dtype), b.astype(self.param_dtype)) for a, b in pairs
      )
      reset, update = nn.sigmoid(reset_x + reset_h), nn.sigmoid(update_x + update_h)
      new = jnp.tanh(new_x + reset * (new_h + bias[None]))
      state = jnp.where(counts, (1 - update) * new + update * state, state)
      return state, state.astype(self.dtype)

    start = jnp.zeros((b, self.hidden), self.param_dtype)
    _, states = jax.lax.scan(step, start, (seen, counted), reverse=self.reverse)
    return states.swapaxes(0, 1)


def orthogonal_gates(key: jax.Array, shape: tuple[int, int], dtype: Any) -> jax.Array:
  """A kernel [H, 3 H] of one orthogonal block [H, H] per gate.

  The blocks of a single orthogonal matrix of the whole shape would be smaller by the root of 3.

  Args:
    key: () typed.
    shape: (H, 3 H).
    dtype: of the kernel.
  """
  hidden, columns = shape
  chex.assert_equal(columns, 3 * hidden)
  draw = nn.initializers.orthogonal()
  gates = [draw(k, (hidden, hidden), dtype) for k in jax.random.split(key, 3)]
  return jnp.concatenate(gates, 1)
