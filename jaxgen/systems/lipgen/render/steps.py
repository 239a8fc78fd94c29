"""Training, evaluation and sampling steps."""

from typing import Any

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from jaxgen.axis import example_keys, global_rows, psum
from jaxgen.metrics import Mean, Metrics
from jaxgen.optim.ema import averaged
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.diffusion.guidance import guided
from jaxgen.systems.lipgen.diffusion.prediction import noisy, velocity
from jaxgen.systems.lipgen.diffusion.sampling import ddim_step
from jaxgen.systems.lipgen.diffusion.schedule import alpha_bars
from jaxgen.systems.lipgen.render.config import TIMES
from jaxgen.systems.lipgen.render.data import spread_of
from jaxgen.systems.lipgen.render.networks import VideoUNet
from jaxgen.systems.lipgen.steps import make_optimizer
from jaxgen.task import Batch, PyTree, TrainState, name_key, step_rng, update_player

PLAYER = 'model'


class Steps:
  """Training, export, evaluation and sampling steps of the net.

  Args:
    config: the run's config.
    facts: facts of the data.
    net: the U-Net.
    axis: the device axis, or None.
  """

  def __init__(
    self, config: ConfigDict, facts: dict[str, Any], net: VideoUNet, axis: str | None = None
  ):
    self.config, self.facts, self.net, self.axis = config, facts, net, axis
    self.optimizers = {PLAYER: make_optimizer(config)}
    self.param_dtype = DTYPES[config.precision][1]
    self.alpha_bars = alpha_bars(config.diffusion.schedule, TIMES)

  def signal(self, batch: Batch) -> jax.Array:
    """The diffused signal of 'frames' [B, T, H, W]: the frames themselves, or their difference from 'warp'.

    The difference is in units of its spread, which differs between the mouth and its surroundings: a velocity
    of 0 is then a fair guess everywhere.
    """
    if not self.config.model.residual:
      return batch['frames']
    return (batch['frames'] - batch['warp']) / spread_of(batch['raster'], self.facts['spread'])

  def frames(self, signal: Any, batch: Batch) -> Any:
    """Frames from a signal, the inverse of `signal`."""
    if not self.config.model.residual:
      return signal
    return batch['warp'] + signal * spread_of(batch['raster'], self.facts['spread'])

  def weights(self, raster: jax.Array) -> jax.Array:
    """Loss weight of each pixel, growing with the spread of frames about their warps; 1 outside the mouth."""
    spread = self.facts['spread']
    return (spread_of(raster, spread) / spread[0]) ** self.config.loss.spread

  def predict(
    self, params: PyTree, z: jax.Array, time: jax.Array, batch: Batch, given: jax.Array
  ) -> jax.Array:
    """The velocity [B, T, H, W] of z at times [B], conditional for rows with `given` [B] 1."""
    seen = jnp.stack([batch['warp'], batch['raster']], -1)
    told = time, seen, batch['reference'], batch['counted'], given
    found: Any = self.net.apply({'params': params}, z, *told)
    return found

  def error(
    self, params: PyTree, batch: Batch, time: jax.Array, keys: jax.Array, given: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Weighted sums of squared velocity errors, and the sums of the weights: both [B].

    Args:
      params: the net's parameters.
      batch: as made by `Data.example`.
      time: [B] diffusion times.
      keys: [B] noise keys.
      given: [B], see `predict`.
    """
    x = self.signal(batch)
    draw = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:], self.param_dtype))
    e, a = draw(keys), jnp.asarray(self.alpha_bars, self.param_dtype)[time]
    found = self.predict(params, noisy(x, e, a), time, batch, given)
    weights = self.weights(batch['raster']) * batch['counted'][..., None, None]
    wrong = weights * (found - velocity(x, e, a)) ** 2
    return wrong.sum((1, 2, 3)), weights.sum((1, 2, 3))

  def times(self, key: jax.Array, rows: int) -> jax.Array:
    """Diffusion times [B], evenly spread over a global batch from a random start, so that losses vary less.

    Reference: Kingma et al. 2021, "Variational Diffusion Models", appendix I.1.
    """
    start = jax.random.uniform(key, (), self.param_dtype)
    share = global_rows(rows, self.axis).astype(self.param_dtype) / self.config.batch_size
    return jnp.minimum((start + share) % 1 * TIMES, TIMES - 1).astype(jnp.int32)

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The velocity error, with the conditions dropped for some rows, see `Task.losses`.

    Returns:
      The loss, a weighted mean, and 'wrong' [B] and 'weight' [B], see `error`.
    """
    rows = len(batch['frames'])
    time = self.times(step_rng(state, 'time'), rows)
    keys, dropped = (
      example_keys(step_rng(state, name), rows, self.axis) for name in ('noise', 'dropped')
    )
    kept = 1 - self.config.diffusion.dropout
    given = jax.vmap(lambda key: jax.random.bernoulli(key, kept))(dropped)
    wrong, weight = self.error(params, batch, time, keys, given.astype(self.param_dtype))
    total = psum(jax.lax.stop_gradient(weight.sum()), self.axis)
    return wrong.sum() / total, {'wrong': wrong, 'weight': weight}

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One update."""
    grads, aux = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    average = averaged(state, PLAYER, {'params': state.params[PLAYER]}, self.config.ema_decay)
    state = state.replace(step=state.step + 1, ema=average)
    return state, psum({'loss': Mean(aux['wrong'].sum(), aux['weight'].sum())}, self.axis)

  def export(self, state: TrainState) -> PyTree:
    """The averaged variables (EMA), or the current ones if there is no average."""
    return state.ema.get(PLAYER, {'params': state.params[PLAYER]})

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """The loss over the middle window of each clip."""
    rows, frames = batch['frames'].shape[:2]
    window = self.config.model.window
    start = (frames - window) // 2
    videos = {
      name: batch[name][:, start : start + window]
      for name in ('frames', 'warp', 'raster', 'counted')
    }
    keys = example_keys(name_key(key, 'noise'), rows)
    time = jax.vmap(lambda k: jax.random.randint(name_key(k, 'time'), (), 0, TIMES))(keys)
    given = jnp.ones(rows, self.param_dtype)
    wrong, weight = self.error(variables['params'], {**batch, **videos}, time, keys, given)
    mask = batch['mask'].astype(self.param_dtype)
    return {'loss': Mean((wrong * mask).sum(), (weight * mask).sum())}

  def denoise(self, variables: PyTree, batch: Batch, at: dict[str, jax.Array]) -> jax.Array:
    """One DDIM step, guided according to config.eval.guidance.

    Args:
      variables: exported variables.
      batch: 'z' [N, T, H, W], and the net's inputs for N windows: 'warp', 'raster', 'reference', 'counted'.
      at: () each: 'time', 'now' and 'then', see `diffusion.sampling.Course`.

    Returns:
      [N, T, H, W], z at the next time.
    """
    rows, scale = len(batch['z']), self.config.eval.guidance
    time = jnp.full(rows, at['time'])
    given = jnp.ones(rows, self.param_dtype)
    v = self.predict(variables['params'], batch['z'], time, batch, given)
    if scale != 1:
      without = self.predict(variables['params'], batch['z'], time, batch, 0 * given)
      v = guided(v, without, scale)
    return ddim_step(batch['z'], v, at['now'], at['then'])
