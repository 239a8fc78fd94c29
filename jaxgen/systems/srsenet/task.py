"""SrSENet as a Task."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util
from ml_collections import ConfigDict

from jaxgen.axis import psum
from jaxgen.data.folders import expanded
from jaxgen.data.imresize import resize_matrix
from jaxgen.errors import ConfigError
from jaxgen.evaluation.image_quality import batch_psnr
from jaxgen.exchange.weight_files import load_named
from jaxgen.losses.pixel import charbonnier
from jaxgen.metrics import Mean, Metrics
from jaxgen.optim.ema import averaged
from jaxgen.precision import DTYPES
from jaxgen.systems.srsenet.model import SrSENet
from jaxgen.task import (
  Batch,
  Data,
  PyTree,
  Task,
  Tools,
  TrainState,
  fresh_state,
  name_key,
  update_player,
)

PLAYER = 'model'


def make_model(config: ConfigDict, facts: dict[str, Any] | None = None) -> SrSENet:
  """Builds the net of a config, which does not depend on facts of the data."""
  del facts
  dtype, param_dtype = DTYPES[config.precision]
  return SrSENet(scale=config.scale, dtype=dtype, param_dtype=param_dtype, **config.model)


def learning_rate(config: ConfigDict) -> optax.Schedule:
  """The learning rate by step: a linear warm-up, then constant, step decay, or cosine decay to 0."""
  options, total = config.optim, config.num_steps
  rate, warmup = options.learning_rate, options.warmup_steps
  if options.schedule == 'constant':
    after = optax.constant_schedule(rate)
  elif options.schedule == 'cosine':
    after = optax.cosine_decay_schedule(rate, total - warmup)
  else:
    part = options.drop_at * total
    drops = {round(i * part) - warmup: options.drop for i in range(1, int(1 / options.drop_at) + 1)}
    after = optax.piecewise_constant_schedule(rate, {k: x for k, x in drops.items() if k > 0})
  if not warmup:
    return after
  return optax.join_schedules([optax.linear_schedule(rate / warmup, rate, warmup), after], [warmup])


def make_optimizer(config: ConfigDict) -> optax.GradientTransformation:
  """Adam, preceded by gradient clipping if config.optim.clip_norm is above 0."""
  adam = optax.adam(learning_rate(config), config.optim.b1, config.optim.b2)
  clip = config.optim.clip_norm
  return optax.chain(optax.clip_by_global_norm(clip), adam) if clip else adam


def warm_started(params: PyTree, begin: Path, dtype: Any) -> PyTree:
  """Replaces parameters by those of the same name and shape in the net of a file.

  Raises:
    CheckpointError: the file was not written by `jaxgen export`.
    ConfigError: the net shares no parameter with this one.
  """
  trained = load_named(begin, 'config.init_from', 'srsenet')
  start = trained.variables.get('params', {})
  own, given = (traverse_util.flatten_dict(x) for x in (params, start))
  same = {k: x for k, x in given.items() if k in own and own[k].shape == x.shape}
  if not same:
    raise ConfigError(f'config.init_from = {begin}: it shares no layer with this net')
  return traverse_util.unflatten_dict(own | {k: jnp.asarray(x, dtype) for k, x in same.items()})


class Steps:
  """Initialisation, updates and export of the net's training state.

  Args:
    config: config of the run.
    net: the net's modules.
    axis: the device axis, or None.
  """

  def __init__(self, config: ConfigDict, net: SrSENet, axis: str | None = None):
    self.config, self.net, self.axis = config, net, axis
    self.optimizers = {PLAYER: make_optimizer(config)}
    self.param_dtype = DTYPES[config.precision][1]
    low = config.eval.crop // config.scale
    self._bicubic = resize_matrix(low, low * config.scale, config.scale).toarray()

  def init(self, key: jax.Array) -> TrainState:
    """A freshly initialised state, or one that starts from the parameters of config.init_from."""
    low = self.config.data.crop // self.config.scale
    start = jnp.zeros((1, low, low, 1), self.param_dtype)
    params = self.net.init(name_key(key, 'init'), start)['params']
    if self.config.init_from:
      params = warm_started(params, expanded(self.config.init_from), self.param_dtype)
    averaged = (PLAYER,) if self.config.ema_decay else ()
    return fresh_state(key, {PLAYER: {'params': params}}, self.optimizers, averaged)

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The Charbonnier loss between the net's output and the crop, see `Task.losses`.

    Returns:
      The loss, and a dict of 'terms' [B] per crop and the 'output' [B, H, W, 1].
    """
    del state
    output: Any = self.net.apply({'params': params}, batch['low'])
    terms = charbonnier(output, batch['high'], self.config.loss.epsilon)
    return terms.sum() / self.config.batch_size, {'terms': terms, 'output': output}

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Takes one training step."""
    grads, aux = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    metrics = {
      'loss': Mean.of(aux['terms']),
      'psnr': Mean.of(batch_psnr(jnp.clip(aux['output'], 0, 1), batch['high'])),
    }
    average = averaged(state, PLAYER, {'params': state.params[PLAYER]}, self.config.ema_decay)
    return state.replace(step=state.step + 1, ema=average), psum(metrics, self.axis)

  def export(self, state: TrainState) -> PyTree:
    """The averaged parameters, or the current ones if there is no average."""
    return state.ema.get(PLAYER, {'params': state.params[PLAYER]})

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    """PSNR of crops in 256 levels, excluding `scale` pixels at the borders, beside bicubic's."""
    del key
    scale = self.config.scale
    small, truth = (batch[k].astype(self.param_dtype) for k in ('low', 'high'))
    matrix = jnp.asarray(self._bicubic, self.param_dtype)
    bicubic = jnp.einsum('ij,bjkc,lk->bilc', matrix, small, matrix, precision='highest')

    def quality(image: jax.Array) -> jax.Array:
      levels = jnp.floor(jnp.clip(image, 0, 1) * 255 + 0.5) / 255
      inside = slice(scale, -scale)
      return batch_psnr(levels[:, inside, inside], truth[:, inside, inside])

    output: Any = self.net.apply(variables, small)
    ours, baseline = quality(output), quality(bicubic)
    values = {'psnr': ours, 'bicubic_psnr': baseline, 'gain': ours - baseline}
    return {name: Mean.of(x, batch['mask']) for name, x in values.items()}


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """Builds the task of a config. One player, the net."""
  net = make_model(config)
  steps = Steps(config, net, axis)
  crop, low = config.data.crop, config.data.crop // config.scale

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    from jaxgen.systems.srsenet import evaluation  # heavy, and not needed to apply a net

    del data
    return evaluation.evaluate(config, facts, net, variables, tools)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    from jaxgen.systems.srsenet import evaluation

    del data, tools
    return evaluation.pictures(config, facts, net, variables)

  return Task(
    batch={
      'high': jax.ShapeDtypeStruct((config.batch_size, crop, crop, 1), steps.param_dtype),
      'low': jax.ShapeDtypeStruct((config.batch_size, low, low, 1), steps.param_dtype),
    },
    init=steps.init,
    train_step=steps.train_step,
    export=steps.export,
    eval_step=steps.eval_step,
    evaluate=evaluate,
    pictures=pictures,
    stage_losses=({PLAYER: steps.loss},),
    reports=('psnr',),
  )
