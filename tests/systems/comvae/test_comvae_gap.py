import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / 'evaluation'))
from comvae_cases import FACTS, images, task_of, tiny
from linear_gaussian import LinearGaussian

from jaxgen.axis import example_keys
from jaxgen.systems.comvae import gap
from jaxgen.systems.comvae.inference import Inference
from jaxgen.systems.comvae.task import make_model


def keys(n):
  return example_keys(jax.random.key(0), n)


def optimised(toy, x, **options):
  def run(key):
    return gap.optimise_posterior(toy.log_likelihood(x), example_keys(key, len(x)), 2, **options)

  return jax.device_get(jax.jit(run)(jax.random.key(0)))


def test_attains_the_evidence_where_the_posterior_is_diagonal():
  toy = LinearGaussian.random(6, 2, std=1.0, orthogonal=True)
  x = toy.sample(6)
  best = optimised(toy, x)
  elbo, log_p = toy.elbo(x, *best), toy.log_p(x)
  assert (elbo <= log_p + 1e-9).all()
  assert (log_p - elbo < 0.005).all()
  mean, precision = toy.posterior(x)
  np.testing.assert_allclose(best.mean, mean, atol=0.06)
  np.testing.assert_allclose(best.log_var, np.tile(-np.log(np.diag(precision)), (6, 1)), atol=0.1)
  # What the encoder loses is what the search wins back.
  bad = toy.elbo(x, mean + 0.7, np.zeros_like(mean))
  lost = 0.5 * (np.diag(precision) * (1 + 0.7**2) - 1 - np.log(np.diag(precision))).sum()
  np.testing.assert_allclose(log_p - bad, lost, rtol=1e-6)
  assert (bad <= elbo).all()
  np.testing.assert_allclose(elbo - bad, lost, atol=0.005)


def test_attains_the_best_diagonal_where_the_posterior_is_not():
  toy = LinearGaussian(np.float32([[1.0, 0.6], [0.2, 1.0], [0.9, 0.7]]), 0.7)
  x = toy.sample(4)
  best = optimised(toy, x)
  _, precision = toy.posterior(x)
  approximation = 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])
  assert approximation > 0.05
  np.testing.assert_allclose(toy.log_p(x) - toy.elbo(x, *best), approximation, atol=0.005)


def test_elbo_estimate_matches_the_closed_form():
  toy = LinearGaussian.random(4, 2, std=1.0)
  x = toy.sample(3)
  rng = np.random.default_rng(0)
  q = gap.LocalPosterior(*(jnp.asarray(rng.normal(size=(3, 2)), jnp.float32) for _ in range(2)))
  n = 20_000
  found = np.asarray(gap.elbo(toy.log_likelihood(x), q, keys(3), n))
  eps = jax.random.normal(jax.random.key(1), (n, 3, 2))
  z = q.mean[None] + jnp.exp(0.5 * q.log_var)[None] * eps
  error = np.asarray(toy.log_likelihood(x)(z)).std(0) / n**0.5
  assert (np.abs(found - toy.elbo(x, *q)) < 4 * error).all()


def test_a_frozen_example_stays_frozen(monkeypatch):
  """Large steps overshoot, so that an example with little patience stops before its best check."""
  toy = LinearGaussian.random(6, 2, std=1.0, orthogonal=True)
  x = np.zeros((2, 6), np.float32)
  x[0] = toy.matrix[:, 1]
  x[1] = 100 * toy.matrix[:, 1]  # far from the start: it improves all the while
  monkeypatch.setattr(gap, 'CHECK_STEPS', 5)

  def run(patience, checks):
    monkeypatch.setattr(gap, 'PATIENCE', patience)
    return optimised(toy, x, max_checks=checks, learning_rate=0.3)

  short, long, patient = run(2, 20), run(2, 40), run(1000, 40)
  for a, b, c in zip(short, long, patient, strict=True):
    np.testing.assert_array_equal(a[0], b[0])
    assert (a[1] != b[1]).any()
    np.testing.assert_array_equal(b[1], c[1])
  assert (patient.mean[0] != long.mean[0]).any()  # it would have gone on


def test_gaps_of_a_known_bad_encoder():
  """A decoder that ignores z: log p(x) is the cost of its logits and q* is the prior, exactly."""
  config = tiny('vanilla', eval__importance_samples=2000, eval__chunk=50)
  inference = Inference(make_model(config, FACTS), FACTS, config)
  task = task_of('vanilla')
  zeros = jax.tree.map(
    lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(task.init, jax.random.key(0))
  )
  params = zeros.params['model']
  mean, log_var = jnp.array([0.8, -0.3]), jnp.array([0.5, 0.2])
  params['encoder']['mu_head']['dense']['bias'] = mean
  params['encoder']['sigma_head']['dense']['bias'] = log_var
  batch = {'image': images(4), 'mask': np.ones(4, np.float32)}
  bounds = jax.jit(inference.bounds)({'params': params}, batch, jax.random.key(0))
  importance = jax.jit(inference.importance)({'params': params}, batch, jax.random.key(0))
  log_p = -16 * np.log(2)
  kl = 0.5 * (jnp.exp(log_var) + mean**2 - 1 - log_var).sum()
  np.testing.assert_allclose(bounds.optimised, log_p, rtol=1e-5)
  np.testing.assert_allclose(bounds.optimised - bounds.amortized, kl, rtol=1e-4)
  # The standard deviation of one weight p(z) / q(z) is below 1 here.
  np.testing.assert_allclose(importance, log_p, atol=4 / 2000**0.5)


def drawn_posteriors(num_weights, std, spread, num_latents=2, mean=0.0):
  """q(z|w) = N(w, std^2 I) of weights w ~ N(mean, spread^2 I), as [S, B, Z]; std and spread are [B]."""
  rng = np.random.default_rng(3)
  size = (num_weights, len(std), num_latents)
  w = mean + np.asarray(spread)[:, None] * rng.normal(size=size)
  log_var = np.broadcast_to(2 * np.log(std)[:, None], size)
  return gap.LocalPosterior(jnp.asarray(w, jnp.float32), jnp.asarray(log_var, jnp.float32))


def test_information_about_the_weights_has_its_closed_form():
  std, spread = np.array([1.0, 0.5, 0.2]), np.array([0.1, 0.5, 0.8])
  exact = np.log1p((spread / std) ** 2)  # Z / 2 log(1 + ratio^2), Z = 2
  found = jax.jit(gap.information)(drawn_posteriors(3000, std, spread), keys(3))
  # The log ratio's standard deviation is about 1 nat, and less where the information is small.
  np.testing.assert_allclose(found, exact, atol=0.06)
  assert found[0] < 0.03 and found[2] > 2.5


def test_information_from_few_weights_is_a_lower_bound():
  std, spread = np.array([0.01] * 8), np.ones(8)
  assert np.log1p((spread / std) ** 2).min() > 9
  found = jax.jit(gap.information)(drawn_posteriors(5, std, spread), keys(8))
  assert (found <= np.log(5) + 1e-5).all() and found.mean() > 0.99 * np.log(5)
  one = jax.jit(gap.information)(drawn_posteriors(1, std, spread), keys(8))
  np.testing.assert_allclose(one, 0, atol=1e-5)


def test_averaging_over_weights_loosens_the_bound_by_the_information():
  """E_w L(q_w) = L(E_w q_w) - I(z; w | x), each side in closed form but for the average over w."""
  toy = LinearGaussian.random(6, 2, std=1.0)
  x = toy.sample(1)
  std, spread, mean = 0.6, 0.7, 0.3
  posteriors = drawn_posteriors(4000, [std], [spread], mean=mean)
  many = np.repeat(x, 4000, axis=0)
  average = toy.elbo(many, posteriors.mean[:, 0], posteriors.log_var[:, 0])
  marginal = toy.elbo(x, np.full((1, 2), mean), np.full((1, 2), np.log(std**2 + spread**2)))
  information = jax.jit(gap.information)(posteriors, keys(1))
  error = average.std() / 4000**0.5 + 1 / 4000**0.5
  assert information > 0.5
  assert abs(average.mean() + information - marginal) < 4 * error
