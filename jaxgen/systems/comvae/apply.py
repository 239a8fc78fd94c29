"""Using a trained Compound VAE on a person's own images."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen.systems.comvae.inference import Inference
from jaxgen.systems.comvae.task import make_model
from jaxgen.task import Tools, Trained, name_key


class Score(NamedTuple):
  """What a model says of one image.

  Attributes:
    negative_elbo: nats; one weight and one z sample, averaged over `eval.weight_samples` draws.
    nll_importance: -log p(x) in nats by the importance bound: an upper bound in expectation.
    weight_variance: variance of the latent mean over weight samples, averaged over latents.
  """

  negative_elbo: float
  nll_importance: float
  weight_variance: float


def image_size(trained: Trained) -> tuple[int, int]:
  """Height and width that the model takes."""
  height, width, _ = trained.facts['image_shape']
  return height, width


def score_images(trained: Trained, tools: Tools, images: Sequence[np.ndarray]) -> list[Score]:
  """Scores images one by one; an image's score does not depend on the others.

  Args:
    trained: the model.
    tools: lent by the host.
    images: [H, W] float32 in [0, 1], of the model's size.

  Raises:
    ValueError: an image of another size.
  """
  config: ConfigDict = trained.config
  inference = Inference(make_model(config, trained.facts), trained.facts, config)
  samples = config.eval.weight_samples

  @tools.compile
  def score(variables, image, key):
    batch = {'image': image[None], 'mask': np.ones(1, np.float32)}
    keys = jax.random.split(name_key(key, 'elbo'), samples)
    terms = jax.vmap(lambda k: inference.terms(variables, batch, k)['negative_elbo'])(keys)
    latents = inference.latent_means(variables, batch, name_key(key, 'weights'))
    return (
      terms.mean(),
      -inference.importance(variables, batch, name_key(key, 'importance'))[0],
      latents['variance'].mean(),
    )

  expected = image_size(trained)
  scores = []
  for image in tools.progress(list(images), 'scoring'):
    if image.shape != expected:
      raise ValueError(f'an image is {image.shape}, the model takes {expected}')
    values = jax.device_get(score(trained.variables, image.reshape(-1), tools.rng))
    scores.append(Score(*(float(v) for v in values)))
  return scores
