"""The contract between a system and everything that runs it.

A system is two functions, `make_data(config) -> Data` and `make_task(config, facts, axis) -> Task`. Both
results are tuples of pure functions; nothing here knows of devices, files or loops.
"""

import functools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from ml_collections import ConfigDict

from jaxgen import compiling
from jaxgen.axis import psum
from jaxgen.errors import ConfigError
from jaxgen.metrics import Metrics
from jaxgen.passes import no_bars

PyTree = Any
Batch = dict[str, Any]
TrainStep = Callable[['TrainState', Batch], tuple['TrainState', Metrics]]
LossFn = Callable[[PyTree, 'TrainState', Batch], tuple[jax.Array, dict[str, Any]]]


class TrainState(struct.PyTreeNode):
  """Everything a step reads and writes; a checkpoint holds exactly this.

  Attributes:
    step: () int32, completed updates.
    params: by player, what one optimizer moves; a single player is {'model': ...}.
    opt_state: by player, optax states.
    variables: by player, then Flax collection (batch_stats);
      `{'params': params[p], **variables[p]}` can be applied.
    ema: by player, a whole variables dict; {} without EMA.
    rng: () typed key, never advanced: a step's randomness is `step_rng(state, name)`.
  """

  step: jax.Array
  params: dict[str, PyTree]
  opt_state: dict[str, PyTree]
  variables: dict[str, dict[str, PyTree]]
  ema: dict[str, PyTree]
  rng: jax.Array


class Split(NamedTuple):
  """Rows to evaluate on, read as they are asked for.

  Attributes:
    size: rows, padding not counted.
    batches: this process's rows of each global batch -> its evaluation batches: decoded, in fixed order,
      padded, with 'mask' [B]. Every call reads the rows anew, and nothing but its user holds a batch: results
      are to be `jaxgen.metrics.fetched`.
  """

  size: int
  batches: Callable[[slice], Iterator[Batch]]


class Data(NamedTuple):
  """What `make_data(config)` returns: the host's side of a data set. Not needed for inference.

  Attributes:
    facts: JSON-like, what a model must know of its data; saved with every checkpoint.
    arrays: resident on the device, an argument of the step; {} when streaming.
    batches: (first step, this process's rows of each global batch) -> this process's batches from that
      step on, for ever: a pure function of (seed, step).
    example: (arrays, one row, key) -> one decoded, augmented example; vmapped inside the compiled step,
      training only.
    splits: by name, what to evaluate on. Metrics during training are those of 'validation', else of 'test',
      else of 'train'.
  """

  facts: dict[str, Any]
  arrays: PyTree
  batches: Callable[[int, slice], Iterator[Batch]]
  example: Callable[[PyTree, Batch, jax.Array], Batch]
  splits: Mapping[str, Split]


class Trained(NamedTuple):
  """A trained model: all that inference needs.

  Attributes:
    config: the run's config.
    facts: what the model knows of its data.
    variables: what `Task.export` made of the state.
    step: updates it was trained for.
    source: the folder of a run or the file that it was read from, where more may be known of it; None where
      it was made in this program.
  """

  config: ConfigDict
  facts: dict[str, Any]
  variables: PyTree
  step: int
  source: Path | None = None


class Tools(NamedTuple):
  """What the host lends to `Task.evaluate` and `Task.pictures`.

  Attributes:
    compile: jit over the mesh: arguments are placed, batches (dicts with 'mask') split over devices.
    rows: global batch size -> the rows of such a batch that this process passes to compiled functions.
    progress: (iterable, description, total=None) -> iterator with a bar; a stop signal ends it cleanly. `total`
      is the number of items where the iterable has no length.
    trained: config -> another run's Trained, trained first where it is not there yet.
    rng: key of (config.seed, 'evaluate'): a repeated evaluation is bit-equal.
    full: whether to compute what is expensive; the end of training asks for the cheap figures only.
    card: what a file of weights says of itself in its header, by title; empty for a run.
  """

  compile: Callable[[Callable], Callable]
  rows: Callable[[int], slice]
  progress: Callable[..., Iterator]
  trained: Callable[[ConfigDict], Trained]
  rng: jax.Array
  full: bool = True
  card: Mapping[str, str] = MappingProxyType({})


def plain_tools(seed: int = 0, progress: Callable[..., Iterator] = no_bars) -> Tools:
  """What is lent without a host: jit without a mesh, in one process; other runs are not trained.

  Args:
    seed: of `Tools.rng`.
    progress: see `Tools`.
  """

  def trained(config: ConfigDict) -> Trained:
    raise ConfigError(f'a {config.system} would have to be trained first: train and export it')

  return Tools(
    compile=functools.cache(compiling.jit),
    rows=lambda batch_size: slice(0, batch_size),
    progress=progress,
    trained=trained,
    rng=name_key(jax.random.key(seed), 'evaluate'),
  )


class Task(NamedTuple):
  """What `make_task(config, facts, axis)` returns: a system's pure functions.

  Attributes:
    batch: ShapeDtypeStructs of one global training batch, as `Data.example` makes it.
    init: key -> state.
    train_step: (state, batch) -> (state, metrics); under a device axis the metrics are already summed.
    export: state -> what a user of the model needs, and no more.
    eval_step: (exported variables, batch with mask, key) -> metrics.
    evaluate: (exported variables, data, tools) -> figures for evaluation.json; None where not computed. Its
      'tables', title -> rows, are shown and not kept; 'left_out' names those that are None for want of
      `tools.full`, and is not kept. A trained run of a system with EVALUATES_WITHOUT_DATA gets no data, and
      one with `make_evaluation_data(config, facts)`, facts those of the run, what that makes: only what is
      evaluated, and facts as far as it tells them.
    pictures: (exported variables, data or None, tools) -> name -> uint8 image [H, W] or [H, W, 3]; with
      data None it draws what needs no data.
    curriculum: (step, train_step) in the order of steps: updates after that many are this one's, in place of
      the one's before. A program of its own each, since XLA's choice within a step would cost a convolution's
      speed; a system that has one says at which steps, by `curriculum_steps(config)`.
    stage_losses: for each of `train_steps()` the losses of the players that it moves, in the order in which it
      does; see `losses`.
    reports: metrics of the train step that move nothing: where one is not finite, training goes on. Of all
      others, as losses, and of the state none may be.
  """

  batch: PyTree
  init: Callable[[jax.Array], TrainState]
  train_step: TrainStep
  export: Callable[[TrainState], PyTree]
  eval_step: Callable[[PyTree, Batch, jax.Array], Metrics]
  evaluate: Callable[[PyTree, Data | None, Tools], dict[str, Any]]
  pictures: Callable[[PyTree, Data | None, Tools], dict[str, np.ndarray]]
  curriculum: tuple[tuple[int, TrainStep], ...] = ()
  stage_losses: tuple[Mapping[str, LossFn], ...] = ()
  reports: tuple[str, ...] = ()

  @property
  def losses(self) -> dict[str, LossFn]:
    """Pure functions (params, state, batch) -> (loss, aux) of what each player minimises, by player.

    Of each player that of the last stage which moves it, in the order of updates in a step.

    - `params` are of this player alone, as `state.params[player]`: what to differentiate by.
    - `state` is all else, as constants: `step` and `rng`, from which all draws are, `variables`, and the
      `params` of other players. Optimizers and averages are not looked at. The gradient at
      `state.params[player]` is what `train_step` hands to the optimizer; where a step moves players one after
      another, in the state which those before have left, with `step` as it was.
    - `batch` is as `train_step` takes it: rows that `Data.example` has made, with the shapes of `batch`. It
      need not have all rows; a row's draws go by its place.
    - `loss` () is local sum / global count: a part of the mean over a batch of config.batch_size rows or,
      where rows are not all counted, over those of all devices that are. Under a device axis the devices'
      parts add up to the loss, as their gradients do.
    - `aux` is, by name, what the step goes on with, as the terms of each row; the system's function says.
    """
    found: dict[str, LossFn] = {}
    for losses in reversed(self.stage_losses):
      found |= {player: loss for player, loss in losses.items() if player not in found}
    return found

  def stage(self, step: int) -> int:
    """The stage that update `step` + 1 belongs to: 0 with `train_step`, i with the i-th of the curriculum."""
    return sum(first <= step for first, _ in self.curriculum)

  def train_steps(self) -> tuple[TrainStep, ...]:
    """Those of all stages."""
    return self.train_step, *(train_step for _, train_step in self.curriculum)


def name_key(key: jax.Array, name: str) -> jax.Array:
  """The key of a named stream: fold_in(key, crc32(name))."""
  return jax.random.fold_in(key, zlib.crc32(name.encode()))


def step_rng(state: TrainState, name: str) -> jax.Array:
  """The key of stream `name` at the state's step: a pure function of (rng, step, name)."""
  return name_key(jax.random.fold_in(state.rng, state.step), name)


def fresh_state(
  key: jax.Array,
  players: Mapping[str, PyTree],
  optimizers: Mapping[str, optax.GradientTransformation],
  averaged: Sequence[str] = (),
) -> TrainState:
  """The state before the first update.

  Args:
    key: of the run, `TrainState.rng`.
    players: by player, its variables: 'params', and by Flax collection what no optimizer moves.
    optimizers: by player.
    averaged: the players with a moving average, which begins as a copy of their variables.
  """
  params = {name: variables['params'] for name, variables in players.items()}
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    params=params,
    opt_state={name: optimizer.init(params[name]) for name, optimizer in optimizers.items()},
    variables={
      name: {c: x for c, x in variables.items() if c != 'params'}
      for name, variables in players.items()
    },
    ema={name: jax.tree.map(jnp.copy, dict(players[name])) for name in averaged},
    rng=key,
  )


def update_player(
  state: TrainState,
  optimizers: dict[str, optax.GradientTransformation],
  name: str,
  grads: PyTree,
  axis: str | None = None,
) -> TrainState:
  """Moves one player by its optimizer; the others stay as they are.

  Args:
    state: the state before.
    optimizers: by player.
    name: the player.
    grads: gradients of a loss written as local_sum / global_count, not yet summed over devices: they
      are summed here, once.
    axis: the device axis, or None.

  Returns:
    The state with new params[name] and opt_state[name]; `step` is left to the caller.
  """
  grads = psum(grads, axis)
  updates, opt_state = optimizers[name].update(grads, state.opt_state[name], state.params[name])
  params = optax.apply_updates(state.params[name], updates)
  return state.replace(
    params={**state.params, name: params}, opt_state={**state.opt_state, name: opt_state}
  )
