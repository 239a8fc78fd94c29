"""Connectionist temporal classification as a loss.

Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent
Neural Networks", 2006. Label 0 is the blank.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

# Stands for minus infinity: -inf itself times the zeros of a one-hot label is NaN.
LOG_ZERO = -1e30


def frames_needed(labels: Any, lengths: Any) -> Any:
  """The fewest frames with which a label has an alignment: its length, plus a blank between equal neighbours.

  Args:
    labels: [B, L] int, padded on the right; numpy or jax.
    lengths: [B] int.

  Returns:
    [B] int, of the same library.
  """
  inside = np.arange(1, labels.shape[1])[None] < lengths[:, None]
  return lengths + ((labels[:, 1:] == labels[:, :-1]) & inside).sum(1)


def reversed_labels(labels: jax.Array, lengths: jax.Array) -> jax.Array:
  """Reverses labels, keeping padding on the right.

  Frames run left to right: only labels of text that is written right to left are reversed, for `ctc_loss`.

  Args:
    labels: [B, L] int.
    lengths: [B] int.

  Returns:
    [B, L].
  """
  place = jnp.arange(labels.shape[1])[None]
  inside = place < lengths[:, None]
  return jnp.take_along_axis(labels, jnp.where(inside, lengths[:, None] - 1 - place, place), axis=1)


def ctc_loss(
  logits: jax.Array, logit_lengths: jax.Array, labels: jax.Array, label_lengths: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Negative log-likelihood of labels, summed over their alignments; in float32 or better.

  Args:
    logits: [B, T, K]; -inf is treated as `LOG_ZERO`.
    logit_lengths: [B] int, at most T: frames beyond are ignored.
    labels: [B, L] int in [1, K), padded on the right.
    label_lengths: [B] int; 0 is the empty text.

  Returns:
    (nll [B] nats, possible [B] bool). A label that needs more frames than there are
    (`frames_needed`) is not possible: its nll and its gradient are 0.
  """
  chex.assert_rank([logits, logit_lengths, labels, label_lengths], [3, 1, 2, 1])
  chex.assert_equal_shape_prefix([logits, logit_lengths, labels, label_lengths], 1)
  possible = frames_needed(labels, label_lengths) <= logit_lengths
  dtype = jnp.promote_types(logits.dtype, jnp.float32)
  logits = jnp.maximum(logits.astype(dtype), LOG_ZERO)
  logits = jnp.where(possible[:, None, None], logits, 0.0)
  frames = jnp.arange(logits.shape[1])[None] >= logit_lengths[:, None]
  padding = jnp.arange(labels.shape[1])[None] >= label_lengths[:, None]
  # optax selects the labels' log-probabilities by a matmul, which accelerators round to bfloat16 or TF32.
  with jax.default_matmul_precision('highest'):
    nll = optax.ctc_loss(logits, frames.astype(dtype), labels, padding.astype(dtype))
  return jnp.where(possible, nll, 0.0), possible
