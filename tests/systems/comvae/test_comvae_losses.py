import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxgen.systems.comvae import losses

FEW = settings(max_examples=60, deadline=None)  # the first example compiles


def floats(low, high):
  return st.floats(low, high, width=32, allow_subnormal=False)


def vectors(low, high, shape=(5,)):
  return hnp.arrays(np.float32, shape, elements=floats(low, high))


# --- Reconstruction ---


def test_zero_logits_cost_ln_2_a_pixel():
  found = losses.bernoulli_reconstruction(jnp.zeros((2, 784)), jnp.full((2, 784), 0.3))
  np.testing.assert_allclose(found, 784 * np.log(2), rtol=1e-6)
  assert abs(784 * np.log(2) - 543.427) < 5e-4


def cross_entropy(logits, image):
  logits, image = logits.astype(np.float64), image.astype(np.float64)
  return np.logaddexp(0, -logits) * image + np.logaddexp(0, logits) * (1 - image)


@FEW
@given(vectors(-1e4, 1e4), vectors(0, 1))
def test_reconstruction_matches_float64(logits, image):
  found = losses.bernoulli_reconstruction(jnp.asarray(logits), jnp.asarray(image))
  gradient = jax.grad(losses.bernoulli_reconstruction)(jnp.asarray(logits), jnp.asarray(image))
  assert found.dtype == jnp.float32 and np.isfinite(gradient).all()
  expected = cross_entropy(logits, image)
  np.testing.assert_allclose(found, expected.sum(), rtol=3e-6, atol=3e-6)
  np.testing.assert_allclose(gradient, scipy.special.expit(np.float64(logits)) - image, atol=1e-6)


def test_reconstruction_has_its_gradient_at_logit_zero():
  for zero in (0.0, -0.0):
    gradient = jax.grad(losses.bernoulli_reconstruction)(jnp.full(2, zero), jnp.array([0.0, 0.75]))
    np.testing.assert_allclose(gradient, [0.5, -0.25], rtol=1e-6)


def test_shapes_are_checked():
  with pytest.raises(AssertionError):
    losses.bernoulli_reconstruction(jnp.zeros((2, 3)), jnp.zeros(3))
  with pytest.raises(AssertionError):
    losses.gaussian_kl(jnp.zeros((2, 3)), jnp.zeros((2, 1)))


# --- Gaussians ---


@FEW
@given(vectors(-30, 30), vectors(-20, 20))
def test_gaussian_kl_matches_float64_and_is_not_negative(mean, log_var):
  found = float(losses.gaussian_kl(jnp.asarray(mean), jnp.asarray(log_var)))
  m, v = mean.astype(np.float64), log_var.astype(np.float64)
  expected = 0.5 * (np.expm1(v) - v + m**2).sum()
  np.testing.assert_allclose(found, expected, rtol=5e-6, atol=2e-6)
  assert found >= -2e-6
  if max(np.abs(m).max(), np.abs(v).max()) > 0.01:
    assert found > 0


def test_gaussian_kl_of_the_prior_is_zero():
  assert losses.gaussian_kl(jnp.zeros((1, 5)), jnp.zeros((1, 5))) == 0
  # A sum over latents, not a mean.
  one = losses.gaussian_kl(jnp.full((1, 1), 1.5), jnp.full((1, 1), -0.5))
  five = losses.gaussian_kl(jnp.full((1, 5), 1.5), jnp.full((1, 5), -0.5))
  np.testing.assert_allclose(five, 5 * one, rtol=1e-6)


def test_gaussian_log_prob_matches_scipy():
  x, mean, log_var = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
  expected = scipy.stats.norm.logpdf(x, mean, np.exp(log_var / 2)).sum(-1)
  np.testing.assert_allclose(losses.gaussian_log_prob(x, mean, log_var), expected, rtol=1e-5)


# --- Priors of the weights ---


@pytest.mark.parametrize(
  ('w', 'expected'), [(0, 4.39039), (0.01, -1.50066), (1, -2.11209), (3, -6.11209)]
)
def test_mixture_prior(w, expected):
  np.testing.assert_allclose(losses.mixture_log_prior(jnp.float32(w)), expected, atol=1e-5)


def test_mixture_prior_where_both_densities_underflow():
  value, gradient = jax.value_and_grad(losses.mixture_log_prior)(jnp.float32(14.0))
  assert value.dtype == jnp.float32
  np.testing.assert_allclose(value, -99.612, atol=1e-3)
  np.testing.assert_allclose(gradient, -14.0, rtol=1e-6)
  wide, narrow = (scipy.stats.norm.pdf(14.0, 0, std) for std in (1, np.exp(-6)))
  assert np.float32(wide) + np.float32(narrow) < np.finfo(np.float32).tiny  # the naive form


def test_responsibilities_cross():
  crossing = 0.0085867

  def wide_share(w):
    wide = -np.log(2) + losses.single_log_prior(jnp.float32(w))
    return float(jnp.exp(wide - losses.mixture_log_prior(jnp.float32(w))))

  assert wide_share(crossing - 1e-5) < 0.5 < wide_share(crossing + 1e-5)


@FEW
@given(vectors(-1e4, 1e4))
def test_mixture_prior_is_even_and_finite(w):
  def total(w):
    return losses.mixture_log_prior(w).sum()

  value, gradient = jax.value_and_grad(total)(jnp.asarray(w))
  mirrored, opposite = jax.value_and_grad(total)(jnp.asarray(-w))
  assert value == mirrored and np.isfinite(value)
  np.testing.assert_array_equal(gradient, -opposite)
  assert np.isfinite(gradient).all()
  assert (gradient * w <= 0).all()  # the density falls away from 0


@FEW
@given(vectors(-1e4, 1e4))
def test_priors_match_float64(w):
  wide = scipy.stats.norm.logpdf(w.astype(np.float64))
  narrow = scipy.stats.norm.logpdf(w.astype(np.float64), scale=np.exp(-6))
  np.testing.assert_allclose(losses.single_log_prior(jnp.asarray(w)), wide, rtol=1e-6, atol=1e-6)
  mixture = np.logaddexp(wide, narrow) - np.log(2)
  np.testing.assert_allclose(
    losses.mixture_log_prior(jnp.asarray(w)), mixture, rtol=1e-5, atol=1e-5
  )


# --- Weight KL ---


@pytest.mark.parametrize(('rho', 'expected'), [(-3, 2.52557), (0, 0.106739), (-5, 4.50338)])
def test_closed_form_weight_kl(rho, expected):
  std = jax.nn.softplus(jnp.float32(rho))
  np.testing.assert_allclose(losses.gaussian_weight_kl(jnp.zeros(()), std), expected, atol=1e-5)


@pytest.mark.parametrize(
  ('mean', 'std', 'expected'),
  [(0, 1, 0.664774), (0, np.exp(-6), 0.685837), (0.5, 0.1, 2.625731)],
)
def test_weight_kl_to_the_mixture_by_quadrature(mean, std, expected):
  eps = np.linspace(-9, 9, 1_000_001)  # a hundred points on the narrow component at std 1
  w = np.float32(mean + std * eps)
  ratio = losses.weight_log_ratio(
    jnp.float32(eps), jnp.full(w.shape, std, jnp.float32), losses.mixture_log_prior(jnp.asarray(w))
  )
  found = scipy.integrate.trapezoid(scipy.stats.norm.pdf(eps) * np.float64(ratio), eps)
  np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(('mean', 'std'), [(0.0, 1.0), (0.7, 0.05), (-2.0, 0.5)])
def test_monte_carlo_weight_kl_averages_to_the_closed_form(mean, std):
  n = 50_000
  eps = jax.random.normal(jax.random.key(0), (n,))
  stds = jnp.full((n,), std)
  sampled = losses.weight_log_ratio(eps, stds, losses.single_log_prior(mean + std * eps))
  exact = losses.gaussian_weight_kl(jnp.float32(mean), jnp.float32(std))
  bound = 4 * float(sampled.std()) / n**0.5 + 1e-5
  assert abs(float(sampled.mean()) - float(exact)) < bound


@FEW
@given(vectors(-1e3, 1e3), vectors(2.0**-60, 1e3))
def test_closed_form_weight_kl_matches_float64(mean, std):
  found = losses.gaussian_weight_kl(jnp.asarray(mean), jnp.asarray(std))
  m, s = mean.astype(np.float64), std.astype(np.float64)
  expected = 0.5 * (s**2 + m**2 - 1) - np.log(s)
  np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)
  assert (np.asarray(found) >= -2e-6).all()


# --- Reweighting ---


def shares(name, steps_per_epoch):
  steps = jnp.arange(steps_per_epoch)
  return np.asarray(jax.vmap(lambda i: losses.reweighting(name, i, steps_per_epoch))(steps))


def test_blundell_of_four_batches():
  np.testing.assert_allclose(shares('blundell', 4), np.array([8, 4, 2, 1]) / 15, rtol=1e-6)


def test_blundell_of_mnist():
  pi = shares('blundell', 1875)
  assert pi[0] == 0.5
  assert (pi[23:] < 1e-7).all() and pi[22] > 1e-7
  assert np.isfinite(pi).all()


@FEW
@given(st.integers(1, 3000), st.sampled_from(['blundell', 'uniform']))
def test_shares_of_an_epoch_sum_to_one(steps_per_epoch, name):
  i = np.arange(min(steps_per_epoch, 200))
  pi = jax.vmap(lambda s: losses.reweighting(name, s, steps_per_epoch))(jnp.asarray(i))
  expected = 1.0 if name == 'blundell' else len(i) / steps_per_epoch  # the tail underflows to 0
  np.testing.assert_allclose(np.asarray(pi, np.float64).sum(), expected, rtol=1e-5)


def test_shares_start_anew_every_epoch():
  one = losses.reweighting('blundell', jnp.int32(2), 5)
  assert one == losses.reweighting('blundell', jnp.int32(5 * 7 + 2), 5)
  assert losses.reweighting('none', jnp.int32(3), 5) == 1
  assert losses.reweighting('uniform', jnp.int32(3), 5) == np.float32(0.2)
  with pytest.raises(KeyError):
    losses.reweighting('linear', jnp.int32(3), 5)


@pytest.mark.parametrize('per', ['batch', 'example'])
@pytest.mark.parametrize('name', ['blundell', 'uniform', 'none'])
def test_the_coefficient_of_the_weight_kl(name, per):
  num_batches, size = 4, 32
  for step in range(6):
    share = {
      'blundell': 2.0 ** (num_batches - 1 - step % num_batches) / 15,
      'uniform': 1 / num_batches,
      'none': 1.0,
    }[name]
    expected = share / size if per == 'batch' else share
    found = losses.weight_kl_coefficient(name, per, jnp.int32(step), num_batches, size)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_unknown_readings_are_no_coefficient():
  with pytest.raises(KeyError):
    losses.weight_kl_coefficient('none', 'pixel', jnp.int32(0), 4, 32)
