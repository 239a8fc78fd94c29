"""The amortization gap: what a per-example posterior gains over the encoder's, and what random weights cost."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from jaxgen.systems.comvae.losses import gaussian_kl, gaussian_log_prob

CHECK_STEPS = 100
PATIENCE = 10


class LocalPosterior(NamedTuple):
  """A diagonal Gaussian q(z) for each example.

  Attributes:
    mean: [B, Z].
    log_var: [B, Z].
  """

  mean: jax.Array
  log_var: jax.Array


_Carry = tuple[LocalPosterior, optax.OptState]


class _Search(NamedTuple):
  current: LocalPosterior
  opt_state: optax.OptState
  best: LocalPosterior
  best_elbo: jax.Array  # [B], mean over a check
  stale: jax.Array  # [B] checks without improvement
  check: jax.Array  # ()


def elbo(
  log_likelihood: Callable[[jax.Array], jax.Array],
  posterior: LocalPosterior,
  keys: jax.Array,
  num_samples: int,
) -> jax.Array:
  """L(q) [B] in nats, with the reconstruction averaged over `num_samples` draws of z.

  Args:
    log_likelihood: z [S, B, Z] -> log p(x_b | z_sb) [S, B].
    posterior: q.
    keys: [B] typed keys.
    num_samples: S.
  """
  eps = _normal(keys, num_samples, posterior.mean)
  z = posterior.mean[None] + jnp.exp(0.5 * posterior.log_var)[None] * eps
  return log_likelihood(z).mean(0) - gaussian_kl(posterior.mean, posterior.log_var)


def _normal(keys: jax.Array, num_samples: int, like: jax.Array) -> jax.Array:
  """Standard normal draws [S, B, Z], [S, Z] per key of [B], with the dtype of `like` [..., Z]."""
  shape = (num_samples, like.shape[-1])
  return jax.vmap(lambda key: jax.random.normal(key, shape, like.dtype), out_axes=1)(keys)


def optimise_posterior(
  log_likelihood: Callable[[jax.Array], jax.Array],
  keys: jax.Array,
  num_latents: int,
  num_samples: int = 16,
  learning_rate: float = 1e-3,
  max_checks: int = 1000,
  dtype: DTypeLike = jnp.float32,
) -> LocalPosterior:
  """The diagonal Gaussian q*(z) of each example that maximises its ELBO.

  Starts at N(0, I); Adam; an example stops after 10 checks of 100 steps without a better mean ELBO, and the
  posterior of its best check is returned.

  Args:
    log_likelihood: z [S, B, Z] -> [S, B].
    keys: [B] typed keys; an example's posterior depends only on its own.
    num_latents: Z.
    num_samples: draws of z per step.
    learning_rate: Adam's learning rate.
    max_checks: upper bound on the number of checks.
    dtype: dtype of the posterior.

  Reference: Cremer, Li & Duvenaud 2018, section 3.
  """
  # All checks share their noise, so that two checks differ only by their posteriors: with fresh noise an
  # example stops when its luck runs out, some hundredths of a nat early.
  step_keys = jax.vmap(lambda key: jax.random.split(key, CHECK_STEPS), out_axes=1)(keys)
  # Adam works elementwise, so one optimizer over all examples amounts to one per example.
  optimizer = optax.adam(learning_rate)
  zeros = jnp.zeros((len(keys), num_latents), dtype)
  start = LocalPosterior(zeros, zeros)

  def step(carry: _Carry, keys: jax.Array) -> tuple[_Carry, jax.Array]:
    posterior, opt_state = carry

    def loss_fn(q: LocalPosterior) -> tuple[jax.Array, jax.Array]:
      values = elbo(log_likelihood, q, keys, num_samples)
      return -values.sum(), values

    grads, values = jax.grad(loss_fn, has_aux=True)(posterior)
    updates, opt_state = optimizer.update(grads, opt_state)
    return (optax.apply_updates(posterior, updates), opt_state), values

  def one_check(search: _Search) -> _Search:
    carry = search.current, search.opt_state
    (current, opt_state), values = jax.lax.scan(step, carry, step_keys)
    return _checked(search, current, opt_state, values.mean(0))

  def unfinished(search: _Search) -> jax.Array:
    return (search.stale < PATIENCE).any() & (search.check < max_checks)

  return jax.lax.while_loop(unfinished, one_check, _begun(start, optimizer.init(start))).best


def _begun(start: LocalPosterior, opt_state: optax.OptState) -> _Search:
  """The search state before the first check."""
  n, dtype = len(start.mean), start.mean.dtype
  return _Search(
    start,
    opt_state,
    start,
    jnp.full((n,), -jnp.inf, dtype),
    jnp.zeros((n,), jnp.int32),
    jnp.zeros((), jnp.int32),
  )


def _checked(
  search: _Search, current: LocalPosterior, opt_state: optax.OptState, value: jax.Array
) -> _Search:
  """State after a check that led to `current` and mean ELBO `value` [B]; stopped examples keep their best."""
  going = search.stale < PATIENCE
  better = going & (value > search.best_elbo)
  return _Search(
    current,
    opt_state,
    jax.tree.map(lambda new, old: jnp.where(better[:, None], new, old), current, search.best),
    jnp.where(better, value, search.best_elbo),
    jnp.where(better, 0, search.stale + going),
    search.check + 1,
  )


def information(posteriors: LocalPosterior, keys: jax.Array) -> jax.Array:
  """I(z; w | x) [B] in nats, what z reveals about the weights that it was drawn with, by Monte Carlo.

  The mean over s of log q(z_s|w_s) - log (1/S sum_r q(z_s|w_r)), with z_s ~ q(z|w_s). The sum includes r = s:
  the estimate is a lower bound in expectation and at most log S, with a bias of order 1/S.

  Args:
    posteriors: q(z|w_s, x) of S weight samples, [S, B, Z].
    keys: [B] typed keys.

  Returns:
    [B]; memory grows linearly in S, not quadratically.

  Reference: van den Oord, Li & Vinyals 2018 (InfoNCE); Poole et al. 2019, where the density is known.
  """
  mean, log_var = posteriors
  z = mean + jnp.exp(0.5 * log_var) * _normal(keys, len(mean), mean)

  def add(total: jax.Array, other: LocalPosterior) -> tuple[jax.Array, None]:
    return jnp.logaddexp(total, gaussian_log_prob(z, other.mean[None], other.log_var[None])), None

  start = jnp.full(mean.shape[:-1], -jnp.inf, mean.dtype)
  total, _ = jax.lax.scan(add, start, posteriors)
  marginal = total - jnp.log(len(mean))
  return (gaussian_log_prob(z, mean, log_var) - marginal).mean(0)
