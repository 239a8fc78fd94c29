"""A variant's layers, parameters and FLOPs, without data and without computing anything."""

import re
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.task import PyTree, Task

# Names of normalisation layers: norm, norm1, norm_shortcut, stem_norm, BatchNorm_0.
_NORM = re.compile(r'(.*_)?norm(\d*|_.*)|BatchNorm.*')


class Layer(NamedTuple):
  """One trainable array.

  Attributes:
    player: the player that owns it.
    name: its path, joined with '/'.
    shape: its shape.
    size: number of parameters.
    is_norm: whether it is the scale or shift of a normalisation layer.
  """

  player: str
  name: str
  shape: tuple[int, ...]
  size: int
  is_norm: bool


class Summary(NamedTuple):
  """The contents of `inspect`.

  Attributes:
    layers: in the order of the parameter tree.
    players: player -> number of parameters.
    total: number of all trainable parameters.
    total_without_norm: the same without normalisation layers.
    flops: XLA's estimate for one training step, or None if it gives none.
  """

  layers: list[Layer]
  players: dict[str, int]
  total: int
  total_without_norm: int
  flops: float | None


def summarize(config: ConfigDict) -> Summary:
  """The summary of a config, with the facts in config.inspect.facts."""
  facts = config.inspect.facts.to_dict()
  task = configs.system_module(config).make_task(config, facts)
  state = jax.eval_shape(task.init, jax.random.key(0))
  layers = [layer for player, tree in state.params.items() for layer in _layers(player, tree)]
  players = {p: sum(x.size for x in layers if x.player == p) for p in state.params}
  cost = _cost(task, state)
  return Summary(
    layers,
    players,
    total=sum(players.values()),
    total_without_norm=sum(x.size for x in layers if not x.is_norm),
    flops=cost.get('flops'),
  )


def _layers(player: str, tree: PyTree) -> list[Layer]:
  leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
  layers = []
  for path, leaf in leaves:
    names = [str(getattr(entry, 'key', entry)) for entry in path]
    is_norm = len(names) > 1 and _NORM.fullmatch(names[-2]) is not None
    layers.append(Layer(player, '/'.join(names), leaf.shape, leaf.size, is_norm))
  return layers


def _cost(task: Task, state: PyTree) -> dict[str, Any]:
  """XLA's cost analysis of one step, from the lowered program: nothing is compiled or run."""
  analysis = jax.jit(task.train_step).lower(state, task.batch).cost_analysis()
  if isinstance(analysis, list):
    analysis = analysis[0] if analysis else {}
  return dict(analysis or {})
