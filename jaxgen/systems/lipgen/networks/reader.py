"""The reader: a front-end over clips, a back-end over windows of its features, and word and viseme heads.

A clip's features are computed once; the windows of its words are cut from them in between.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxgen.nn.squeeze_excite import channel_mean
from jaxgen.systems.lipgen.losses import Attention, temporal_attention
from jaxgen.systems.lipgen.networks.bigru import BidirectionalGRU
from jaxgen.systems.lipgen.networks.dense_tcn import DenseTCN
from jaxgen.systems.lipgen.networks.front_end import FrontEnd
from jaxgen.systems.lipgen.networks.layers import Layer
from jaxgen.systems.lipgen.networks.ms_tcn import MultiScaleTCN

BACK_ENDS = {'dctcn': DenseTCN, 'mstcn': MultiScaleTCN, 'bigru': BidirectionalGRU}


class ReaderOutput(NamedTuple):
  """A reader's output for M windows.

  Attributes:
    words: [M, N] logits.
    visemes: [M, V] logits; None without the viseme branch.
    states: [M, S, D], the input of `Reader.attention`; None without the viseme branch.
  """

  words: jax.Array
  visemes: jax.Array | None
  states: jax.Array | None


class Reader(Layer):
  """Reads words, and visemes in training.

  Attributes:
    front_end: maps clips to features.
    back_end: maps features to states, such as `DenseTCN`.
    num_words: N.
    boundary: whether the word boundary is an additional feature.
    num_visemes: V; 0: no viseme branch.
    viseme_back_end: of the viseme branch, from the same features and boundary; None: visemes are read from the
      words' states.
    gamma: of TAFM, see `temporal_attention`.
    attention_scale: lambda of TAFM; 0: the plain mean.
    similarity: of TAFM.
    normalise: of TAFM.
  """

  front_end: FrontEnd
  back_end: nn.Module
  num_words: int
  boundary: bool = False
  num_visemes: int = 0
  viseme_back_end: nn.Module | None = None
  gamma: float = math.inf
  attention_scale: float = 0.1
  similarity: str = 'cosine'
  normalise: bool = False

  def setup(self) -> None:
    """Makes the output layers."""
    self.words = nn.Dense(self.num_words, **self.types)
    if self.num_visemes:
      self.visemes = VisemeWeights(num_visemes=self.num_visemes, **self.options)

  def __call__(
    self,
    frames: jax.Array,
    mask: jax.Array | None = None,
    boundary: jax.Array | None = None,
    train: bool = False,
    keys: jax.Array | None = None,
  ) -> ReaderOutput:
    """Reads clips that are one window each; arguments as in `features` and `read`."""
    return self.read(self.features(frames, mask, train), mask, boundary, train, keys)

  def features(
    self, frames: jax.Array, mask: jax.Array | None = None, train: bool = False
  ) -> jax.Array:
    """Features of clips.

    Args:
      frames: [B, T, H, W, 1], normalised.
      mask: [B, T], 1 where a frame counts; None: all. The content of padded frames does not matter.
      train: whether to use batch statistics and update the running averages.

    Returns:
      [B, T, F], zero in padded frames.
    """
    if mask is not None:
      chex.assert_shape(mask, frames.shape[:2])
    return self.front_end(frames, mask, train)

  def read(
    self,
    features: jax.Array,
    mask: jax.Array | None = None,
    boundary: jax.Array | None = None,
    train: bool = False,
    keys: jax.Array | None = None,
  ) -> ReaderOutput:
    """Reads windows.

    Args:
      features: [M, S, F].
      mask: [M, S], 1 where a frame counts; padding may be at either end; None: all.
      boundary: [M, S], 1 within the word; None: unknown, taken as 0.
      train: whether to use batch statistics and update the running averages.
      keys: [M] typed dropout keys of the windows; None: no dropout.

    Returns:
      Logits in `param_dtype`.
    """
    chex.assert_rank(features, 3)
    features = features.astype(self.dtype)
    if self.boundary:
      known = jnp.zeros(features.shape[:2]) if boundary is None else boundary
      chex.assert_shape(known, features.shape[:2])
      features = jnp.concatenate([features, known[..., None].astype(self.dtype)], -1)
    elif boundary is not None:
      raise ValueError('the reader has no input for word boundaries: boundary must be None')
    states = self.back_end(features, mask, train, keys)
    words = self.words(channel_mean(states, mask, self.param_dtype)).astype(self.param_dtype)
    if not self.num_visemes:
      return ReaderOutput(words, None, None)
    if self.viseme_back_end is not None:
      states = self.viseme_back_end(features, mask, train, keys)
    return ReaderOutput(words, self.attention(states, mask).logits, states)

  def attention(self, states: jax.Array, mask: jax.Array | None = None) -> Attention:
    """TAFM of states [M, S, D] with a mask [M, S]: viseme logits [M, V], attention and likeness [M, V, S]."""
    states = states.astype(self.param_dtype)
    return temporal_attention(
      states,
      self.visemes(states.shape[-1]),
      mask,
      gamma=self.gamma,
      scale=self.attention_scale,
      similarity=self.similarity,
      normalise=self.normalise,
    )


class VisemeWeights(Layer):
  """W of the viseme classifier, one vector per viseme, without bias.

  Attributes:
    num_visemes: V.
  """

  num_visemes: int

  @nn.compact
  def __call__(self, width: int) -> jax.Array:
    """W, [V, width]."""
    init = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
    return self.param('kernel', init, (self.num_visemes, width), self.param_dtype)


def make_reader(
  num_words: int,
  front_end: Mapping[str, Any],
  back_end: Mapping[str, Any],
  *,
  boundary: bool = False,
  num_visemes: int = 0,
  viseme_back_end: Mapping[str, Any] | None = None,
  tafm: Mapping[str, Any] | None = None,
  axis: str | None = None,
  dtype: Any = jnp.float32,
  param_dtype: Any = jnp.float32,
) -> Reader:
  """Makes a reader from plain values.

  Args:
    num_words: N.
    front_end: attributes of `FrontEnd`.
    back_end: 'kind', one of `BACK_ENDS`, and the attributes of its class.
    boundary: see `Reader`.
    num_visemes: see `Reader`.
    viseme_back_end: as `back_end`; None: visemes share the words' back-end. Unused without visemes.
    tafm: any of 'gamma', 'scale' (lambda), 'similarity' and 'normalise'; the others as in `Reader`.
    axis: the device axis, or None.
    dtype: of the computation.
    param_dtype: of parameters, statistics and logits.

  Raises:
    ValueError: the kind is unknown.
  """
  options = {'axis': axis, 'dtype': dtype, 'param_dtype': param_dtype}
  attention = dict(tafm or {})
  if 'scale' in attention:
    attention['attention_scale'] = attention.pop('scale')
  branch = viseme_back_end if num_visemes else None
  return Reader(
    front_end=FrontEnd(**_tuples(front_end), **options),
    back_end=make_back_end(back_end, **options),
    num_words=num_words,
    boundary=boundary,
    num_visemes=num_visemes,
    viseme_back_end=None if branch is None else make_back_end(branch, **options),
    **attention,
    **options,
  )


def make_back_end(sizes: Mapping[str, Any], **options: Any) -> nn.Module:
  """Makes a back-end from 'kind' and its attributes.

  Raises:
    ValueError: the kind is unknown.
  """
  attributes = _tuples(sizes)
  kind = attributes.pop('kind', None)
  if kind not in BACK_ENDS:
    raise ValueError(f'a back-end must be one of {", ".join(BACK_ENDS)}, not {kind!r}')
  return BACK_ENDS[kind](**attributes, **options)


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
  """The values with lists turned into tuples: a module with lists is not hashable."""
  return {key: tuple(x) if isinstance(x, list) else x for key, x in values.items()}
