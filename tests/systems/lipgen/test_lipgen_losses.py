"""LipGen's equations: the spec's numbers, and brute force."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.systems.lipgen import losses
from jaxgen.systems.lipgen.inference import Inference
from jaxgen.systems.lipgen.networks.reader import ReaderOutput

X = np.float32([[[1, 0], [0, 2], [3, 4]]])
W = np.eye(2, dtype=np.float32)
COSINES = {'gamma': math.inf, 'similarity': 'cosine'}


@pytest.mark.parametrize(
  ('similarity', 'gamma', 'expected'),
  [
    ('dot', math.inf, [1.63333, 2.4]),
    ('cosine', math.inf, [1.43333, 2.2]),
    ('cosine', 1.0, [1.48106, 2.24124]),
  ],
)
def test_temporal_attention_of_the_toy(similarity, gamma, expected):
  found = losses.temporal_attention(X, W, gamma=gamma, similarity=similarity)
  np.testing.assert_allclose(found.logits[0], expected, atol=1e-5)
  np.testing.assert_allclose(found.weights.sum(-1), 1, rtol=1e-6)
  # A padded frame, however alike, changes nothing.
  padded = np.concatenate([X, np.full((1, 2, 2), 99, np.float32)], 1)
  mask = np.float32([[1, 1, 1, 0, 0]])
  masked = losses.temporal_attention(padded, W, mask, gamma=gamma, similarity=similarity)
  np.testing.assert_allclose(masked.logits, found.logits, rtol=1e-6)
  np.testing.assert_array_equal(masked.weights[..., 3:], 0)
  np.testing.assert_array_equal(masked.likeness[..., 3:], -np.inf)
  dots = np.swapaxes(X @ W.T, 1, 2)
  lengths = np.linalg.norm(X, axis=-1) if similarity == 'cosine' else 1
  np.testing.assert_allclose(masked.likeness[..., :3], dots / lengths, rtol=1e-6)


def test_the_attention_that_is_shown_is_what_the_net_goes_by():
  """By its own similarity, and of the frames that it sees."""
  states = np.random.default_rng(0).standard_normal((1, 29, 2), np.float32)
  counted = np.ones((1, 33), np.float32)
  left = np.ones((1, 1, 29), np.float32)
  left[..., 25:] = 0  # cut off
  batch = {
    'label': np.zeros((1, 1), np.int32),
    'span': np.float32([[[4, 8]]]),  # the window begins eight frames before the clip
    'shift': np.zeros((1, 1), np.int32),
    'counted': counted,
    'frames': counted,
    'left': left,
  }

  class Net:
    boundary = False
    similarity = 'dot'

    def apply(self, variables, batch, method):
      return method(self, batch)

    def features(self, frames, mask, train):
      return frames

    def read(self, *_):
      return ReaderOutput(None, None, states)

    def attention(self, states, mask):
      return losses.temporal_attention(states, W, mask, similarity=self.similarity)

  found = np.asarray(Inference(Net(), {}, None).attention({}, batch))
  assert found.shape == (1, 1, 2, 29)
  expected = np.where((np.arange(29) >= 8) & (np.arange(29) < 25), states[0].T, -np.inf)
  np.testing.assert_allclose(found[0, 0], expected, rtol=1e-6)


def by_hand(states, weights, lengths, gamma, scale, normalise):
  """Eq. 1 and 2 as they are written, with cosines."""
  found = np.zeros((len(states), len(weights)))
  for b, length in enumerate(lengths):
    frames = states[b, :length]
    for i, w in enumerate(weights):
      cosines = frames @ w / (np.linalg.norm(frames, axis=1) * np.linalg.norm(w))
      alpha = np.exp(gamma * cosines)
      attended = (alpha / alpha.sum()) @ frames
      found[b, i] = (frames.mean(0) + scale * attended) @ w
      found[b, i] /= np.linalg.norm(w) if normalise else 1
  return found


@pytest.mark.parametrize(('gamma', 'normalise'), [(0.5, False), (20.0, True)])
def test_temporal_attention_by_hand(gamma, normalise):
  rng = np.random.default_rng(0)
  states, weights = rng.standard_normal((3, 5, 4)), rng.standard_normal((6, 4))
  lengths = [5, 1, 3]
  mask = np.arange(5)[None] < np.array(lengths)[:, None]
  found = losses.temporal_attention(
    jnp.float32(states),
    jnp.float32(weights),
    mask,
    gamma=gamma,
    scale=0.3,
    normalise=normalise,
  )
  expected = by_hand(states, weights, lengths, gamma, 0.3, normalise)
  np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-5)


def test_without_a_weight_attention_is_the_plain_mean_and_without_frames_nothing():
  plain = losses.temporal_attention(X, W, scale=0.0)
  np.testing.assert_allclose(plain.logits[0], X[0].mean(0) @ W.T, rtol=1e-6)
  for gamma in (math.inf, 1.0):
    empty = losses.temporal_attention(X, W, np.zeros((1, 3)), gamma=gamma)
    assert not np.any(empty.logits) and not np.any(empty.weights)


def test_the_gradient_goes_through_the_chosen_frame_and_not_through_the_choice():
  def first(states):
    return losses.temporal_attention(states, W, **COSINES).logits[0, 0]

  grad = jax.grad(first)(X)
  # The mean gives 1/3 of w to each frame; the first frame, whose cosine with w is 1, has lambda of it more.
  expected = np.float32([[[1 / 3 + 0.1, 0], [1 / 3, 0], [1 / 3, 0]]])
  np.testing.assert_allclose(grad, expected, rtol=1e-6)
  assert np.isfinite(jax.grad(lambda x: first(x * 0))(X)).all()


def test_an_unknown_similarity_is_named():
  with pytest.raises(ValueError, match="cosine, dot, not 'l2'"):
    losses.temporal_attention(X, W, similarity='l2')


def test_labels_are_smoothed_as_the_paper_has_it():
  targets = optax.smooth_labels(jax.nn.one_hot(jnp.int32([3, 499]), 500), 0.1)
  np.testing.assert_allclose(
    [targets[0, 3], targets[1, 499], targets[0, 0]], [0.9002] * 2 + [0.0002]
  )
  np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-5)


def test_losses_by_hand_and_mixed():
  rng = np.random.default_rng(0)
  logits, visemes = rng.standard_normal((3, 4), np.float32), rng.standard_normal((3, 5), np.float32)
  targets = 0.9 * np.eye(4, dtype=np.float32)[[0, 3, 1]] + np.float32(0.025)
  logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
  first = losses.word_loss(logits, targets)
  np.testing.assert_allclose(first, -(targets * logs).sum(1), rtol=1e-5)
  told = rng.integers(0, 2, (3, 5)).astype(np.float32)
  p = 1 / (1 + np.exp(-visemes))
  expected = -(told * np.log(p) + (1 - told) * np.log(1 - p)).mean(1)
  np.testing.assert_allclose(losses.viseme_loss(visemes, told), expected, rtol=1e-5)
  # Cross-entropy is linear in its targets: mixing losses is mixing labels.
  other, weight = targets[::-1], np.float32([0.4, 1, 0])
  mixed = losses.mixed(first, losses.word_loss(logits, other), weight)
  both = losses.mixed(targets, other, weight)
  np.testing.assert_allclose(mixed, losses.word_loss(logits, both), rtol=1e-5)
  frames = rng.standard_normal((3, 2, 4, 4, 1), np.float32)
  np.testing.assert_array_equal(
    losses.mixed(frames, frames[::-1], weight)[1:], [frames[1], frames[0]]
  )
