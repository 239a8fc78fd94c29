import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear_gaussian import LinearGaussian

from jaxgen.evaluation.importance import importance_bound

TOY = LinearGaussian.random(num_pixels=6, num_latents=2, std=1.0, orthogonal=True)
X = TOY.sample(12)


def posterior(x):
  mean, precision = TOY.posterior(x)
  std = np.broadcast_to(np.diag(precision) ** -0.5, mean.shape)
  return mean.astype(np.float32), std.astype(np.float32)


def test_exact_where_the_proposal_is_the_posterior():
  weights = TOY.log_weights(X, *posterior(X))
  bound = jax.jit(lambda key: importance_bound(weights, key, 6, 3))(jax.random.key(0))
  np.testing.assert_allclose(bound, TOY.log_p(X), atol=2e-4)


def test_tightens_with_the_number_of_samples():
  mean, std = posterior(X)
  weights = TOY.log_weights(X, mean + 0.5, 1.5 * std)
  keys = jax.random.split(jax.random.key(0), 300)
  averages, errors = [], []
  for k in (1, 10, 100):
    chunk = min(k, 10)
    bounds = jax.jit(jax.vmap(lambda key, k=k, c=chunk: importance_bound(weights, key, k, c)))(keys)
    gaps = TOY.log_p(X) - np.asarray(bounds, np.float64)  # [300, B]
    averages.append(gaps.mean())
    errors.append(gaps.mean(1).std() / len(keys) ** 0.5)
  # Beyond 4 standard errors each; once the weights' variance is small the gap falls as 1 / K.
  assert averages[0] - averages[1] > 4 * (errors[0] + errors[1])
  assert averages[1] - averages[2] > 4 * (errors[1] + errors[2])
  assert abs(averages[2] - averages[1] / 10) < 4 * (errors[2] + errors[1] / 10) + averages[1] / 20


def test_chunks_do_not_change_the_distribution():
  mean, std = posterior(X[:1])
  n = 2000
  x = np.repeat(X[:1], n, axis=0)
  weights = TOY.log_weights(x, np.repeat(mean, n, 0) + 0.5, np.repeat(std, n, 0))
  a, b = (
    np.asarray(importance_bound(weights, jax.random.key(chunk), 12, chunk), np.float64)
    for chunk in (1, 6)
  )
  assert abs(a.mean() - b.mean()) < 4 * ((a.var() + b.var()) / n) ** 0.5
  assert abs(a.std() / b.std() - 1) < 0.2


def test_memory_does_not_grow_with_the_number_of_samples():
  mean, std = posterior(X)

  def memory(k):
    def bound(key):
      return importance_bound(TOY.log_weights(X, mean, std), key, k, 50)

    return jax.jit(bound).lower(jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

  few, many = memory(100), memory(5000)
  one_sample = 50 * X.size * 4
  assert 0 < many <= few + 1024 and many < 10 * one_sample


def test_extreme_weights_stay_finite():
  weights = jnp.array([-2e4, 0.0, 2e4])
  bound = importance_bound(lambda key: weights, jax.random.key(0), 4, 2)
  np.testing.assert_allclose(bound, weights, atol=1e-2)


def test_chunk_must_divide():
  with pytest.raises(ValueError, match='num_samples = 10 must be a multiple of chunk = 3'):
    importance_bound(lambda key: jnp.zeros(1), jax.random.key(0), 10, 3)
