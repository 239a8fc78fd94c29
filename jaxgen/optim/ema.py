"""Moving averages of a network's variables, which is what runs export."""

import jax
import jax.numpy as jnp

from jaxgen.task import PyTree, TrainState

# What spectral norm keeps in 'batch_stats': an average of unit vectors belongs to no kernel.
COPIED = ('u', 'sigma')


def warmed_up(step: jax.Array, decay: float) -> jax.Array:
  """The weight of the past at update t = step, from 0 on: min(decay, (1 + t) / (10 + t)).

  Without it an average of 500 updates at .999 would be the untrained network by 60 %; with it, by less than
  1e-18.
  """
  t = step.astype(jnp.result_type(float))
  return jnp.minimum(decay, (1 + t) / (10 + t))


def ema(average: PyTree, new: PyTree, step: jax.Array, decay: float) -> PyTree:
  """The average after an update.

  Args:
    average: of a network's variables, {'params': ..., 'batch_stats': ...}; at the start a copy of them.
    new: the variables after the update; parameters and batch statistics enter the average, spectral norm's `u`
      and `sigma` and integers are copied.
    step: () int32, updates before this one.
    decay: what the weight of the past grows to.

  Returns:
    Of the structure, shapes and types of `average`.
  """
  past = warmed_up(step, decay)

  def blended(path: tuple, old: jax.Array, value: jax.Array) -> jax.Array:
    if _is_copied(path) or not jnp.issubdtype(old.dtype, jnp.floating):
      return value
    weight = past.astype(old.dtype)
    return weight * old + (1 - weight) * value

  return jax.tree_util.tree_map_with_path(blended, average, new)


def averaged(state: TrainState, player: str, new: PyTree, decay: float) -> dict[str, PyTree]:
  """What `TrainState.ema` becomes where one player has an average.

  Args:
    state: `ema` and `step` of before the update.
    player: its name.
    new: see `ema`.
    decay: see `ema`; no average is kept where it is 0.
  """
  return {player: ema(state.ema[player], new, state.step, decay)} if decay else {}


def _is_copied(path: tuple) -> bool:
  """Whether a leaf is spectral norm's: 'batch_stats', ..., 'conv1_spectral', 'conv1/kernel/u'."""
  names = [str(getattr(entry, 'key', entry)) for entry in path]
  return names[0] == 'batch_stats' and '/' in names[-1] and names[-1].split('/')[-1] in COPIED
