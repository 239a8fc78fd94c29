"""What a trained motion net computes, as pure functions of exported variables, for sounds of any length."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen import compiling
from jaxgen.systems.lipgen.motion.networks import Motion
from jaxgen.systems.lipgen.motion.targets import as_contours, learnt_pose
from jaxgen.systems.lipgen.networks.layers import within
from jaxgen.systems.lipgen.voices.log_mel import BANDS, ROWS_A_FRAME
from jaxgen.task import PyTree

WINDOW = 128  # frames that are computed at once at least, those around what is kept among them


class Inference(NamedTuple):
  """A trained net.

  Attributes:
    net: without a device axis.
    facts: of the data.
    config: of the run.
  """

  net: Motion
  facts: dict[str, Any]
  config: ConfigDict

  def motion(
    self, variables: PyTree, mel: jax.Array, counted: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Offsets of contours [B, T, 80] and pose [B, T, 6] of log-mels [B, 4 T, 80]; see `networks.Motion`.

    A net that tells components of a mesh is decoded; frames that do not count are zeros, and so is a pose
    that was no part of the loss.
    """
    found: Any = self.net.apply(variables, mel, counted)
    offsets = within(as_contours(found.offsets, self.facts), counted)
    return offsets, learnt_pose(found.pose, self.config)

  def follower(
    self, variables: PyTree, window: int = 0
  ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function from a log-mel [L, 80] of any length to offsets [T, 80] and pose [T, 6], T = L / 4 rounded up.

    It is compiled once, whatever the lengths: a sound is cut into windows that overlap by as much as can
    change a frame's result, so that the motion is that of the whole sound and has no jump where windows join.

    Args:
      variables: exported.
      window: frames of one, more than twice the net's context; 0: WINDOW, or four times the context of a net
        that sees further, so that half of what is computed is kept at least.
    """
    context = self.net.context
    window = window or max(WINDOW, 4 * context)
    step = window - 2 * context
    assert step > 0, f'windows of {window} frames have {context} on either side that see too little'
    compiled = compiling.jit(self.motion)

    def follow(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
      frames = -(-len(mel) // ROWS_A_FRAME)
      lasts = max(1, -(-frames // step)) * step
      # What is before and after the sound does not count; the last frame is filled up with silence.
      whole = np.full((lasts + 2 * context, ROWS_A_FRAME, BANDS), self.facts['floor'], np.float32)
      rows = whole[context : context + frames].reshape(-1, BANDS)
      rows[: len(mel)] = mel
      counted = np.zeros(len(whole), np.float32)
      counted[context : context + frames] = 1
      parts = []
      for first in range(0, lasts, step):
        cut = slice(first, first + window)
        found = compiled(variables, whole[cut].reshape(1, -1, BANDS), counted[None, cut])
        parts.append([np.asarray(x[0, context : context + step]) for x in found])
      offsets, pose = (np.concatenate(x)[:frames] for x in zip(*parts, strict=True))
      return offsets, pose

    return follow
