"""LipGen's renderer as a Task."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import load_weights
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.systems.lipgen.render.steps import PLAYER, Steps
from jaxgen.task import Data, PyTree, Task, Tools, TrainState, name_key


def make_model(config: ConfigDict, facts: dict[str, Any]) -> VideoUNet:
  """The net of a config."""
  del facts
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


def batch_of(config: ConfigDict, facts: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
  """A training batch, as `Data.example` makes it."""
  side, dtype = facts['pixels'], DTYPES[config.precision][1]
  video = config.batch_size, config.model.window, side, side
  shapes: dict[str, tuple[int, ...]] = dict.fromkeys(('frames', 'warp', 'raster'), video)
  shapes |= {'reference': (video[0], side, side), 'counted': video[:2]}
  return {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}


def begun(name: str, params: PyTree) -> PyTree:
  """The parameters of another renderer, whose shapes these have.

  Raises:
    CheckpointError: not a file of `jaxgen export`.
    ConfigError: no renderer, or one of another net.
  """
  trained = load_weights(expanded(name))
  if trained.config.system != 'lipgen_render':
    raise ConfigError(
      f'config.init_from = {name}: a {trained.config.system}, which renders nothing'
    )
  given = trained.variables['params']
  shapes = [jax.tree.map(jnp.shape, x) for x in (dict(params), given)]
  if shapes[0] != shapes[1]:
    raise ConfigError(
      f'config.init_from = {name}: another net than this config has: set config.model as its config has it'
    )
  return jax.tree.map(lambda x, own: jnp.asarray(x, own.dtype), given, dict(params))


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The task of a config. One player, the net."""
  steps = Steps(config, facts, make_model(config, facts), axis)
  batch = batch_of(config, facts)

  def init(key: jax.Array) -> TrainState:
    one = {name: jnp.zeros((1, *x.shape[1:]), x.dtype) for name, x in batch.items()}
    seen = jnp.stack([one['warp'], one['raster']], -1)
    time, given = jnp.zeros(1, jnp.int32), jnp.ones(1, steps.param_dtype)
    params = steps.net.init(
      name_key(key, 'init'), one['frames'], time, seen, one['reference'], one['counted'], given
    )['params']
    if config.init_from:
      params = begun(config.init_from, params)
    average = {PLAYER: {'params': jax.tree.map(jnp.copy, params)}}
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params={PLAYER: params},
      opt_state={PLAYER: steps.optimizers[PLAYER].init(params)},
      variables={PLAYER: {}},
      ema=average if config.ema_decay else {},
      rng=key,
    )

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    from jaxgen.systems.lipgen.render import evaluation  # no part of a net that is used

    return evaluation.evaluate(steps, variables, data, tools)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    from jaxgen.systems.lipgen.render import sheets

    return sheets.pictures(steps, variables, data, tools)

  return Task(
    batch=batch,
    init=init,
    train_step=steps.train_step,
    export=steps.export,
    eval_step=steps.eval_step,
    evaluate=evaluate,
    pictures=pictures,
  )
