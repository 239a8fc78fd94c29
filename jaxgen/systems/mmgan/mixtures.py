"""The mixture of a Mixed Membership GAN: how omega is initialised, updated and regularised.

The paper uses Adam on omega, without a penalty. Everything else here is an addition, off by default.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.scipy.special import entr
from ml_collections import ConfigDict

from jaxgen.metrics import Mean, Metrics
from jaxgen.systems.mmgan import losses, regions
from jaxgen.systems.mmgan.config import num_sets

# Initial share of components that the truth lacks, if the mixture is learned from there.
ABSENT = 1e-3
# Bounds of mirror descent, in nats: how far omega may move in a step, and how far it may fall below its
# distribution's largest. With real images' likelihood, a share's gradient has that share in its denominator.
STEP, DEPTH = 1.0, 30.0
LISTED = 21  # entries of alpha that a run logs individually: three collections' 7 components


def fixed_omega(facts: dict[str, Any]) -> np.ndarray:
  """Omega = log alpha* [n, K]: -inf for components that a distribution lacks."""
  alpha = np.asarray(facts['true_mixture'], np.float64)
  return np.log(alpha, out=np.full_like(alpha, -np.inf), where=alpha > 0)


def initial_omega(config: ConfigDict, facts: dict[str, Any], shape: tuple[int, int]) -> np.ndarray:
  """The initial value of a learned omega [n, K]: 0, or the log of the true shares if they are known.

  A share of 0 could never grow, so from the truth it starts at `ABSENT`.

  Args:
    config: config of the run.
    facts: facts of the data.
    shape: n, K.
  """
  if config.model.mixture == 'from_truth' and facts['true_mixture'] is not None:
    return np.log(np.maximum(np.asarray(facts['true_mixture'], np.float64), ABSENT))
  return np.zeros(shape)


def support(config: ConfigDict) -> np.ndarray | None:
  """Which components a learned mixture may assign to a distribution, [n, K] bool; None: all.

  With `mixture_support = 'groups'` component k belongs to group k of `regions.regions`, and is unavailable to
  distributions outside that group.
  """
  if config.model.mixture_support == 'all':
    return None
  return regions.membership(num_sets(config))


def supported(omega: jax.Array, within: np.ndarray | None) -> jax.Array:
  """Omega [n, K] with -inf for unavailable components; the parameter itself stays finite."""
  return omega if within is None else jnp.where(within, omega, -jnp.inf)


class Schedule(NamedTuple):
  """A scheduled weight: 0 before `begin`, `start` at `begin`, then linear to `end` at the last step.

  Attributes:
    start: the weight at step `begin`.
    end: the weight at `num_steps`.
    begin: first step with a nonzero weight.
    num_steps: length of the run.
  """

  start: float
  end: float
  begin: float
  num_steps: int

  def __call__(self, step: jax.Array) -> jax.Array | float:
    """The weight () at a step; a plain number if it is constant."""
    if self.start == self.end and not self.begin:
      return self.start
    done = (step - self.begin) / max(self.num_steps - self.begin, 1)
    return jnp.where(step >= self.begin, self.start + (self.end - self.start) * done, 0.0)


class Weights(NamedTuple):
  """Scheduled weights of the terms beside the game.

  Attributes:
    classifier: lambda of eq. 10 and 11; constant in the paper.
    sharing: weight of I(set; component), a penalty not in the paper.
    sparsity: weight of the entropy of alpha, a penalty not in the paper.
  """

  classifier: Schedule
  sharing: Schedule
  sparsity: Schedule


def weights(config: ConfigDict) -> Weights:
  """The weights of a config; a decay is the fraction of the weight that is gone by the end of the run."""
  loss, steps = config.loss, config.num_steps

  def falling(weight: float, decay: float, begin: float = 0.0) -> Schedule:
    return Schedule(weight, weight * (1 - decay), begin * steps, steps)

  return Weights(
    classifier=falling(loss.classifier, loss.classifier_decay),
    sharing=falling(loss.sharing, loss.sharing_decay),
    sparsity=falling(loss.sparsity, 0.0, loss.sparsity_from),
  )


def information(alpha: jax.Array) -> jax.Array:
  """I(set; component) () in nats, sets equally likely: 0 if all mixtures are equal, ln n if nothing is shared.

  Args:
    alpha: [n, K].
  """
  chex.assert_rank(alpha, 2)
  return entropy(alpha.mean(0, keepdims=True)) - entropy(alpha)


def entropy(alpha: jax.Array) -> jax.Array:
  """The entropy of alpha [n, K] averaged over distributions, () in nats."""
  absent = alpha == 0  # has no gradient
  return jnp.where(absent, 0.0, entr(jnp.where(absent, 1.0, alpha))).sum(-1).mean()


def penalty(omega: jax.Array, weight: Weights, step: jax.Array) -> jax.Array:
  """What omega minimises beside eq. 8: the two additional penalties, () nats."""
  alpha = losses.mixture(omega)
  return weight.sharing(step) * information(alpha) + weight.sparsity(step) * entropy(alpha)


def responsibilities(posterior: jax.Array, alpha: jax.Array) -> jax.Array:
  """Responsibilities [R, n, K]: alpha_k p(k | x), normalised, for real images of each distribution.

  Args:
    posterior: [R, n, K], the classifier's p(k | x), uniform over components, for R images per distribution.
    alpha: [n, K].
  """
  chex.assert_equal_shape([posterior[0], alpha])
  joint = posterior * alpha[None]
  return joint / jnp.maximum(joint.sum(-1, keepdims=True), jnp.finfo(joint.dtype).tiny)


def likelihood_loss(omega: jax.Array, responsible: jax.Array) -> jax.Array:
  """The EM bound: -1/n sum_i sum_k r_k^(i) log alpha_k^(i), () nats.

  Its gradient in omega is (alpha - r) / n, that of the negative log-likelihood of real images under a mixture
  of the components as the classifier models them.

  Args:
    omega: [n, K].
    responsible: r [n, K], means over real images, or a device's share of them; constants.
  """
  log_alpha = jnp.where(responsible > 0, jax.nn.log_softmax(omega, -1), 0.0)
  return -(jax.lax.stop_gradient(responsible) * log_alpha).sum() / len(omega)


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """The optimizer of omega: the paper's Adam, or steps proportional to the gradient; on hold at first.

  'sgd' follows the gradient of omega, which has a share's own size as a factor: small ones hardly move.
  'mirror' is mirror descent on alpha with the entropy as its potential (exponentiated gradient): the gradient
  without that factor, with which a share can recover as quickly as it fell. Its steps and depth are bounded.
  """
  options = config.optim
  hold = options.mixture_hold * config.num_steps
  rate = options.mixture_learning_rate

  def scheduled(count: jax.Array) -> jax.Array:
    return jnp.where(count >= hold, rate, 0.0)

  at = scheduled if hold else rate
  if options.mixture_optimizer == 'adam':
    return optax.adam(at, options.b1, options.b2)
  if options.mixture_optimizer == 'sgd':
    return optax.sgd(at)
  within = support(config)
  return bounded(optax.chain(per_share(within), optax.scale_by_learning_rate(at)), within)


def per_share(within: np.ndarray | None = None) -> optax.GradientTransformation:
  """Gradients of omega divided by alpha: centred gradients of alpha itself.

  dV/d omega_k = alpha_k (g_k - sum_j alpha_j g_j), with g = dV/d alpha: what remains moves log alpha by g,
  up to a shift to which softmax is invariant.

  Args:
    within: [n, K], from `support`.
  """

  def update(
    updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.OptState]:
    alpha = jax.tree.map(lambda omega: losses.mixture(supported(omega, within)), params)
    divided = jax.tree.map(
      lambda g, a: jnp.where(a > 0, g / jnp.where(a > 0, a, 1), 0), updates, alpha
    )
    return divided, state

  return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def bounded(
  inner: optax.GradientTransformation, within: np.ndarray | None = None
) -> optax.GradientTransformation:
  """Bounds `inner`: steps of omega of at most `STEP`, and no entry more than `DEPTH` below its row's largest.

  A share of exp(-30) is never drawn in practice, yet is far from underflow, where no gradient could move it.

  Args:
    inner: computes steps of omega.
    within: [n, K], from `support`.
  """

  def limited(step: jax.Array, omega: jax.Array) -> jax.Array:
    step = jnp.clip(step, -STEP, STEP)
    largest = supported(omega + step, within).max(-1, keepdims=True)
    return jnp.maximum(step, largest - DEPTH - omega)

  def update(
    updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
  ) -> tuple[optax.Updates, optax.OptState]:
    updates, state = inner.update(updates, state, params)
    return jax.tree.map(limited, updates, params), state

  return optax.GradientTransformation(inner.init, update)


def metrics(alpha: jax.Array, share: jax.Array) -> Metrics:
  """The metrics that a run logs for a learned mixture.

  Args:
    alpha: [n, K], before the step.
    share: () the device's share of the batch.

  Returns:
    `mixture_entropy` and `mixture_information` in nats, `mixture_least` and `mixture_most`, the extremes of all
    shares, and, if there are at most `LISTED`, every share, as `mixture_set1_c3`.
  """
  found = {
    'mixture_entropy': entropy(alpha),
    'mixture_information': information(alpha),
    'mixture_least': alpha.min(),
    'mixture_most': alpha.max(),
  }
  if alpha.size <= LISTED:
    n, k = alpha.shape
    found |= {f'mixture_set{i + 1}_c{j + 1}': alpha[i, j] for i in range(n) for j in range(k)}
  return {name: Mean(value * share, share) for name, value in found.items()}
