"""Importance-weighted bounds on log p(x), with memory independent of the number of samples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def importance_bound(
  log_weights: Callable[[jax.Array], jax.Array],
  key: jax.Array,
  num_samples: int,
  chunk: int,
) -> jax.Array:
  """Log (1/K sum_k w_k), a lower bound on log p(x) in expectation that tightens with K.

  Args:
    log_weights: key -> [B], one sample of log p(x, z_k) - log q(z_k | x) per example.
    key: () typed key.
    num_samples: K.
    chunk: samples computed at a time; divides K.

  Returns:
    [B] nats.

  Reference: Burda, Grosse & Salakhutdinov 2016, eq. 8.
  """
  if num_samples % chunk:
    raise ValueError(f'num_samples = {num_samples} must be a multiple of chunk = {chunk}')

  def add_chunk(total: jax.Array, i: jax.Array) -> tuple[jax.Array, None]:
    keys = jax.random.split(jax.random.fold_in(key, i), chunk)
    weights = jax.vmap(log_weights)(keys)
    return jnp.logaddexp(total, jax.nn.logsumexp(weights, axis=0)), None

  shape = jax.eval_shape(log_weights, key)
  start = jnp.full(shape.shape, -jnp.inf, shape.dtype)
  total, _ = jax.lax.scan(add_chunk, start, jnp.arange(num_samples // chunk))
  return total - jnp.log(float(num_samples)).astype(shape.dtype)
