"""Inference with a trained Compound VAE, as pure functions of (variables, batch, key).

A batch has image [B, P] and mask [B], and index [B] if it is part of something larger: a row's randomness comes
from its index, else from its position, so that results do not depend on how a split is divided into batches.

Random weights are drawn afresh for every example and sample, by local reparameterisation, which has the exact
distribution of h under a weight sample.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.axis import global_rows, row_keys
from jaxgen.evaluation.annealing import annealed_log_likelihood
from jaxgen.evaluation.importance import importance_bound
from jaxgen.metrics import Mean, Metrics
from jaxgen.systems.comvae import gap, losses, model
from jaxgen.task import Batch, PyTree, name_key

Terms = dict[str, jax.Array]


def elbo_terms(reconstruction: jax.Array, latent_kl: jax.Array, weight_kl: jax.Array) -> Terms:
  """The columns of the paper's table, with the weight KL separate; each [B] nats."""
  return {
    'negative_elbo': reconstruction + latent_kl,
    'reconstruction': reconstruction,
    'latent_kl': latent_kl,
    'weight_kl': weight_kl,
  }


class Bounds(NamedTuple):
  """Bounds on log p(x) per example and the quantity between them, each [B] nats.

  Attributes:
    amortized: E_w L(q(z|w, x)), the mean over weight samples.
    mean_weights: L(q) of the encoder with its mean weights.
    optimised: L(q*), for the best diagonal Gaussian.
    weight_information: I(z; w | x).
  """

  amortized: jax.Array
  mean_weights: jax.Array
  optimised: jax.Array
  weight_information: jax.Array


class Inference:
  """Inference with one network; methods are pure and can be jitted.

  Args:
    net: the network, without a device axis.
    facts: facts of the data.
    config: its `eval` section sets the numbers of samples.
  """

  def __init__(self, net: model.CompoundVAE, facts: dict[str, Any], config: ConfigDict):
    self.net, self.facts, self.options = net, facts, config.eval
    self.batch_size = config.batch_size
    self.num_pixels = math.prod(facts['image_shape'])
    self.num_latents = config.model.num_latents
    self.random_weights = config.model.kind != 'vanilla'

  def terms(self, variables: PyTree, batch: Batch, key: jax.Array, train: bool = False) -> Terms:
    """ELBO terms with one weight sample and one z sample per example.

    Args:
      variables: exported variables.
      batch: see the module docstring.
      key: () typed key.
      train: batch statistics instead of running averages, as in training.
    """
    x, rows = self._images(batch), _rows(batch)
    noise, z_keys = _noise(name_key(key, 'weights'), rows), _keys(key, 'latent', rows)

    def forward(net: model.CompoundVAE) -> tuple[jax.Array, model.Posterior]:
      posterior = net.encode(x, noise, train=train, mask=batch['mask'], sampling='local')
      return net.decode(net.draw(posterior, z_keys)), posterior

    mutable = [name for name in variables if name != 'params'] if train else False
    result: Any = self.net.apply(variables, method=forward, mutable=mutable)
    logits, posterior = result[0] if mutable is not False else result
    return elbo_terms(
      losses.bernoulli_reconstruction(logits, x),
      losses.gaussian_kl(posterior.mean, posterior.log_var),
      posterior.weight_kl,
    )

  def eval_step(
    self, variables: PyTree, batch: Batch, key: jax.Array, train: bool = False
  ) -> Metrics:
    """Means of `terms` over the rows that are not padding."""
    terms = self.terms(variables, batch, key, train)
    return {name: Mean.of(x, batch['mask']) for name, x in terms.items()}

  def importance(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """The importance bound on log p(x) [B], with fresh weights for every sample.

    Only the encoder has random weights, so log w = log p(x|z) + log p(z) - log q(z|w, x) has no term for
    them.
    """
    x, rows = self._images(batch), _rows(batch)

    def log_weights(sample_key: jax.Array) -> jax.Array:
      posterior = self._encode(variables, batch, sample_key)
      eps = model.normal(_keys(sample_key, 'latent', rows), posterior.mean.shape[1:], x.dtype)
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
      row_keys(key, _rows(batch)),
      self.num_latents,
      self.options.ais_steps,
      self.options.ais_chains,
      dtype=x.dtype,
    )

  def bounds(self, variables: PyTree, batch: Batch, key: jax.Array) -> Bounds:
    """What the encoder loses to the best diagonal Gaussian, and how much of that the random weights cost.

    With q_w = q(z|w, x) and q = E_w q_w, the posterior that the encoder represents, L(q) = E_q [log p(x, z) -
    log q(z)] gives E_w L(q_w) = L(q) - I(z; w | x): averaging over weights loosens the bound by what z reveals
    about them. So L(q*) - L(q), the amortization proper, is the amortization gap minus the weight information;
    it can be negative, as q need not be Gaussian.

    Every bound uses one z for each of `eval.gap_samples` weight samples, with the same noise in `amortized` and
    `mean_weights`: for a plain encoder the two are equal.
    """
    x, rows = self._images(batch), _rows(batch)
    log_likelihood = self._log_likelihood(variables, x)
    samples = self.options.gap_samples

    def local(posterior: model.Posterior) -> gap.LocalPosterior:
      return gap.LocalPosterior(posterior.mean, posterior.log_var)

    at_mean = local(self._encode(variables, batch, key, sampling='mean'))
    best = gap.optimise_posterior(
      log_likelihood,
      _keys(key, 'optimise', rows),
      self.num_latents,
      max_checks=self.options.gap_max_checks,
      dtype=x.dtype,
    )

    def sampled(sample_key: jax.Array) -> tuple[list[jax.Array], gap.LocalPosterior]:
      drawn = local(self._encode(variables, batch, sample_key))
      z_keys = _keys(sample_key, 'latent', rows)
      values = [gap.elbo(log_likelihood, q, z_keys, 1) for q in (drawn, at_mean, best)]
      return values, drawn

    keys = jax.random.split(name_key(key, 'weights'), samples)
    values, drawn = jax.lax.map(sampled, keys, batch_size=min(self.options.chunk, samples))
    amortized, mean_weights, optimised = (v.mean(0) for v in values)
    information = jnp.zeros_like(amortized)
    if self.random_weights:
      information = gap.information(drawn, _keys(key, 'information', rows))
    return Bounds(amortized, mean_weights, optimised, information)

  def latent_means(self, variables: PyTree, batch: Batch, key: jax.Array) -> dict[str, jax.Array]:
    """Posterior mean averaged over weight samples [B, Z], and its variance over them [B, Z].

    The variance is the predictive uncertainty that random weights add; a plain encoder has none.
    """
    keys = jax.random.split(key, self.options.weight_samples)
    means = jax.vmap(lambda k: self._encode(variables, batch, k).mean)(keys)
    return {'mean': means.mean(0), 'variance': means.var(0)}

  def decode(self, variables: PyTree, z: jax.Array) -> jax.Array:
    """Decodes z [..., Z] to pixel probabilities [..., P]."""
    logits: Any = self.net.apply(variables, z, method='decode')
    return jax.nn.sigmoid(logits)

  def reconstruct(self, variables: PyTree, batch: Batch, key: jax.Array) -> jax.Array:
    """Pixel probabilities [B, P] from one weight sample and one z sample per example."""
    posterior = self._encode(variables, batch, key)
    mean = posterior.mean
    eps = model.normal(_keys(key, 'latent', _rows(batch)), mean.shape[1:], mean.dtype)
    return self.decode(variables, mean + jnp.exp(0.5 * posterior.log_var) * eps)

  def _encode(
    self, variables: PyTree, batch: Batch, key: jax.Array, sampling: str = 'local'
  ) -> model.Posterior:
    noise = _noise(name_key(key, 'weights'), _rows(batch))
    posterior: Any = self.net.apply(
      variables, self._images(batch), noise, sampling=sampling, method='encode'
    )
    return posterior

  def _log_likelihood(self, variables: PyTree, x: jax.Array) -> Callable[[jax.Array], jax.Array]:
    def log_likelihood(z: jax.Array) -> jax.Array:
      logits: Any = self.net.apply(variables, z, method='decode')
      return -losses.bernoulli_reconstruction(logits, jnp.broadcast_to(x, logits.shape))

    return log_likelihood

  def _images(self, batch: Batch) -> jax.Array:
    return batch['image'].astype(self.net.decoder.param_dtype)


def _rows(batch: Batch) -> jax.Array:
  """[B] the number that seeds each row's draws."""
  return batch['index'] if 'index' in batch else global_rows(len(batch['mask']))


def _noise(key: jax.Array, rows: jax.Array) -> model.Noise:
  return model.Noise(key, row_keys(key, rows))


def _keys(key: jax.Array, name: str, rows: jax.Array) -> jax.Array:
  return row_keys(name_key(key, name), rows)
