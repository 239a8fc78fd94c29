"""LipGen's reader as a Task."""

import dataclasses
import functools
import logging
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.errors import ConfigError
from jaxgen.exchange.weight_files import load_named
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.clips.framing import Framing
from jaxgen.systems.lipgen.clips.placed import cropping_of, like_of
from jaxgen.systems.lipgen.config import curriculum_steps
from jaxgen.systems.lipgen.networks.reader import BACK_ENDS, Reader, make_reader
from jaxgen.systems.lipgen.steps import PLAYER, Steps, read_windows
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.task import Data, PyTree, Task, Tools, Trained, TrainState, fresh_state, name_key


def make_model(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Reader:
  """The net of a config, for the words and visemes in the facts."""
  dtype, param_dtype = DTYPES[config.precision]
  model, loss = config.model, config.loss
  return make_reader(
    len(facts['words']),
    model.front_end.to_dict(),
    of_kind(model.back_end),
    boundary=model.boundary,
    num_visemes=facts['num_visemes'] if loss.visemes else 0,
    viseme_back_end=None if model.share_trunk else of_kind(model.viseme_back_end),
    tafm={
      'gamma': loss.sharpness or math.inf,
      'scale': loss.attention,
      'similarity': loss.similarity,
      'normalise': loss.normalise,
    },
    axis=axis,
    dtype=dtype,
    param_dtype=param_dtype,
  )


def of_kind(back_end: ConfigDict) -> dict[str, Any]:
  """The config values that a back-end of this kind uses."""
  names = {field.name for field in dataclasses.fields(BACK_ENDS[back_end.kind])}
  return {name: x for name, x in back_end.items() if name in names or name == 'kind'}


def batch_of(config: ConfigDict, facts: dict[str, Any]) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes and dtypes of a training batch, as `Data.example` makes it."""
  rows, windows = config.batch_size, facts['words_a_clip']
  clip = rows, facts['clip_length'], config.data.crop, config.data.crop, 1
  dtype = DTYPES[config.precision][1]
  batch = {
    'frames': (clip, dtype),
    'counted': (clip[:2], dtype),
    'label': ((rows, windows), jnp.int32),
    'span': ((rows, windows, 2), jnp.float32),
    'shift': ((rows, windows), jnp.int32),
  }
  if config.augment.variable_length:
    batch['left'] = (rows, windows, WINDOW), dtype
  return {name: jax.ShapeDtypeStruct(*x) for name, x in batch.items()}


def initial(steps: Steps, key: jax.Array) -> TrainState:
  """The initial state: new parameters, or those that config.init_from names."""
  config = steps.config
  one = {
    name: jnp.zeros((1, *x.shape[1:]), x.dtype) for name, x in batch_of(config, steps.facts).items()
  }
  variables = steps.net.init(name_key(key, 'init'), one, method=read_windows)
  if config.init_from:
    variables = begun(config, variables, steps.facts['words'])
  averaged = (PLAYER,) if config.ema_decay else ()
  return fresh_state(key, {PLAYER: variables}, steps.optimizers, averaged)


def begun(config: ConfigDict, variables: PyTree, words: Sequence[str]) -> dict[str, PyTree]:
  """Variables with front-end and back-end taken from the reader of config.init_from.

  The word classifier's entries are copied for words that both know, matched by name; the viseme branch where
  shapes agree.

  Raises:
    CheckpointError: not a file of `jaxgen export`.
    ConfigError: not a reader, or one with another architecture or mouth size; names what differs.
  """
  name = config.init_from
  trained = load_named(expanded(name), 'config.init_from', 'lipgen')
  own, given = (traverse_util.flatten_dict(x) for x in (dict(variables), trained.variables))
  same = {k: x for k, x in given.items() if k in own and own[k].shape == x.shape}
  differ = [k for k in own if k[1] in ('front_end', 'back_end') and k not in same]
  if differ:
    raise ConfigError(
      f'config.init_from = {name}: its {"/".join(differ[0])} does not fit this network. Set '
      'config.model as in its config, including config.model.boundary'
    )
  _check_alike(config, trained.config)
  _check_sight(config, trained)
  taken = {k: jnp.asarray(x, own[k].dtype) for k, x in same.items() if k[1] != 'words'}
  places = {word: i for i, word in enumerate(trained.facts['words'])}
  known = [(i, places[word]) for i, word in enumerate(words) if word in places]
  here, there = ([pair[n] for pair in known] for n in (0, 1))
  for leaf in ('kernel', 'bias'):
    key = 'params', 'words', leaf
    taken[key] = own[key].at[..., here].set(jnp.asarray(given[key], own[key].dtype)[..., there])
  return traverse_util.unflatten_dict(own | taken)


def _check_alike(config: ConfigDict, other: ConfigDict) -> None:
  """Raises ConfigError if a pretrained reader computes other things with its weights, or has more of them."""
  given = _computed(other)
  for key, own in _computed(config).items():
    if own != given.get(key):
      raise ConfigError(
        f'config.init_from = {config.init_from} has config.model.{key} = {given.get(key)!r}, not '
        f'{own!r}: its weights are of another network. Set config.model as in its config'
      )


def _computed(config: ConfigDict) -> dict[str, Any]:
  """What front-end and back-end compute, by key; lists, as in files, as tuples."""
  parts = {'front_end': dict(config.model.front_end), 'back_end': of_kind(config.model.back_end)}
  return {
    f'{part}.{key}': tuple(x) if isinstance(x, list) else x
    for part, options in parts.items()
    for key, x in options.items()
    if key != 'dropout'
  }


def _check_sight(config: ConfigDict, trained: Trained) -> None:
  """Raises ConfigError if a pretrained reader sees mouths at another size; warns of another position."""
  like, known = like_of(config), cropping_of(trained.config, trained.facts)
  if like != known:
    logging.warning(
      'config.init_from = %s was trained on crops like %s, these are like %s: lips differ in size and '
      'place. Make them with jaxgen mouths --like %s',
      *(config.init_from, known.name, like.name, known.name),
    )
  own = Framing(*config.data.framing)
  given = Framing.from_json(trained.facts['framing']) if 'framing' in trained.facts else own
  crop = trained.config.data.crop
  if given == own and crop == config.data.crop:
    return
  said = (
    f'config.init_from = {config.init_from} was trained with config.data.framing = {tuple(given)} '
    f'and config.data.crop = {crop}'
  )
  if (given.size, given.pixels, crop) != (own.size, own.pixels, config.data.crop):
    raise ConfigError(f'{said}: lips would differ in size. Set the same values')
  logging.warning('%s: lips are placed differently in %s', said, tuple(own))


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The task of a config, with one player, the net."""
  most = facts['words_a_clip']
  if config.augment.mixup and most > 1:
    raise ConfigError(
      f'config.augment.mixup needs clips of one word each, but these have up to {most}: set it to 0'
    )
  steps = Steps(config, facts, make_model(config, facts, axis), axis)
  net = make_model(config, facts)

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    from jaxgen.systems.lipgen import evaluation  # not needed for inference

    assert data is not None
    return evaluation.evaluate(config, facts, net, variables, data, tools)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    from jaxgen.systems.lipgen import sheets

    return sheets.pictures(config, facts, net, variables, data, tools)

  in_windows = functools.partial(steps.train_step, from_frames=True)
  of_windows = functools.partial(steps.loss, from_frames=True)
  changes = curriculum_steps(config)
  return Task(
    batch=batch_of(config, facts),
    init=functools.partial(initial, steps),
    train_step=steps.train_step,
    export=steps.export,
    eval_step=steps.eval_step,
    evaluate=evaluate,
    pictures=pictures,
    curriculum=tuple((step, in_windows) for step in changes),
    stage_losses=({PLAYER: steps.loss}, *({PLAYER: of_windows} for _ in changes)),
  )
