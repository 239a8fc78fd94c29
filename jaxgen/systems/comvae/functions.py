"""`jaxgen.score`, `jaxgen.latents` and `jaxgen.decode`: a Compound VAE on images in a program."""

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
  """ELBO, likelihood and uncertainty of an image, as `jaxgen score` gives them.

  Args:
    image: a path, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4]; light on black. One of another size
      is fitted into the model's.
    net: of those that come with jaxgen: 'mnist', the default, or 'digits'.
    weights: another net: a file of `jaxgen export`, or what `jaxgen.load` returns.
    invert: for dark ink on white paper.

  Raises:
    DataError: it cannot be read.
    ConfigError: there is no such net, or weights of another system.
  """
  model = _model(net, weights)
  return model.score(read_grey(image, *model.size, invert))


def latents(
  image: Given, *, net: str | None = None, weights: Weights = None, invert: bool = False
) -> Latents:
  """The place of an image among the latents, with the uncertainty that random weights add.

  Args:
    image: see `score`.
    net: see there.
    weights: see there.
    invert: see there.

  Returns:
    Mean and variance over weights, float32 [Z] each.

  Raises:
    DataError: it cannot be read.
    ConfigError: there is no such net, or weights of another system.
  """
  model = _model(net, weights)
  return model.latents(read_grey(image, *model.size, invert))


def decode(latents: Any, *, net: str | None = None, weights: Weights = None) -> np.ndarray:
  """Images of latents.

  Args:
    latents: [Z], or [N, Z]; N(0, 1) before any image is seen.
    net: see `score`.
    weights: see there.

  Returns:
    Probabilities of pixels, uint8 [H, W], or [N, H, W].

  Raises:
    DataError: another number of latents, or some that are not finite.
    ConfigError: there is no such net, or weights of another system.
  """
  model = _model(net, weights)
  try:
    z = np.asarray(latents, np.float32)
  except (TypeError, ValueError) as error:
    raise DataError(f'latents that are no numbers: {first_line(error)}') from error
  if z.ndim not in (1, 2) or z.shape[-1] != model.num_latents:
    wanted = model.num_latents
    raise DataError(f'latents of shape {list(z.shape)}: [{wanted}] or [N, {wanted}] is wanted')
  if not np.isfinite(z).all():
    raise DataError('latents that are not finite')
  made = model.decode(np.atleast_2d(z))
  return made[0] if z.ndim == 1 else made


def _model(net: str | None, weights: Weights) -> Model:
  if net and weights is not None:
    raise ConfigError('net chooses among those that come with jaxgen: leave it out with weights')
  trained = model_of(weights, lambda: apply.shipped_weights(net or apply.MNIST), ('comvae',))
  return _kept(trained, 'model', lambda: Model(trained, plain_tools(trained.config.seed)))
