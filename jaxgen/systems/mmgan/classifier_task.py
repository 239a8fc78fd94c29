"""The evaluation classifier as Data and Task."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from jaxgen.axis import psum
from jaxgen.data.order import check_batch_size
from jaxgen.data.pixels import signed
from jaxgen.data.placement import training_rows
from jaxgen.data.source import Source
from jaxgen.data.splits import make_split
from jaxgen.evaluation import passes
from jaxgen.metrics import Mean, Metrics, averages
from jaxgen.precision import DTYPES
from jaxgen.systems.mmgan import model
from jaxgen.systems.mmgan.data import load_labelled
from jaxgen.task import (
  Batch,
  Data,
  PyTree,
  Split,
  Task,
  Tools,
  TrainState,
  fresh_state,
  name_key,
  update_player,
)

PLAYER = 'model'


class Network(NamedTuple):
  """Trunk and dense layers.

  Attributes:
    trunk: the convolutions.
    head: a hidden layer and one logit per class.
  """

  trunk: model.Trunk
  head: model.ClassifierHead

  def apply(self, variables: PyTree, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Maps images [B, H, W, C] in [-1, 1] to logits [B, classes] and features [B, hidden]."""
    features = self.trunk.apply({'params': variables['params']['trunk']}, images)
    found: Any = self.head.apply({'params': variables['params']['head']}, features)
    return found


def make_data(config: ConfigDict) -> Data:
  """Loads the labelled images of config.data as Data.

  A training row is {'index'}; `example` turns it into {'image': float32 [H, W, C] in [-1, 1], 'label'}, with
  the image shifted by up to config.data.max_shift pixels. Splits: 'train' and 'test'.
  """
  found = load_labelled(config)
  train, size = found['train'], config.batch_size
  check_batch_size(size, len(train))
  rows = training_rows(train, 'train', seed=config.seed, batch_size=size, resident=True)
  return Data(
    facts={
      'image_shape': list(train.image_shape),
      'num_classes': int(rows.arrays['label'].max()) + 1,
      'steps_per_epoch': len(train) // size,
    },
    arrays=rows.arrays,
    batches=rows.batches,
    example=_make_example(train.scale, config.data.max_shift),
    splits={name: _split(source, config.eval.batch_size) for name, source in found.items()},
  )


def _split(source: Source, batch_size: int) -> Split:
  def decode(batch: Batch) -> Batch:
    return {'image': signed(batch['image'], source.scale), 'label': batch['label']}

  return make_split(source, batch_size, decode)


def _make_example(scale: float, max_shift: int) -> Callable[[PyTree, Batch, jax.Array], Batch]:
  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    image = arrays['image'][row['index']]
    padded = jnp.pad(image, ((max_shift, max_shift), (max_shift, max_shift), (0, 0)))
    y, x = jax.random.randint(key, (2,), 0, 2 * max_shift + 1)
    shifted = jax.lax.dynamic_slice(padded, (y, x, 0), image.shape)
    return {'image': signed(shifted, scale), 'label': arrays['label'][row['index']]}

  return example


def make_model(config: ConfigDict, facts: dict[str, Any]) -> Network:
  """Builds the network of a config."""
  dtype, param_dtype = DTYPES[config.precision]
  types = {'dtype': dtype, 'param_dtype': param_dtype}
  return Network(
    model.Trunk(tuple(config.model.widths), spectral_norm=False, **types),
    model.ClassifierHead(facts['num_classes'], config.model.hidden, **types),
  )


class Steps:
  """Cross-entropy minimised by Adam, with cosine decay of the learning rate to 0.

  Args:
    config: config of the run.
    facts: facts of the data.
    axis: the device axis, or None.
  """

  def __init__(self, config: ConfigDict, facts: dict[str, Any], axis: str | None = None):
    self.config, self.facts, self.axis = config, facts, axis
    self.net = make_model(config, facts)
    self.param_dtype = DTYPES[config.precision][1]
    rate = optax.cosine_decay_schedule(config.optim.learning_rate, config.num_steps)
    self.optimizers = {PLAYER: optax.adam(rate)}

  def init(self, key: jax.Array) -> TrainState:
    """A freshly initialised state."""
    image = jnp.zeros((1, *self.facts['image_shape']), self.param_dtype)
    trunk = self.net.trunk.init(name_key(key, 'trunk'), image)
    head = self.net.head.init(name_key(key, 'head'), self.net.trunk.apply(trunk, image))
    params = {'trunk': trunk['params'], 'head': head['params']}
    return fresh_state(key, {PLAYER: {'params': params}}, self.optimizers)

  def terms(self, variables: PyTree, batch: Batch) -> dict[str, jax.Array]:
    """Cross-entropy [B] in nats, and whether the most probable class is correct [B]."""
    logits = self.net.apply(variables, batch['image'])[0].astype(self.param_dtype)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch['label'])
    hits = (logits.argmax(-1) == batch['label']).astype(self.param_dtype)
    return {'cross_entropy': entropy, 'accuracy': hits}

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The mean cross-entropy in nats, see `Task.losses`, and the per-image `terms`."""
    del state
    found = self.terms({'params': params}, batch)
    return found['cross_entropy'].sum() / self.config.batch_size, found

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """Takes one training step."""
    grads, found = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    metrics = {name: Mean.of(x) for name, x in found.items()}
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array | None = None) -> Metrics:
    """Means of both terms over unmasked rows."""
    del key
    return {name: Mean.of(x, batch['mask']) for name, x in self.terms(variables, batch).items()}

  def evaluate(self, variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    """Means of both terms over the test images."""
    assert data is not None
    size = self.config.eval.batch_size
    batches = passes.shown(data.splits['test'], size, tools, 'classifier on test')
    metrics = passes.folded(tools.compile(self.eval_step), variables, batches)
    return {'split': 'test', **averages(metrics), 'num_examples': int(metrics['accuracy'].count)}


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """Builds the task of a config. One player, trunk and head; no pictures."""
  steps = Steps(config, facts, axis)
  shape = config.batch_size, *facts['image_shape']
  return Task(
    batch={
      'image': jax.ShapeDtypeStruct(shape, jnp.float32),
      'label': jax.ShapeDtypeStruct((config.batch_size,), jnp.int32),
    },
    init=steps.init,
    train_step=steps.train_step,
    export=lambda state: {'params': state.params[PLAYER]},
    eval_step=steps.eval_step,
    evaluate=steps.evaluate,
    pictures=lambda variables, data, tools: {},
    stage_losses=({PLAYER: steps.loss},),
  )
