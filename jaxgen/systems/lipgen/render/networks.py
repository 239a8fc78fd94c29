"""A video U-Net: 2D convolutions on each frame, and temporal attention at each pixel."""

import math
from collections.abc import Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.systems.lipgen.networks.layers import attention

GROUPS = 8  # most groups of a group norm
LONGEST = 10_000.0  # ratio of the longest to the shortest period of `waves`


class VideoUNet(nn.Module):
  """Predicts the velocity of noisy frames.

  Norms are per frame, and only attention, which masks padded frames, mixes frames over time: padding does not
  affect the result.

  Attributes:
    widths: channels by level, each half as high and wide as the one before.
    blocks: residual blocks at each level, on the way down and on the way up.
    patch: side in pixels of the squares that are one position of the first level.
    time_from: the first level with temporal attention.
    reference: 'channels': the reference picture is concatenated to each frame; 'attention': a net of its own
      computes features of it, whose keys and values are appended to each frame's own.
    space_from: with 'attention', the first level with that attention.
    heads: number of attention heads.
    dtype: dtype of computations.
    param_dtype: dtype of parameters.
  """

  widths: Sequence[int] = (16, 32, 48)
  blocks: int = 1
  patch: int = 1
  time_from: int = 1
  reference: str = 'channels'
  space_from: int = 2
  heads: int = 1
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(
    self,
    noisy: jax.Array,
    time: jax.Array,
    seen: jax.Array,
    reference: jax.Array,
    counted: jax.Array,
    given: jax.Array,
  ) -> jax.Array:
    """Predicts the velocity.

    Args:
      noisy: [B, T, H, W]; H and W are multiples of the patch times 2 for each level but the first.
      time: [B] int diffusion times.
      seen: [B, T, H, W, C] condition pictures: the warp, and last the raster of contours.
      reference: [B, H, W].
      counted: [B, T], 1 for frames that are not padding.
      given: [B], 1 where the net is given `seen` and `reference`, 0 for unconditional predictions.

    Returns:
      [B, T, H, W] float32, or float64 if the parameters are.
    """
    chex.assert_rank([noisy, time, seen, reference, counted, given], [4, 1, 5, 3, 2, 1])
    rows, frames = noisy.shape[:2]
    given = given.astype(self.dtype)
    told = [seen.astype(self.dtype) * given[:, None, None, None, None]]
    about = reference.astype(self.dtype)[..., None] * given[:, None, None, None]
    memory: Sequence[jax.Array | None] = [None] * len(self.widths)
    if self.reference == 'channels':
      told.append(jnp.broadcast_to(about[:, None], (*noisy.shape, 1)))
    else:
      memory = Features(self.widths, self.blocks, **self._types())(folded(about, self.patch))
      memory = [x * given[:, None, None, None] for x in memory]
    shown = jnp.concatenate([noisy.astype(self.dtype)[..., None], *told], -1)
    when = _Time(4 * self.widths[0], **self._types())(time)
    # A linear term in each pixel's inputs, by time and position: the share of noise in z differs between the
    # mouth and its surroundings, and a net with normalised features is slow to learn to pass it on.
    raster = told[0][..., -1:]
    plain = jnp.concatenate([shown, shown * raster, shown * raster**2], -1)
    gains = _zero_dense(plain.shape[-1], 'gains', self._types())(when)
    plain = (plain * gains[:, None, None, None]).sum(-1)
    x = folded(shown.reshape(rows * frames, *shown.shape[2:]), self.patch)
    x = _conv(self.widths[0], 3, 'conv_in', self._types())(x)
    x = self._through(x, jnp.repeat(when, frames, axis=0), memory, counted)
    x = unfolded(x, self.patch)
    return (plain + x.reshape(noisy.shape)).astype(self.param_dtype)

  def _through(
    self, x: jax.Array, when: jax.Array, memory: Sequence[jax.Array | None], counted: jax.Array
  ) -> jax.Array:
    """Down, across the deepest level and up: [B * T, H, W, C] -> [B * T, H, W, patch^2]."""
    types, last = self._types(), len(self.widths) - 1
    passed = []
    for level, width in enumerate(self.widths):
      x = halved(x) if level else x
      for i in range(self.blocks):
        x = Block(width, name=f'down{level}_{i}', **types)(x, when)
        x = self._attend(x, level, memory[level], counted, f'down{level}_{i}')
        passed.append(x)
    x = Block(self.widths[-1], name='middle_0', **types)(x, when)
    x = self._attend(x, last, memory[last], counted, 'middle')
    x = Block(self.widths[-1], name='middle_1', **types)(x, when)
    for level, width in reversed(list(enumerate(self.widths))):
      if level < last:  # reduce channels at the lower resolution
        x = doubled(_conv(width, 1, f'narrow{level}', types)(x))
      for i in range(self.blocks):
        x = jnp.concatenate([x, passed.pop()], -1)
        x = Block(width, name=f'up{level}_{i}', **types)(x, when)
        x = self._attend(x, level, memory[level], counted, f'up{level}_{i}')
    x = nn.swish(_norm(x.shape[-1], 'norm_out', types)(x))
    return _conv(self.patch**2, 3, 'conv_out', types, zero=True)(x)

  def _attend(
    self, x: jax.Array, level: int, memory: jax.Array | None, counted: jax.Array, name: str
  ) -> jax.Array:
    if memory is not None and level >= self.space_from:
      x = SpaceAttention(self.heads, name=f'{name}_space', **self._types())(x, memory)
    if level >= self.time_from:
      x = TimeAttention(self.heads, name=f'{name}_time', **self._types())(x, counted)
    return x

  def _types(self) -> dict[str, Any]:
    return {'dtype': self.dtype, 'param_dtype': self.param_dtype}


class Features(nn.Module):
  """A convolutional net for the features of a reference picture at each level."""

  widths: Sequence[int]
  blocks: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> list[jax.Array]:
    """[B, H, W, 1] -> for each level i [B, H / 2^i, W / 2^i, widths[i]]."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    x = _conv(self.widths[0], 3, 'conv_in', types)(x)
    found = []
    for level, width in enumerate(self.widths):
      x = halved(x) if level else x
      for i in range(self.blocks):
        x = Block(width, name=f'down{level}_{i}', **types)(x)
      found.append(x)
    return found


class Block(nn.Module):
  """A residual block whose second norm is scaled and shifted by the diffusion time.

  Reference: Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis", section 3 (AdaGN).
  """

  width: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, when: jax.Array | None = None) -> jax.Array:
    """[N, H, W, C] -> [N, H, W, width]; `when` [N, E] is the embedding of `_Time`."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    h = nn.swish(_norm(x.shape[-1], 'norm0', types)(x))
    h = _norm(self.width, 'norm1', types)(_conv(self.width, 3, 'conv0', types)(h))
    if when is not None:
      scale, shift = jnp.split(nn.Dense(2 * self.width, name='when', **types)(when), 2, -1)
      h = h * (1 + scale[:, None, None]) + shift[:, None, None]
    h = _conv(self.width, 3, 'conv1', types, zero=True)(nn.swish(h))
    return h + (x if x.shape[-1] == self.width else _conv(self.width, 1, 'same', types)(x))


class TimeAttention(nn.Module):
  """Attention of each pixel to the same pixel in the other frames, [B * T, H, W, C] -> the same shape.

  Reference: Guo et al. 2023, "AnimateDiff", section 4.2: sinusoidal positions and a zero-initialised output.
  """

  heads: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, counted: jax.Array) -> jax.Array:
    """`counted` [B, T] is 1 for frames that may be attended to."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    rows, frames = counted.shape
    _, height, width, channels = x.shape
    h = _norm(channels, 'norm', types)(x).reshape(rows, frames, height * width, channels)
    h = h + waves(jnp.arange(frames), channels).astype(self.dtype)[None, :, None]
    q, k, v = _heads(nn.Dense(3 * channels, use_bias=False, name='qkv', **types)(h), self.heads)
    q, k, v = (part.swapaxes(1, 2) for part in (q, k, v))  # [B, H * W, T, heads, C / heads]
    h = attention(q, k, v, counted[:, None, None, None] > 0)
    h = h.swapaxes(1, 2).reshape(x.shape)
    return x + _conv(channels, 1, 'out', types, zero=True)(h)


class SpaceAttention(nn.Module):
  """Attention of each pixel to its frame's and the reference's, [B * T, H, W, C] -> the same shape.

  Keys and values of the reference are appended to the frame's own.

  Reference: Hu et al. 2023, "Animate Anyone", section 3.2; Wei et al. 2024, "AniPortrait", section 3.2.
  """

  heads: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, memory: jax.Array) -> jax.Array:
    """`memory` [B, H, W, C] are the reference's features."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    rows, (_, height, width, channels) = len(memory), x.shape
    h = _norm(channels, 'norm', types)(x).reshape(rows, -1, height * width, channels)
    q, k, v = _heads(nn.Dense(3 * channels, use_bias=False, name='qkv', **types)(h), self.heads)
    behind = nn.Dense(2 * channels, use_bias=False, name='memory', **types)(
      memory.reshape(rows, height * width, channels)
    )
    k, v = (
      jnp.concatenate([own, jnp.broadcast_to(other[:, None], own.shape)], 2)
      for own, other in zip((k, v), _heads(behind, self.heads, parts=2), strict=True)
    )
    h = attention(q, k, v)
    return x + _conv(channels, 1, 'out', types, zero=True)(h.reshape(x.shape))


class _Time(nn.Module):
  """An embedding [B, width] of diffusion times [B]."""

  width: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, time: jax.Array) -> jax.Array:
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    x = waves(time, self.width).astype(self.dtype)
    x = nn.swish(nn.Dense(self.width, name='dense0', **types)(x))
    return nn.swish(nn.Dense(self.width, name='dense1', **types)(x))


def waves(numbers: jax.Array, width: int) -> jax.Array:
  """Sinusoidal embedding [N, width] of numbers [N], with periods from 2 pi to LONGEST times that.

  Reference: Vaswani et al. 2017, "Attention Is All You Need", section 3.5.
  """
  half = -(-width // 2)
  rates = np.exp(-math.log(LONGEST) * np.arange(half) / half)
  angles = numbers[:, None] * jnp.asarray(rates, jnp.float32)[None]
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)[:, :width]


def folded(x: jax.Array, patch: int) -> jax.Array:
  """Space to depth: [N, H, W, C] as [N, H / patch, W / patch, patch^2 C]."""
  n, height, width, channels = x.shape
  x = x.reshape(n, height // patch, patch, width // patch, patch, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // patch, width // patch, -1)


def unfolded(x: jax.Array, patch: int) -> jax.Array:
  """Depth to space, the inverse of `folded`."""
  n, height, width, channels = x.shape
  x = x.reshape(n, height, width, patch, patch, channels // patch**2)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height * patch, width * patch, -1)


def halved(x: jax.Array) -> jax.Array:
  """[N, H, W, C] at half the height and width, by 2 x 2 average pooling."""
  n, height, width, channels = x.shape
  return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def doubled(x: jax.Array) -> jax.Array:
  """[N, H, W, C] at twice the height and width, by nearest-neighbour upsampling."""
  n, height, width, channels = x.shape
  x = jnp.broadcast_to(x[:, :, None, :, None], (n, height, 2, width, 2, channels))
  return x.reshape(n, 2 * height, 2 * width, channels)


def _heads(x: jax.Array, heads: int, parts: int = 3) -> list[jax.Array]:
  """[..., parts * C] -> parts of [..., heads, C / heads]."""
  return [part.reshape(*part.shape[:-1], heads, -1) for part in jnp.split(x, parts, -1)]


def _zero_dense(channels: int, name: str, types: dict[str, Any]) -> nn.Dense:
  return nn.Dense(channels, kernel_init=nn.initializers.zeros, name=name, **types)


def _norm(channels: int, name: str, types: dict[str, Any]) -> nn.GroupNorm:
  return nn.GroupNorm(num_groups=math.gcd(GROUPS, max(channels // 2, 1)), name=name, **types)


def _conv(
  channels: int, size: int, name: str, types: dict[str, Any], zero: bool = False
) -> nn.Conv:
  """A same-size convolution; `zero`: zero-initialised, so that a residual branch starts as the identity."""
  start = nn.initializers.zeros if zero else nn.initializers.lecun_normal()
  return nn.Conv(channels, (size, size), kernel_init=start, name=name, **types)
