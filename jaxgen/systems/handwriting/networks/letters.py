"""The small generator, which lays out letters: feature maps of the letters side by side, then residual blocks.

Every letter has a bank of feature maps, which the noise mixes; blocks upsample the maps side by side, so that
neighbours interact. By default all letters have slots of the same width. At *natural spacing* letters have
their own widths, in pixels: after `place_after` blocks, each slot is cut out and moved to its letter's place,
so that earlier blocks have seen the neighbours and later ones join what has moved together. A letter narrower
than its slot loses its margins, a wider one is stretched. Widths equal to the slot's change nothing.
`LetterWidths` learns the width of each letter in a hand.
"""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.norms import Norm
from jaxgen.systems.handwriting.networks.blocks import ConditionedNorm, Layers, Stride, UpBlock

ROWS = 4  # of a letter's maps in the bank
PAPER = 1.0
_USUAL = 0.6  # width of a letter before training, in slots


class LetterGenerator(Layers):
  """G(z, letters). The word begins at the left edge (or ends at the right one); beyond it the canvas is paper.

  z is [hand, chunk 0, chunk 1, ...]: the hand acts everywhere and can thus encode what a writer keeps; chunk 0
  mixes the bank and chunk i conditions block i.

  Attributes:
    num_symbols: V, without padding.
    max_letters: L; the canvas is L slots wide.
    norm: makes a batch norm.
    height: of the image, 32 or 64: one block per doubling from 4.
    slot: width of a letter in pixels, `columns` times a power of 2.
    columns: width of a letter's maps in the bank.
    widths: channels of the bank, then of each block.
    chunk: size of a chunk of z.
    hand: size of the part of z that all chunks share; 0: none.
    place_after: number of blocks before letters are placed, if widths are given.
    margins: pixels before and after the letters of a word, if widths are given.
    right_to_left: whether letters are laid out from the right edge.
  """

  num_symbols: int
  max_letters: int
  norm: Norm
  height: int = 32
  slot: int = 16
  columns: int = 4
  widths: tuple[int, ...] = (48, 24, 12, 12)
  chunk: int = 16
  hand: int = 0
  place_after: int = 2
  margins: tuple[int, int] = (0, 0)
  right_to_left: bool = False

  @property
  def num_blocks(self) -> int:
    """Number of doublings from the bank's rows to the image's height."""
    return int(math.log2(self.height // ROWS))

  @property
  def num_latents(self) -> int:
    """Size of z."""
    return self.hand + self.chunk * (self.num_blocks + 1)

  @property
  def strides(self) -> list[Stride]:
    """Upsampling factors (vertical, horizontal) of each block; horizontally 2 until a slot has its width."""
    doublings = int(math.log2(self.slot // self.columns))
    return [(2, 2 if i < doublings else 1) for i in range(self.num_blocks)]

  @nn.compact
  def __call__(
    self,
    z: jax.Array,
    labels: jax.Array,
    lengths: jax.Array,
    letter_widths: jax.Array | None = None,
    train: bool = False,
    update: bool = False,
  ) -> jax.Array:
    """Generates images of words.

    Args:
      z: [B, num_latents] ~ N(0, I).
      labels: [B, L] int32, symbols 1 to V, then padding 0.
      lengths: [B] int32.
      letter_widths: [B, L] in pixels, padding included; None: slots.
      train: use batch statistics instead of running averages, which keep a row independent of the others.
      update: whether the spectral norms' vectors take a power-iteration step.

    Returns:
      [B, height, L * slot, 1] in [-1, 1], in `param_dtype`.
    """
    self._check(z, labels, lengths, letter_widths)
    z, hand = z[:, self.hand :].astype(self.dtype), z[:, : self.hand].astype(self.dtype)
    chunks = jnp.split(z, self.num_blocks + 1, axis=-1)
    mixing, *conditions = (jnp.concatenate([chunk, hand], axis=-1) for chunk in chunks)
    if self.right_to_left:  # the first letter comes last, and padding before the word
      labels = labels[:, ::-1]
      letter_widths = None if letter_widths is None else letter_widths[:, ::-1]
    x = self._side_by_side(mixing, labels)
    for i, (condition, stride) in enumerate(zip(conditions, self.strides, strict=True)):
      if i == self.place_after:
        x = self._placed(x, letter_widths)
      options = {'norm': self.norm, 'hidden': 0, **self.layer_options}
      block = UpBlock(self.widths[i + 1], stride=stride, name=f'block{i + 1}', **options)
      x = block(x, condition, train, update)
    if self.place_after == self.num_blocks:
      x = self._placed(x, letter_widths)
    norm = ConditionedNorm(self.norm, name='out_norm', **self.layer_options)
    x = self.conv(nn.relu(norm(x, None, train, update)), 1, 3, 'out', update)
    image = jnp.tanh(x.astype(self.param_dtype))
    return jnp.where(self._is_word(lengths, letter_widths), image, PAPER)

  def _check(
    self, z: jax.Array, labels: jax.Array, lengths: jax.Array, letter_widths: jax.Array | None
  ) -> None:
    chex.assert_shape(z, (len(labels), self.num_latents))
    chex.assert_shape(labels, (len(z), self.max_letters))
    chex.assert_shape(lengths, (len(z),))
    if letter_widths is not None:
      chex.assert_equal_shape([labels, letter_widths])
    doublings = math.log2(self.slot / self.columns)
    rising = math.log2(self.height / ROWS)
    if doublings % 1 or rising % 1 or not 0 <= doublings <= rising:
      raise ValueError(f'4 x {self.columns} cannot be doubled to {self.height} x {self.slot}')
    if len(self.widths) != self.num_blocks + 1 or not 0 <= self.place_after <= self.num_blocks:
      raise ValueError(
        f'height {self.height} has {self.num_blocks} blocks: widths needs one more, not '
        f'{len(self.widths)}, and place_after is at most as many, not {self.place_after}'
      )

  def _side_by_side(self, mixing: jax.Array, labels: jax.Array) -> jax.Array:
    """The letters' feature maps [B, 4, L * columns, C], mixed by [B, N]."""
    (b, letters), channels = labels.shape, self.widths[0]
    shape = (self.num_symbols + 1, 1 + mixing.shape[-1], ROWS * self.columns * channels)
    bank = self.param('bank', nn.initializers.normal(0.05), shape, self.param_dtype)
    ones = jnp.ones((b, 1), self.dtype)
    weights = jnp.concatenate([ones, mixing], axis=-1)
    x = jnp.einsum('bn,blnk->blk', weights, jnp.asarray(bank, self.dtype)[labels])
    x = x.reshape(b, letters, ROWS, self.columns, channels).transpose(0, 2, 1, 3, 4)
    return x.reshape(b, ROWS, letters * self.columns, channels)

  def _placed(self, x: jax.Array, letter_widths: jax.Array | None) -> jax.Array:
    """Feature maps [B, H, W, C] with each slot moved to its letter's place."""
    if letter_widths is None:
      return x
    columns = x.shape[2] // self.max_letters
    widths = letter_widths.astype(self.param_dtype) * (columns / self.slot)
    lead = self.margins[0] * (columns / self.slot)
    weights = placement(widths, columns, self.right_to_left, lead).astype(x.dtype)
    return jnp.einsum('bhsc,bps->bhpc', x, weights)

  def _is_word(self, lengths: jax.Array, letter_widths: jax.Array | None) -> jax.Array:
    """[B, 1, W, 1]: mask of the word's columns, for letters in layout order."""
    letters, width = self.max_letters, self.max_letters * self.slot
    letter = jnp.arange(letters)[:: -1 if self.right_to_left else 1]
    valid = letter[None] < lengths[:, None]
    around = 0 if letter_widths is None else sum(self.margins)
    if letter_widths is None:
      letter_widths = jnp.full(valid.shape, self.slot, self.param_dtype)
    total = around + jnp.where(valid, letter_widths, 0).sum(-1)[:, None]
    position = jnp.arange(width)[None] + 0.5
    inside = position > width - total if self.right_to_left else position < total
    return inside[:, None, :, None]


class LetterWidths(nn.Module):
  """The width of each letter in a hand: its log, in slots, is linear in the hand, with a row per symbol.

  Attributes:
    num_symbols: V, without padding.
    slot: width of a letter's slot in pixels.
    room: maximum width of a word in pixels; a longer one is compressed.
    param_dtype: of parameters and widths.
  """

  num_symbols: int
  slot: int
  room: float
  param_dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, hand: jax.Array, labels: jax.Array, lengths: jax.Array) -> jax.Array:
    """Widths [B, L] in pixels, for hands [B, N] and labels [B, L]; the slot's width for padding."""
    shape = (self.num_symbols + 1, 1 + hand.shape[-1])
    rows = self.param('rows', nn.initializers.zeros, shape, self.param_dtype)
    ones = jnp.ones((len(hand), 1), self.param_dtype)
    hand = jnp.concatenate([ones, hand.astype(self.param_dtype)], axis=-1)
    logs = jnp.einsum('bn,bln->bl', hand, jnp.asarray(rows)[labels]) + math.log(_USUAL)
    widths = self.slot * jnp.exp(jnp.clip(logs, -3, 1))
    valid = jnp.arange(labels.shape[1])[None] < lengths[:, None]
    total = jnp.where(valid, widths, 0).sum(-1, keepdims=True)
    widths = widths * jnp.minimum(self.room / jnp.maximum(total, 1), 1)
    return jnp.where(valid, widths, self.slot)


def placement(
  widths: jax.Array, columns: int, from_right: bool = False, lead: float = 0.0
) -> jax.Array:
  """Weights with which each column of a canvas samples the columns of slots that lie side by side.

  A letter occupies its width on the canvas; a column shared by several letters weights each by its share of the
  column. Within a letter the slot is sampled linearly about its centre, at its own scale; a letter wider than
  its slot is stretched.

  Args:
    widths: [B, L] in columns, from left to right.
    columns: of a slot.
    from_right: whether the last letter ends at the right edge, instead of the first starting at the left one.
    lead: columns that stay empty at that edge.

  Returns:
    [B, P, S], P = S = L * columns; rows sum to 1 in letters, to 0 elsewhere.
  """
  b, letters = widths.shape
  end = jnp.cumsum(widths, axis=-1)
  end = end + (letters * columns - end[:, -1:] - lead if from_right else lead)
  start, end = (edge[:, None, :, None] for edge in (end - widths, end))  # [B, P, L, columns]
  left = jnp.arange(letters * columns, dtype=widths.dtype)[None, :, None, None]
  share = jnp.clip(jnp.minimum(left + 1, end) - jnp.maximum(left, start), 0, 1)
  stretch = jnp.maximum((end - start) / columns, 1)
  position = (left + 0.5 - (start + end) / 2) / stretch + (columns - 1) / 2
  position = jnp.clip(position, 0, columns - 1)
  source = jnp.arange(columns, dtype=widths.dtype)[None, None, None]
  sampled = jnp.maximum(1 - jnp.abs(position - source), 0)
  return (share * sampled).reshape(b, letters * columns, letters * columns)
