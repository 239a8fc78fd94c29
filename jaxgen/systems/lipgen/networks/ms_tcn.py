"""The multi-scale temporal convolutional network (MS-TCN), also in a small form.

Reference: Martinez et al., "Lipreading using Temporal Convolutional Networks".
"""

import jax
from flax import linen as nn

from jaxgen.systems.lipgen.networks.layers import Branches, Layer, Transition, dropped


class MultiScaleTCN(Layer):
  """Residual blocks of branches with different kernel sizes; the dilation grows from block to block.

  Attributes:
    widths: channels of a block's branches.
    kernels: kernel size of each branch, in frames.
    dilations: one per block.
    rounds: rounds of branches in a block, in sequence.
    transition: channels of a 1x1 convolution, batch norm and PReLU before the blocks; 0: none.
    project: whether every residual is projected by a 1x1 convolution, not only where channel counts differ.
    dropout: rate after each round.
  """

  widths: tuple[int, ...] = (256, 256, 256)
  kernels: tuple[int, ...] = (3, 5, 7)
  dilations: tuple[int, ...] = (1, 2, 4, 8)
  rounds: int = 2
  transition: int = 0
  project: bool = True
  dropout: float = 0.2

  @nn.compact
  def __call__(
    self, x: jax.Array, mask: jax.Array | None, train: bool, keys: jax.Array | None
  ) -> jax.Array:
    """States [B, T, sum of widths] of features [B, T, F]; arguments as in `DenseTCN`."""
    if self.transition:
      transition = Transition(
        features=self.transition, prelu=True, name='transition', **self.options
      )
      x = transition(x, mask, train)
    for i, dilation in enumerate(self.dilations, start=1):
      h = x
      for j in range(self.rounds):
        branches = Branches(
          widths=self.widths,
          kernels=self.kernels,
          dilation=dilation,
          name=f'block{i}_branches{j}',
          **self.options,
        )
        place = self.place(f'block{i}_dropout{j}')
        h = dropped(branches(h, mask, train), keys, self.dropout, place)
      if self.project or x.shape[-1] != h.shape[-1]:
        x = nn.Dense(h.shape[-1], name=f'block{i}_residual', **self.types)(x)
      x = nn.swish(h + x)
    return x
