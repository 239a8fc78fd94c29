"""LipGen's motion model as a `Task`."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.motion.networks import POSE, Motion, make_motion
from jaxgen.systems.lipgen.motion.steps import PLAYER, Steps
from jaxgen.systems.lipgen.voices.log_mel import BANDS, ROWS_A_FRAME
from jaxgen.task import Data, PyTree, Task, Tools, TrainState, fresh_state, name_key


def make_model(config: ConfigDict, facts: dict[str, Any]) -> Motion:
  """Builds the config's net with the sizes and log-mel statistics in `facts`."""
  dtype, param_dtype = DTYPES[config.precision]
  return make_motion(config.model.to_dict(), facts, dtype=dtype, param_dtype=param_dtype)


def batch_of(config: ConfigDict, facts: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes of a training batch, as made by `Data.example`."""
  rows, frames = config.batch_size, facts['clip_frames']
  shapes = {
    'mel': (rows, ROWS_A_FRAME * frames, BANDS),
    'counted': (rows, frames),
    'offsets': (rows, frames, facts['num_values']),
    'pose': (rows, frames, POSE),
  }
  dtype = DTYPES[config.precision][1]
  return {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}


def initial(steps: Steps, key: jax.Array) -> TrainState:
  """A training state with freshly initialised parameters."""
  dtype = steps.param_dtype
  mel, counted = jnp.zeros((1, ROWS_A_FRAME, BANDS), dtype), jnp.ones((1, 1), dtype)
  params = steps.net.init(name_key(key, 'init'), mel, counted)['params']
  return fresh_state(key, {PLAYER: {'params': params}}, steps.optimizers)


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The config's task, with one player: the net."""
  net = make_model(config, facts)
  steps = Steps(config, net, axis)

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    from jaxgen.systems.lipgen.motion import evaluation  # not needed for inference

    return evaluation.evaluate(config, facts, net, variables, data, tools)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    from jaxgen.systems.lipgen.motion import sheets

    return sheets.pictures(config, facts, net, variables, data, tools)

  return Task(
    batch=batch_of(config, facts),
    init=functools.partial(initial, steps),
    train_step=steps.train_step,
    export=steps.export,
    eval_step=steps.eval_step,
    evaluate=evaluate,
    pictures=pictures,
    stage_losses=({PLAYER: steps.loss},),
  )
