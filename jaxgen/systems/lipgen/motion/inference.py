"""Inference with a trained motion net, as pure functions of exported variables, for sounds of any length."""

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

WINDOW = 128  # least frames per window, including the context on either side of what is kept


class Inference(NamedTuple):
  """A trained net.

  Attributes:
    net: the net without a device axis.
    facts: facts of its data.
    config: config of its run.
  """

  net: Motion
  facts: dict[str, Any]
  config: ConfigDict

  def motion(
    self, variables: PyTree, mel: jax.Array, counted: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Contour offsets [B, T, 80] and pose [B, T, 6] for log-mels [B, 4 T, 80]; see `networks.Motion`.

    Mesh components are decoded to contours; padding frames are zeros, and so is a pose that was not part of
    the loss.
    """
    found: Any = self.net.apply(variables, mel, counted)
    offsets = within(as_contours(found.offsets, self.facts), counted)
    return offsets, learnt_pose(found.pose, self.config)

  def follower(
    self, variables: PyTree, window: int = 0
  ) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """A function from a log-mel [L, 80] of any length to offsets [T, 80] and pose [T, 6], T = L / 4 rounded up.

    It is compiled once for all lengths: a sound is cut into windows that overlap by the net's full context on
    either side, so the motion equals that of the whole sound, without jumps between windows.

    Args:
      variables: exported variables.
      window: frames per window, more than twice the net's context; 0: WINDOW, or four times the context if that
        is more, so that at least half of what is computed is kept.
    """
    context = self.net.context
    window = window or max(WINDOW, 4 * context)
    step = window - 2 * context
    assert step > 0, (
      f'windows of {window} frames are too short: {context} on either side lack context'
    )
    compiled = compiling.jit(self.motion)

    def follow(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
      frames = -(-len(mel) // ROWS_A_FRAME)
      lasts = max(1, -(-frames // step)) * step
      # Frames before and after the sound are masked; the last frame is filled up with silence.
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
