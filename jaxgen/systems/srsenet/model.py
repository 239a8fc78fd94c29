"""SrSENet's layers. Images are one luminance channel in [0, 1], [B, H, W, 1]; no convolution has a bias.

The net is also available in the pieces that tiled inference needs: `enter`, then per block `Block.excited`,
`Block.gate` and `Block.joined`, then `leave`. A mask [B, H, W, 1], 1 inside the image, zeroes everything
outside after every layer, as zero padding at the image's borders would: an image in a larger canvas gives the
same result as alone.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.squeeze_excite import SqueezeExcite, channel_mean
from jaxgen.nn.transposed import (
  bilinear_init,
  interleave,
  kernel_size,
  phases,
  transposed_convolution,
)

SLOPE = 0.2  # of the leaky ReLUs, as in the paper
# Radius in low-resolution pixels that each part sees.
ENTER_RADIUS, BLOCK_RADIUS, LEAVE_RADIUS = 1, 2, 1


def leaky(x: jax.Array) -> jax.Array:
  """LReLU with slope 0.2."""
  return nn.leaky_relu(x, SLOPE)


class Block(nn.Module):
  """x + SE(f(x)), f(x) = conv2(LReLU(conv1 x)).

  SE scales channels by gates of their means over the image: `SqueezeExcite` with a LReLU, r = features / width.

  Attributes:
    features: channels.
    se_width: width of the squeeze-and-excitation's hidden layer.
    activation_after_conv2: end f with a LReLU, as in the paper's figure.
    se_after_skip: compute SE(x + f(x)) instead.
  """

  features: int
  se_width: int
  activation_after_conv2: bool = False
  se_after_skip: bool = False
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  def setup(self) -> None:
    """Layers."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    self.conv1 = _conv3x3(self.features, **types)
    self.conv2 = _conv3x3(self.features, **types)
    self.se = SqueezeExcite(self.se_width, activation=leaky, **types)

  def excited(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """The features that the gates scale, [B, H, W, C]."""
    hidden = _masked(leaky(self.conv1(x)), mask)
    out = self.conv2(hidden)
    if self.activation_after_conv2:
      out = leaky(out)
    out = _masked(out, mask)
    return x + out if self.se_after_skip else out

  def gate(self, mean: jax.Array) -> jax.Array:
    """Gates [B, C] from the means [B, C] of `excited` over the image."""
    return self.se(mean)

  def joined(self, x: jax.Array, excited: jax.Array, gates: jax.Array) -> jax.Array:
    """The block's output [B, H, W, C]."""
    scaled = excited * gates[:, None, None]
    return scaled if self.se_after_skip else x + scaled

  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, H, W, C] to the same shape, over whole images."""
    excited = self.excited(x)
    mean = channel_mean(excited, dtype=self.param_dtype)
    return self.joined(x, excited, self.gate(mean).astype(excited.dtype))


def _conv3x3(features: int, **types: Any) -> nn.Conv:
  return nn.Conv(
    features,
    (3, 3),
    padding='SAME',
    use_bias=False,
    kernel_init=nn.initializers.orthogonal(),
    **types,
  )


def _masked(x: jax.Array, mask: jax.Array | None) -> jax.Array:
  return x if mask is None else x * mask.astype(x.dtype)


class SrSENet(nn.Module):
  """Upscales luminance by a fixed factor.

  Reference: Mei et al., section on the network: an image branch and a residual of 8 blocks, both enlarged by
  learned transposed convolutions.

  Attributes:
    scale: s.
    features: channels.
    num_blocks: squeeze-and-excitation blocks.
    se_width: hidden width of their gates (the paper: features / 16).
    share_weights: use one block's weights num_blocks times.
    activation_after_input: apply a LReLU after the first convolution.
    activation_after_conv2: see `Block`.
    se_after_skip: see `Block`.
    dtype: computation dtype.
    param_dtype: parameter dtype.
  """

  scale: int
  features: int = 64
  num_blocks: int = 8
  se_width: int = 4
  share_weights: bool = False
  activation_after_input: bool = False
  activation_after_conv2: bool = False
  se_after_skip: bool = False
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  def setup(self) -> None:
    """Layers."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    self.input = _conv3x3(self.features, **types)
    count = 1 if self.share_weights else self.num_blocks
    self.blocks = [Block(**self._block_options()) for _ in range(count)]
    size, orthogonal = kernel_size(self.scale), nn.initializers.orthogonal(column_axis=2)
    shape = (size, size, self.features, self.features)
    self.upsample = self.param('upsample', orthogonal, shape, self.param_dtype)
    self.output = self.param(
      'output', nn.initializers.orthogonal(), (3, 3, self.features, 1), self.param_dtype
    )
    self.image = self.param('image', bilinear_init, (size, size, 1, 1), self.param_dtype)

  @property
  def receptive_radius(self) -> int:
    """Radius in low-resolution pixels of the receptive field, besides global pooling (18 in the paper)."""
    return ENTER_RADIUS + self.num_blocks * BLOCK_RADIUS + LEAVE_RADIUS

  @nn.nowrap
  def make_block(self) -> Block:
    """A block like the net's, for use with the parameters of any one of them."""
    return Block(**self._block_options(), parent=None)

  @nn.nowrap
  def _block_options(self) -> dict[str, Any]:
    names = ('features', 'se_width', 'activation_after_conv2', 'se_after_skip')
    return {name: getattr(self, name) for name in (*names, 'dtype', 'param_dtype')}

  @nn.nowrap
  def block_name(self, i: int) -> str:
    """The name under which block i's parameters are stored."""
    return f'blocks_{0 if self.share_weights else i}'

  def enter(self, y: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Maps luminance [B, H, W, 1] to features [B, H, W, C]."""
    x = self.input(y.astype(self.dtype))
    return _masked(leaky(x) if self.activation_after_input else x, mask)

  def leave(self, x: jax.Array, y: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """The output [B, s H, s W, 1] from the last features [B, H, W, C] and luminance [B, H, W, 1].

    The output convolution's nine taps are applied while the high-resolution map is still in phases, so that
    only their nine products are interleaved, not all channels.
    """
    cast = self.dtype
    z = leaky(phases(x, self.upsample.astype(cast), self.scale))
    taps = self.output.astype(cast).reshape(9, -1).T
    products = interleave(z @ taps, self.scale, None if mask is None else mask.astype(cast))
    h, w = products.shape[1:3]
    products = jnp.pad(products, ((0, 0), (1, 1), (1, 1), (0, 0))).astype(self.param_dtype)
    parts = [products[:, i : i + h, j : j + w, 3 * i + j] for i in range(3) for j in range(3)]
    residual = functools.reduce(jnp.add, parts)
    image = transposed_convolution(y.astype(cast), self.image.astype(cast), self.scale)
    return image.astype(self.param_dtype) + residual[..., None]

  def __call__(self, y: jax.Array) -> jax.Array:
    """Maps luminance [B, H, W, 1] to [B, s H, s W, 1]."""
    x = self.enter(y)
    for i in range(self.num_blocks):
      x = self.blocks[0 if self.share_weights else i](x)
    return self.leave(x, y)
