"""Inference with a trained reader, as pure functions of exported variables."""

from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen.systems.lipgen.clips.augmentation import middle_crop, normalised
from jaxgen.systems.lipgen.clips.clip_set import NO_WORD
from jaxgen.systems.lipgen.clips.framing import Framing, framed
from jaxgen.systems.lipgen.clips.placed import cropping_of
from jaxgen.systems.lipgen.networks.reader import Reader
from jaxgen.systems.lipgen.steps import read_windows, window_mask
from jaxgen.systems.lipgen.video.crops import Cropping
from jaxgen.task import Batch, PyTree


class Inference(NamedTuple):
  """A trained reader.

  Attributes:
    net: made without a device axis.
    facts: facts of the data.
    config: the run's config.
  """

  net: Reader
  facts: dict[str, Any]
  config: ConfigDict

  @property
  def words(self) -> tuple[str, ...]:
    """The classes; the last is '' if the reader has a class for windows without a word."""
    return tuple(self.facts['words'])

  @property
  def knows_silence(self) -> bool:
    """Whether there is a class '', no word."""
    return self.words[-1] == NO_WORD

  @property
  def needs_boundaries(self) -> bool:
    """Whether training always gave it word boundaries, so that what it reads without them means little."""
    return self.net.boundary and not self.config.augment.boundary_dropout

  @property
  def cropping(self) -> Cropping:
    """How mouths are placed in the crops that it was trained on."""
    return cropping_of(self.config, self.facts)

  def seen(self, crops: np.ndarray) -> np.ndarray:
    """The part of mouth crops that the reader sees.

    Args:
      crops: [T, 96, 96] uint8, as `jaxgen mouths` makes them with `--like` of `cropping`.

    Returns:
      [T, S, S] uint8, the input of `shown`.
    """
    return framed(crops, Framing.from_json(self.facts['framing']))

  def shown(self, frames: jax.Array) -> jax.Array:
    """Framed clips [B, T, S, S] uint8 as input of the net: cropped and normalised, [B, T, C, C, 1]."""
    crop = jax.vmap(lambda clip: middle_crop(clip, self.config.data.crop))
    return normalised(crop(frames), self.net.param_dtype)[..., None]

  def features(self, variables: PyTree, frames: jax.Array, counted: jax.Array) -> jax.Array:
    """Features [B, T, F] of clips.

    Args:
      variables: exported.
      frames: [B, T, C, C, 1], of `shown`.
      counted: [B, T], 1 for frames that are not padding.
    """
    found: Any = self.net.apply(variables, frames, counted, method=Reader.features)
    return found

  def windows(
    self,
    variables: PyTree,
    features: jax.Array,
    mask: jax.Array,
    boundary: jax.Array | None = None,
  ) -> jax.Array:
    """Word log-probabilities [M, N] of windows.

    Args:
      variables: exported.
      features: [M, 29, F], cut from those of clips (`clips.windows.cut`).
      mask: [M, 29], 1 for frames that lie in the clip.
      boundary: [M, 29], 1 within the word; None or zeros: unknown.
    """
    if not self.net.boundary:
      boundary = None
    found: Any = self.net.apply(variables, features, mask, boundary, method=Reader.read)
    return jax.nn.log_softmax(found.words)

  def read(
    self, variables: PyTree, batch: Batch, from_frames: bool = False
  ) -> tuple[jax.Array, jax.Array | None]:
    """Logits of words [B, K, N] and of visemes [B, K, V] (None without visemes) for a split's batch.

    Args:
      variables: exported.
      batch: see `steps.read_windows`.
      from_frames: whether the net sees nothing outside the windows.
    """
    out: Any = self.net.apply(variables, batch, from_frames=from_frames, method=read_windows)
    shape = batch['label'].shape
    visemes = None if out.visemes is None else out.visemes.reshape(*shape, -1)
    return out.words.reshape(*shape, -1), visemes

  def attention(self, variables: PyTree, batch: Batch) -> jax.Array:
    """Attention scores [B, K, V, 29] of each viseme at each frame of a window.

    Only for readers with visemes; -inf for frames that do not count, see `losses.Attention`.
    """

    def likeness(net: Reader, batch: Batch) -> jax.Array:
      states = read_windows(net, batch).states
      assert states is not None
      return net.attention(states, window_mask(batch)).likeness

    found: Any = self.net.apply(variables, batch, method=likeness)
    return found.reshape(*batch['label'].shape, *found.shape[1:])
