"""Adversarial losses on logits: one on real and one on fake examples for D, and one for G.

Losses are elementwise; `discriminator_loss` and `generator_loss` sum the values and divide by counts of the
global batch, so that the shares of all devices add up to the mean over that batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax

Count = int | float | jax.Array
Elementwise = Callable[[jax.Array], jax.Array]


class Adversarial(NamedTuple):
  """The losses of one GAN objective, elementwise in D's logits; in nats where they are likelihoods.

  Attributes:
    real: D's loss on real examples.
    fake: D's loss on generated examples.
    generator: G's loss on generated examples.
  """

  real: Elementwise
  fake: Elementwise
  generator: Elementwise


# Lim & Ye, "Geometric GAN", eq. 11, 13; Miyato et al., "Spectral Normalization for GANs", eq. 16, 17.
HINGE = Adversarial(
  real=lambda logits: jax.nn.relu(1 - logits),
  fake=lambda logits: jax.nn.relu(1 + logits),
  generator=lambda logits: -logits,
)
# Goodfellow et al., "Generative Adversarial Networks", eq. 1: G minimises E log(1 - D) ...
SATURATING = Adversarial(
  real=lambda logits: -jax.nn.log_sigmoid(logits),
  fake=lambda logits: -jax.nn.log_sigmoid(-logits),
  generator=lambda logits: jax.nn.log_sigmoid(-logits),
)
# ... or, section 3, -E log D, whose gradient does not vanish where D is confident.
NON_SATURATING = SATURATING._replace(generator=lambda logits: -jax.nn.log_sigmoid(logits))
# Mao et al., "Least Squares Generative Adversarial Networks", eq. 9, with a = 0 and b = c = 1.
LEAST_SQUARES = Adversarial(
  real=lambda logits: 0.5 * (logits - 1) ** 2,
  fake=lambda logits: 0.5 * logits**2,
  generator=lambda logits: 0.5 * (logits - 1) ** 2,
)


def part_of_mean(values: jax.Array, count: Count, weights: jax.Array | None = None) -> jax.Array:
  """A device's share of a mean over the global batch: the sum of weights * values, divided by count.

  Args:
    values: this device's values, of any shape.
    count: number of values, or the sum of weights, in the global batch.
    weights: of the same shape, such as a mask; None: all 1.

  Returns:
    ().
  """
  if weights is None:
    return values.sum() / count
  chex.assert_equal_shape([values, weights])
  return (weights * values).sum() / count


def discriminator_loss(
  game: Adversarial,
  real: jax.Array,
  fake: jax.Array,
  num_real: Count,
  num_fake: Count,
) -> jax.Array:
  """D's loss, the mean over real examples plus the mean over fakes; this device's share.

  Args:
    game: `HINGE` or another objective.
    real: logits of real examples.
    fake: logits of generated examples.
    num_real: see `part_of_mean`.
    num_fake: as `num_real`, for the fakes.
  """
  return part_of_mean(game.real(real), num_real) + part_of_mean(game.fake(fake), num_fake)


def generator_loss(
  game: Adversarial, fake: jax.Array, num_fake: Count, weights: jax.Array | None = None
) -> jax.Array:
  """G's loss, a mean over fakes; this device's share.

  Arguments as in `discriminator_loss`; `weights` as in `part_of_mean`.
  """
  return part_of_mean(game.generator(fake), num_fake, weights)
