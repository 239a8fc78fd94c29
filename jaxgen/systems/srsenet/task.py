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
from jaxgen.data.imresize import resize_matrix
from jaxgen.errors import ConfigError
from jaxgen.evaluation.image_quality import batch_psnr
from jaxgen.exchange.weight_files import load_weights
from jaxgen.metrics import Mean, Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.srsenet import evaluation, losses
from jaxgen.systems.srsenet.model import SrSENet
from jaxgen.task import Batch, Data, PyTree, Task, Tools, TrainState, name_key, update_player

PLAYER = 'model'


def make_model(config: ConfigDict, facts: dict[str, Any] | None = None) -> SrSENet:
  """The net of a config; no fact of the data matters to it."""
  del facts
  dtype, param_dtype = DTYPES[config.precision]
  return SrSENet(scale=config.scale, dtype=dtype, param_dtype=param_dtype, **config.model)


def learning_rate(config: ConfigDict) -> optax.Schedule:
  """The rate by step: a linear warm-up, then constant, in falling steps, or along a cosine to 0."""
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
  """Adam, the gradient clipped first where config.optim.clip_norm is above 0."""
  adam = optax.adam(learning_rate(config), config.optim.b1, config.optim.b2)
  clip = config.optim.clip_norm
  return optax.chain(optax.clip_by_global_norm(clip), adam) if clip else adam


def warm_started(params: PyTree, begin: Path, dtype: Any) -> PyTree:
  """Parameters, those that the net of a file has under the same name with the same shape taken from there.

  Raises:
    CheckpointError: not a file of `jaxgen export`.
    ConfigError: the net has no parameters of these.
  """
  trained = load_weights(begin)
  start = trained.variables.get('params', {})
  own, given = (traverse_util.flatten_dict(x) for x in (params, start))
  same = {k: x for k, x in given.items() if k in own and own[k].shape == x.shape}
  if trained.config.system != 'srsenet' or not same:
    raise ConfigError(
      f'config.init_from = {begin}: a {trained.config.system} without any layer of this net'
    )
  return traverse_util.unflatten_dict(own | {k: jnp.asarray(x, dtype) for k, x in same.items()})


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The task of a config: the Charbonnier loss between the net's output and the crop."""
  param_dtype = DTYPES[config.precision][1]
  net = make_model(config)
  optimizers = {PLAYER: make_optimizer(config)}
  decay, scale = config.ema_decay, config.scale
  crop, low = config.data.crop, config.data.crop // config.scale
  eval_low = config.eval.crop // scale
  up = resize_matrix(eval_low, eval_low * scale, scale).toarray()

  def init(key: jax.Array) -> TrainState:
    params = net.init(name_key(key, 'init'), jnp.zeros((1, low, low, 1), param_dtype))['params']
    begin = config.get('init_from', '')
    if begin:
      params = warm_started(params, Path(begin).expanduser(), param_dtype)
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params={PLAYER: params},
      opt_state={PLAYER: optimizers[PLAYER].init(params)},
      variables={PLAYER: {}},
      ema={PLAYER: {'params': jax.tree.map(jnp.copy, params)}} if decay else {},
      rng=key,
    )

  def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    target = batch['high']

    def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
      output = net.apply({'params': params}, batch['low'])
      loss = losses.charbonnier(output, target, config.loss.epsilon)
      return loss.sum() / config.batch_size, (loss, output)

    grads, (loss, output) = jax.grad(loss_fn, has_aux=True)(state.params[PLAYER])
    state = update_player(state, optimizers, PLAYER, grads, axis)
    if decay:
      average = optax.incremental_update(
        {'params': state.params[PLAYER]}, state.ema[PLAYER], 1 - decay
      )
      state = state.replace(ema={PLAYER: average})
    metrics = {
      'loss': Mean.of(loss),
      'psnr': Mean.of(batch_psnr(jnp.clip(output, 0, 1), target)),
    }
    return state.replace(step=state.step + 1), psum(metrics, axis)

  def export(state: TrainState) -> PyTree:
    return state.ema[PLAYER] if decay else {'params': state.params[PLAYER]}

  def eval_step(variables: PyTree, batch: Batch, key: jax.Array) -> Metrics:
    del key
    small, truth = (batch[k].astype(param_dtype) for k in ('low', 'high'))
    matrix = jnp.asarray(up, param_dtype)
    bicubic = jnp.einsum('ij,bjkc,lk->bilc', matrix, small, matrix, precision='highest')

    def quality(image: jax.Array) -> jax.Array:
      levels = jnp.floor(jnp.clip(image, 0, 1) * 255 + 0.5) / 255
      inside = slice(scale, -scale)
      return batch_psnr(levels[:, inside, inside], truth[:, inside, inside])

    ours, baseline = quality(net.apply(variables, small)), quality(bicubic)
    values = {'psnr': ours, 'bicubic_psnr': baseline, 'gain': ours - baseline}
    return {name: Mean.of(x, batch['mask']) for name, x in values.items()}

  def evaluate(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    del data
    return evaluation.evaluate(config, facts, net, variables, tools)

  def pictures(variables: PyTree, data: Data | None, tools: Tools) -> dict[str, np.ndarray]:
    del data, tools
    return evaluation.pictures(config, facts, net, variables)

  shape = config.batch_size, crop, crop, 1
  return Task(
    batch={
      'high': jax.ShapeDtypeStruct(shape, param_dtype),
      'low': jax.ShapeDtypeStruct((config.batch_size, low, low, 1), param_dtype),
    },
    init=init,
    train_step=train_step,
    export=export,
    eval_step=eval_step,
    evaluate=evaluate,
    pictures=pictures,
  )
