import jax
import jax.numpy as jnp
import numpy as np
from linear_gaussian import LinearGaussian

from jaxgen.axis import example_keys
from jaxgen.evaluation.annealing import annealed_log_likelihood

TOY = LinearGaussian.random(num_pixels=6, num_latents=3, std=0.5)
X = TOY.sample(8)


def estimate(num_steps, num_chains, key=0, log_likelihood=None):
  def run(key):
    keys = example_keys(key, len(X))
    return annealed_log_likelihood(
      log_likelihood or TOY.log_likelihood(X), keys, 3, num_steps, num_chains
    )

  return np.asarray(jax.jit(run)(jax.random.key(key)))


def test_evidence_of_a_linear_gaussian():
  # One example's error is about 0.03 nats here, the mean's 0.01: a bias of 0.05 would show. Chains
  # that adapt their own step size had one of 0.07.
  away = estimate(100, 1000) - TOY.log_p(X)
  assert np.abs(away).max() < 0.15
  assert abs(away.mean()) < 0.04


def test_more_temperatures_are_tighter():
  few, more = ((estimate(n, 4) - TOY.log_p(X)).mean() for n in (1, 100))
  assert few < -3.0 and abs(more) < 0.5  # one temperature: samples of the prior as they are


def test_a_constant_likelihood_is_exact():
  found = estimate(20, 4, log_likelihood=lambda z: jnp.full(z.shape[:-1], -7.0))
  np.testing.assert_allclose(found, -7.0, atol=1e-5)


def test_a_diverged_trajectory_is_rejected():
  def log_likelihood(z):  # not a number where a leapfrog step may land, and nowhere else
    wall = jnp.abs(z).max(-1) > 3.0
    return jnp.where(wall, jnp.nan, TOY.log_likelihood(X)(jnp.clip(z, -3.0, 3.0)))

  # No chain starts beyond the wall with this key, and the posteriors lie inside. A chain whose step
  # size had become NaN would stay where the prior put it, several nats off.
  found = estimate(100, 4, key=3, log_likelihood=log_likelihood)
  assert np.abs(found - TOY.log_p(X)).max() < 1.0


def test_repeats_bit_for_bit():
  np.testing.assert_array_equal(estimate(20, 4), estimate(20, 4))
