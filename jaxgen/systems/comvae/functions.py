"""`jaxgen.score`, `jaxgen.latents` and `jaxgen.decode`: the Python API of the Compound VAE."""

from typing import Any

import numpy as np

from jaxgen.errors import ConfigError, DataError, first_line
from jaxgen.exchange.kept import Kept, Weights, model_of
from jaxgen.photos.images import Given, read_grey
from jaxgen.systems.comvae import apply
from jaxgen.systems.comvae.apply import Latents, Model, Score
from jaxgen.task import plain_tools

_kept = Kept()


def score(
  image: Given, *, net: str | None = None, weights: Weights = None, invert: bool = False
) -> Score:
  """ELBO, likelihood and uncertainty of an image, as printed by `jaxgen score`.

  Args:
    image: a path, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4]; light on black. Other sizes are
      fitted into the model's.
    net: a net that ships with jaxgen: 'mnist', the default, or 'digits'.
    weights: another net: a file written by `jaxgen export`, or what `jaxgen.load` returns.
    invert: set for dark ink on white paper.

  Raises:
    DataError: the image cannot be read.
    ConfigError: there is no such net, or the weights belong to another system.
  """
  model = _model(net, weights)
  return model.score(read_grey(image, *model.size, invert))


def latents(
  image: Given, *, net: str | None = None, weights: Weights = None, invert: bool = False
) -> Latents:
  """Encodes an image to latents, with the uncertainty that random weights add.

  Args:
    image: see `score`.
    net: see `score`.
    weights: see `score`.
    invert: see `score`.

  Returns:
    Mean and variance over weights, float32 [Z] each.

  Raises:
    DataError: the image cannot be read.
    ConfigError: there is no such net, or the weights belong to another system.
  """
  model = _model(net, weights)
  return model.latents(read_grey(image, *model.size, invert))


def decode(latents: Any, *, net: str | None = None, weights: Weights = None) -> np.ndarray:
  """Decodes latents to images.

  Args:
    latents: [Z], or [N, Z]; their prior is N(0, 1).
    net: see `score`.
    weights: see `score`.

  Returns:
    Pixel probabilities, uint8 [H, W] or [N, H, W].

  Raises:
    DataError: the number of latents is wrong, or some are not finite.
    ConfigError: there is no such net, or the weights belong to another system.
  """
  model = _model(net, weights)
  try:
    z = np.asarray(latents, np.float32)
  except (TypeError, ValueError) as error:
    raise DataError(f'latents are not numbers: {first_line(error)}') from error
  if z.ndim not in (1, 2) or z.shape[-1] != model.num_latents:
    wanted = model.num_latents
    raise DataError(f'expected latents of shape [{wanted}] or [N, {wanted}], got {list(z.shape)}')
  if not np.isfinite(z).all():
    raise DataError('latents are not finite')
  made = model.decode(np.atleast_2d(z))
  return made[0] if z.ndim == 1 else made


def _model(net: str | None, weights: Weights) -> Model:
  if net and weights is not None:
    raise ConfigError('net selects a shipped net: leave it out with weights')
  trained = model_of(weights, lambda: apply.shipped_weights(net or apply.MNIST), ('comvae',))
  return _kept(trained, 'model', lambda: Model(trained, plain_tools(trained.config.seed)))
