"""CTC against its closed form, the sum over all paths, and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxgen.systems.handwriting.reading.ctc import ctc_loss, frames_needed, reversed_labels
from jaxgen.systems.handwriting.reading.decoding import best_path
from jaxgen.systems.handwriting.reading.lattice import text_log_probs

pytestmark = pytest.mark.usefixtures('quick_compilation')


@jax.jit
def value_and_grad(logits, logit_lengths, labels, label_lengths):
  def total(logits):
    nll, possible = ctc_loss(logits, logit_lengths, labels, label_lengths)
    return nll.sum(), (nll, possible)

  (_, (nll, possible)), grad = jax.value_and_grad(total, has_aux=True)(logits)
  return nll, possible, grad


def by_all_paths(logits, label):
  """Minus the logarithm of the summed probabilities of all paths [T] that spell a label."""
  log_probs = log_softmax(np.asarray(logits, np.float64), -1)
  frames = range(len(log_probs))
  paths = itertools.product(range(log_probs.shape[1]), repeat=len(log_probs))
  terms = [sum(log_probs[t, p[t]] for t in frames) for p in paths if best_path(p) == tuple(label)]
  return -np.logaddexp.reduce(terms) if terms else np.inf


def test_uniform_logits_have_a_closed_form():
  labels = jnp.array([[1, 2, 3], [1, 1, 2]])
  nll, possible, _ = value_and_grad(
    jnp.full((2, 7, 6), 0.7), jnp.array([7, 7]), labels, jnp.array([3, 3])
  )
  np.testing.assert_allclose(nll, [7.195209, 8.111499], atol=2e-6)
  assert possible.all()


# Rows: a repeat, padded frames, the empty text, one frame too few for a repeat, a label longer than the frames.
LOGITS = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32) * 2
LENGTHS = np.array([4, 3, 4, 2, 3])
LABELS = np.array([[1, 1, 2, 0], [2, 1, 0, 0], [0, 0, 0, 0], [2, 2, 0, 0], [1, 2, 1, 2]])
LABEL_LENGTHS = np.array([3, 2, 0, 2, 4])


def test_loss_and_gradient_equal_the_sum_over_all_paths():
  nll, possible, grad = value_and_grad(LOGITS, LENGTHS, LABELS, LABEL_LENGTHS)
  np.testing.assert_array_equal(possible, [True, True, True, False, False])
  np.testing.assert_array_equal(frames_needed(LABELS, LABEL_LENGTHS), [4, 2, 0, 3, 4])

  def expected(row, logits):
    return by_all_paths(logits[: LENGTHS[row]], LABELS[row][: LABEL_LENGTHS[row]])

  for row in range(3):
    np.testing.assert_allclose(nll[row], expected(row, LOGITS[row]), rtol=1e-5)
    found = -text_log_probs(
      log_softmax(LOGITS[row, : LENGTHS[row]].astype(float), -1),
      [LABELS[row][: LABEL_LENGTHS[row]]],
    )
    np.testing.assert_allclose(found, nll[row : row + 1], rtol=1e-5)
    for t, k in itertools.product(range(4), range(3)):
      step = np.zeros((4, 3))
      step[t, k] = 1e-4
      slope = (expected(row, LOGITS[row] + step) - expected(row, LOGITS[row] - step)) / 2e-4
      np.testing.assert_allclose(grad[row, t, k], slope, atol=2e-5)
  assert expected(3, LOGITS[3]) == expected(4, LOGITS[4]) == np.inf
  np.testing.assert_array_equal(nll[3:], 0)
  np.testing.assert_array_equal(grad[3:], 0)


def test_what_a_network_forbids_gives_numbers():
  logits = LOGITS.copy()
  logits[:, 1, 2] = -np.inf
  logits[0, :, 2] = -np.inf  # the label's own symbol, everywhere
  nll, _, grad = value_and_grad(logits, LENGTHS, LABELS, LABEL_LENGTHS)
  assert np.isfinite(nll).all() and np.isfinite(grad).all()
  assert nll[0] > 1e4
  np.testing.assert_allclose(nll[2], by_all_paths(logits[2], []), rtol=1e-5)


def test_half_precision_is_computed_in_single():
  logits = jnp.asarray(LOGITS, jnp.bfloat16)
  nll, _, grad = value_and_grad(logits, LENGTHS, LABELS, LABEL_LENGTHS)
  full, _, _ = value_and_grad(logits.astype(jnp.float32), LENGTHS, LABELS, LABEL_LENGTHS)
  assert nll.dtype == jnp.float32 and grad.dtype == jnp.bfloat16
  np.testing.assert_array_equal(nll, full)


def test_a_label_from_right_to_left_keeps_its_padding():
  found = reversed_labels(jnp.asarray(LABELS), jnp.asarray(LABEL_LENGTHS))
  np.testing.assert_array_equal(
    found, [[2, 1, 1, 0], [1, 2, 0, 0], [0, 0, 0, 0], [2, 2, 0, 0], [2, 1, 2, 1]]
  )
