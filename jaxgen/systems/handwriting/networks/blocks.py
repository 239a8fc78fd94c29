"""Building blocks of generators and discriminator: layers, conditional batch norm, residual blocks, attention.

Images are [B, H, W, C]. Source: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image
Synthesis" (BigGAN), whose blocks the handwriting paper adopts.
"""

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.convolutions import Convolution, upsampled_convolution
from jaxgen.nn.norms import ConditionalNorm, Norm, spectrally_normed

SLOPE = 0.2  # of the leaky ReLUs
MOMENTUM, EPSILON = 0.9, 1e-5
HIDDEN = 512  # of the networks that compute gains and shifts
Stride = tuple[int, int]  # vertical, horizontal


def batch_norm(axis: str | None = None, param_dtype: Any = jnp.float32) -> Norm:
  """A factory of batch norms with statistics of the global batch, in `param_dtype`.

  Args:
    axis: the device axis, or None if the batch is already global.
    param_dtype: of statistics and parameters.
  """
  return functools.partial(
    nn.BatchNorm,
    momentum=MOMENTUM,
    epsilon=EPSILON,
    axis_name=axis,
    dtype=param_dtype,
    param_dtype=param_dtype,
    force_float32_reductions=False,
  )


def leaky(x: jax.Array) -> jax.Array:
  """LeakyReLU with slope 0.2."""
  return nn.leaky_relu(x, SLOPE)


def enlarged(x: jax.Array, stride: Stride) -> jax.Array:
  """Nearest-neighbour upsampling: [B, H, W, C] to [B, stride[0] H, stride[1] W, C]."""
  for axis, times in enumerate(stride, start=1):
    if times > 1:
      x = jnp.repeat(x, times, axis)
  return x


def max_pooled(x: jax.Array, size: Stride) -> jax.Array:
  """Max pooling: [B, H, W, C] to [B, H / size[0], W / size[1], C].

  Reshapes patches to axes, as the gradient of XLA's window maximum takes five times as long on a CPU, and uses
  comparisons: a maximum's gradient goes to the operands equal to it, and values that XLA recomputes in another
  fusion may differ in the last bit, which would lose part of the gradient.
  """
  b, h, w, c = x.shape
  chex.assert_is_divisible(h, size[0])
  chex.assert_is_divisible(w, size[1])
  x = x.reshape(b, h // size[0], size[0], w // size[1], size[1], c)
  return largest(largest(x, 2), 3)


def largest(x: jax.Array, axis: int) -> jax.Array:
  """Maximum along a short axis, by comparisons, see `max_pooled`."""
  parts = (jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))
  return functools.reduce(_larger, parts)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.where(a > b, a, b)


class Layers(nn.Module, kw_only=True):
  """Base class of modules whose convolutions and dense layers may have spectral norm.

  Attributes:
    spectral_norm: whether kernels are divided by their largest singular value.
    dtype: of the computation.
    param_dtype: of the parameters.
    kernel_init: of all kernels.
  """

  spectral_norm: bool = False
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()

  @property
  def layer_options(self) -> dict[str, Any]:
    """The options that submodules share with this module."""
    return {
      'spectral_norm': self.spectral_norm,
      'dtype': self.dtype,
      'param_dtype': self.param_dtype,
      'kernel_init': self.kernel_init,
    }

  def conv(
    self, x: jax.Array, features: int, size: int, name: str, update: bool, use_bias: bool = True
  ) -> jax.Array:
    """A convolution with 'SAME' padding, stride 1."""
    layer = nn.Conv(
      features, (size, size), use_bias=use_bias, name=name, **self._options(self.kernel_init)
    )
    return self._applied(layer, x, update)

  def up_conv(
    self, x: jax.Array, features: int, stride: Stride, name: str, update: bool
  ) -> jax.Array:
    """Nearest-neighbour upsampling, then a 3x3 convolution."""
    if stride != (2, 2):
      return self.conv(enlarged(x, stride), features, 3, name, update)
    options = self._options(self.kernel_init)
    layer = Convolution(features, 3, upsampled_convolution, use_bias=True, name=name, **options)
    return self._applied(layer, x, update)

  def dense(
    self,
    x: jax.Array,
    features: int,
    name: str,
    update: bool,
    kernel_init: nn.initializers.Initializer | None = None,
  ) -> jax.Array:
    """A dense layer on the last axis."""
    options = self._options(kernel_init or self.kernel_init)
    return self._applied(nn.Dense(features, name=name, **options), x, update)

  def _options(self, kernel_init: nn.initializers.Initializer) -> dict[str, Any]:
    return {'dtype': self.dtype, 'param_dtype': self.param_dtype, 'kernel_init': kernel_init}

  def _applied(self, layer: nn.Module, x: jax.Array, update: bool) -> jax.Array:
    if not self.spectral_norm:
      return layer(x)
    return spectrally_normed(layer, x, update, self.param_dtype)


class ConditionedNorm(Layers):
  """Batch norm whose gain (1 + gamma) and shift a network computes; without a condition they are parameters.

  Attributes:
    norm: makes a batch norm.
    hidden: width of the network's hidden layer (ReLU); 0: a single dense layer, initialised from N(0, 0.02).
  """

  norm: Norm
  hidden: int = HIDDEN

  @nn.compact
  def __call__(
    self, x: jax.Array, condition: jax.Array | None, train: bool, update: bool
  ) -> jax.Array:
    """Normalises x.

    Args:
      x: [B, H, W, C].
      condition: [B, N], input of the network for gain and shift, or None.
      train: use batch statistics instead of running averages.
      update: whether the spectral norms' vectors take a power-iteration step.
    """
    if condition is None:
      return self.norm(use_running_average=not train, name='stats')(x).astype(x.dtype)
    chex.assert_rank([x, condition], [4, 2])
    condition = condition.astype(self.dtype)
    init = None
    if self.hidden:
      condition = nn.relu(self.dense(condition, self.hidden, 'hidden', update))
    else:
      init = nn.initializers.normal(0.02)
    both = self.dense(condition, 2 * x.shape[-1], 'gain_shift', update, init)
    gamma, shift = jnp.split(both.astype(self.param_dtype), 2, axis=-1)
    return ConditionalNorm(self.norm, name='norm')(x, 1 + gamma, shift, train)


class UpBlock(Layers):
  """norm-ReLU-upsample-conv3-norm-ReLU-conv3, and a shortcut with a 1x1 convolution if channels change.

  Attributes:
    features: output channels.
    norm: makes a batch norm.
    stride: vertical and horizontal upsampling factors.
    hidden: see `ConditionedNorm`.
  """

  features: int
  norm: Norm
  stride: Stride = (2, 2)
  hidden: int = HIDDEN

  @nn.compact
  def __call__(
    self, x: jax.Array, condition: jax.Array | None, train: bool, update: bool
  ) -> jax.Array:
    """[B, H, W, C] to [B, stride[0] H, stride[1] W, features]; arguments as in `ConditionedNorm`."""
    options = {'norm': self.norm, 'hidden': self.hidden, **self.layer_options}
    h = nn.relu(ConditionedNorm(name='norm1', **options)(x, condition, train, update))
    h = self.up_conv(h, self.features, self.stride, 'conv1', update)
    h = nn.relu(ConditionedNorm(name='norm2', **options)(h, condition, train, update))
    h = self.conv(h, self.features, 3, 'conv2', update)
    if x.shape[-1] != self.features:
      x = self.conv(x, self.features, 1, 'shortcut', update)
    return h + enlarged(x, self.stride)


class DownBlock(Layers):
  """norm-LeakyReLU-conv3-norm-LeakyReLU-conv3-avgpool, and a shortcut.

  Attributes:
    features: output channels.
    norm: makes a batch norm, or None: no normalisation.
    first: whether it starts with the convolution, as its input is an image.
    halve: whether it average-pools 2x2 pixels.
    project: whether the shortcut has its 1x1 convolution even if channels do not change.
  """

  features: int
  norm: Norm | None = None
  first: bool = False
  halve: bool = True
  project: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, train: bool, update: bool) -> jax.Array:
    """[B, H, W, C] to [B, H // 2, W // 2, features], or [B, H, W, features] without `halve`."""
    h = x if self.first else leaky(self._normed(x, 'norm1', train))
    h = self.conv(h, self.features, 3, 'conv1', update)
    h = self.conv(leaky(self._normed(h, 'norm2', train)), self.features, 3, 'conv2', update)
    h, x = self._averaged(h), self._averaged(x)
    if self.project or x.shape[-1] != self.features:
      x = self.conv(x, self.features, 1, 'shortcut', update)  # same before the average
    return h + x

  def _normed(self, x: jax.Array, name: str, train: bool) -> jax.Array:
    if self.norm is None:
      return x
    return self.norm(use_running_average=not train, name=name)(x).astype(x.dtype)

  def _averaged(self, x: jax.Array) -> jax.Array:
    return nn.avg_pool(x, (2, 2), (2, 2)) if self.halve else x


class SelfAttention(Layers):
  """x + gamma * attention(x) over positions; gamma starts at 0.

  Queries and keys have C/8 channels, values C/2; keys and values are max-pooled 2x2 to a quarter of the
  positions; no convolution has a bias and scores are not scaled.

  Reference: Zhang et al., "Self-Attention Generative Adversarial Networks", in BigGAN's form.
  """

  @nn.compact
  def __call__(self, x: jax.Array, update: bool) -> jax.Array:
    """[B, H, W, C] to the same shape; H and W even, C a multiple of 8."""
    b, height, width, channels = x.shape
    chex.assert_is_divisible(channels, 8)

    def projected(features: int, name: str, pooled: bool) -> jax.Array:
      y = self.conv(x, features, 1, name, update, use_bias=False)
      y = max_pooled(y, (2, 2)) if pooled else y
      return y.reshape(b, -1, features)

    query = projected(channels // 8, 'query', pooled=False)
    key = projected(channels // 8, 'key', pooled=True)
    value = projected(channels // 2, 'value', pooled=True)
    scores = jnp.einsum('bqc,bkc->bqk', query, key).astype(self.param_dtype)
    weights = jax.nn.softmax(scores).astype(x.dtype)
    found = jnp.einsum('bqk,bkc->bqc', weights, value).reshape(b, height, width, -1)
    gamma = self.param('gamma', nn.initializers.zeros, (), self.param_dtype)
    return x + gamma.astype(x.dtype) * self.conv(found, channels, 1, 'out', update, use_bias=False)
