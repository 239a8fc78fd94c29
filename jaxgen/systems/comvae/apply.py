"""Applies a trained Compound VAE to the user's own images."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.errors import ConfigError
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.systems.comvae.inference import Inference
from jaxgen.systems.comvae.task import make_model
from jaxgen.task import PyTree, Tools, Trained, name_key

# Trained on MNIST's digits with plain weights, and on scikit-learn's small digits with random weights.
NETS = MNIST, DIGITS = 'mnist', 'digits'


class Score(NamedTuple):
  """A model's scores for one image, in nats but for `weight_variance`.

  Attributes:
    negative_elbo: nats; one weight and one z sample, averaged over `eval.weight_samples` draws.
    nll_importance: -log p(x) in nats by the importance bound: an upper bound in expectation.
    weight_variance: variance of the latent mean over weight samples, averaged over latents.
    reconstruction: the decoder's term of `negative_elbo`, nats.
    latent_kl: the remaining term of `negative_elbo`, nats.
  """

  negative_elbo: float
  nll_importance: float
  weight_variance: float
  reconstruction: float
  latent_kl: float


class Latents(NamedTuple):
  """One image's posterior over the latents.

  Attributes:
    mean: float32 [Z], posterior mean, averaged over `eval.weight_samples` draws of the weights.
    variance: float32 [Z], variance of the posterior mean over those draws; 0 if weights are not random.
  """

  mean: np.ndarray
  variance: np.ndarray


def shipped_weights(net: str = MNIST) -> Path:
  """Path of the weights of a net that ships with jaxgen.

  Raises:
    ConfigError: there is no net of that name.
  """
  path = WEIGHTS / f'comvae_{net}.safetensors'
  if net not in NETS or not path.is_file():
    there = [name for name in NETS if (WEIGHTS / f'comvae_{name}.safetensors').is_file()]
    raise ConfigError(
      f'this version ships no comvae net {net!r}; available: {", ".join(there) or "none"}'
    )
  return path


def image_size(trained: Trained) -> tuple[int, int]:
  """Height and width of the model's images."""
  height, width, _ = trained.facts['image_shape']
  return height, width


class Model:
  """A trained model ready for use, compiled once. Images are [H, W] float32 in [0, 1].

  Args:
    trained: the model.
    tools: provided by the host.

  Attributes:
    size: height and width of images.
    num_latents: Z.
  """

  def __init__(self, trained: Trained, tools: Tools):
    config = trained.config
    self.size, self.num_latents = image_size(trained), config.model.num_latents
    self._variables, self._key = trained.variables, tools.rng
    inference = Inference(make_model(config, trained.facts), trained.facts, config)
    samples = config.eval.weight_samples

    def score(variables: PyTree, image: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
      batch = _batch(image)
      keys = jax.random.split(name_key(key, 'elbo'), samples)
      terms = jax.vmap(lambda k: inference.terms(variables, batch, k))(keys)
      latents = inference.latent_means(variables, batch, name_key(key, 'weights'))
      return (
        terms['negative_elbo'].mean(),
        -inference.importance(variables, batch, name_key(key, 'importance'))[0],
        latents['variance'].mean(),
        terms['reconstruction'].mean(),
        terms['latent_kl'].mean(),
      )

    def latents(variables: PyTree, image: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
      found = inference.latent_means(variables, _batch(image), name_key(key, 'weights'))
      return found['mean'][0], found['variance'][0]

    self._score, self._latents = tools.compile(score), tools.compile(latents)
    self._decode = tools.compile(inference.decode)

  def score(self, image: np.ndarray) -> Score:
    """Scores one image.

    Raises:
      ValueError: the image has another size.
    """
    values = jax.device_get(self._score(self._variables, self._flat(image), self._key))
    return Score(*(float(v) for v in values))

  def latents(self, image: np.ndarray) -> Latents:
    """Encodes one image; raises as `score` does."""
    return Latents(*jax.device_get(self._latents(self._variables, self._flat(image), self._key)))

  def decode(self, latents: np.ndarray) -> np.ndarray:
    """Decodes latents [N, Z] to pixel probabilities as uint8 [N, H, W]."""
    made = jax.device_get(self._decode(self._variables, latents.astype(np.float32)))
    levels = np.round(np.clip(made, 0, 1) * 255).astype(np.uint8)
    return levels.reshape(-1, *self.size)

  def _flat(self, image: np.ndarray) -> np.ndarray:
    if image.shape != self.size:
      raise ValueError(f'expected an image of {self.size}, got {image.shape}')
    return image.reshape(-1)


def _batch(image: jax.Array) -> dict[str, jax.Array | np.ndarray]:
  """Wraps one image [P] as a batch."""
  return {'image': image[None], 'mask': np.ones(1, np.float32)}


def score_images(trained: Trained, tools: Tools, images: Sequence[np.ndarray]) -> list[Score]:
  """Scores images one by one; an image's score does not depend on the others.

  Args:
    trained: the model.
    tools: provided by the host.
    images: [H, W] float32 in [0, 1], of the model's size.

  Raises:
    ValueError: an image has another size.
  """
  model = Model(trained, tools)
  return [model.score(image) for image in tools.progress(list(images), 'scoring')]
