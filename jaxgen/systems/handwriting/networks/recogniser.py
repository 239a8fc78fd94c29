"""Recognisers of words and lines: frames of symbol logits from left to right.

Images are [B, H, W, 1] with paper +1; internally, ink is 1 and paper 0, so that a convolution's zero padding is
paper. A line padded to a common width is read as if it were alone: with `widths`, columns beyond a line are
zeroed after every layer, LSTMs run over valid frames, and statistics are those of valid columns.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.systems.handwriting.networks.blocks import Stride, largest, max_pooled
from jaxgen.systems.handwriting.networks.recurrent import BidirectionalLSTM, valid_mean

KINDS = 'gated', 'conv', 'conv_blstm'


class Reading(NamedTuple):
  """A recogniser's output for images.

  Attributes:
    logits: [B, T, V + 1], blank 0, in `param_dtype`; undefined beyond the lengths.
    lengths: [B] int32, valid frames.
    features: [B, D], the mean over valid frames of the layer before the logits.
  """

  logits: jax.Array
  lengths: jax.Array
  features: jax.Array


class Recogniser(nn.Module, kw_only=True):
  """Base class of recognisers.

  Attributes:
    num_symbols: V; the classes are these and blank.
    frame_stride: pixels per frame.
    width_multiplier: scales all hidden widths.
    dtype: of the computation.
    param_dtype: of parameters, statistics and logits.
  """

  num_symbols: int
  frame_stride: int
  width_multiplier: float = 1.0
  dtype: Any = jnp.float32
  param_dtype: Any = jnp.float32

  @property
  def types(self) -> dict[str, Any]:
    """The dtypes of every layer."""
    return {'dtype': self.dtype, 'param_dtype': self.param_dtype}

  def scaled(self, width: int) -> int:
    """A hidden width, scaled and rounded to a multiple of 4."""
    return max(4, 4 * round(width * self.width_multiplier / 4))

  def ink(self, x: jax.Array, widths: jax.Array | None) -> jax.Array:
    """[B, H, W, 1], 1 for ink, 0 for paper and beyond the line."""
    chex.assert_rank(x, 4)
    chex.assert_axis_dimension(x, -1, 1)
    return within(((1 - x) / 2).astype(self.dtype), widths, 1)

  def reading(self, x: jax.Array, widths: jax.Array | None) -> Reading:
    """The output from the last hidden layer [B, T, D]."""
    lengths = self.lengths(x, widths)
    logits = nn.Dense(self.num_symbols + 1, name='logits', **self.types)(x)
    features = valid_mean(x.astype(self.param_dtype), lengths)
    return Reading(logits.astype(self.param_dtype), lengths, features)

  def lengths(self, x: jax.Array, widths: jax.Array | None) -> jax.Array:
    """The number of valid frames [B] out of [B, T, D]."""
    if widths is None:
      return jnp.full(x.shape[0], x.shape[1], jnp.int32)
    return columns_of(widths, self.frame_stride)


class GatedRecogniser(Recogniser):
  """The paper's R: gated convolutions, then two bidirectional LSTMs.

  Reference: Bluche & Messina, "Gated Convolutional Recurrent Neural Networks for Multilingual Handwriting
  Recognition"; the layout of the size that the paper uses is not public, this one is similar. With
  `frame_stride` 2 a word 512 wide has 256 frames; with 8, pixels are first tiled 2x2, as in public
  implementations, and it has 64.
  """

  frame_stride: int = 2

  @nn.compact
  def __call__(self, x: jax.Array, widths: jax.Array | None = None) -> Reading:
    """Reads images [B, H, W, 1]; `widths` [B] in pixels where lines end before the canvas does."""
    if self.frame_stride not in (2, 8):
      raise ValueError(
        f'frame_stride of a gated recogniser must be 2 or 8, not {self.frame_stride}'
      )
    x, stride = self.ink(x, widths), 1
    if self.frame_stride == 8:
      x, stride = tiled(x), 2
    x = self._conv(x, 8, (3, 3), (1, 1), 'conv1', widths, stride)
    stride *= 2
    x = self._conv(x, 16, (4, 2), (4, 2), 'conv2', widths, stride)
    x = self._conv(self._gated(x, 'gate2'), 32, (3, 3), (1, 1), 'conv3', widths, stride)
    x, last = self._gated(x, 'gate3'), self.frame_stride // stride
    x = self._conv(x, 64, (4, 2), (4, last), 'conv4', widths, self.frame_stride)
    x = self._gated(x, 'gate4')
    x = largest(self._conv(x, 128, (3, 3), (1, 1), 'conv5', widths, self.frame_stride), 1)
    lengths, hidden = self.lengths(x, widths), self.scaled(128)
    x = BidirectionalLSTM(hidden, name='lstm1', **self.types)(x, lengths)
    x = jnp.tanh(nn.Dense(hidden, name='dense', **self.types)(x))
    x = BidirectionalLSTM(hidden, name='lstm2', **self.types)(x, lengths)
    return self.reading(x, widths)

  def _conv(
    self,
    x: jax.Array,
    width: int,
    size: Stride,
    strides: Stride,
    name: str,
    widths: jax.Array | None,
    stride: int,
  ) -> jax.Array:
    layer = nn.Conv(self.scaled(width), size, strides, name=name, **self.types)
    return within(jnp.tanh(layer(x)), widths, stride)

  def _gated(self, x: jax.Array, name: str) -> jax.Array:
    return nn.sigmoid(nn.Conv(x.shape[-1], (3, 3), name=name, **self.types)(x)) * x


class ConvolutionalRecogniser(Recogniser):
  """A recogniser for short jobs: convolutions and max pooling, a convolution along the line, an optional LSTM.

  Without the LSTM it has no language model to hide bad letters, and its gradient is local to a letter.

  Attributes:
    blstm: whether a bidirectional LSTM comes last.
  """

  frame_stride: int = 4
  blstm: bool = False

  @nn.compact
  def __call__(self, x: jax.Array, widths: jax.Array | None = None) -> Reading:
    """Reads images [B, H, W, 1]; `widths` [B] in pixels where lines end before the canvas does."""
    if self.frame_stride not in (2, 4):
      raise ValueError(
        f'frame_stride of a convolutional recogniser must be 2 or 4, not {self.frame_stride}'
      )
    x, second = self.ink(x, widths), self.frame_stride // 2
    x = self._stage(x, 16, (2, 2), 1, widths)
    x = self._stage(x, 32, (2, second), 2, widths)
    x = self._stage(x, 64, (2, 1), 3, widths)
    x = self._stage(x, 64, (2, 1), 4, widths)
    b, height, frames, channels = x.shape
    x = x.transpose(0, 2, 1, 3).reshape(b, frames, height * channels)
    x = nn.relu(nn.Conv(self.scaled(128), (3,), name='along', **self.types)(x))
    if self.blstm:
      lstm = BidirectionalLSTM(self.scaled(64), name='lstm', **self.types)
      x = lstm(x, self.lengths(x, widths))
    return self.reading(x, widths)

  def _stage(
    self, x: jax.Array, width: int, pool: Stride, number: int, widths: jax.Array | None
  ) -> jax.Array:
    """conv-(norm)-ReLU-maxpool; the norm only in the third stage, over channel groups of valid columns."""
    before = {1: 1, 2: 2}.get(number, self.frame_stride)  # pixels per column
    x = nn.Conv(self.scaled(width), (3, 3), name=f'conv{number}', **self.types)(x)
    if number == 3:
      mask = None
      if widths is not None:
        mask = jnp.broadcast_to(valid_columns(widths, before, x.shape[2]), x.shape)
      norm = nn.GroupNorm(4, name='norm3', dtype=self.param_dtype, param_dtype=self.param_dtype)
      x = norm(x, mask=mask).astype(x.dtype)
    x = within(nn.relu(x), widths, before)
    return max_pooled(x, pool)


def make_recogniser(kind: str, num_symbols: int, **options: Any) -> Recogniser:
  """Makes a recogniser by name.

  Args:
    kind: 'gated', 'conv' or 'conv_blstm'.
    num_symbols: V.
    **options: as in `Recogniser`.

  Raises:
    ValueError: for an unknown name.
  """
  if kind not in KINDS:
    raise ValueError(f'unknown recogniser {kind!r}; known: {", ".join(KINDS)}')
  if kind == 'gated':
    return GatedRecogniser(num_symbols=num_symbols, **options)
  return ConvolutionalRecogniser(num_symbols=num_symbols, blstm=kind == 'conv_blstm', **options)


def columns_of(widths: jax.Array, stride: int) -> jax.Array:
  """Number of columns [B] that contain pixels of lines of `widths` [B]: the quotient rounded up."""
  return (-(-widths // stride)).astype(jnp.int32)


def valid_columns(widths: jax.Array, stride: int, columns: int) -> jax.Array:
  """[B, 1, columns, 1]: whether a column contains pixels of the line."""
  chex.assert_rank(widths, 1)
  valid = jnp.arange(columns)[None] < columns_of(widths, stride)[:, None]
  return valid[:, None, :, None]


def within(x: jax.Array, widths: jax.Array | None, stride: int) -> jax.Array:
  """[B, H, W, C], zeroed beyond the lines; a column is `stride` pixels."""
  if widths is None:
    return x
  return jnp.where(valid_columns(widths, stride, x.shape[2]), x, 0)


def tiled(x: jax.Array) -> jax.Array:
  """Space to depth: [B, H, W, C] to [B, H / 2, W / 2, 4 C], 2x2 pixels as channels."""
  b, h, w, c = x.shape
  x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
  return x.reshape(b, h // 2, w // 2, 4 * c)
