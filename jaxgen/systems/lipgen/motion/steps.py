"""The updates of a run: contours and pose by their distance and by that of their velocities."""

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
  """L1 of frames: [B, T, V] and [B, T, V] to [B, T], the mean over the V."""
  chex.assert_equal_shape([found, truth])
  return jnp.abs(found - truth).mean(-1)


def velocity_distances(found: jax.Array, truth: jax.Array) -> jax.Array:
  """L1 of the changes from frame to frame: [B, T - 1] of [B, T, V]."""
  return distances(found[:, 1:] - found[:, :-1], truth[:, 1:] - truth[:, :-1])


class Steps:
  """What happens to the net's state, and to what is exported of it.

  Args:
    config: of the run.
    net: without a device axis, which nothing in it needs.
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
      The loss, each part its mean over the frames that count, and `terms`, the means of these by name.
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
    """L1 by name: [B, T] of errors, [B, T - 1] of velocities."""
    return {
      'mouth_error': distances(out.offsets, batch['offsets']),
      'mouth_velocity': velocity_distances(out.offsets, batch['offsets']),
      'pose_error': distances(out.pose, batch['pose']),
      'pose_velocity': velocity_distances(out.pose, batch['pose']),
    }

  def weight(self, name: str) -> float:
    """Of a term in the loss."""
    loss = self.config.loss
    of_part = loss.pose if name.startswith('pose') else 1.0
    return of_part * (loss.velocity if kind_of(name) == 'velocity' else 1.0)

  def export(self, state: TrainState) -> PyTree:
    """The net."""
    return {'params': state.params[PLAYER]}

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """The loss and the errors of frames that count."""
    del key
    out: Any = self.net.apply(variables, batch['mel'], batch['counted'])
    masks = {name: x * batch['mask'][:, None] for name, x in masks_of(batch['counted']).items()}
    terms = self.terms(out, batch)
    found = {name: Mean.of(x, masks[kind_of(name)]) for name, x in terms.items()}
    # Velocities of the frames that have one before them, errors of all, each over its own number of frames: the
    # loss of a batch, counted by its frames, is the loss of training where batches are alike.
    frames = masks['error'].sum()
    loss = sum(self.weight(k) * m.total / jnp.maximum(m.count, 1) for k, m in found.items())
    return {
      'loss': Mean(loss * frames, frames),
      'mouth_error': found['mouth_error'],
      'pose_error': found['pose_error'],
    }


def kind_of(name: str) -> str:
  """'error' or 'velocity' of a term's name."""
  return name.rpartition('_')[2]


def masks_of(counted: jax.Array) -> dict[str, jax.Array]:
  """Of [B, T]: 'error' for frames that count, 'velocity' [B, T - 1] for pairs of them."""
  return {'error': counted, 'velocity': counted[:, 1:] * counted[:, :-1]}
