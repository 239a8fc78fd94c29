"""A recogniser of words and lines: a system of its own, trained alone.

One that took no part in training a generator judges its output; one that is trained on real words reads.
"""

import logging

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import above, at_least, choice, each, flag, place, text, whole, within
from jaxgen.systems import imported_on_use
from jaxgen.systems.handwriting.config import RECOGNISERS, check_words
from jaxgen.systems.handwriting.word_keys import WORDS

CONVOLUTIONAL = True
EVAL_METRICS = ('nll',)
# The calibration of word confidences that an evaluation fits and reading needs, see `reading.calibration`.
FITTED = 'temperature', 'confidence_offset', 'confidence_crowding'
# Measured on drawn words for a file that ships, see `reading.calibration.Calibration.shift`.
SHIFT = 'span_shift'
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'A recogniser of handwritten words and lines, trained with CTC.',
  pipeline_tag='image-to-text',
  tags=('handwriting', 'ocr'),
  command='jaxgen read word.png --weights {weights}',
  python="jaxgen.read('word.png', weights={weights!r})  # .text, .confidence, .alternatives",
  header=(*FITTED, SHIFT),
)
# The rule of each key; keys of all systems are in `jaxgen.config.CORE`.
KEYS = {
  **WORDS,
  'model.recogniser': RECOGNISERS,
  'model.recogniser_width': above(0),
  'model.frame_stride': choice(0, 2, 4, 8),
  'model.own_widths': flag(),
  'generated.name': place('a folder of `jaxgen write`, or empty'),
  'generated.alone': flag(),
  'augment.shear': within(0, 1),
  'augment.scale': within(0, 1),
  'augment.shift': within(0, 1),
  'augment.stroke': within(0, 1),
  'augment.contrast': within(0, 1),
  'augment.frame': within(0, 1).added(0.0),
  'loss.noise': at_least(0),
  'optim.algorithm': choice('adam', 'rmsprop'),
  'optim.learning_rate': above(0),
  'optim.b1': within(0, 1, closed='left'),
  'optim.b2': within(0, 1, closed='left'),
  'optim.clip_norm': at_least(0),
  'optim.decay_from': within(0, 1),
  'eval.num_judged': whole(0),
  'init_from': place('a file of `jaxgen export`, hf://OWNER/NAME, or empty'),
  'inspect.facts.charset': each(text('a symbol'), 'symbols'),
  'inspect.facts.max_length': whole(),
  'inspect.facts.steps_per_epoch': whole(),
}
_LAZY = ('make_data', 'make_model', 'make_task')

__all__ = [
  'ABOUT',
  'CONVOLUTIONAL',
  'EVAL_METRICS',
  'KEYS',
  'asset_config',
  'check_config',
  'depends_on_num_steps',
  *_LAZY,
]

__getattr__ = imported_on_use(
  __name__, dict.fromkeys(_LAZY, 'jaxgen.systems.handwriting.recogniser_task')
)


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: if the learning rate decays towards the end."""
  return config.optim.decay_from < 1


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible values; each alone satisfies its rule in KEYS."""
  check_words(config)
  if config.generated.alone and not config.generated.name:
    raise ConfigError(
      'config.generated.alone = True leaves nothing to train on: name a folder of generated words with '
      'config.generated.name'
    )


def asset_config(config: ConfigDict) -> ConfigDict:
  """The config of the reader that evaluates a handwriting config: same kind of words, a seed of its own.

  A run that was trained with that same seed is still evaluated, with a warning.
  """
  if config.eval.reader_seed == config.seed:
    logging.warning(
      "eval.reader_seed = %d is the run's seed: the recogniser that judges it was trained on the same "
      'drawings as its own, and is not independent; choose another, such as eval.reader_seed=%d',
      config.eval.reader_seed,
      config.seed + 1,
    )
  asset = configs.load('handwriting_recogniser')
  with asset.unlocked():
    asset.seed = config.eval.reader_seed
    asset.num_steps = config.eval.reader_steps
    asset.save_every = asset.num_steps
    asset.eval.num_judged = 0  # its confidences are not used
    asset.data = config.data.copy_and_resolve_references()
    if config.data.layout == 'natural':
      asset.model.frame_stride = 2  # narrow letters are less than four pixels apart
    asset.precision = 'float32' if config.precision == 'bfloat16' else config.precision
  return asset
