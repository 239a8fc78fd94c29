"""LipGen's renderer as a `Task`."""

from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgen.systems.lipgen.render.beginning import batch_of, begun, make_net, new_params
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.systems.lipgen.render.steps import PLAYER, Steps
from jaxgen.task import Data, PyTree, Task, Tools, TrainState, fresh_state, name_key


def make_model(config: ConfigDict, facts: dict[str, Any]) -> VideoUNet:
  """Builds the config's net."""
  del facts
  return make_net(config)


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The config's task, with one player: the net."""
  steps = Steps(config, facts, make_model(config, facts), axis)
  batch = batch_of(config, facts['pixels'])

  def init(key: jax.Array) -> TrainState:
    params = new_params(steps.net, batch, name_key(key, 'init'))
    if config.init_from:
      params = begun(config.init_from, params)
    averaged = (PLAYER,) if config.ema_decay else ()
    return fresh_state(key, {PLAYER: {'params': params}}, steps.optimizers, averaged)

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    from jaxgen.systems.lipgen.render import evaluation  # not needed for inference

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
    stage_losses=({PLAYER: steps.loss},),
  )
