"""Adversarial losses: closed forms, gradients, and parts of a batch that add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.losses.adversarial import (
  HINGE,
  LEAST_SQUARES,
  NON_SATURATING,
  SATURATING,
  discriminator_loss,
  generator_loss,
)

LOSSES = {
  'hinge': HINGE,
  'non_saturating': NON_SATURATING,
  'saturating': SATURATING,
  'least_squares': LEAST_SQUARES,
}

LN2 = np.log(2)
# At logits -2, 0, 3: what D minimises on real and fake ones, and what G minimises.
SOFTPLUS = {x: np.log1p(np.exp(x)) for x in (-3.0, -2.0, 2.0, 3.0)}
EXPECTED = {
  'hinge': ([3, 1, 0], [0, 1, 4], [2, 0, -3]),
  'non_saturating': (
    [SOFTPLUS[2], LN2, SOFTPLUS[-3]],
    [SOFTPLUS[-2], LN2, SOFTPLUS[3]],
    [SOFTPLUS[2], LN2, SOFTPLUS[-3]],
  ),
  'saturating': (
    [SOFTPLUS[2], LN2, SOFTPLUS[-3]],
    [SOFTPLUS[-2], LN2, SOFTPLUS[3]],
    [-SOFTPLUS[-2], -LN2, -SOFTPLUS[3]],
  ),
  'least_squares': ([4.5, 0.5, 2], [2, 0, 4.5], [4.5, 0.5, 2]),
}


@pytest.mark.parametrize('name', LOSSES)
def test_values_are_those_of_the_closed_forms(name):
  logits = jnp.array([-2.0, 0.0, 3.0])
  game = LOSSES[name]
  for found, expected in zip(game, EXPECTED[name], strict=True):
    np.testing.assert_allclose(found(logits), expected, rtol=1e-6)
  real, fake, generator = (np.mean(x) for x in EXPECTED[name])
  found = discriminator_loss(game, logits, logits, 3, 3)
  np.testing.assert_allclose(found, real + fake, rtol=1e-6)
  np.testing.assert_allclose(generator_loss(game, logits, 3), generator, rtol=1e-6)


@pytest.mark.parametrize('name', LOSSES)
def test_the_generator_s_gradient_lifts_the_logit(name):
  gradient = jax.grad(lambda x: generator_loss(LOSSES[name], x, 2))(jnp.array([-30.0, 0.5]))
  assert np.all(np.asarray(gradient) <= 0) and gradient[1] < 0
  # Where D is sure of a fake the saturating loss gives nothing, the others do.
  assert (abs(float(gradient[0])) < 1e-6) == (name == 'saturating')


@pytest.mark.parametrize('name', LOSSES)
def test_large_logits_stay_finite(name):
  logits = jnp.array([-1e4, 1e4])
  game = LOSSES[name]
  value, gradient = jax.value_and_grad(lambda x: discriminator_loss(game, x, x, 2, 2))(logits)
  assert np.isfinite(value) and np.isfinite(gradient).all()


@pytest.mark.parametrize('name', LOSSES)
def test_parts_of_a_batch_add_up(name):
  game, rng = LOSSES[name], np.random.default_rng(0)
  real, fake = (jnp.asarray(rng.normal(size=(8, 2)), jnp.float32) for _ in range(2))
  whole = discriminator_loss(game, real, fake, 16, 16)
  parts = [discriminator_loss(game, real[r], fake[r], 16, 16) for r in (slice(0, 3), slice(3, 8))]
  np.testing.assert_allclose(sum(parts), whole, rtol=1e-5)
  weights = jnp.asarray(rng.random((8, 2)), jnp.float32)
  found = generator_loss(game, fake, weights.sum(), weights)
  expected = np.average(game.generator(fake), weights=weights)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_weights_of_another_shape_are_refused():
  with pytest.raises(AssertionError, match='shape'):
    generator_loss(LOSSES['hinge'], jnp.ones((4, 2)), 4, jnp.ones((4, 1)))
