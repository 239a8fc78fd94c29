"""Annealed importance sampling of log p(x) with Hamiltonian transitions."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

TARGET_ACCEPTANCE = 0.65
STEP_SIZES = (1e-4, 0.5)
LEAPFROG = 10  # steps per transition
_Pair = tuple[jax.Array, jax.Array]


def annealed_log_likelihood(
  log_likelihood: Callable[[jax.Array], jax.Array],
  keys: jax.Array,
  num_latents: int,
  num_steps: int,
  num_chains: int,
  dtype: DTypeLike = jnp.float32,
) -> jax.Array:
  """Log p(x) under an N(0, I) prior by AIS: a stochastic lower bound, the log of the mean weight over chains.

  Samples move from the prior to the posterior through p(z) p(x|z)^beta, beta on a sigmoid schedule; each
  transition is one Hamiltonian trajectory. A pilot run with separate chains finds the step size for each
  temperature that keeps the acceptance rate at 0.65, for each example. The weighted run holds them fixed:
  a chain that adapts to its own past no longer targets its distribution, and its weight is biased.

  Args:
    log_likelihood: z [C, B, Z] -> log p(x_b | z_cb) [C, B].
    keys: [B] typed keys; an example's chains depend only on its own key.
    num_latents: Z.
    num_steps: number of temperatures.
    num_chains: C.
    dtype: dtype of z.

  Returns:
    [B] nats.

  Reference: Neal 2001; Wu et al. 2017, "On the quantitative analysis of decoder-based generative models".
  """
  betas = _temperatures(num_steps, dtype)
  pilot_keys, keys = jax.vmap(jax.random.split, out_axes=1)(keys)

  def start(run_keys: jax.Array) -> jax.Array:
    return _normal(_folded(run_keys, num_steps), (num_chains, num_latents), dtype)

  def transition(
    run_keys: jax.Array, i: jax.Array, z: jax.Array, beta: jax.Array, step_size: jax.Array
  ) -> _Pair:
    def log_joint(z: jax.Array) -> jax.Array:
      return beta * log_likelihood(z) - 0.5 * (z**2).sum(-1)

    return _hamiltonian(log_joint, _folded(run_keys, i), z, step_size)

  step_sizes = _piloted(functools.partial(transition, pilot_keys), start(pilot_keys), betas)

  def move(carry: _Pair, inputs: tuple[jax.Array, ...]) -> tuple[_Pair, None]:
    z, log_weight = carry
    i, previous, beta, step_size = inputs
    log_weight += (beta - previous) * log_likelihood(z)
    z, _ = transition(keys, i, z, beta, step_size)
    return (z, log_weight), None

  inputs = (jnp.arange(num_steps), betas[:-1], betas[1:], step_sizes)
  z = start(keys)
  (_, log_weight), _ = jax.lax.scan(move, (z, jnp.zeros(z.shape[:2], dtype)), inputs)
  return jax.nn.logsumexp(log_weight, axis=0) - jnp.log(float(num_chains)).astype(dtype)


def _temperatures(num_steps: int, dtype: DTypeLike) -> jax.Array:
  """[num_steps + 1] from 0 to 1: a sigmoid concentrates them at both ends, where the weights vary most."""
  raw = jax.nn.sigmoid(jnp.linspace(-4.0, 4.0, num_steps + 1, dtype=dtype))
  return (raw - raw[0]) / (raw[-1] - raw[0])


def _normal(keys: jax.Array, shape: tuple[int, int], dtype: DTypeLike) -> jax.Array:
  """[C, B, Z] standard normal draws of `shape` (C, Z) for each of [B] keys."""
  return jax.vmap(lambda key: jax.random.normal(key, shape, dtype), out_axes=1)(keys)


def _folded(keys: jax.Array, data: jax.Array | int) -> jax.Array:
  return jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, data)


def _piloted(transition: Callable[..., _Pair], z: jax.Array, betas: jax.Array) -> jax.Array:
  """Step sizes [num_steps, B] that keep TARGET_ACCEPTANCE, found in a pilot run.

  Args:
    transition: (i, z, beta, step size [B]) -> z and the acceptance probability [C, B].
    z: [C, B, Z], where the chains start.
    betas: [num_steps + 1].
  """

  def move(carry: _Pair, inputs: _Pair) -> tuple[_Pair, jax.Array]:
    z, step_size = carry
    z, rate = transition(inputs[0], z, inputs[1], step_size)
    adapted = step_size * jnp.exp(0.1 * (rate.mean(0) - TARGET_ACCEPTANCE))
    return (z, jnp.clip(adapted, *STEP_SIZES)), step_size

  first_size = jnp.full(z.shape[1:2], 0.1, z.dtype)
  _, sizes = jax.lax.scan(move, (z, first_size), (jnp.arange(len(betas) - 1), betas[1:]))
  return sizes


def _hamiltonian(
  log_joint: Callable[[jax.Array], jax.Array],
  keys: jax.Array,
  z: jax.Array,
  step_size: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """One trajectory of every chain, accepted or rejected.

  Args:
    log_joint: z [C, B, Z] -> [C, B], up to a constant.
    keys: [B] typed keys.
    z: [C, B, Z].
    step_size: [B].

  Returns:
    The new z and the acceptance probability [C, B].
  """
  gradient = jax.grad(lambda z: log_joint(z).sum())
  momentum_keys, accept_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
  momentum = _normal(momentum_keys, (z.shape[0], z.shape[2]), z.dtype)
  size = step_size[None, :, None]

  def leapfrog(_: int, state: _Pair) -> _Pair:
    z, p = state
    p = p + 0.5 * size * gradient(z)
    z = z + size * p
    return z, p + 0.5 * size * gradient(z)

  proposed, p = jax.lax.fori_loop(0, LEAPFROG, leapfrog, (z, momentum))
  energy = log_joint(proposed) - 0.5 * (p**2).sum(-1)
  energy -= log_joint(z) - 0.5 * (momentum**2).sum(-1)
  energy = jnp.where(jnp.isnan(energy), -jnp.inf, energy)  # a diverged trajectory is rejected
  draw = functools.partial(jax.random.uniform, shape=z.shape[:1], dtype=z.dtype)
  uniform = jax.vmap(draw, out_axes=1)(accept_keys)
  accept = jnp.log(uniform) < energy
  return jnp.where(accept[..., None], proposed, z), jnp.exp(jnp.minimum(energy, 0.0))
