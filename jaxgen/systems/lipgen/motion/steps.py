"""Training steps: L1 losses on contours, pose and their velocities."""

from typing import Any

import chex
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, psum
from jaxgen.metrics import Mean, Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.motion.networks import Motion, MotionOutput
from jaxgen.systems.lipgen.steps import make_optimizer
from jaxgen.task import Batch, PyTree, TrainState, step_rng, update_player

PLAYER = 'model'


def distances(found: jax.Array, truth: jax.Array) -> jax.Array:
  """Per-frame L1: [B, T, V] and [B, T, V] to [B, T], the mean over V."""
  chex.assert_equal_shape([found, truth])
  return jnp.abs(found - truth).mean(-1)


def velocity_distances(found: jax.Array, truth: jax.Array) -> jax.Array:
  """L1 of frame-to-frame differences: [B, T, V] to [B, T - 1]."""
  return distances(found[:, 1:] - found[:, :-1], truth[:, 1:] - truth[:, :-1])


class Steps:
  """Training, export and evaluation steps of the net.

  Args:
    config: the run's config.
    net: the net without a device axis, which it does not need.
    axis: the device axis, or None.
  """

  def __init__(self, config: ConfigDict, net: Motion, axis: str | None = None):
    self.config, self.net, self.axis = config, net, axis
    self.optimizers = {PLAYER: make_optimizer(config)}
    self.param_dtype = DTYPES[config.precision][1]

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """L1 of offsets and pose, and of their velocities, see `Task.losses`.

    Returns:
      The loss, a weighted sum of means over unpadded frames, and the unweighted means of its `terms` by name.
    """
    keys = example_keys(step_rng(state, 'dropout'), len(batch['mel']), self.axis)
    masks = masks_of(batch['counted'])
    counts = psum({name: jnp.maximum(x.sum(), 1) for name, x in masks.items()}, self.axis)
    out: Any = self.net.apply({'params': params}, batch['mel'], batch['counted'], keys)
    terms = self.terms(out, batch)
    sums = {name: (x * masks[kind_of(name)]).sum() for name, x in terms.items()}
    loss: Any = sum(self.weight(name) * sums[name] / counts[kind_of(name)] for name in sums)
    return loss, {name: Mean.of(x, masks[kind_of(name)]) for name, x in terms.items()}

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One update."""
    grads, metrics = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def terms(self, out: MotionOutput, batch: Batch) -> dict[str, jax.Array]:
    """L1 terms by name: [B, T] for errors, [B, T - 1] for velocities."""
    return {
      'mouth_error': distances(out.offsets, batch['offsets']),
      'mouth_velocity': velocity_distances(out.offsets, batch['offsets']),
      'pose_error': distances(out.pose, batch['pose']),
      'pose_velocity': velocity_distances(out.pose, batch['pose']),
    }

  def weight(self, name: str) -> float:
    """Weight of a term in the loss."""
    loss = self.config.loss
    of_part = loss.pose if name.startswith('pose') else 1.0
    return of_part * (loss.velocity if kind_of(name) == 'velocity' else 1.0)

  def export(self, state: TrainState) -> PyTree:
    """The net's variables."""
    return {'params': state.params[PLAYER]}

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """The loss and the errors over unpadded frames."""
    del key
    out: Any = self.net.apply(variables, batch['mel'], batch['counted'])
    masks = {name: x * batch['mask'][:, None] for name, x in masks_of(batch['counted']).items()}
    terms = self.terms(out, batch)
    found = {name: Mean.of(x, masks[kind_of(name)]) for name, x in terms.items()}
    # Errors are averaged over all frames, velocities over those with a predecessor. A batch's loss is weighted
    # by its frames, so the total equals the training loss where batches are alike.
    frames = masks['error'].sum()
    loss = sum(self.weight(k) * m.total / jnp.maximum(m.count, 1) for k, m in found.items())
    return {
      'loss': Mean(loss * frames, frames),
      'mouth_error': found['mouth_error'],
      'pose_error': found['pose_error'],
    }


def kind_of(name: str) -> str:
  """The kind of a named term: 'error' or 'velocity'."""
  return name.rpartition('_')[2]


def masks_of(counted: jax.Array) -> dict[str, jax.Array]:
  """Masks of `counted` [B, T]: 'error' for unpadded frames, 'velocity' [B, T - 1] for pairs of them."""
  return {'error': counted, 'velocity': counted[:, 1:] * counted[:, :-1]}
