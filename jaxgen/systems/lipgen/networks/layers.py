"""Building blocks of the reader's networks, for clips and windows of different lengths.

Frames lie on the second axis, [B, T, ...], and a mask [B, T] tells which of them count. Padded frames are
zeroed before every operation over time, and statistics and means cover only frames that count, so that neither
the content nor the amount of padding changes any result.
"""

import zlib
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.axis import psum
from jaxgen.nn.squeeze_excite import SqueezeExcite, channel_mean

MOMENTUM, EPSILON = 0.9, 1e-5


class Layer(nn.Module, kw_only=True):
  """A module with dtypes and a device axis.

  Attributes:
    axis: the device axis that statistics are summed over, or None if the batch is already global.
    dtype: of the computation.
    param_dtype: of parameters and statistics.
  """

  axis: str | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @property
  def types(self) -> dict[str, Any]:
    """Dtype options, for layers without statistics."""
    return {'dtype': self.dtype, 'param_dtype': self.param_dtype}

  @property
  def options(self) -> dict[str, Any]:
    """All options, for submodules of this class."""
    return {'axis': self.axis, **self.types}

  def place(self, name: str) -> str:
    """A name within this module, unique in the whole network."""
    return '/'.join((*self.path, name))


class BatchNorm(Layer):
  """Batch norm with statistics over the frames that count, across all devices.

  Flax's own averages the devices' means, which is wrong when their counts differ. Statistics are sums of x and
  of its squares, in float32 or wider.
  """

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """Normalises.

    Args:
      x: [B, ..., C].
      mask: over the leading axes of x, such as [B, T] for [B, T, C] or [B] for [B, H, W, C]; None: all count.
      train: whether to use batch statistics and update the running averages, instead of using these.

    Returns:
      An array of the shape of x, in `dtype`.
    """
    width = (x.shape[-1],)
    scale = self.param('scale', nn.initializers.ones, width, self.param_dtype)
    bias = self.param('bias', nn.initializers.zeros, width, self.param_dtype)
    kept_mean = self.variable('batch_stats', 'mean', jnp.zeros, width, self.param_dtype)
    kept_var = self.variable('batch_stats', 'var', jnp.ones, width, self.param_dtype)
    x = x.astype(self.param_dtype)
    mean, var = kept_mean.value, kept_var.value
    if train:
      mean, var = moments(x, mask, self.axis)
      if not self.is_initializing():
        for kept, new in ((kept_mean, mean), (kept_var, var)):
          kept.value = MOMENTUM * kept.value + (1 - MOMENTUM) * new
    factor = scale * jax.lax.rsqrt(var + EPSILON)
    mean, factor, bias = (jnp.expand_dims(v, range(x.ndim - 1)) for v in (mean, factor, bias))
    return ((x - mean) * factor + bias).astype(self.dtype)


def moments(
  x: jax.Array, mask: jax.Array | None, axis: str | None = None
) -> tuple[jax.Array, jax.Array]:
  """Mean and variance [C] of the channels of x [B, ..., C] where the mask is set, over all devices.

  Args:
    x: in the dtype of the sums.
    mask: over the leading axes of x, or None.
    axis: the device axis, or None.
  """
  axes = tuple(range(x.ndim - 1))
  counted = jnp.ones(x.shape[:1], bool) if mask is None else mask > 0
  chex.assert_equal_shape_prefix([x, counted], counted.ndim)
  valid = jnp.expand_dims(counted, range(counted.ndim, x.ndim))
  kept = jnp.where(valid, x, 0)
  each = x[0, ..., 0].size if counted.ndim == 1 else x[0, 0, ..., 0].size
  sums = jnp.stack([kept.sum(axes), (kept * kept).sum(axes)])
  sums, count = psum((sums, counted.sum()), axis)
  mean, square = sums / jnp.maximum(count * each, 1).astype(x.dtype)
  return mean, jnp.maximum(square - mean * mean, 0)


def within(x: jax.Array, mask: jax.Array | None) -> jax.Array:
  """Zeroes x [B, T, ...] where the mask [B, T] is 0."""
  if mask is None:
    return x
  chex.assert_equal_shape_prefix([x, mask], 2)
  return jnp.where(jnp.expand_dims(mask > 0, range(2, x.ndim)), x, 0)


def dropped(x: jax.Array, keys: jax.Array | None, rate: float, place: str) -> jax.Array:
  """Dropout with one key per row, so that draws are the same on any number of devices.

  Args:
    x: [B, ...].
    keys: [B] typed keys of the rows; None: no dropout.
    rate: the probability of a zero; kept values are divided by 1 - rate.
    place: distinguishes this dropout from the others of the same rows.
  """
  if keys is None or not rate:
    return x
  chex.assert_shape(keys, x.shape[:1])

  def draw(key: jax.Array) -> jax.Array:
    return jax.random.bernoulli(
      jax.random.fold_in(key, zlib.crc32(place.encode())), 1 - rate, x.shape[1:]
    )

  return jnp.where(jax.vmap(draw)(keys), x / (1 - rate), 0)


class TemporalConvolution(Layer):
  """A length-preserving convolution over time that ignores padded frames.

  Attributes:
    features: output channels.
    size: kernel size in frames, odd.
    dilation: frames between its taps.
    use_bias: whether a bias is added.
  """

  features: int
  size: int = 1
  dilation: int = 1
  use_bias: bool = True

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """[B, T, C] to [B, T, features]; padded frames are taken as zero."""
    reach = self.dilation * (self.size - 1) // 2
    init = nn.initializers.lecun_normal()
    shape = (self.size, x.shape[-1], self.features)
    kernel = self.param('kernel', init, shape, self.param_dtype).astype(self.dtype)
    x = within(x, mask).astype(self.dtype)
    y = jax.lax.conv_general_dilated(
      x,
      kernel,
      (1,),
      ((reach, reach),),
      rhs_dilation=(self.dilation,),
      dimension_numbers=('NWC', 'WIO', 'NWC'),
    )
    if self.use_bias:
      bias = self.param('bias', nn.initializers.zeros, (self.features,), self.param_dtype)
      y = y + bias.astype(self.dtype)[None, None]
    return y


class Branches(Layer):
  """Parallel convolutions over time with different kernel sizes, each with batch norm and swish.

  Attributes:
    widths: channels of each branch.
    kernels: kernel size of each branch, in frames.
    dilation: of all branches.
    squeeze: if not 0, each branch first scales its input by squeeze and excitation, to C / squeeze and back.
  """

  widths: tuple[int, ...]
  kernels: tuple[int, ...] = (3, 5, 7)
  dilation: int = 1
  squeeze: int = 0

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, C] to [B, T, sum of widths], in the order of the kernels."""
    mean = channel_mean(x, mask, self.param_dtype) if self.squeeze else None
    found = []
    for width, size in zip(self.widths, self.kernels, strict=True):
      seen = x
      if mean is not None:
        gates = excitation(x.shape[-1], self.squeeze, name=f'se{size}', **self.types)(mean)
        seen = x * gates[:, None]
      conv = TemporalConvolution(
        features=width, size=size, dilation=self.dilation, name=f'conv{size}', **self.options
      )
      norm = BatchNorm(name=f'norm{size}', **self.options)
      found.append(nn.swish(norm(conv(seen, mask), mask, train)))
    return jnp.concatenate(found, -1)


def excitation(channels: int, squeeze: int, **options: Any) -> SqueezeExcite:
  """Squeeze and excitation without biases: swish, and a hidden layer of channels / squeeze."""
  return SqueezeExcite(channels // squeeze, nn.swish, use_bias=False, **options)


class Transition(Layer):
  """A 1x1 convolution without bias, batch norm, and PReLU with a slope per channel, or swish.

  Attributes:
    features: output channels.
    prelu: whether PReLU follows instead of swish.
  """

  features: int
  prelu: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array | None, train: bool) -> jax.Array:
    """[B, T, C] to [B, T, features]."""
    x = nn.Dense(self.features, use_bias=False, name='conv', **self.types)(x)
    x = BatchNorm(name='norm', **self.options)(x, mask, train)
    if not self.prelu:
      return nn.swish(x)
    slope = self.param('slope', nn.initializers.constant(0.25), x.shape[-1:], self.param_dtype)
    return jnp.where(x >= 0, x, slope.astype(x.dtype)[None, None] * x)


def attention(
  queries: jax.Array, keys: jax.Array, values: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
  """Scaled dot-product attention, with the softmax in float32 if the inputs are of a narrower dtype.

  Args:
    queries: [..., Q, heads, C].
    keys: [..., K, heads, C].
    values: [..., K, heads, C].
    mask: [..., heads or 1, Q or 1, K], which keys are visible; all by default.

  Returns:
    [..., Q, heads, C].

  Reference: Vaswani et al. 2017, "Attention Is All You Need", eq. 1.
  """
  narrow = jnp.finfo(queries.dtype).bits < 32
  found: jax.Array = nn.dot_product_attention(
    queries, keys, values, mask=mask, force_fp32_for_softmax=narrow
  )
  return found
