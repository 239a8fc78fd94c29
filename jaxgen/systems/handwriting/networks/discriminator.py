"""Discriminators of word images: the paper's, and a small one."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.norms import Norm
from jaxgen.systems.handwriting.networks.blocks import DownBlock, Layers, SelfAttention, leaky

# The paper's for 128x512. Smaller images drop the first block (64x256), or the first two (32x128).
WIDTHS = (16, 16, 32, 64, 128, 128, 256)
ATTENTION_WIDTH = 32  # self-attention comes after the block of this width: 16x64 positions
SMALL_WIDTHS = (16, 32, 64, 64)


def widths_for(image_shape: tuple[int, int]) -> tuple[int, ...]:
  """The paper's widths for an image size: 128x512, 64x256 or 32x128.

  Raises:
    ValueError: for another size.
  """
  sizes = {(128, 512): WIDTHS, (64, 256): WIDTHS[1:], (32, 128): WIDTHS[2:]}
  if image_shape not in sizes:
    height, width = image_shape
    raise ValueError(f'images must be 32x128, 64x256 or 128x512, not {height}x{width}')
  return sizes[image_shape]


class Discriminator(Layers):
  """D. Set `spectral_norm`, as in the paper. Real and generated images pass through it separately.

  Attributes:
    widths: of the residual blocks that halve the size.
    norm: makes a batch norm (the paper), or None: no normalisation of features.
    last: whether a residual block of the last width, without downsampling, comes after them.
    project: whether every shortcut has its 1x1 convolution, not only those that change channels.
    attention_after: the block after which self-attention comes, counted from 1; 0: none.
  """

  widths: tuple[int, ...] = WIDTHS
  norm: Norm | None = None
  last: bool = True
  project: bool = False
  attention_after: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, update: bool = False) -> jax.Array:
    """Computes logits of images.

    Args:
      x: [B, H, W, 1] in [-1, 1], paper +1.
      train: use batch statistics instead of running averages.
      update: whether the spectral norms' vectors take a power-iteration step.

    Returns:
      [B], in `param_dtype`.
    """
    chex.assert_axis_dimension(x, -1, 1)
    x = x.astype(self.dtype)
    options = {'norm': self.norm, 'project': self.project, **self.layer_options}
    for i, width in enumerate(self.widths, start=1):
      block = DownBlock(width, first=i == 1, name=f'block{i}', **options)
      x = block(x, train, update)
      if i == self.attention_after:
        x = SelfAttention(name='attention', **self.layer_options)(x, update)
    if self.last:
      x = DownBlock(self.widths[-1], halve=False, name='last', **options)(x, train, update)
    total = jnp.sum(leaky(x), (1, 2), dtype=self.param_dtype)
    return self.dense(total, 1, 'logit', update)[:, 0].astype(self.param_dtype)


def paper_discriminator(
  image_shape: tuple[int, int],
  norm: Norm,
  attention: bool = True,
  widths: tuple[int, ...] = (),
  **options: Any,
) -> Discriminator:
  """The paper's discriminator for 128x512, 64x256 or 32x128.

  Args:
    image_shape: height and width of the images.
    norm: makes a batch norm.
    attention: whether it has self-attention, at 16x64 positions.
    widths: of the blocks, as many as in the paper; empty: those of the paper.
    options: as in `Layers`.

  Raises:
    ValueError: for another size, or another number of widths.
  """
  paper = widths_for(image_shape)
  if widths and len(widths) != len(paper):
    raise ValueError(
      f'a discriminator of {image_shape[0]}x{image_shape[1]} needs {len(paper)} widths, not {len(widths)}'
    )
  after = paper.index(ATTENTION_WIDTH) + 1 if attention else 0
  return Discriminator(widths or paper, norm, attention_after=after, spectral_norm=True, **options)


def small_discriminator(widths: tuple[int, ...] = SMALL_WIDTHS, **options: Any) -> Discriminator:
  """The short job's discriminator, for any size divisible by 2^len(widths)."""
  return Discriminator(widths, None, last=False, project=True, spectral_norm=True, **options)
