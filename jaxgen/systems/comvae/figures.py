"""The figures of a trained Compound VAE as pure functions of (variables, batch, key).

Random weights are drawn afresh for every example and sample, by local reparameterisation, which has the exact
distribution of h under a weight sample.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.axis import example_keys
from jaxgen.evaluation.annealing import annealed_log_likelihood
from jaxgen.evaluation.importance import importance_bound
from jaxgen.systems.comvae import gap, losses, model
from jaxgen.task import Batch, PyTree, name_key

Terms = dict[str, jax.Array]


def elbo_terms(reconstruction, latent_kl, weight_kl) -> Terms:
  """The columns of the paper's table, and the weight KL apart; each [B] nats."""
  return {
    'negative_elbo': reconstruction + latent_kl,
    'reconstruction': reconstruction,
    'latent_kl': latent_kl,
    'weight_kl': weight_kl,
  }


class Gaps(NamedTuple):
  """Bounds of log p(x) per example, each [B] nats, from loosest to tightest.

  Attributes:
    amortized: L(q), averaged over weight samples.
    optimised: L(q*), of the best diagonal Gaussian.
    importance: the importance bound with K samples.
  """

  amortized: jax.Array
  optimised: jax.Array
  importance: jax.Array


class Figures:
  """Figures of one network; methods are pure and can be jitted.

  Args:
    net: without a device axis.
    facts: of the data.
    config: `eval` gives the numbers of samples.
  """

  def __init__(self, net: model.CompoundVAE, facts: dict[str, Any], config: ConfigDict):
    self.net, self.facts, self.options = net, facts, config.eval
    self.batch_size = config.batch_size
    self.num_latents = config.model.num_latents
    self.random_weights = config.model.kind != 'vanilla'

  def terms(self, variables: PyTree, batch: Batch, key: jax.Array, train: bool = False) -> Terms:
    """ELBO terms with one weight and one z sample an example.

    Args:
      variables: exported.
      batch: image [B, P], mask [B].
      key: () typed key.
      train: batch statistics instead of running averages, as in training.
    """
    x = self._images(batch)
    noise, z_keys = _noise(name_key(key, 'weights'), len(x)), _keys(key, 'latent', len(x))

    def forward(net):
      posterior = net.encode(x, noise, train=train, mask=batch['mask'], sampling='local')
      return net.decode(net.draw(posterior, z_keys)), posterior

    mutable = [name for name in variables if name != 'params'] if train else False
    result = self.net.apply(variables, method=forward, mutable=mutable)
    logits, posterior = result[0] if mutable is not False else result
    return elbo_terms(
      losses.bernoulli_reconstruction(logits, x),
      losses.gaussian_kl(posterior.mean, posterior.log_var),
      posterior.weight_kl,
    )

  def importance(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """The importance bound on log p(x) [B], fresh weights for every sample.

    Weights are random in the encoder only, so log w = log p(x|z) + log p(z) - log q(z|w, x) has no term
    for them.
    """
    x = self._images(batch)

    def log_weights(sample_key):
      posterior = self._encode(variables, x, sample_key)
      eps = model.normal(_keys(sample_key, 'latent', len(x)), posterior.mean.shape[1:], x.dtype)
      z = posterior.mean + jnp.exp(0.5 * posterior.log_var) * eps
      log_prior = losses.gaussian_log_prob(z, jnp.zeros_like(z), jnp.zeros_like(z))
      log_q = losses.gaussian_log_prob(z, posterior.mean, posterior.log_var)
      return self._log_likelihood(variables, x)(z) + log_prior - log_q

    return importance_bound(log_weights, key, self.options.importance_samples, self.options.chunk)

  def annealed(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """Log p(x) [B] by annealed importance sampling."""
    x = self._images(batch)
    return annealed_log_likelihood(
      self._log_likelihood(variables, x),
      key,
      len(x),
      self.num_latents,
      self.options.ais_steps,
      self.options.ais_chains,
      dtype=x.dtype,
    )

  def gaps(self, variables: PyTree, batch: Batch, key: jax.Array) -> Gaps:
    """L(q), L(q*) and the importance bound of each example, [B] each.

    L(q) averages over weights: its reconstruction takes one z for each of 1,000 weight samples, its KL is
    the mean of theirs.
    """
    x = self._images(batch)
    log_likelihood = self._log_likelihood(variables, x)

    def sampled(sample_key):
      posterior = self._encode(variables, x, sample_key)
      q = gap.LocalPosterior(posterior.mean, posterior.log_var)
      return gap.elbo(log_likelihood, q, name_key(sample_key, 'latent'), 1)

    best = gap.optimise_posterior(
      log_likelihood,
      name_key(key, 'optimise'),
      len(x),
      self.num_latents,
      max_checks=self.options.gap_max_checks,
      dtype=x.dtype,
    )

    def optimised(sample_key):
      return gap.elbo(log_likelihood, best, sample_key, 1)

    average = functools.partial(_average, num_samples=1000, chunk=self.options.chunk)
    return Gaps(
      average(sampled, name_key(key, 'amortized')),
      average(optimised, name_key(key, 'optimised')),
      self.importance(variables, batch, name_key(key, 'importance')),
    )

  def latent_means(self, variables: PyTree, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
    """Mean [B, Z] of the posterior mean over weight samples, and its variance [B, Z] over them.

    The variance is the predictive uncertainty that random weights add; a plain encoder has none.
    """
    x = self._images(batch)
    keys = jax.random.split(key, self.options.weight_samples)
    means = jax.vmap(lambda k: self._encode(variables, x, k).mean)(keys)
    return {'mean': means.mean(0), 'variance': means.var(0)}

  def decode(self, variables: PyTree, z: jax.Array) -> jax.Array:
    """Pixel probabilities [..., P] of z [..., Z]."""
    return jax.nn.sigmoid(self.net.apply(variables, z, method='decode'))

  def reconstruct(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """Pixel probabilities [B, P] of one weight and one z sample an example."""
    x = self._images(batch)
    posterior = self._encode(variables, x, key)
    eps = model.normal(_keys(key, 'latent', len(x)), posterior.mean.shape[1:], x.dtype)
    return self.decode(variables, posterior.mean + jnp.exp(0.5 * posterior.log_var) * eps)

  def _encode(self, variables: PyTree, x: jax.Array, key: jax.Array) -> model.Posterior:
    noise = _noise(name_key(key, 'weights'), len(x))
    return self.net.apply(variables, x, noise, sampling='local', method='encode')

  def _log_likelihood(self, variables: PyTree, x: jax.Array):
    def log_likelihood(z):
      logits = self.net.apply(variables, z, method='decode')
      return -losses.bernoulli_reconstruction(logits, jnp.broadcast_to(x, logits.shape))

    return log_likelihood

  def _images(self, batch: Batch) -> jax.Array:
    return batch['image'].astype(self.net.decoder.param_dtype)


def _noise(key: jax.Array, n: int) -> model.Noise:
  return model.Noise(key, example_keys(key, n))


def _keys(key: jax.Array, name: str, n: int) -> jax.Array:
  return example_keys(name_key(key, name), n)


def _average(fn, key: jax.Array, num_samples: int, chunk: int) -> jax.Array:
  """Mean of fn(key) over keys, a chunk at a time."""
  shape = jax.eval_shape(fn, key)
  chunks = -(-num_samples // chunk)

  def add_chunk(total, i):
    keys = jax.random.split(jax.random.fold_in(key, i), chunk)
    return total + jax.vmap(fn)(keys).sum(0), None

  total, _ = jax.lax.scan(add_chunk, jnp.zeros(shape.shape, shape.dtype), jnp.arange(chunks))
  return total / (chunks * chunk)
