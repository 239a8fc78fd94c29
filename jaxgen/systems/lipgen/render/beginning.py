"""Builds a config's net and initialises its parameters, randomly or from another run."""

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import load_named
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.task import PyTree

SYSTEM = 'lipgen_render'


def make_net(config: ConfigDict) -> VideoUNet:
  """Builds the net of config.model."""
  dtype, param_dtype = DTYPES[config.precision]
  model = config.model
  return VideoUNet(
    widths=tuple(model.widths),
    blocks=model.blocks,
    patch=model.patch,
    time_from=model.time_from,
    reference=model.reference,
    space_from=model.space_from,
    heads=model.heads,
    dtype=dtype,
    param_dtype=param_dtype,
  )


def batch_of(config: ConfigDict, pixels: int) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes of a training batch, as made by `Data.example`, for square frames of `pixels` a side."""
  dtype = DTYPES[config.precision][1]
  video = config.batch_size, config.model.window, pixels, pixels
  shapes: dict[str, tuple[int, ...]] = dict.fromkeys(('frames', 'warp', 'raster'), video)
  shapes |= {'reference': (video[0], pixels, pixels), 'counted': video[:2]}
  return {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}


def new_params(net: VideoUNet, batch: dict[str, jax.ShapeDtypeStruct], key: jax.Array) -> PyTree:
  """Randomly initialised parameters."""
  one: dict[str, Any] = {name: jnp.zeros((1, *x.shape[1:]), x.dtype) for name, x in batch.items()}
  seen = jnp.stack([one['warp'], one['raster']], -1)
  time, given = jnp.zeros(1, jnp.int32), jnp.ones(1, net.param_dtype)
  return net.init(key, one['frames'], time, seen, one['reference'], one['counted'], given)['params']


def begun(name: str, params: PyTree) -> PyTree:
  """Loads the parameters of another renderer, which must have the shapes of `params`.

  Raises:
    CheckpointError: not a file of `jaxgen export`.
    ConfigError: not a renderer, or one with another architecture.
  """
  given = load_named(expanded(name), 'config.init_from', SYSTEM).variables['params']
  shapes = [jax.tree.map(lambda leaf: tuple(leaf.shape), x) for x in (dict(params), given)]
  if shapes[0] != shapes[1]:
    raise ConfigError(
      f"config.init_from = {name}: its network differs from this config's: set config.model as in "
      'its config'
    )
  return jax.tree.map(lambda x, own: jnp.asarray(x, own.dtype), given, dict(params))


def check_beginning(config: ConfigDict) -> None:
  """Raises the errors of `begun` for config.init_from, without computing anything or loading data."""
  if config.init_from:
    net, batch = make_net(config), batch_of(config, config.data.pixels)
    begun(
      config.init_from,
      jax.eval_shape(lambda key: new_params(net, batch, key), jax.random.key(0)),
    )
