"""The numbers that the spec states for the objective."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from jaxgen.systems.mmgan import losses

pytestmark = pytest.mark.usefixtures('quick_compilation')


def case(seed, n, k, per_component=4):
  """omega [n, K], fake logits [F, n], component [F]."""
  rng = np.random.default_rng(seed)
  component = np.arange(k * per_component) % k
  return rng.normal(size=(n, k)), rng.normal(size=(len(component), n)), component


def test_the_value_of_an_undecided_discriminator_is_minus_two_ln_two():
  omega, fake, component = case(0, 3, 7)
  value = losses.game_value(
    np.zeros((28, 3)), np.zeros_like(fake), losses.mixture(omega), component, 28, 4
  )
  np.testing.assert_allclose(value, -1.386294, atol=1e-6)


def test_one_hot_mixtures_give_independent_gans():
  # Eq. 4: distribution i is component i, and V the mean of n ordinary games.
  _, fake, component = case(1, 3, 3)
  real = np.random.default_rng(2).normal(size=(12, 3))
  found = losses.game_value(real, fake, jnp.eye(3), component, 12, 4)
  games = [
    np.mean(jax.nn.log_sigmoid(real[:, i])) + np.mean(jax.nn.log_sigmoid(-fake[component == i, i]))
    for i in range(3)
  ]
  np.testing.assert_allclose(found, np.mean(games), rtol=1e-5)


@jax.jit
def omega_gradient(omega, fake, component):
  return jax.grad(lambda omega: losses.fake_value(fake, losses.mixture(omega), component, 4))(omega)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**20), st.integers(2, 4), st.integers(1, 7), st.floats(-3, 3))
def test_the_gradient_of_omega_is_the_stated_one(seed, n, k, shift):
  omega, fake, component = case(seed, n, k)
  found = np.asarray(omega_gradient(omega, fake, component))
  alpha = softmax(omega, 1)
  f = np.stack([-np.logaddexp(0, fake[component == j]).mean(0) for j in range(k)], 1)  # [n, K]
  expected = alpha * (f - (alpha * f).sum(1, keepdims=True)) / n
  np.testing.assert_allclose(found, expected, atol=1e-6)
  np.testing.assert_allclose(found.sum(1), 0, atol=1e-6)
  np.testing.assert_allclose(omega_gradient(omega + shift, fake, component), found, atol=1e-6)


def test_a_constant_discriminator_does_not_move_omega():
  omega, fake, component = case(0, 2, 3)
  constant = np.full_like(fake, 0.7)
  grad = jax.grad(lambda w: losses.fake_value(constant, losses.mixture(w), component, 4))(
    jnp.asarray(omega)
  )
  np.testing.assert_allclose(grad, 0, atol=1e-7)


@pytest.mark.parametrize(('k', 'expected'), [(3, 0.549306), (7, 0.972955)])
def test_a_chance_classifier_costs_ln_k(k, expected):
  component = np.arange(4 * k) % k
  entropy = losses.component_cross_entropy(jnp.zeros((4 * k, k)), component)
  np.testing.assert_allclose(0.5 * entropy.mean(), expected, atol=1e-6)


def test_a_component_without_a_share_gets_no_gradient_from_that_discriminator():
  omega = jnp.array([[0.0, -jnp.inf, 0.0], [-jnp.inf, 0.0, 0.0]])
  _, fake, component = case(3, 2, 3)
  alpha = losses.mixture(omega)
  np.testing.assert_array_equal(alpha[0, 1], 0)
  for loss in (losses.generator_loss, losses.fake_value):
    grad = jax.grad(lambda x, loss=loss: loss(x, alpha, component, 4))(jnp.asarray(fake))
    assert not np.any(np.asarray(grad)[component == 1, 0])
    assert not np.any(np.asarray(grad)[component == 0, 1])
    assert np.all(np.asarray(grad)[component == 2] != 0)


def test_a_masked_component_stays_dead():
  omega = jnp.array([[0.0, -jnp.inf, 1.0], [0.0, 0.0, 1.0]])
  _, fake, component = case(4, 2, 3)
  grad = jax.grad(lambda w: losses.fake_value(fake, losses.mixture(w), component, 4))(omega)
  assert np.isfinite(grad).all() and grad[0, 1] == 0
  assert losses.mixture(omega - 0.1 * grad)[0, 1] == 0


def test_the_generator_sends_no_gradient_to_the_mixture_and_has_both_forms():
  omega, fake, component = case(5, 2, 3)
  alpha = losses.mixture(omega)
  for saturating in (False, True):
    grad = jax.grad(
      lambda a, s=saturating: losses.generator_loss(fake, a, component, 4, saturating=s)
    )(alpha)
    np.testing.assert_array_equal(grad, 0)
  # d/dl of -log sigma(l) is -sigma(-l); of log(1 - sigma(l)) it is -sigma(l).
  one = jnp.zeros((1, 1)) + 2.0
  for saturating, expected in ((False, -jax.nn.sigmoid(-2.0)), (True, -jax.nn.sigmoid(2.0))):
    grad = jax.grad(
      lambda x, s=saturating: losses.generator_loss(x, jnp.ones((1, 1)), jnp.zeros(1, int), 1, s)
    )(one)
    np.testing.assert_allclose(grad[0, 0], expected, rtol=1e-6)


def test_posteriors():
  alpha = jnp.array([[0.6, 0.0, 0.4], [0.0, 0.6, 0.4]])
  component = jnp.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.25, 0.25]])
  found = losses.distribution_posterior(component, alpha)
  np.testing.assert_allclose(found[:3], [[1, 0], [0, 1], [0.5, 0.5]], atol=1e-6)
  np.testing.assert_allclose(found[3], np.array([0.4, 0.25]) / 0.65, rtol=1e-5)
  # A component that no distribution uses says nothing.
  dead = losses.distribution_posterior(jnp.array([[0.0, 1.0]]), jnp.array([[1.0, 0], [1.0, 0]]))
  np.testing.assert_allclose(dead, 0.5)
  assert np.isnan(losses.distribution_posterior(jnp.array([[jnp.nan, 1.0]]), jnp.eye(2))).all()
