"""The equations of the Compound VAE (Su, Lin, Chen) as pure functions. Everything is in nats."""

import chex
import jax
import jax.numpy as jnp

LOG_2PI = 1.8378770664093453
MIXTURE_LOG_STDS = (0.0, -6.0)


def bernoulli_reconstruction(logits: jax.Array, image: jax.Array) -> jax.Array:
  """-log p(x|z) of a Bernoulli decoder, summed over pixels (first term of eq. 4).

  Args:
    logits: [..., P] decoder outputs before the sigmoid.
    image: [..., P] pixels in [0, 1], not binarised.

  Returns:
    [...] nats.
  """
  chex.assert_equal_shape([logits, image])
  # One exponential per pixel instead of two for softplus(l) and softplus(-l): 15 % of a small model's step.
  # Both terms take the same branch at 0; `maximum` and `abs` do not, and lose the gradient 1/2 there.
  positive = logits >= 0
  tail = jnp.log1p(jnp.exp(jnp.where(positive, -logits, logits)))
  softplus = jnp.where(positive, logits, 0) + tail
  return (softplus - logits * image).sum(axis=-1)


def gaussian_kl(mean: jax.Array, log_var: jax.Array) -> jax.Array:
  """KL(N(mean, exp(log_var)) || N(0, I)) per example.

  Args:
    mean: [..., Z].
    log_var: [..., Z].

  Returns:
    [...] nats.

  Reference: Kingma & Welling 2014, appendix B.
  """
  chex.assert_equal_shape([mean, log_var])
  return 0.5 * jnp.sum(jnp.exp(log_var) + mean**2 - 1.0 - log_var, axis=-1)


def gaussian_log_prob(x: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
  """Log N(x; mean, exp(log_var)) summed over the last axis.

  Args:
    x: [..., Z].
    mean: broadcastable to x.
    log_var: broadcastable to x.

  Returns:
    [...] nats.
  """
  return -0.5 * jnp.sum(LOG_2PI + log_var + (x - mean) ** 2 * jnp.exp(-log_var), axis=-1)


def single_log_prior(w: jax.Array) -> jax.Array:
  """Log N(w; 0, 1) of each weight, elementwise."""
  return -0.5 * (LOG_2PI + w**2)


def mixture_log_prior(w: jax.Array) -> jax.Array:
  """log(0.5 N(w; 0, 1) + 0.5 N(w; 0, exp(-6)^2)) of each weight, elementwise.

  `logaddexp` keeps it finite, with a correct gradient, where both densities underflow (`|w| > 13`).

  Reference: the paper's mixture prior; Blundell et al. 2015, eq. 7.
  """
  wide, narrow = (-0.5 * (LOG_2PI + (w * jnp.exp(-s)) ** 2) - s for s in MIXTURE_LOG_STDS)
  return jnp.logaddexp(wide, narrow) - jnp.log(2.0).astype(w.dtype)


LOG_PRIORS = {'single': single_log_prior, 'mixture': mixture_log_prior}


def weight_log_ratio(eps: jax.Array, std: jax.Array, log_prior: jax.Array) -> jax.Array:
  """One sample of log q(w) - log p(w) for each weight w = mean + std eps, elementwise.

  Its expectation is KL(q || p) (the weight term of eq. 4, by Monte Carlo).

  Args:
    eps: standard normal draws.
    std: standard deviation of q; same shape.
    log_prior: log p(w) at the sampled weights; same shape.
  """
  chex.assert_equal_shape([eps, std, log_prior])
  return -0.5 * (LOG_2PI + eps**2) - jnp.log(std) - log_prior


def gaussian_weight_kl(mean: jax.Array, std: jax.Array) -> jax.Array:
  """KL(N(mean, std^2) || N(0, 1)) of each weight, elementwise: the closed form for the single prior."""
  chex.assert_equal_shape([mean, std])
  return 0.5 * (std**2 + mean**2 - 1.0) - jnp.log(std)


def reweighting(name: str, step: jax.Array, steps_per_epoch: int) -> jax.Array:
  """pi_i, the fraction of the weight KL that this step's batch carries (eq. 5).

  Args:
    name: 'blundell', pi_i = 2^(M-i) / (2^M - 1); 'uniform', 1/M; 'none', 1 (eq. 4).
    step: () completed updates; i = step mod M + 1.
    steps_per_epoch: M, batches per epoch.

  Returns:
    () float32; the pi_i of an epoch sum to 1 for 'blundell' and 'uniform'.

  Reference: Blundell et al. 2015, section 3.4. Computed as 2^-i / (1 - 2^-M): 2^M overflows.
  """
  if name == 'blundell':
    i = (step % steps_per_epoch + 1).astype(jnp.float32)
    return jnp.exp2(-i) / (1.0 - 2.0**-steps_per_epoch)
  return jnp.float32({'uniform': 1.0 / steps_per_epoch, 'none': 1.0}[name])


def weight_kl_coefficient(
  name: str, per: str, step: jax.Array, steps_per_epoch: int, batch_size: int
) -> jax.Array:
  """c, the factor of the weight KL in an example's cost reconstruction + latent KL + c * weight KL.

  Eq. 5 adds one weight KL, times pi_i, to the sum of a minibatch's costs. If weights are shared, that is
  c = pi_i / B in the mean over examples. If each example has its own weights, the paper does not say whether
  there is one KL per minibatch or one per example, which is B times as much.

  Args:
    name: scheme of `reweighting`, which gives pi_i.
    per: 'batch', c = pi_i / B; 'example', c = pi_i.
    step: () completed updates.
    steps_per_epoch: M, batches per epoch.
    batch_size: B, rows of the global batch.

  Returns:
    () float32.
  """
  divisor = {'batch': batch_size, 'example': 1}[per]
  return reweighting(name, step, steps_per_epoch) / divisor
