"""A U-Net of videos: 2D convolutions of each frame, and attention over time at each pixel."""

import math
from collections.abc import Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.systems.lipgen.networks.layers import attention

GROUPS = 8  # of a norm, at most
LONGEST = 10_000.0  # period of the slowest wave of a number


class VideoUNet(nn.Module):
  """The velocity of noisy frames.

  Every norm is of one frame, and only attention crosses time, which sees no padded frame: padding changes
  nothing.

  Attributes:
    widths: channels by level, each half as high and wide as the one before.
    blocks: residual blocks at each level, on the way down and on the way up.
    patch: the side in pixels of the squares that are the first level's places.
    time_from: the first level with attention over time.
    reference: 'channels': the reference picture is given beside each frame; 'attention': frames attend to the
      features of a net of its own from it, their keys and values put behind the frame's own.
    space_from: with 'attention', the first level where they do.
    heads: of attention.
    dtype: of what is computed.
    param_dtype: of what is kept.
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
    """Predicts.

    Args:
      noisy: [B, T, H, W]; H and W are multiples of the patch times 2 for each level but the first.
      time: [B] int, of the diffusion.
      seen: [B, T, H, W, C] pictures of what is wanted: the warp, and last the raster of contours.
      reference: [B, H, W].
      counted: [B, T], 1 for frames that are no padding.
      given: [B], 1 where the net is told `seen` and `reference`, 0 for what it predicts without.

    Returns:
      [B, T, H, W] float32, or float64 where parameters are.
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
    # What is linear in what a pixel is shown, by the time and by where it lies: how much of z is noise beside
    # the mouth is other than in it, and a net of normalised features is slow to learn to pass it on.
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
      if level < last:  # narrowed where it is small
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
  """Features of a reference picture at each level."""

  widths: Sequence[int]
  blocks: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array) -> list[jax.Array]:
    """[B, H, W, 1] -> of level i [B, H / 2^i, W / 2^i, widths[i]]."""
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
  """A residual block; the second norm is scaled and shifted by the time of the diffusion.

  Reference: Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis", section 3 (AdaGN).
  """

  width: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, when: jax.Array | None = None) -> jax.Array:
    """[N, H, W, C] -> [N, H, W, width]; `when` [N, E] is of `_Time`."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    h = nn.swish(_norm(x.shape[-1], 'norm0', types)(x))
    h = _norm(self.width, 'norm1', types)(_conv(self.width, 3, 'conv0', types)(h))
    if when is not None:
      scale, shift = jnp.split(nn.Dense(2 * self.width, name='when', **types)(when), 2, -1)
      h = h * (1 + scale[:, None, None]) + shift[:, None, None]
    h = _conv(self.width, 3, 'conv1', types, zero=True)(nn.swish(h))
    return h + (x if x.shape[-1] == self.width else _conv(self.width, 1, 'same', types)(x))


class TimeAttention(nn.Module):
  """What each pixel of a frame takes from the same pixel of the others, [B * T, H, W, C] -> the same.

  Reference: Guo et al. 2023, "AnimateDiff", section 4.2: positions by waves, and an output that begins at 0.
  """

  heads: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, counted: jax.Array) -> jax.Array:
    """`counted` [B, T] is 1 for frames that others may see."""
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
  """What each pixel of a frame takes from the others and from the reference's, [B * T, H, W, C] -> the same.

  Keys and values of the reference are put behind the frame's own.

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
  """An embedding [B, width] of times [B] of the diffusion."""

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
  """Sines and cosines [N, width] of numbers [N], with periods from 2 pi to LONGEST times that.

  Reference: Vaswani et al. 2017, "Attention Is All You Need", section 3.5.
  """
  half = -(-width // 2)
  rates = np.exp(-math.log(LONGEST) * np.arange(half) / half)
  angles = numbers[:, None] * jnp.asarray(rates, jnp.float32)[None]
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)[:, :width]


def folded(x: jax.Array, patch: int) -> jax.Array:
  """[N, H, W, C] as [N, H / patch, W / patch, patch^2 C]: the pixels of a square become channels."""
  n, height, width, channels = x.shape
  x = x.reshape(n, height // patch, patch, width // patch, patch, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height // patch, width // patch, -1)


def unfolded(x: jax.Array, patch: int) -> jax.Array:
  """The inverse of `folded`."""
  n, height, width, channels = x.shape
  x = x.reshape(n, height, width, patch, patch, channels // patch**2)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, height * patch, width * patch, -1)


def halved(x: jax.Array) -> jax.Array:
  """[N, H, W, C] at half the height and width: means of 2 x 2."""
  n, height, width, channels = x.shape
  return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def doubled(x: jax.Array) -> jax.Array:
  """[N, H, W, C] at twice the height and width: each pixel four times."""
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
  """A convolution that keeps the size; `zero`: it begins as 0, so that what it is added to passes."""
  start = nn.initializers.zeros if zero else nn.initializers.lecun_normal()
  return nn.Conv(channels, (size, size), kernel_init=start, name=name, **types)
