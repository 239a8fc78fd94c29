"""The paper's equations: temporal attention for visemes (TAFM), and the word and viseme losses."""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

SIMILARITIES = 'cosine', 'dot'
TINY = 1e-12  # lower bound of squared norms, so that the gradient at 0 is finite


class Attention(NamedTuple):
  """The output of TAFM.

  Attributes:
    logits: [B, V], f_i . W_i.
    weights: [B, V, T], alpha; each viseme's sum to 1 over the frames that count.
    likeness: [B, V, T], the scores behind alpha: cos(X_j, W_i) or X_j . W_i; -inf where a frame does not count.
  """

  logits: jax.Array
  weights: jax.Array
  likeness: jax.Array


def temporal_attention(
  states: jax.Array,
  weights: jax.Array,
  mask: jax.Array | None = None,
  *,
  gamma: float = math.inf,
  scale: float = 0.1,
  similarity: str = 'cosine',
  normalise: bool = False,
) -> Attention:
  """Viseme logits by temporal attention (TAFM), eq. 1 and 2.

  alpha_ij = softmax over j of gamma cos(X_j, W_i)  (1), f_i = mean_j X_j + lambda sum_j alpha_ij X_j  (2), and
  logit_i = f_i . W_i, which is mean_j X_j . W_i + lambda sum_j alpha_ij X_j . W_i.

  Args:
    states: X, [B, T, D].
    weights: W, [V, D].
    mask: [B, T], 1 where a frame counts; None: all. The others have a similarity of -inf.
    gamma: sharpness of the attention; inf: hard attention on the most similar frame (the first one in a tie).
      The gradient then flows through the chosen X_j and not through the choice.
    scale: lambda; 0: the plain mean.
    similarity: 'cosine', or 'dot' for X_j . W_i.
    normalise: whether logits are divided by the norm of W_i.

  Returns:
    Logits [B, V] and alpha [B, V, T], both 0 in rows without a frame, and the similarities.
  """
  if similarity not in SIMILARITIES:
    raise ValueError(f'similarity must be one of {", ".join(SIMILARITIES)}, not {similarity!r}')
  chex.assert_rank([states, weights], [3, 2])
  counted = jnp.ones(states.shape[:2], bool) if mask is None else mask > 0
  chex.assert_shape(counted, states.shape[:2])
  counted = counted[:, None]  # [B, 1, T]
  dots = jnp.where(counted, jnp.einsum('btd,vd->bvt', states, weights), 0)
  lengths = norm(weights)[None]  # [1, V]
  likeness = dots
  if similarity == 'cosine':
    likeness = dots / (norm(states)[:, None] * lengths[..., None])
  of_counted = jnp.where(counted, likeness, -jnp.inf)
  if math.isinf(gamma):
    chosen = jnp.argmax(of_counted, -1)
    alpha = jax.nn.one_hot(chosen, states.shape[1], dtype=dots.dtype)
  else:
    lowest = jnp.finfo(dots.dtype).min
    alpha = jax.nn.softmax(jnp.where(counted, gamma * likeness, lowest), -1)
  alpha = jnp.where(counted, alpha, 0)
  frames = jnp.maximum(counted.sum(-1), 1).astype(dots.dtype)
  logits = dots.sum(-1) / frames + scale * (alpha * dots).sum(-1)
  return Attention(logits / lengths if normalise else logits, alpha, of_counted)


def norm(x: jax.Array) -> jax.Array:
  """L2 norms along the last axis."""
  return jnp.sqrt(jnp.maximum((x * x).sum(-1), TINY))


def word_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Cross-entropy [B], in nats, of logits [B, N] and target probabilities [B, N]."""
  chex.assert_equal_shape([logits, targets])
  return optax.safe_softmax_cross_entropy(logits, targets.astype(logits.dtype))


def viseme_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
  """Binary cross-entropy of logits [B, V] and targets [B, V] in [0, 1], averaged over visemes: [B], in nats."""
  chex.assert_equal_shape([logits, targets])
  return optax.sigmoid_binary_cross_entropy(logits, targets.astype(logits.dtype)).mean(-1)


def mixed(first: jax.Array, second: jax.Array, weight: jax.Array) -> jax.Array:
  """Mixup: weight * first + (1 - weight) * second, of frames or of the losses of both labels.

  Args:
    first: [B, ...].
    second: [B, ...] of each row's partner.
    weight: [B] or (), the share of `first`.

  Reference: Zhang et al., "mixup: Beyond Empirical Risk Minimization".
  """
  chex.assert_equal_shape([first, second])
  weight = jnp.asarray(weight, first.dtype)
  weight = weight.reshape(*weight.shape, *[1] * (first.ndim - weight.ndim))
  return weight * first + (1 - weight) * second
