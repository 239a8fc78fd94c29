"""Losses by position, of known differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses.pixel import charbonnier


def test_charbonnier_of_known_differences():
  target = jnp.zeros((2, 1, 2, 1))
  found = charbonnier(jnp.array([[[[3e-3], [0.0]]], [[[1.0], [-1.0]]]]), target, 4e-3)
  np.testing.assert_allclose(found, [(5e-3 + 4e-3) / 2, np.sqrt(1 + 1.6e-5)], rtol=1e-6)
  gradient = jax.grad(lambda x: charbonnier(x, target, 1e-3).sum())(target)
  assert (np.asarray(gradient) == 0).all()  # finite where an absolute value has none


def test_of_large_differences_it_is_the_mean_absolute_one_of_each_example():
  target = jnp.ones((2, 2, 2))
  prediction = target.at[0, 0, 1].add(-3.0).at[1].add(2.0)
  np.testing.assert_allclose(charbonnier(prediction, target, 1e-6), [3 / 4, 2], rtol=1e-5)


def test_shapes_that_would_broadcast_are_refused():
  with pytest.raises(AssertionError, match='shape'):
    charbonnier(jnp.ones((2, 4, 4, 1)), jnp.ones((2, 4, 1, 1)), 1e-3)
