"""The densely connected temporal convolutional network (DC-TCN).

Reference: Ma et al., "Lip-reading with Densely Connected Temporal Convolutional Networks".
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.lipgen.networks.layers import BatchNorm, Branches, Layer, Transition, dropped


class DenseLayer(Layer):
  """Two rounds of branches, the first with squeeze and excitation, and a residual connection.

  Attributes:
    growth: output channels, split evenly between the branches.
    kernels: kernel size of each branch, in frames.
    dilation: of all branches.
    squeeze: reduction factor of squeeze and excitation; 0: none.
    dropout: rate after each round.
  """

  growth: int = 384
  kernels: tuple[int, ...] = (3, 5, 7)
  dilation: int = 1
  squeeze: int = 16
  dropout: float = 0.2

  @nn.compact
  def __call__(
    self, x: jax.Array, mask: jax.Array | None, train: bool, keys: jax.Array | None
  ) -> jax.Array:
    """[B, T, C] to [B, T, growth]."""
    if self.growth % len(self.kernels):
      raise ValueError(f'growth {self.growth} is not divisible by the {len(self.kernels)} branches')
    h = x
    for i, squeeze in enumerate((self.squeeze, 0)):
      branches = Branches(
        widths=(self.growth // len(self.kernels),) * len(self.kernels),
        kernels=self.kernels,
        dilation=self.dilation,
        squeeze=squeeze,
        name=f'branches{i}',
        **self.options,
      )
      h = dropped(branches(h, mask, train), keys, self.dropout, self.place(f'dropout{i}'))
    if x.shape[-1] != self.growth:
      x = nn.Dense(self.growth, name='residual', **self.types)(x)
    return nn.swish(h + x)


class DenseTCN(Layer):
  """Dense blocks, each after a transition, and a final batch norm.

  Attributes:
    blocks: number of blocks.
    growth: channels that each layer adds.
    dilations: of a block's layers, one per layer.
    width: output channels of each transition.
    kernels: see `DenseLayer`.
    squeeze: see `DenseLayer`.
    dropout: see `DenseLayer`.
  """

  blocks: int = 4
  growth: int = 384
  dilations: tuple[int, ...] = (1, 2, 5)
  width: int = 512
  kernels: tuple[int, ...] = (3, 5, 7)
  squeeze: int = 16
  dropout: float = 0.2

  @nn.compact
  def __call__(
    self, x: jax.Array, mask: jax.Array | None, train: bool, keys: jax.Array | None
  ) -> jax.Array:
    """States [B, T, width + layers * growth] of features [B, T, F].

    Args:
      x: features.
      mask: [B, T], 1 where a frame counts, or None.
      train: whether to normalise by batch statistics.
      keys: [B] dropout keys, or None.
    """
    for i in range(self.blocks):
      transition = Transition(
        features=self.width, prelu=i == 0, name=f'transition{i}', **self.options
      )
      x = transition(x, mask, train)
      for j, dilation in enumerate(self.dilations, start=1):
        layer = DenseLayer(
          growth=self.growth,
          kernels=self.kernels,
          dilation=dilation,
          squeeze=self.squeeze,
          dropout=self.dropout,
          name=f'block{i + 1}_layer{j}',
          **self.options,
        )
        x = jnp.concatenate([x, layer(x, mask, train, keys)], -1)
    return BatchNorm(name='norm', **self.options)(x, mask, train)
