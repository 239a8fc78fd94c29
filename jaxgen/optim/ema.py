"""Exponential moving averages of a network's variables, which runs export."""

import jax
import jax.numpy as jnp

from jaxgen.task import PyTree, TrainState

# Spectral norm's entries in 'batch_stats': an average of unit vectors belongs to no kernel.
COPIED = ('u', 'sigma')


def warmed_up(step: jax.Array, decay: float) -> jax.Array:
  """The decay at update t = step, counted from 0: min(decay, (1 + t) / (10 + t)).

  Without this warm-up the untrained network would have 60 % of the weight in an average over 500 updates with a
  decay of .999; with it, less than 1e-18.
  """
  t = step.astype(jnp.result_type(float))
  return jnp.minimum(decay, (1 + t) / (10 + t))


def ema(average: PyTree, new: PyTree, step: jax.Array, decay: float) -> PyTree:
  """The average after an update.

  Args:
    average: average of a network's variables, {'params': ..., 'batch_stats': ...}; initially a copy of them.
    new: the variables after the update; parameters and batch statistics are averaged, spectral norm's `u` and
      `sigma` and integers are copied.
    step: () int32, number of updates before this one.
    decay: the decay that the warm-up approaches.

  Returns:
    A tree with the structure, shapes and dtypes of `average`.
  """
  past = warmed_up(step, decay)

  def blended(path: tuple, old: jax.Array, value: jax.Array) -> jax.Array:
    if _is_copied(path) or not jnp.issubdtype(old.dtype, jnp.floating):
      return value
    weight = past.astype(old.dtype)
    return weight * old + (1 - weight) * value

  return jax.tree_util.tree_map_with_path(blended, average, new)


def averaged(state: TrainState, player: str, new: PyTree, decay: float) -> dict[str, PyTree]:
  """The new `TrainState.ema` when one player has an average.

  Args:
    state: its `ema` and `step` before the update.
    player: name of the player.
    new: see `ema`.
    decay: see `ema`; with 0 no average is kept.
  """
  return {player: ema(state.ema[player], new, state.step, decay)} if decay else {}


def _is_copied(path: tuple) -> bool:
  """Whether a leaf belongs to spectral norm: 'batch_stats', ..., 'conv1_spectral', 'conv1/kernel/u'."""
  names = [str(getattr(entry, 'key', entry)) for entry in path]
  return names[0] == 'batch_stats' and '/' in names[-1] and names[-1].split('/')[-1] in COPIED
