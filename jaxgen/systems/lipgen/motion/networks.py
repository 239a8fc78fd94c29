"""The motion net: convolutions down to the frame rate, then local attention over nearby frames.

Attention reaches `reach` frames to each side and uses relative positions only, so distant frames, clip length
and padding do not affect a result, and a long sound may be cut into overlapping windows.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.lipgen.networks.layers import Layer, attention, dropped, within
from jaxgen.systems.lipgen.voices.log_mel import ROWS_A_FRAME

POSE = 6
SLOWEST = 100.0  # limit in frames per radian of the slowest rotary frequency


class MotionOutput(NamedTuple):
  """Predicted motion of T frames.

  Attributes:
    offsets: [B, T, V] from the speaker's own neutral contours, or whatever target the net was trained on.
    pose: [B, T, 6], see `targets.pose_moves`.
  """

  offsets: jax.Array
  pose: jax.Array


class Motion(Layer):
  """Three convolutions followed by pre-norm transformer layers.

  Attributes:
    num_values: V, values per frame in the offsets.
    width: channels.
    kernel: kernel size in rows of the first convolution; the next two have kernels of 4 rows and stride 2.
    layers: number of transformer layers.
    heads: number of attention heads.
    hidden: channels of the feed-forward part.
    reach: frames to each side that attention sees.
    dropout: dropout rate on each residual branch.
    mean: mean of the log-mels.
    std: standard deviation of the log-mels.
  """

  num_values: int
  width: int = 128
  kernel: int = 5
  layers: int = 2
  heads: int = 4
  hidden: int = 512
  reach: int = 12
  dropout: float = 0.1
  mean: float = 0.0
  std: float = 1.0

  @property
  def context(self) -> int:
    """The receptive field, as the number of frames on each side of a frame that can affect its result."""
    return self.layers * self.reach + -(-(self.kernel // 2 + 3) // ROWS_A_FRAME)

  @nn.compact
  def __call__(
    self, mel: jax.Array, counted: jax.Array, keys: jax.Array | None = None
  ) -> MotionOutput:
    """Motion of unpadded frames; zeros elsewhere.

    Args:
      mel: [B, 4 T, 80] nats.
      counted: [B, T], 1 for frames that are not padding.
      keys: [B] dropout keys, or None for no dropout.
    """
    chex.assert_shape(counted, (mel.shape[0], mel.shape[1] // ROWS_A_FRAME))
    x = ((mel - self.mean) / self.std).astype(self.dtype)
    for i, (size, each) in enumerate(((self.kernel, 4), (4, 4), (4, 2))):
      x = within(x, repeated(counted, each))
      x = Convolution(
        features=self.width, size=size, stride=1 if i == 0 else 2, name=f'conv{i}', **self.options
      )(x)
      x = nn.gelu(nn.LayerNorm(name=f'norm{i}', **self.types)(x))
    for i in range(self.layers):
      x = self._layer(x, counted, keys, i)
    x = within(nn.LayerNorm(name='norm', **self.types)(x), counted)
    small = nn.initializers.normal(0.01)
    found = nn.Dense(self.num_values + POSE, kernel_init=small, name='motion', **self.types)(x)
    found = within(found.astype(self.param_dtype), counted)
    return MotionOutput(found[..., : self.num_values], found[..., self.num_values :])

  def _layer(
    self, x: jax.Array, counted: jax.Array, keys: jax.Array | None, number: int
  ) -> jax.Array:
    def added(y: jax.Array, name: str) -> jax.Array:
      return x + dropped(y, keys, self.dropout, f'{name}{number}')

    y = nn.LayerNorm(name=f'before_attention{number}', **self.types)(x)
    y = NearbyAttention(
      heads=self.heads, reach=self.reach, name=f'attention{number}', **self.options
    )(y, counted)
    x = added(y, 'attention')
    y = nn.LayerNorm(name=f'before_hidden{number}', **self.types)(x)
    y = nn.gelu(nn.Dense(self.hidden, name=f'hidden{number}', **self.types)(y))
    return added(nn.Dense(self.width, name=f'out{number}', **self.types)(y), 'hidden')


class Convolution(Layer):
  """A 1-D convolution over time with symmetric padding, so that windows are centred on their outputs.

  Attributes:
    features: output channels.
    size: kernel size in rows, odd for stride 1 and even for stride 2.
    stride: 1 or 2.
  """

  features: int
  size: int
  stride: int = 1

  @nn.compact
  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, L, C] to [B, L / stride, features]."""
    shape = (self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape, self.param_dtype)
    bias = self.param('bias', nn.initializers.zeros, (self.features,), self.param_dtype)
    around = (self.size - self.stride) // 2
    y = jax.lax.conv_general_dilated(
      x.astype(self.dtype),
      kernel.astype(self.dtype),
      (self.stride,),
      ((around, self.size - self.stride - around),),
      dimension_numbers=('NWC', 'WIO', 'NWC'),
    )
    return y + bias.astype(self.dtype)[None, None]


class NearbyAttention(Layer):
  """Local self-attention with rotary position embeddings (RoFormer, Su et al. 2021).

  Attributes:
    heads: number of heads.
    reach: frames to each side that a frame attends to.
  """

  heads: int
  reach: int

  @nn.compact
  def __call__(self, x: jax.Array, counted: jax.Array) -> jax.Array:
    """[B, T, C] to [B, T, C]; padding frames are masked out."""
    width, at = x.shape[-1], jnp.arange(x.shape[1])
    found = nn.Dense(3 * width, name='attended', **self.types)(x)
    found = found.reshape(*x.shape[:2], 3, self.heads, width // self.heads)
    queries, keys, values = (found[:, :, i] for i in range(3))
    queries, keys = turned(queries), turned(keys)
    near = jnp.abs(at[:, None] - at[None]) <= self.reach
    seen = near[None, None] & (counted > 0)[:, None, None]
    y = attention(queries, keys, values, seen).reshape(x.shape)
    return nn.Dense(width, name='out', **self.types)(y)


def turned(x: jax.Array) -> jax.Array:
  """[B, T, H, D] with rotary embedding: channel pairs rotated in proportion to position, at different rates."""
  half = x.shape[-1] // 2
  rates = SLOWEST ** (-jnp.arange(half, dtype=jnp.float32) / half)
  angles = jnp.arange(x.shape[1], dtype=jnp.float32)[:, None] * rates[None]
  cos, sin = (f(angles).astype(x.dtype)[None, :, None] for f in (jnp.cos, jnp.sin))
  a, b = x[..., :half], x[..., half:]
  return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def repeated(counted: jax.Array, each: int) -> jax.Array:
  """[B, T] -> [B, each T]: every entry repeated `each` times."""
  b, t = counted.shape
  return jnp.broadcast_to(counted[:, :, None], (b, t, each)).reshape(b, t * each)


def make_motion(model: dict[str, Any], facts: dict[str, Any], **options: Any) -> Motion:
  """Builds the net of config.model with the sizes and log-mel statistics in `facts`."""
  return Motion(
    num_values=facts['num_values'],
    mean=facts['mel_mean'],
    std=facts['mel_std'],
    **model,
    **options,
  )
