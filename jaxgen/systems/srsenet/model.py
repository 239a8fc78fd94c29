"""SrSENet's layers. Images are one luminance channel in [0, 1], [B, H, W, 1]; no convolution has a bias.

The net is also given in the pieces that tiled inference needs: `enter`, then for each block `Block.excited`,
`Block.gate` and `Block.joined`, then `leave`. A mask [B, H, W, 1], 1 inside the image, makes what lies outside
zero after every layer, as zero padding at the image's borders would: an image in a larger canvas gives the
same result as alone.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

SLOPE = 0.2  # of the leaky ReLUs, the paper
ENTER_RADIUS, BLOCK_RADIUS, LEAVE_RADIUS = (
  1,
  2,
  1,
)  # low-resolution pixels that each part sees around one
_LAYOUT = ('NHWC', 'HWIO', 'NHWC')


def leaky(x: jax.Array) -> jax.Array:
  """LReLU with slope 0.2."""
  return nn.leaky_relu(x, SLOPE)


def kernel_size(scale: int) -> int:
  """Of the transposed convolutions: 2 s, or 2 s - 1 for odd scales: the output is s times the input."""
  return 2 * scale - scale % 2


def padding(scale: int) -> int:
  """Rows that a transposed convolution cuts off at the top and at the left."""
  return -(-(scale - 1) // 2)


def phase_kernel(kernel: jax.Array, scale: int) -> jax.Array:
  """The taps of a transposed convolution by output phase.

  Args:
    kernel: [k, k, C, D]; input pixel i adds kernel[t] x[i] to output pixel s i - p + t.
    scale: s.

  Returns:
    [2, 2, C, s, s, D] taps. Output pixel s q + r is the 2 x 2 convolution, by the taps of phase r, of the input
    pixels from q - 1 + a_r on, a_r of `phase_starts`.
  """
  size = kernel.shape[0]

  def axis_taps(x: jax.Array, axis: int) -> jax.Array:
    x = jnp.moveaxis(x, axis, 0)
    empty = jnp.zeros_like(x[0])
    taps = []
    for j in (0, 1):
      at = [scale * (1 - a - j) + r + padding(scale) for r, a in enumerate(phase_starts(scale))]
      taps.append(jnp.stack([x[t] if 0 <= t < size else empty for t in at]))
    return jnp.stack(taps)  # [2, s, ...]

  rows = axis_taps(kernel, 0)  # [2, s, k, C, D]
  both = axis_taps(rows, 2)  # [2, s, 2, s, C, D]
  return both.transpose(2, 0, 4, 3, 1, 5)


def phase_starts(scale: int) -> list[int]:
  """a_r for each phase r: whether its two input pixels are (q - 1, q) or (q, q + 1)."""
  return [int(r + padding(scale) >= scale) for r in range(scale)]


def phases(x: jax.Array, kernel: jax.Array, scale: int) -> jax.Array:
  """A transposed convolution before its phases are put in place: no arithmetic on inserted zeros.

  Args:
    x: [B, H, W, C].
    kernel: [k, k, C, D], see `phase_kernel`.
    scale: s.

  Returns:
    [B, H + 1, W + 1, s, s, D], for `interleave`; what is pointwise may be applied before that.
  """
  b, h, w, c = x.shape
  taps = phase_kernel(kernel, scale).reshape(4 * c, -1)
  x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
  # One matrix product: the CPU gradient of the same 2 x 2 convolution takes 26 (x2) to 86 (x4) times as long.
  windows = [x[:, i : i + h + 1, j : j + w + 1] for i in (0, 1) for j in (0, 1)]
  out = jnp.concatenate(windows, -1) @ taps
  return out.reshape(b, h + 1, w + 1, scale, scale, -1)


def interleave(z: jax.Array, scale: int, mask: jax.Array | None = None) -> jax.Array:
  """[B, s H, s W, D] of the phases [B, H + 1, W + 1, s, s, D]; zero where `mask` [B, H, W, 1] is."""
  h, w = z.shape[1] - 1, z.shape[2] - 1
  starts = phase_starts(scale)
  z = jnp.stack([z[:, a : a + h, :, r] for r, a in enumerate(starts)], 2)  # [B, H, s, W + 1, s, D]
  z = jnp.stack([z[:, :, :, a : a + w, r] for r, a in enumerate(starts)], 4)  # [B, H, s, W, s, D]
  if mask is not None:
    z = z * mask[:, :, None, :, None]
  return z.reshape(z.shape[0], h * scale, w * scale, -1)


def transposed_convolution(x: jax.Array, kernel: jax.Array, scale: int) -> jax.Array:
  """[B, H, W, C] to [B, s H, s W, D] by kernel [k, k, C, D], with k of `kernel_size`."""
  return interleave(phases(x, kernel, scale), scale)


def bilinear_kernel(scale: int, dtype: Any = jnp.float32) -> jax.Array:
  """[k, k, 1, 1]: a transposed convolution that interpolates linearly; of ones it gives ones inside."""
  size = kernel_size(scale)
  offset = jnp.arange(size) - (size - 1) / 2
  tent = (1 - jnp.abs(offset) / scale).astype(dtype)
  return jnp.outer(tent, tent)[:, :, None, None]


def _bilinear_init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
  del key
  return bilinear_kernel((shape[0] + 1) // 2, dtype)


class SqueezeExcite(nn.Module):
  """Channel gates of channel means: dense to `width`, LReLU, dense back, sigmoid.

  Reference: the paper's squeeze-and-excitation block, with r = features / width.
  """

  width: int
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, mean: jax.Array) -> jax.Array:
    """Gates [B, C] in (0, 1) of channel means [B, C]."""
    types = {'dtype': self.dtype, 'param_dtype': self.param_dtype}
    hidden = leaky(nn.Dense(self.width, name='reduce', **types)(mean))
    return nn.sigmoid(nn.Dense(mean.shape[-1], name='expand', **types)(hidden))


class Block(nn.Module):
  """x + SE(f(x)), f(x) = conv2(LReLU(conv1 x)).

  Attributes:
    features: channels.
    se_width: of the squeeze-and-excitation's hidden layer.
    activation_after_conv2: f ends with a LReLU, as the paper's figure has it.
    se_after_skip: SE(x + f(x)) instead.
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
    self.se = SqueezeExcite(self.se_width, **types)

  def excited(self, x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """What the gates will scale, [B, H, W, C]."""
    hidden = _masked(leaky(self.conv1(x)), mask)
    out = self.conv2(hidden)
    if self.activation_after_conv2:
      out = leaky(out)
    out = _masked(out, mask)
    return x + out if self.se_after_skip else out

  def gate(self, mean: jax.Array) -> jax.Array:
    """Gates [B, C] of the means [B, C] of `excited` over the image."""
    return self.se(mean)

  def joined(self, x: jax.Array, excited: jax.Array, gates: jax.Array) -> jax.Array:
    """The block's output [B, H, W, C]."""
    scaled = excited * gates[:, None, None]
    return scaled if self.se_after_skip else x + scaled

  def __call__(self, x: jax.Array) -> jax.Array:
    """[B, H, W, C] to the same, over whole images."""
    excited = self.excited(x)
    mean = excited.astype(self.param_dtype).mean((1, 2))
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
    share_weights: one block's weights, used num_blocks times.
    activation_after_input: a LReLU after the first convolution.
    activation_after_conv2: see `Block`.
    se_after_skip: see `Block`.
    dtype: of computation.
    param_dtype: of parameters.
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
    self.image = self.param('image', _bilinear_init, (size, size, 1, 1), self.param_dtype)

  @property
  def receptive_radius(self) -> int:
    """Low-resolution pixels around one that its output sees, besides by global pooling (18 in the paper)."""
    return ENTER_RADIUS + self.num_blocks * BLOCK_RADIUS + LEAVE_RADIUS

  @nn.nowrap
  def make_block(self) -> Block:
    """A block like the net's, to be applied to the parameters of one of them."""
    return Block(**self._block_options(), parent=None)

  @nn.nowrap
  def _block_options(self) -> dict[str, Any]:
    names = ('features', 'se_width', 'activation_after_conv2', 'se_after_skip')
    return {name: getattr(self, name) for name in (*names, 'dtype', 'param_dtype')}

  @nn.nowrap
  def block_name(self, i: int) -> str:
    """Where block i's parameters are."""
    return f'blocks_{0 if self.share_weights else i}'

  def enter(self, y: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Features [B, H, W, C] of luminance [B, H, W, 1]."""
    x = self.input(y.astype(self.dtype))
    return _masked(leaky(x) if self.activation_after_input else x, mask)

  def leave(self, x: jax.Array, y: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """The output [B, s H, s W, 1] of the last features [B, H, W, C] and luminance [B, H, W, 1].

    The output convolution's nine taps are taken while the high-resolution map still lies in phases, so that
    only their nine products are put in place, not all channels.
    """
    cast = self.dtype
    z = leaky(phases(x, self.upsample.astype(cast), self.scale))
    taps = self.output.astype(cast).reshape(9, -1).T
    products = interleave(z @ taps, self.scale, None if mask is None else mask.astype(cast))
    h, w = products.shape[1:3]
    products = jnp.pad(products, ((0, 0), (1, 1), (1, 1), (0, 0))).astype(self.param_dtype)
    residual = sum(products[:, i : i + h, j : j + w, 3 * i + j] for i in range(3) for j in range(3))
    image = transposed_convolution(y.astype(cast), self.image.astype(cast), self.scale)
    return image.astype(self.param_dtype) + residual[..., None]

  def __call__(self, y: jax.Array) -> jax.Array:
    """[B, s H, s W, 1] of luminance [B, H, W, 1]."""
    x = self.enter(y)
    for i in range(self.num_blocks):
      x = self.blocks[0 if self.share_weights else i](x)
    return self.leave(x, y)
