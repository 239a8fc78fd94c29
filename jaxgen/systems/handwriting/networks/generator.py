"""The paper's generator: chunks of noise and one text embedding enter through conditional batch norms."""

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.norms import Norm
from jaxgen.systems.handwriting.networks.blocks import (
  HIDDEN,
  ConditionedNorm,
  Layers,
  SelfAttention,
  UpBlock,
)

# The paper's, 1x4 -> 128x512. Smaller images drop the last block (64x256), or the last two (32x128).
FILTERS = (256, 128, 128, 64, 32, 16, 16)
START = 1, 4  # positions before the first block, vertical and horizontal


def filters_for(image_shape: tuple[int, int]) -> tuple[int, ...]:
  """The paper's filters for an image size: 128x512, 64x256 or 32x128.

  Raises:
    ValueError: for another size.
  """
  height, width = image_shape
  blocks = height.bit_length() - 1
  if height * START[1] != width or height != 2**blocks or not 5 <= blocks <= len(FILTERS):
    raise ValueError(f'images must be 32x128, 64x256 or 128x512, not {height}x{width}')
  return FILTERS[:blocks]


class Generator(Layers):
  """G(z, phi(s)). Set `spectral_norm`, as in the paper.

  z is split into chunks, one for the first layer and one for each block, where it is concatenated with phi(s).

  Attributes:
    norm: makes a batch norm.
    filters: of each residual block, which doubles the size.
    chunk: size of a chunk of z.
    hidden: hidden width of the networks that compute gains and shifts.
    attention_after: the block after which self-attention comes, counted from 1; 0: none. After block 4 there
      are 16x64 positions.
    first_linear: whether all of z and phi(s) enter the first layer, and batch norms are unconditional.
  """

  norm: Norm
  filters: tuple[int, ...] = FILTERS
  chunk: int = 16
  hidden: int = HIDDEN
  attention_after: int = 4
  first_linear: bool = False

  @property
  def num_latents(self) -> int:
    """Size of z."""
    return self.chunk * (len(self.filters) + 1)

  @nn.compact
  def __call__(
    self, z: jax.Array, text: jax.Array, train: bool = False, update: bool = False
  ) -> jax.Array:
    """Generates images of texts.

    Args:
      z: [B, num_latents] ~ N(0, I).
      text: [B, E], phi(s).
      train: use batch statistics instead of running averages, which keep a row independent of the others.
      update: whether the spectral norms' vectors take a power-iteration step.

    Returns:
      [B, 2^n, 4 * 2^n, 1] in [-1, 1] for n blocks, in `param_dtype`.
    """
    chex.assert_shape(z, (text.shape[0], self.num_latents))
    z, text = z.astype(self.dtype), text.astype(self.dtype)
    first, *chunks = jnp.split(z, len(self.filters) + 1, axis=-1)
    conditions: list[jax.Array | None]
    conditions = [jnp.concatenate([chunk, text], axis=-1) for chunk in chunks]
    if self.first_linear:
      first, conditions = jnp.concatenate([z, text], axis=-1), [None] * len(self.filters)
    height, width = START
    x = self.dense(first, height * width * self.filters[0], 'first', update)
    x = x.reshape(-1, height, width, self.filters[0])
    options = {'norm': self.norm, 'hidden': self.hidden, **self.layer_options}
    for i, (features, condition) in enumerate(zip(self.filters, conditions, strict=True), start=1):
      x = UpBlock(features, name=f'block{i}', **options)(x, condition, train, update)
      if i == self.attention_after:
        x = SelfAttention(name='attention', **self.layer_options)(x, update)
    x = nn.relu(ConditionedNorm(name='out_norm', **options)(x, None, train, update))
    x = self.conv(x, 1, 3, 'out', update)
    return jnp.tanh(x.astype(self.param_dtype))
