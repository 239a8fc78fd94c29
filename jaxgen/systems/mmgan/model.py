"""Networks of the Mixed Membership GAN, as Flax Linen modules configured by plain values.

Source: Yazici et al., "Mixed Membership Generative Adversarial Networks", section on experiments; layer sizes
from the same authors' Venn GAN. Images are [B, H, W, C] in [-1, 1], H = W = 28, 32 or 64.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.convolutions import (
  Convolution,
  full_convolution,
  halving_convolution,
  upsampled_convolution,
)
from jaxgen.nn.norms import ConditionalNorm, Norm, spectrally_normed

SLOPE = 0.2
EPSILON = 1e-5
Initializer = nn.initializers.Initializer
# Radford et al., "Unsupervised Representation Learning with DCGANs", section 4: all weights are initialised
# from N(0, 0.02) (and, as in its code, the scales of batch norm from N(1, 0.02)).
DCGAN_INIT: Initializer = nn.initializers.normal(0.02)


class Networks(NamedTuple):
  """The networks of a run.

  Attributes:
    gen: the generator for all components.
    disc: the trunk with one head per distribution.
    cls: the component classifier's own layers.
  """

  gen: 'Generator'
  disc: 'Discriminator'
  cls: 'ClassifierHead'


class ComponentNorm(nn.Module):
  """`ConditionalNorm` with a scale and a shift for each component.

  Scales are initialised from N(1, 0.02): with equal ones and equal mixture weights, components stay alike.

  Attributes:
    num_components: K.
    norm: constructor of batch norm.
    param_dtype: dtype of scale and shift.
  """

  num_components: int
  norm: Norm
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x: jax.Array, component: jax.Array, train: bool) -> jax.Array:
    """Normalises, then scales and shifts by component.

    Args:
      x: [B, H, W, C].
      component: [B] int32 in [0, K).
      train: batch statistics instead of running averages.
    """
    shape = (self.num_components, x.shape[-1])
    scale = self.param('scale', around_one, shape, self.param_dtype)
    shift = self.param('shift', nn.initializers.zeros, shape, self.param_dtype)
    norm = ConditionalNorm(self.norm, name='norm')
    return norm(x, scale[component], shift[component], train)


def around_one(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
  """Initializer of scales, N(1, 0.02)."""
  return 1.0 + 0.02 * jax.random.normal(key, shape, dtype)


class Generator(nn.Module):
  """One generator for all components.

  Attributes:
    num_components: K.
    image_shape: height, width, channels.
    widths: channels of the hidden layers.
    norm: constructor of batch norm.
    architecture: 'venn' (nearest-neighbour upsampling, LeakyReLU, a final 3x3 convolution) or 'dcgan' (4x4
      transposed convolutions of stride 2, the last of which makes the image, ReLU; at 28 and 32 pixels it has
      one hidden layer fewer, and ignores the last width).
    dtype: computation dtype.
    param_dtype: parameter dtype.
    kernel_init: initializer of all kernels.
  """

  num_components: int
  image_shape: tuple[int, int, int]
  widths: Sequence[int]
  norm: Norm
  architecture: str = 'venn'
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, z: jax.Array, component: jax.Array, train: bool = False) -> jax.Array:
    """Generates images of given components.

    Args:
      z: [B, Z] ~ N(0, I).
      component: [B] int32 in [0, K).
      train: batch statistics instead of running averages.

    Returns:
      [B, H, W, C] in [-1, 1].
    """
    x = z.astype(self.dtype)[:, None, None, :]
    for i, (width, layer) in enumerate(self._plan(), start=1):
      x = layer(x, width, f'conv{i}')
      norm = ComponentNorm(self.num_components, self.norm, self.param_dtype, name=f'conv{i}_norm')
      x = _activation(self.architecture)(norm(x, component, train))
    return jnp.tanh(self._out(x))

  @property
  def _options(self) -> dict[str, Any]:
    return {
      'dtype': self.dtype,
      'param_dtype': self.param_dtype,
      'kernel_init': self.kernel_init,
    }

  def _plan(self) -> list[tuple[int, Callable[[jax.Array, int, str], jax.Array]]]:
    """Width and layer of each hidden stage, from 1x1 to the image size."""
    size = self.image_shape[0]
    first = self._full  # 1 -> 4, 4 -> 7
    if self.architecture == 'venn':
      grow = self._up
      layers = {
        28: [first, first, grow, grow],
        32: [first, grow, grow, grow],
        64: [first, grow, grow, grow, grow],
      }[size]
    else:
      grow = self._transposed
      layers = {
        28: [first, self._to_seven, grow],
        32: [first, grow, grow],
        64: [first, grow, grow, grow],
      }[size]
    widths = [*self.widths, *[self.widths[-1]] * (len(layers) - len(self.widths))]
    return list(zip(widths[: len(layers)], layers, strict=True))

  def _out(self, x: jax.Array) -> jax.Array:
    """The output layer, before tanh."""
    channels = self.image_shape[-1]
    if self.architecture == 'dcgan':
      return self._transposed(x, channels, 'conv_out')
    return nn.Conv(channels, (3, 3), padding=1, name='conv_out', **self._options)(x)

  def _full(self, x: jax.Array, width: int, name: str) -> jax.Array:
    """4x4 convolution, padded by 3."""
    return Convolution(width, 4, full_convolution, name=name, **self._options)(x)

  def _up(self, x: jax.Array, width: int, name: str) -> jax.Array:
    """Nearest-neighbour upsampling by 2, then a 3x3 convolution."""
    return Convolution(width, 3, upsampled_convolution, name=name, **self._options)(x)

  def _transposed(
    self, x: jax.Array, width: int, name: str, padding: str | Sequence[tuple[int, int]] = 'SAME'
  ) -> jax.Array:
    """Transposed 4x4 convolution of stride 2, which doubles the size."""
    layer = nn.ConvTranspose(
      width, (4, 4), strides=(2, 2), padding=padding, use_bias=False, name=name, **self._options
    )
    return layer(x)

  def _to_seven(self, x: jax.Array, width: int, name: str) -> jax.Array:
    """The same from 4x4 to 7x7: 8x8 without its last row and column."""
    return self._transposed(x, width, name, ((2, 1), (2, 1)))


def _activation(architecture: str) -> Callable[[jax.Array], jax.Array]:
  return nn.relu if architecture == 'dcgan' else _leaky


def _leaky(x: jax.Array) -> jax.Array:
  return nn.leaky_relu(x, SLOPE)


class Trunk(nn.Module):
  """4x4 convolutions of stride 2, shared by the discriminators and the classifier.

  Attributes:
    widths: channels; an image of 64 pixels gets one more layer with the last width.
    spectral_norm: whether to divide weights by their largest singular value (one power iteration).
    norm: constructor of batch norm for all layers but the first, or None.
    dtype: computation dtype.
    param_dtype: parameter dtype.
    kernel_init: initializer of all kernels.
  """

  widths: Sequence[int]
  spectral_norm: bool = True
  norm: Norm | None = None
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, x: jax.Array, train: bool = False, update: bool = False) -> jax.Array:
    """Extracts features of images.

    Args:
      x: [B, H, W, C] in [-1, 1].
      train: batch statistics instead of running averages, if there is batch norm.
      update: whether to update the spectral norms' vectors.

    Returns:
      [B, h, w, widths[-1]]; 3x3 for 28 pixels, 4x4 for 32 and 64.
    """
    x = x.astype(self.dtype)
    widths = [*self.widths, *[self.widths[-1]] * (x.shape[1] == 64)]
    for i, width in enumerate(widths, start=1):
      conv = Convolution(
        width,
        4,
        halving_convolution,
        use_bias=self.norm is None or i == 1,
        dtype=self.dtype,
        param_dtype=self.param_dtype,
        kernel_init=self.kernel_init,
        name=f'conv{i}',
      )
      x = _normalized(conv, self.spectral_norm, self.param_dtype, x, update)
      if self.norm is not None and i > 1:
        norm = self.norm(use_running_average=not train, scale_init=around_one, name=f'conv{i}_norm')
        x = norm(x).astype(x.dtype)
      x = _leaky(x)
    return x


def _normalized(
  layer: nn.Module, spectral_norm: bool, param_dtype: Any, x: jax.Array, update: bool
) -> jax.Array:
  """Applies a layer, with its kernel divided by its largest singular value if requested."""
  if not spectral_norm:
    return layer(x)
  return spectrally_normed(layer, x, update, param_dtype)


class Discriminator(nn.Module):
  """One discriminator per distribution; they share all but the last layer.

  Attributes:
    num_sets: n.
    trunk: constructor of the shared layers.
    spectral_norm: whether the heads have spectral norm.
    dtype: computation dtype.
    param_dtype: parameter dtype.
    kernel_init: initializer of the heads' kernels.
  """

  num_sets: int
  trunk: Callable[..., Trunk]
  spectral_norm: bool = True
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(
    self, x: jax.Array, train: bool = False, update: bool = False
  ) -> tuple[jax.Array, jax.Array]:
    """Computes the logits of every discriminator.

    Args:
      x: [B, H, W, C] in [-1, 1].
      train: batch statistics instead of running averages, if there is batch norm.
      update: whether to update the spectral norms' vectors.

    Returns:
      The trunk's features [B, h, w, c], and logits [B, n].
    """
    features = self.trunk(name='trunk')(x, train, update)
    logits = []
    for i in range(1, self.num_sets + 1):
      head = nn.Conv(
        1,
        features.shape[1:3],
        padding='VALID',
        dtype=self.dtype,
        param_dtype=self.param_dtype,
        kernel_init=self.kernel_init,
        name=f'head{i}',
      )
      logits.append(_normalized(head, self.spectral_norm, self.param_dtype, features, update))
    return features, jnp.concatenate([x.reshape(-1, 1) for x in logits], axis=-1)


class ClassifierHead(nn.Module):
  """A classifier's own layers, on top of a trunk's features.

  Attributes:
    num_classes: number of classes; K for the components.
    width: width of the hidden layer.
    dtype: computation dtype.
    param_dtype: parameter dtype.
    kernel_init: initializer of both kernels.
  """

  num_classes: int
  width: int = 256
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32
  kernel_init: Initializer = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps features [B, h, w, c] to logits [B, num_classes] and the hidden layer [B, width]."""
    options = {
      'dtype': self.dtype,
      'param_dtype': self.param_dtype,
      'kernel_init': self.kernel_init,
    }
    x = features.reshape(len(features), -1)
    hidden = _leaky(nn.Dense(self.width, name='hidden', **options)(x))
    return nn.Dense(self.num_classes, name='logits', **options)(hidden), hidden
