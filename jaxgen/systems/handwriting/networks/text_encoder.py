"""phi, the paper's text embedding: four bidirectional LSTM layers over the symbols."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.handwriting.networks.recurrent import BidirectionalLSTM, valid_mean

POOLINGS = 'last', 'mean'


class TextEncoder(nn.Module):
  """phi(s), one vector per text; padding does not affect it.

  Attributes:
    num_symbols: V, without padding.
    features: size of a symbol's embedding.
    hidden: state size of each direction.
    layers: number of bidirectional LSTM layers.
    pooling: 'last' (the forward state at the last symbol concatenated with the backward state at the first), or
      'mean' over the symbols. The paper does not say how it turns the sequence into a vector.
    dtype: of the computation.
    param_dtype: of the parameters.
  """

  num_symbols: int
  features: int = 128
  hidden: int = 128
  layers: int = 4
  pooling: str = 'last'
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, labels: jax.Array, lengths: jax.Array) -> jax.Array:
    """Embeds texts.

    Args:
      labels: [B, L] int32, symbols 1 to V, then padding 0.
      lengths: [B] int32.

    Returns:
      [B, 2 hidden].
    """
    chex.assert_rank([labels, lengths], [2, 1])
    if self.pooling not in POOLINGS:
      raise ValueError(f'unknown pooling {self.pooling!r}; known: {", ".join(POOLINGS)}')
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    x = nn.Embed(self.num_symbols + 1, self.features, name='embedding', **types)(labels)
    for i in range(1, self.layers + 1):
      x = BidirectionalLSTM(self.hidden, name=f'layer{i}', **types)(x, lengths)
    if self.pooling == 'mean':
      return valid_mean(x, lengths)
    last = jnp.maximum(lengths - 1, 0)[:, None, None]
    forward = jnp.take_along_axis(x[..., : self.hidden], last, axis=1)[:, 0]
    return jnp.concatenate([forward, x[:, 0, self.hidden :]], axis=-1)
