"""A system small enough to compile in no time, with everything the core has to carry.

Linear regression, with random augmentation in `example`, noise of every example in the step, and a running
statistic of the global batch. `HOOKS` lets a test act at a given step.
"""

import errno
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.axis import example_keys, psum
from jaxgen.data import pipeline
from jaxgen.data.order import generator
from jaxgen.data.splits import make_split
from jaxgen.metrics import Mean
from jaxgen.schema import Rule
from jaxgen.task import Data, Task, TrainState, step_rng, update_player

CONVOLUTIONAL = False
EVAL_METRICS = ('loss',)
NUM_ROWS, NUM_TEST = 64, 20
# name -> called with the step whose batch is read ('batch') or with nothing ('evaluate', 'eval_batch').
HOOKS: dict[str, Callable] = {}


def get_config() -> ConfigDict:
  config = ConfigDict(
    {
      'system': 'toy',
      'seed': 0,
      'precision': 'float32',
      'parallel': 'jit',
      'batch_size': 8,
      'num_steps': 24,
      'steps_per_call': 0,
      'log_every': 4,
      'eval_every': 0,
      'save_every': 4,
      'picture_every': 0,
      'data': {'name': 'toy', 'dir': '', 'num_validation': 0, 'placement': 'resident'},
      'optim': {'learning_rate': 0.1},
      'eval': {'batch_size': 16, 'samples': 1},
      'checkpoint': {'keep': 2, 'best': '', 'mode': 'min'},
      'stop': {'metric': '', 'mode': 'min', 'patience': 2},
      # The step whose batch holds an infinity, and that which the first process cannot read; -1: none. From
      # which step on gradients count twice; 0: never.
      'toy': {
        'infinity_at': -1,
        'unread_at': -1,
        'schedule': False,
        'features': 3,
        'twice_from': 0,
      },
    }
  )
  return config.lock()


KEYS = {
  key: Rule('anything', lambda value: None)
  for key in configs.flatten(get_config())
  if key not in (*configs.CORE, *configs.METRICS)
}


def check_config(config: ConfigDict) -> None:
  del config


def depends_on_num_steps(config: ConfigDict) -> bool:
  return config.toy.schedule


def curriculum_steps(config: ConfigDict) -> tuple[int, ...]:
  return (config.toy.twice_from,)


class _Rows:
  """Random access to rows, as streaming needs it."""

  def __init__(self, x: np.ndarray, y: np.ndarray):
    self.x, self.y = x, y

  def __len__(self) -> int:
    return len(self.x)

  def __getitem__(self, i: int) -> dict[str, np.ndarray]:
    return {'x': self.x[i], 'y': self.y[i]}


def _rows(seed: int, n: int, features: int) -> _Rows:
  rng = generator(seed, 'toy')
  x = rng.normal(size=(n, features)).astype(np.float32)
  return _Rows(x, (x[:, :3] @ np.arange(1, 4) + 0.5).astype(np.float32))


def make_data(config: ConfigDict) -> Data:
  features = config.toy.features
  train, test = _rows(1, NUM_ROWS, features), _rows(2, NUM_TEST, features)
  resident = config.data.placement == 'resident'

  def batches(first_step: int, rows: slice):
    args = (config.seed, 'train')
    if resident:
      found = pipeline.resident_batches(*args, NUM_ROWS, config.batch_size, first_step, rows)
    else:
      found = pipeline.streaming_batches(train, *args, config.batch_size, first_step, rows)
    for step, batch in enumerate(found, first_step):
      HOOKS.get('batch', lambda step: None)(step)
      if step == config.toy.unread_at and jax.process_index() == 0:
        raise OSError(errno.EIO, 'Input/output error', 'rows')
      n = len(next(iter(batch.values())))
      bad = np.full(n, np.inf if step == config.toy.infinity_at else 0.0, np.float32)
      yield {**batch, 'poison': bad}

  def example(arrays, row, key):
    x, y = (a[row['index']] for a in (arrays['x'], arrays['y'])) if arrays else (row['x'], row['y'])
    return {'x': x + 0.01 * jax.random.normal(key, x.shape), 'y': y + row['poison']}

  def split(source: _Rows):
    def decode(batch):
      HOOKS.get('eval_batch', lambda: None)()
      return batch

    return make_split(source, config.eval.batch_size, decode)

  splits = {'test': split(test)}
  if config.data.num_validation:
    splits['validation'] = split(_rows(3, config.data.num_validation, features))
  return Data(
    facts={'steps_per_epoch': NUM_ROWS // config.batch_size, 'shape': (features,)},
    arrays={'x': train.x, 'y': train.y} if resident else {},
    batches=batches,
    example=example,
    splits=splits,
  )


def make_task(config: ConfigDict, facts, axis: str | None = None) -> Task:
  del facts
  features = config.toy.features
  rate = config.optim.learning_rate
  if config.toy.schedule:
    rate = optax.cosine_decay_schedule(rate, config.num_steps)
  optimizers = {'model': optax.adam(rate)}
  dtype = {'float64': jnp.float64}.get(config.precision, jnp.float32)

  def init(key):
    params = {
      'model': {'w': 0.1 * jax.random.normal(key, (features,), dtype), 'b': jnp.zeros((), dtype)}
    }
    return TrainState(
      step=jnp.zeros((), jnp.int32),
      params=params,
      opt_state={'model': optimizers['model'].init(params['model'])},
      variables={'model': {'statistics': {'mean': jnp.zeros((), dtype)}}},
      ema={},
      rng=key,
    )

  def predict(params, x):
    return x @ params['w'] + params['b']

  def train_step(state, batch, weight=1.0):
    x, y = batch['x'].astype(dtype), batch['y'].astype(dtype)
    keys = example_keys(step_rng(state, 'noise'), len(y), axis)
    noise = 0.01 * jax.vmap(lambda k: jax.random.normal(k, (), dtype))(keys)

    def loss_fn(params):
      errors = (predict(params, x) + noise - y) ** 2
      return weight * errors.sum() / config.batch_size, errors

    grads, errors = jax.grad(loss_fn, has_aux=True)(state.params['model'])
    state = update_player(state, optimizers, 'model', grads, axis)
    batch_mean = psum(y.sum(), axis) / config.batch_size
    mean = 0.9 * state.variables['model']['statistics']['mean'] + 0.1 * batch_mean
    state = state.replace(step=state.step + 1, variables={'model': {'statistics': {'mean': mean}}})
    return state, psum({'loss': Mean.of(errors), 'mean_y': Mean.of(y)}, axis)

  def twice(state, batch):
    state, metrics = train_step(state, batch, 2.0)
    return state, {**metrics, 'loss_twice': metrics['loss']}

  def export(state):
    return {'params': state.params['model'], **state.variables['model']}

  def eval_step(variables, batch, key):
    del key
    errors = (predict(variables['params'], batch['x']) - batch['y']) ** 2
    return {'loss': Mean.of(errors, batch['mask'])}

  def evaluate(variables, data, tools):
    compiled, rows = tools.compile(eval_step), tools.rows(config.eval.batch_size)
    HOOKS.get('evaluate', lambda: None)()
    total = count = 0.0
    split = data.splits['test']
    num_batches = -(-split.size // config.eval.batch_size)
    for batch in tools.progress(split.batches(rows), 'test', num_batches):
      metrics = jax.device_get(compiled(variables, batch, tools.rng))
      total, count = total + float(metrics['loss'].total), count + float(metrics['loss'].count)
    return {
      'split': 'test',
      'loss': total / count,
      'samples': config.eval.samples if tools.full else None,
      'num_examples': int(count),
      'left_out': [] if tools.full else ['samples'],
    }

  def pictures(variables, data, tools):
    del data, tools
    bars = np.clip(np.abs(np.asarray(variables['params']['w'])) * 50, 0, 255).astype(np.uint8)
    return {'weights': np.tile(bars, (2, 1))}

  batch = {
    'x': jax.ShapeDtypeStruct((config.batch_size, features), jnp.float32),
    'y': jax.ShapeDtypeStruct((config.batch_size,), jnp.float32),
  }
  second = config.toy.twice_from
  curriculum = ((second, twice),) if second else ()
  return Task(batch, init, train_step, export, eval_step, evaluate, pictures, curriculum)
