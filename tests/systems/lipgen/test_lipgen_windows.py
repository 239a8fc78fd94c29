"""Windows around words: their frames, the boundary input, and what is cut from features."""

import jax
import numpy as np
import pytest

from jaxgen.systems.lipgen.clips import windows

pytestmark = pytest.mark.usefixtures('quick_compilation')
SPANS = np.array(
  [[[23.75, 29.5], [0.75, 1.75], [70.0, 75.0]], [[5.25, 24.0], [34.0, 34.5], [0.0, 29.0]]],
  np.float32,
)


def by_formula(seconds, n=29):
  """The boundary input as it is published."""
  half, middle = int(seconds / 2 * 25), (n - 1) // 2
  found = np.zeros(n)
  found[max(0, middle - half - 1) : min(n, middle + half + 1)] = 1
  return found


def test_the_middle_frame_is_the_floor_of_the_middle():
  expected = [[26, 1, 72], [14, 34, 14]]
  np.testing.assert_array_equal(windows.centres(SPANS), expected)
  np.testing.assert_array_equal(windows.first_frames(SPANS), np.array(expected) - 14)
  found = jax.jit(windows.first_frames)(SPANS)
  assert found.dtype == np.int32
  np.testing.assert_array_equal(found, np.array(expected) - 14)


@pytest.mark.parametrize(('seconds', 'ones'), [(0.5, 14), (1.16, 29), (0.04, 2), (2.0, 29)])
def test_boundaries_of_known_durations(seconds, ones):
  spans = np.float32([20.3, 20.3 + seconds * 25])
  assert windows.boundaries(spans).sum() == ones


def test_boundaries_follow_the_formula_for_all_hundredths_of_a_second():
  seconds = np.arange(2, 140) / 100
  expected = np.stack([by_formula(x) for x in seconds])
  spans = windows.centred_spans(seconds)
  np.testing.assert_array_equal(windows.centres(spans), np.full(len(seconds), 14))
  np.testing.assert_array_equal(windows.boundaries(spans), expected)
  np.testing.assert_array_equal(jax.jit(windows.boundaries)(spans + 17), expected)


def test_boundaries_stay_with_the_word_where_a_window_is_shifted():
  plain = windows.boundaries(SPANS[0])
  shifted = jax.jit(windows.boundaries)(SPANS[0], np.float32([2, -1, 0]))
  np.testing.assert_array_equal(shifted[0, :-2], plain[0, 2:])
  np.testing.assert_array_equal(shifted[1, 1:], plain[1, :-1])
  np.testing.assert_array_equal(shifted[2], plain[2])


def test_cut_equals_brute_force_and_has_zeros_outside_of_the_clip():
  features = np.random.default_rng(0).normal(size=(2, 40, 3)).astype(np.float32)
  first = np.array([[-14, 12, 30], [0, 39, -60]], np.int32)
  lengths = np.array([40, 20], np.int32)
  expected = np.zeros((2, 3, 29, 3), np.float32)
  whole = np.zeros_like(expected)
  mask = np.zeros((2, 3, 29))
  for b, k, t in np.ndindex(2, 3, 29):
    frame = first[b, k] + t
    if 0 <= frame < 40:
      whole[b, k, t] = features[b, frame]
    if 0 <= frame < lengths[b]:
      expected[b, k, t], mask[b, k, t] = features[b, frame], 1
  cut = jax.jit(windows.cut)
  np.testing.assert_array_equal(cut(features, first), whole)
  np.testing.assert_array_equal(cut(features, first, lengths), expected)
  np.testing.assert_array_equal(windows.inside(first, lengths), mask)
  np.testing.assert_array_equal(jax.jit(windows.inside)(first, lengths), mask)


def test_the_gradient_of_cut_counts_in_how_many_windows_a_frame_is():
  first = np.array([[0, 3]])
  gradient = jax.grad(lambda x: windows.cut(x, first, np.array([34])).sum())
  found = jax.jit(gradient)(np.ones((1, 35, 1), np.float32))
  counts = np.zeros(35)
  counts[:29] += 1
  counts[3:32] += 1
  np.testing.assert_array_equal(found[0, :, 0], counts)
