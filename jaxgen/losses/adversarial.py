"""Adversarial losses of logits, a real and a fake one for the discriminator and one for the generator.

A loss is elementwise; `discriminator_loss` and `generator_loss` add values up and divide by counts of
the global batch, so that the parts of a batch on several devices add up to its mean.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax

Count = int | float | jax.Array
Elementwise = Callable[[jax.Array], jax.Array]


class Adversarial(NamedTuple):
  """The losses of one game, elementwise in the discriminator's logits, in nats where they are likelihoods.

  Attributes:
    real: what D minimises where it sees real examples.
    fake: what D minimises where it sees generated ones.
    generator: what G minimises.
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
# ... or, section 3, -E log D, whose gradient does not vanish where D is sure.
NON_SATURATING = SATURATING._replace(generator=lambda logits: -jax.nn.log_sigmoid(logits))
# Mao et al., "Least Squares Generative Adversarial Networks", eq. 9: a 0, b and c 1.
LEAST_SQUARES = Adversarial(
  real=lambda logits: 0.5 * (logits - 1) ** 2,
  fake=lambda logits: 0.5 * logits**2,
  generator=lambda logits: 0.5 * (logits - 1) ** 2,
)


def part_of_mean(values: jax.Array, count: Count, weights: jax.Array | None = None) -> jax.Array:
  """What the given values add to a mean over the global batch: sum of weights * values, over count.

  Args:
    values: of any shape; this device's rows.
    count: how many values, or what sum of weights, the global batch has.
    weights: of the same shape, as a mask; None: all 1.

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
  """What D minimises: the mean over real examples and the mean over fakes, added; this device's part.

  Args:
    game: `HINGE` or another.
    real: logits of real examples.
    fake: logits of generated examples.
    num_real: see `part_of_mean`.
    num_fake: the same for the fakes.
  """
  return part_of_mean(game.real(real), num_real) + part_of_mean(game.fake(fake), num_fake)


def generator_loss(
  game: Adversarial, fake: jax.Array, num_fake: Count, weights: jax.Array | None = None
) -> jax.Array:
  """What G minimises: a mean over fakes; this device's part.

  Arguments as in `discriminator_loss`; `weights` as in `part_of_mean`.
  """
  return part_of_mean(game.generator(fake), num_fake, weights)
