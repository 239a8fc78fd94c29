"""Data and Task of a recogniser."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from jaxgen.axis import psum
from jaxgen.evaluation import passes
from jaxgen.metrics import Mean, Metrics
from jaxgen.precision import DTYPES
from jaxgen.systems.handwriting import data, losses
from jaxgen.systems.handwriting.augmentation import Augmentation, augmented
from jaxgen.systems.handwriting.beginning import begun_reader
from jaxgen.systems.handwriting.certainty import JudgedWords, certainty, judge
from jaxgen.systems.handwriting.config import is_drawn, is_rtl
from jaxgen.systems.handwriting.judging import Reader
from jaxgen.systems.handwriting.networks.recogniser import Recogniser, make_recogniser
from jaxgen.systems.handwriting.noise import noisy
from jaxgen.systems.handwriting.own_widths import own_line, own_lines
from jaxgen.systems.handwriting.reading.charset import Charset
from jaxgen.systems.handwriting.reading.error_rates import grouped
from jaxgen.systems.handwriting.real.samples import training_sheet
from jaxgen.task import (
  Batch,
  Data,
  PyTree,
  Task,
  Tools,
  TrainState,
  fresh_state,
  name_key,
  step_rng,
  update_player,
)

PLAYER = 'model'


def make_data(config: ConfigDict) -> Data:
  """The words of config.data: see `jaxgen.systems.handwriting.data.make_data`.

  With config.model.own_widths a training picture is at the left end of its canvas and has its 'width'; pictures
  are augmented according to config.augment. Splits stay as in the set: `Steps.shown` moves them there.
  """
  made = data.make_data(config, to_read=True)
  options, rtl = Augmentation(**config.augment), is_rtl(config)

  def example(arrays: PyTree, row: Batch, key: jax.Array) -> Batch:
    found = made.example(arrays, row, key)
    image, width = found['image'], found['width']
    padded_left = rtl and not config.model.own_widths
    if config.model.own_widths:
      image, width = own_line(image, width, rtl)
    elif padded_left:  # augmentation needs it at the left end
      image = jnp.roll(image, width - image.shape[1], axis=1)
    image, width = augmented(name_key(key, 'augment'), image, width, options)
    if padded_left:
      image = jnp.roll(image, image.shape[1] - width, axis=1)
    return {**found, 'image': image, 'width': width}

  return made._replace(example=example)


def make_model(config: ConfigDict, facts: dict[str, Any]) -> Recogniser:
  """The network of a config."""
  dtype, param_dtype = DTYPES[config.precision]
  options: dict[str, Any] = {
    'width_multiplier': config.model.recogniser_width,
    'dtype': dtype,
    'param_dtype': param_dtype,
  }
  if config.model.frame_stride:
    options['frame_stride'] = config.model.frame_stride
  return make_recogniser(config.model.recogniser, len(facts['charset']), **options)


class Steps:
  """Training with CTC by Adam or RMSprop, and evaluation.

  Args:
    config: of the run.
    facts: of the data.
    axis: the device axis, or None.
  """

  def __init__(self, config: ConfigDict, facts: dict[str, Any], axis: str | None = None):
    self.config, self.facts, self.axis = config, facts, axis
    self.net = make_model(config, facts)
    self.param_dtype = DTYPES[config.precision][1]
    options, start = config.optim, round(config.optim.decay_from * config.num_steps)
    rate: Any = options.learning_rate
    if start < config.num_steps:
      rate = optax.linear_schedule(rate, 0.0, config.num_steps - start, start)
    clip = optax.clip_by_global_norm(options.clip_norm) if options.clip_norm else optax.identity()
    rmsprop = options.algorithm == 'rmsprop'
    moved = optax.rmsprop(rate) if rmsprop else optax.adam(rate, options.b1, options.b2)
    self.optimizers = {PLAYER: optax.chain(clip, moved)}

  def init(self, key: jax.Array) -> TrainState:
    """A state with new parameters, or with those that config.init_from names."""
    size = self.config.data.height, self.config.data.width
    variables = self.net.init(name_key(key, 'init'), jnp.zeros((1, *size, 1), self.param_dtype))
    params = variables['params']
    if self.config.init_from:
      params = begun_reader(self.config.init_from, self.facts['charset'], params, self.config)
    return fresh_state(key, {PLAYER: {'params': params}}, self.optimizers)

  def shown(self, batch: Batch) -> tuple[jax.Array, jax.Array | None]:
    """Images [B, H, W, 1] of a split's batch as the network takes them; widths [B] if each has its own."""
    if not self.config.model.own_widths:
      return batch['image'], None
    return own_lines(batch['image'], batch['width'], is_rtl(self.config))

  def nll(
    self, variables: PyTree, batch: Batch, images: jax.Array, widths: jax.Array | None
  ) -> tuple[jax.Array, jax.Array]:
    """-log p(text | image) [B] in nats, and whether there is an alignment [B]."""
    reading: Any = self.net.apply(variables, images, widths)
    return losses.text_nll(reading, batch['label'], batch['length'], is_rtl(self.config))

  def loss(
    self, params: PyTree, state: TrainState, batch: Batch
  ) -> tuple[jax.Array, dict[str, Any]]:
    """The mean CTC loss over the pictures that have an alignment, see `Task.losses`; nats.

    Returns:
      The loss, and for each picture 'nll' [B] and whether it is 'possible' [B].
    """
    key = step_rng(state, 'noise')
    images = noisy(key, batch['image'], self.config.loss.noise, self.axis)
    widths = batch['width'] if self.config.model.own_widths else None
    nll, possible = self.nll({'params': params}, batch, images, widths)
    return losses.text_loss(nll, possible, self.axis), {'nll': nll, 'possible': possible}

  def train_step(self, state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
    """One update."""
    grads, aux = jax.grad(self.loss, has_aux=True)(state.params[PLAYER], state, batch)
    state = update_player(state, self.optimizers, PLAYER, grads, self.axis)
    possible = aux['possible']
    metrics = {'nll': Mean.of(aux['nll'], possible), 'dropped': losses.dropped_share(possible)}
    return state.replace(step=state.step + 1), psum(metrics, self.axis)

  def eval_step(self, variables: PyTree, batch: Batch, key: jax.Array | None = None) -> Metrics:
    """The loss over unmasked rows that have an alignment."""
    del key
    nll, possible = self.nll(variables, batch, *self.shown(batch))
    return {'nll': Mean.of(nll, batch['mask'] * possible)}

  def evaluate(self, variables: PyTree, data: Data | None, tools: Tools) -> dict[str, Any]:
    """Character and word error rates of greedy decoding, and the calibration of confidences.

    'seen', 'case' and 'unseen' are the rates for texts that training showed, those that differ from them in
    case only, and others. `recogniser.FITTED` is the calibration that `jaxgen read` uses, 'ece' the expected
    calibration error of words with it, 'ece_uncalibrated' without. 'dropped' counts unusable rows of the set.
    """
    assert data is not None
    split = 'test' if 'test' in data.splits else 'validation'
    size = self.config.eval.batch_size
    reader = Reader(self.net, variables, self.facts, tools, self.shown)
    read = reader(passes.shown(data.splits[split], size, tools, f'reading {split}'))
    rates = read.rates()
    groups = grouped(read.texts, read.readings, self._training_texts(data))
    return {
      'split': split,
      'cer': rates.cer,
      'wer': rates.wer,
      **{name: {'cer': x.cer, 'wer': x.wer} for name, x in groups.items() if x.texts},
      **self._certainty(variables, data, tools),
      'num_examples': rates.texts,
      'dropped': data.facts['dropped'],
    }

  def _training_texts(self, data: Data) -> list[str]:
    charset, rows = Charset.from_json(self.facts['charset']), slice(0, self.config.eval.batch_size)
    return [
      charset.decode(label)
      for batch in data.splits['seen'].batches(rows)
      for label in batch['label'][batch['mask'] > 0]
    ]

  def _certainty(self, variables: PyTree, data: Data, tools: Tools) -> dict[str, float | int]:
    """The calibration, from config.eval.num_judged pictures of validation and test set each."""
    size, most = self.config.eval.batch_size, self.config.eval.num_judged
    if not most:
      return {}
    step = tools.compile(self.logits)

    def judged(split: str) -> JudgedWords:
      batches = passes.shown(data.splits[split], size, tools, f'judging {split}')
      return judge(lambda batch: step(variables, batch), batches, self.facts, most)

    test = judged('test') if 'test' in data.splits else None
    return certainty(judged('validation'), test)

  def logits(self, variables: PyTree, batch: Batch) -> tuple[jax.Array, ...]:
    """Logits [B, T, K], lengths [B], labels [B, L] and mask [B] of a split's batch."""
    reading: Any = self.net.apply(variables, *self.shown(batch))
    return reading.logits.astype(jnp.float32), reading.lengths, batch['label'], batch['mask']


def make_task(config: ConfigDict, facts: dict[str, Any], axis: str | None = None) -> Task:
  """The task of a config. One player."""
  steps = Steps(config, facts, axis)
  rows, letters, size = config.batch_size, facts['max_length'], config.data
  ints = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.int32)
  return Task(
    batch={
      'image': jax.ShapeDtypeStruct((rows, size.height, size.width, 1), steps.param_dtype),
      'width': ints((rows,)),
      'label': ints((rows, letters)),
      'length': ints((rows,)),
    },
    init=steps.init,
    train_step=steps.train_step,
    export=lambda state: {'params': state.params[PLAYER]},
    eval_step=steps.eval_step,
    evaluate=steps.evaluate,
    pictures=functools.partial(_pictures, config),
    stage_losses=({PLAYER: steps.loss},),
  )


def _pictures(
  config: ConfigDict, variables: PyTree, data: Data | None, tools: Tools
) -> dict[str, np.ndarray]:
  """{'data'}: a sheet of training pictures, if people wrote them."""
  del variables, tools
  return {'data': training_sheet(data)} if data and not is_drawn(config) else {}
