"""The objective of the Mixed Membership GAN, with the paper's equation numbers.

Rows of fakes may be in any order; `component` says which component made each. Sums run over the given rows
and are divided by global counts, so that the parts of a batch add up.
"""

import chex
import jax
import jax.numpy as jnp
import optax

from jaxgen.losses import adversarial
from jaxgen.losses.adversarial import NON_SATURATING, SATURATING, part_of_mean


def mixture(omega: jax.Array) -> jax.Array:
  """Eq. 9: alpha [n, K], rows summing to 1, from omega [n, K]; -inf marks a component that stays at 0."""
  return jax.nn.softmax(omega, axis=-1)


def game_value(
  real: jax.Array,
  fake: jax.Array,
  alpha: jax.Array,
  component: jax.Array,
  num_real: int,
  num_fake: jax.Array | int,
) -> jax.Array:
  """Eq. 8, which D maximises: the part contributed by the given rows.

  V = 1/n sum_i E log D_i(x) + 1/n sum_i sum_k alpha_k^(i) E log(1 - D_i(G_k(z))).

  Args:
    real: [R, n], logit of D_i for a real image of distribution i.
    fake: [F, n], logits of every D_i for a fake.
    alpha: [n, K].
    component: [F] int32, the component that made each fake.
    num_real: real images per distribution in the global batch.
    num_fake: fakes per component in the global batch: one number, or [F], that of each fake's component.

  Returns:
    () nats.
  """
  chex.assert_shape(real, (None, alpha.shape[0]))
  on_real = -part_of_mean(SATURATING.real(real), num_real * real.shape[-1])
  return on_real + fake_value(fake, alpha, component, num_fake)


def fake_value(
  fake: jax.Array, alpha: jax.Array, component: jax.Array, num_fake: jax.Array | int
) -> jax.Array:
  """The second term of eq. 8; with stop-gradient logits, it is what omega minimises.

  d/d omega_k^(i) = 1/n alpha_k (f_ik - sum_j alpha_j f_ij), f_ik = E -softplus(logit_i) over component k.
  """
  weights = _weights(fake, alpha, component, num_fake)
  return -part_of_mean(SATURATING.fake(fake), 1, weights)


def _weights(
  fake: jax.Array, alpha: jax.Array, component: jax.Array, num_fake: jax.Array | int
) -> jax.Array:
  """The weight [F, n] of each fake for each D_i: alpha_k^(i) / (n times the number of fakes of k)."""
  chex.assert_rank([fake, alpha, component], [2, 2, 1])
  chex.assert_shape(fake, (component.shape[0], alpha.shape[0]))
  counts = jnp.broadcast_to(jnp.asarray(num_fake), component.shape)
  return alpha.T[component] / (fake.shape[-1] * counts[:, None])


def generator_loss(
  fake: jax.Array,
  alpha: jax.Array,
  component: jax.Array,
  num_fake: jax.Array | int,
  saturating: bool = False,
) -> jax.Array:
  """The adversarial loss that G minimises; no gradient reaches alpha.

  Args:
    fake: [F, n] logits.
    alpha: [n, K].
    component: [F] int32.
    num_fake: as in `game_value`.
    saturating: use E log(1 - D), eq. 8 as it stands; otherwise -E log D.
  """
  weights = _weights(fake, jax.lax.stop_gradient(alpha), component, num_fake)
  game = SATURATING if saturating else NON_SATURATING
  return adversarial.generator_loss(game, fake, 1, weights)


def component_cross_entropy(logits: jax.Array, component: jax.Array) -> jax.Array:
  """-log C(k | x) [F] nats of the component that made each fake (eq. 10, 11).

  Its mean over equally frequent components is -1/K sum_k E log C(k | x).

  Args:
    logits: [F, K].
    component: [F] int32.
  """
  return optax.softmax_cross_entropy_with_integer_labels(logits, component)


def component_posterior(logits: jax.Array) -> jax.Array:
  """p(k | x) [B, K] under a uniform prior over components."""
  return jax.nn.softmax(logits, axis=-1)


def distribution_posterior(component: jax.Array, alpha: jax.Array) -> jax.Array:
  """p(i | x) [B, n], proportional to sum_k alpha_k^(i) p(k | x), uniform over i.

  Args:
    component: p(k | x) [B, K].
    alpha: [n, K].
  """
  chex.assert_shape(component, (None, alpha.shape[1]))
  joint = component @ alpha.T
  total = joint.sum(-1, keepdims=True)
  none = total == 0
  return jnp.where(none, 1 / alpha.shape[0], joint / jnp.where(none, 1, total))
