"""Using a trained Mixed Membership GAN on a person's own images."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.data.image_folders import Rule
from jaxgen.data.pixels import signed
from jaxgen.systems.mmgan.inference import Inference
from jaxgen.systems.mmgan.task import make_model
from jaxgen.task import Tools, Trained


class Membership(NamedTuple):
  """What a model says of one image.

  Attributes:
    component: p(k | x), one a component, uniform prior over components.
    distribution: p(i | x), one a collection, uniform over collections.
  """

  component: list[float]
  distribution: list[float]


def image_rule(trained: Trained) -> Rule:
  """How a person's files become the model's images: as in training, or fitted where that had no rule."""
  size, _, channels = trained.facts['image_shape']
  resize = trained.config.data.resize
  return Rule(size, channels, 'fit' if resize == 'none' else resize)


def memberships(trained: Trained, tools: Tools, images: Sequence[np.ndarray]) -> list[Membership]:
  """The posteriors of images, one by one.

  Args:
    trained: the model.
    tools: lent by the host.
    images: [H, W, C] uint8, of the model's shape.

  Raises:
    ValueError: an image of another shape.
  """
  expected = tuple(trained.facts['image_shape'])
  inference = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  posteriors = tools.compile(inference.posteriors)
  found = []
  for image in tools.progress(list(images), 'memberships'):
    if image.shape != expected:
      raise ValueError(f'an image is {image.shape}, the model takes {expected}')
    component, distribution = jax.device_get(
      posteriors(trained.variables, signed(image[None], 255))
    )
    found.append(Membership(component[0].tolist(), distribution[0].tolist()))
  return found
