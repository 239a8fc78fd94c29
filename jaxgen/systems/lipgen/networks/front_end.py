"""The front-end: a convolution over five frames, a residual network per frame, and pooling to a vector.

Reference: Stafylakis & Tzimiropoulos, "Combining Residual Networks with LSTMs for Lipreading"; He et al., "Deep
Residual Learning for Image Recognition".
"""

import functools

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.conv import convolution
from jaxgen.nn.convolutions import Convolution
from jaxgen.nn.squeeze_excite import channel_mean
from jaxgen.systems.lipgen.networks.layers import BatchNorm, Layer, excitation, within
from jaxgen.systems.lipgen.networks.pooling import Pooling
from jaxgen.systems.lipgen.networks.temporal_shift import temporal_shift

STEM_FRAMES, STEM_SIZE = 5, 7
INIT = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class Stem(Layer):
  """A 3D convolution of one channel, kernel (5, 7, 7), without bias.

  It is computed as a 2D convolution of five frames stacked as channels: on a CPU the gradient of the 3D one
  takes five times as long. The kernel is stored in the 3D layout.

  Attributes:
    features: output channels.
    stride: spatial stride.
  """

  features: int
  stride: int = 2

  @nn.compact
  def __call__(self, frames: jax.Array) -> jax.Array:
    """[B, T, H, W, 1] to [B, T, H / stride, W / stride, features], sizes rounded up."""
    chex.assert_rank(frames, 5)
    chex.assert_axis_dimension(frames, -1, 1)
    b, t, h, w, _ = frames.shape
    shape = (STEM_FRAMES, STEM_SIZE, STEM_SIZE, 1, self.features)
    kernel = self.param('kernel', INIT, shape, self.param_dtype)[..., 0, :].astype(self.dtype)
    reach, margin = STEM_FRAMES // 2, STEM_SIZE // 2
    around = jnp.pad(frames, ((0, 0), (reach, reach), (0, 0), (0, 0), (0, 0)))
    stacked = jnp.concatenate([around[:, i : i + t] for i in range(STEM_FRAMES)], -1)
    x = convolution(
      stacked.reshape(b * t, h, w, STEM_FRAMES),
      kernel.transpose(1, 2, 0, 3),
      (self.stride, self.stride),
      ((margin, margin), (margin, margin)),
    )
    return x.reshape(b, t, *x.shape[1:])


class FrontEnd(Layer):
  """Maps clips to one feature vector per frame.

  Attributes:
    stem: channels of the first convolution.
    stem_stride: its spatial stride.
    max_pool: whether 3x3 max pooling with stride 2 follows it.
    widths: channels of each stage.
    blocks: residual blocks of each stage; 0: one plain convolution.
    strides: of each stage's first convolution.
    shift_div: of each stage's temporal shift; 0: none.
    squeeze: if not 0, each block's output is scaled by squeeze and excitation, to C / squeeze and back.
    pooling: see `Pooling`.
    pool_features: see `Pooling`.
    pool_frames: see `Pooling`.
    pool_activation: see `Pooling`.
  """

  stem: int = 64
  stem_stride: int = 2
  max_pool: bool = True
  widths: tuple[int, ...] = (64, 128, 256, 512)
  blocks: tuple[int, ...] = (2, 2, 2, 2)
  strides: tuple[int, ...] = (1, 2, 2, 2)
  shift_div: tuple[int, ...] = (0, 0, 0, 0)
  squeeze: int = 0
  pooling: str = 'average'
  pool_features: int = 0
  pool_frames: int = 3
  pool_activation: bool = False

  @nn.compact
  def __call__(self, frames: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, H, W, 1] with a mask [B, T] to [B, T, F], zero in padded frames."""
    x = within(frames.astype(self.dtype), mask)
    x = Stem(features=self.stem, stride=self.stem_stride, name='stem', **self.options)(x)
    x = nn.swish(BatchNorm(name='stem_norm', **self.options)(x, mask, train))
    if self.max_pool:
      x = max_pooled(x)
    stages = zip(self.widths, self.blocks, self.strides, self.shift_div, strict=True)
    for i, (width, blocks, stride, shift_div) in enumerate(stages, start=1):
      for j in range(max(blocks, 1)):
        options = {'features': width, 'shift_div': shift_div, **self.options}
        if blocks:
          options['squeeze'] = self.squeeze
        layer = ResidualBlock if blocks else ConvolutionBlock
        name = f'stage{i}_block{j}'
        x = layer(stride=1 if j else stride, name=name, **options)(x, mask, train)
    pool = Pooling(
      kind=self.pooling,
      features=self.pool_features,
      frames=self.pool_frames,
      activation=self.pool_activation,
      name='pooling',
      **self.options,
    )
    return within(pool(x, mask, train), mask)


class ConvolutionBlock(Layer):
  """A 3x3 convolution of each frame, batch norm and swish.

  Attributes:
    features: output channels.
    stride: of the convolution.
    shift_div: of a temporal shift before it; 0: none.
  """

  features: int
  stride: int = 1
  shift_div: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, H, W, C] to [B, T, H / stride, W / stride, features], sizes rounded up."""
    return nn.swish(self.normed(self.shifted(x, mask), mask, 3, self.stride, '1', train))

  def shifted(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The input of the first convolution, temporally shifted if configured."""
    return temporal_shift(x, mask, self.shift_div) if self.shift_div else x

  def normed(
    self, x: jax.Array, mask: jax.Array | None, size: int, stride: int, name: str, train: bool
  ) -> jax.Array:
    """A convolution of each frame, then batch norm."""
    b, t = x.shape[:2]
    margin = (size // 2, size // 2)
    # 'SAME' would pad even sizes differently.
    form = functools.partial(convolution, strides=(stride, stride), padding=(margin, margin))
    conv = Convolution(
      self.features,
      size,
      form,
      kernel_init=INIT,
      name=f'conv{name}',
      **self.types,
    )
    x = conv(x.reshape(b * t, *x.shape[2:]))
    norm = BatchNorm(name=f'norm{name}', **self.options)
    return norm(x.reshape(b, t, *x.shape[1:]), mask, train)


class ResidualBlock(ConvolutionBlock):
  """Two 3x3 convolutions of each frame and a shortcut, a 1x1 convolution where shapes differ.

  Attributes:
    squeeze: reduction factor of squeeze and excitation over each frame's channel means; 0: none.
  """

  squeeze: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, H, W, C] to [B, T, H / stride, W / stride, features], sizes rounded up."""
    h = nn.swish(self.normed(self.shifted(x, mask), mask, 3, self.stride, '1', train))
    h = self.normed(h, mask, 3, 1, '2', train)
    if self.squeeze:
      frames = h.reshape(-1, *h.shape[2:])
      gates = excitation(self.features, self.squeeze, name='se', **self.types)(
        channel_mean(frames, dtype=self.param_dtype)
      )
      h = h * gates.reshape(*h.shape[:2], 1, 1, -1)
    if self.stride != 1 or x.shape[-1] != self.features:
      x = self.normed(x, mask, 1, self.stride, '_shortcut', train)
    return nn.swish(h + x)


def max_pooled(x: jax.Array) -> jax.Array:
  """3x3 max pooling with stride 2 and padding 1: [B, T, H, W, C] to half the size, rounded up.

  Computed by comparisons along one axis after the other, as the gradient of XLA's window maximum takes several
  times as long.
  """
  for axis in (2, 3):
    size = x.shape[axis]
    margin = [(0, 0)] * x.ndim
    margin[axis] = (1, 1)
    around = jnp.pad(x, margin, constant_values=-jnp.inf)
    parts = [jax.lax.slice_in_dim(around, i, i + size, stride=2, axis=axis) for i in range(3)]
    x = functools.reduce(lambda a, b: jnp.where(b > a, b, a), parts)
  return x
