"""The contract between a system and everything that runs it.

A system is two functions, `make_data(config) -> Data` and `make_task(config, facts, axis) -> Task`. Both
return tuples of pure functions; nothing here knows about devices, files or loops.
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
    params: by player, the parameters that one optimizer updates; a single player is {'model': ...}.
    opt_state: by player, optax states.
    variables: by player, then Flax collection (batch_stats);
      `{'params': params[p], **variables[p]}` can be applied.
    ema: by player, a full variables dict; {} without EMA.
    rng: () typed key, never advanced: a step's randomness is `step_rng(state, name)`.
  """

  step: jax.Array
  params: dict[str, PyTree]
  opt_state: dict[str, PyTree]
  variables: dict[str, dict[str, PyTree]]
  ema: dict[str, PyTree]
  rng: jax.Array


class Split(NamedTuple):
  """Rows to evaluate on, read lazily.

  Attributes:
    size: number of rows, without padding.
    batches: this process's rows of each global batch -> its evaluation batches: decoded, in fixed order,
      padded, with 'mask' [B]. Every call reads the rows again, and only the caller holds a reference to a
      batch: fetch results with `jaxgen.metrics.fetched`.
  """

  size: int
  batches: Callable[[slice], Iterator[Batch]]


class Data(NamedTuple):
  """What `make_data(config)` returns: the host side of a data set. Not needed for inference.

  Attributes:
    facts: JSON-like, what a model must know about its data; saved with every checkpoint.
    arrays: resident on the device, an argument of the step; {} when streaming.
    batches: (first step, this process's rows of each global batch) -> an infinite iterator of this process's
      batches from that step on: a pure function of (seed, step).
    example: (arrays, one row, key) -> one decoded, augmented example; vmapped inside the compiled step,
      training only.
    splits: by name, the splits to evaluate on. Metrics during training are computed on 'validation', else on
      'test', else on 'train'.
  """

  facts: dict[str, Any]
  arrays: PyTree
  batches: Callable[[int, slice], Iterator[Batch]]
  example: Callable[[PyTree, Batch, jax.Array], Batch]
  splits: Mapping[str, Split]


class Trained(NamedTuple):
  """A trained model: everything inference needs.

  Attributes:
    config: the run's config.
    facts: what the model knows about its data.
    variables: the variables that `Task.export` extracted from the state.
    step: the number of updates it was trained for.
    source: the run folder or the file that it was read from, which may hold more about it; None if it was
      made in this program.
  """

  config: ConfigDict
  facts: dict[str, Any]
  variables: PyTree
  step: int
  source: Path | None = None


class Tools(NamedTuple):
  """Host services that `Task.evaluate` and `Task.pictures` receive.

  Attributes:
    compile: jit over the mesh: arguments are placed, batches (dicts with 'mask') sharded over devices.
    rows: global batch size -> the rows of such a batch that this process passes to compiled functions.
    progress: (iterable, description, total=None) -> iterator with a progress bar; a stop signal ends it
      cleanly. `total` is the number of items if the iterable has no length.
    trained: config -> another run's Trained, which is trained first if it does not exist yet.
    rng: key of (config.seed, 'evaluate'): repeating an evaluation gives bit-identical results.
    full: whether to compute expensive metrics; the end of training asks only for the cheap ones.
    card: the metadata in the header of a weight file, by title; empty for a run.
  """

  compile: Callable[[Callable], Callable]
  rows: Callable[[int], slice]
  progress: Callable[..., Iterator]
  trained: Callable[[ConfigDict], Trained]
  rng: jax.Array
  full: bool = True
  card: Mapping[str, str] = MappingProxyType({})


def plain_tools(seed: int = 0, progress: Callable[..., Iterator] = no_bars) -> Tools:
  """`Tools` without a host: jit without a mesh, in one process; other runs are not trained.

  Args:
    seed: seed of `Tools.rng`.
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
    export: state -> the variables that inference needs, and no more.
    eval_step: (exported variables, batch with mask, key) -> metrics.
    evaluate: (exported variables, data, tools) -> values for evaluation.json; None where not computed. Its
      'tables', title -> rows, are printed but not saved; 'left_out' lists the values that are None because
      `tools.full` is False, and is not saved either. A trained run of a system with EVALUATES_WITHOUT_DATA
      gets no data; one with `make_evaluation_data(config, facts)`, given the run's facts, gets what that
      returns: only the data to evaluate on, and facts as far as it provides them.
    pictures: (exported variables, data or None, tools) -> name -> uint8 image [H, W] or [H, W, 3]; with
      data None it draws only the pictures that need no data.
    curriculum: (step, train_step) in order of steps: after that many updates this train step replaces the
      previous one. Each is a separate program, since a conditional within one XLA program would slow its
      convolutions down; a system with a curriculum declares the steps in `curriculum_steps(config)`.
    stage_losses: for each of `train_steps()` the losses of the players that it updates, in order of their
      updates; see `losses`.
    reports: metrics of the train step that affect no update: training continues if one is not finite. All
      other metrics, such as losses, and the state must be finite.
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
    """Pure functions (params, state, batch) -> (loss, aux) of the loss that each player minimises, by player.

    For each player, the loss of the last stage that updates it, in the order of updates within a step.

    - `params` are this player's alone, like `state.params[player]`: differentiate with respect to these.
    - `state` holds everything else, as constants: `step` and `rng`, which determine all random draws,
      `variables`, and the `params` of the other players. Optimizer states and averages are ignored. The
      gradient at `state.params[player]` is what `train_step` passes to the optimizer; if a step updates
      players one after another, evaluate it at the state left by the previous ones, with `step` unchanged.
    - `batch` is what `train_step` takes: rows from `Data.example`, with the shapes of `batch`. It may have
      fewer rows; a row's random draws depend on its position.
    - `loss` () is local sum / global count: a share of the mean over a batch of config.batch_size rows or,
      if only some rows count, over those that count on all devices. Under a device axis the devices' shares
      add up to the loss, and so do their gradients.
    - `aux` holds, by name, intermediate results for the step, such as per-row terms; see the system's function.
    """
    found: dict[str, LossFn] = {}
    for losses in reversed(self.stage_losses):
      found |= {player: loss for player, loss in losses.items() if player not in found}
    return found

  def stage(self, step: int) -> int:
    """The stage that update `step` + 1 belongs to: 0 for `train_step`, i for the i-th of the curriculum."""
    return sum(first <= step for first, _ in self.curriculum)

  def train_steps(self) -> tuple[TrainStep, ...]:
    """The train steps of all stages."""
    return self.train_step, *(train_step for _, train_step in self.curriculum)


def name_key(key: jax.Array, name: str) -> jax.Array:
  """The key of a named random stream: fold_in(key, crc32(name))."""
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
    key: the run's key, which becomes `TrainState.rng`.
    players: by player, its variables: 'params', and the Flax collections that no optimizer updates.
    optimizers: by player.
    averaged: the players with a moving average, which starts as a copy of their variables.
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
  """Updates one player with its optimizer; the others are unchanged.

  Args:
    state: the state before.
    optimizers: by player.
    name: the player.
    grads: gradients of a loss written as local_sum / global_count, not yet summed over devices: that
      happens here, once.
    axis: the device axis, or None.

  Returns:
    The state with new params[name] and opt_state[name]; incrementing `step` is left to the caller.
  """
  grads = psum(grads, axis)
  updates, opt_state = optimizers[name].update(grads, state.opt_state[name], state.params[name])
  params = optax.apply_updates(state.params[name], updates)
  return state.replace(
    params={**state.params, name: params}, opt_state={**state.opt_state, name: opt_state}
  )
