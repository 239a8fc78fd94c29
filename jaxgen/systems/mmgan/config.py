"""What an mmgan config may say. Imports nothing heavy."""

from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.config import check_choice, positive
from jaxgen.data.sources import check_name
from jaxgen.errors import ConfigError
from jaxgen.systems.mmgan.regions import CASES

CONVOLUTIONAL = True
EVAL_METRICS = ('set_accuracy', 'set_nll')
SIZES = (28, 32, 64)
RESIZE_RULES = ('none', 'fit', 'crop', 'stretch')


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: it does not, the learning rates are constant."""
  del config
  return False


def folders(config: ConfigDict) -> list[Path]:
  """The image folders of config.data.sets; none where class sets are used."""
  return [Path(name.strip()).expanduser() for name in config.data.sets.split(',') if name.strip()]


def num_sets(config: ConfigDict) -> int:
  """n, the number of distributions."""
  return len(folders(config)) or len(CASES[config.data.case])


def num_components(config: ConfigDict) -> int:
  """K: config.model.num_components, or 2^n - 1 where that is 0."""
  return config.model.num_components or 2 ** num_sets(config) - 1


def is_learned(config: ConfigDict) -> bool:
  """Whether the mixture is learned: a person's own folders have no known one."""
  return config.model.mixture == 'learned' or bool(folders(config))


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for values that cannot work."""
  data, model = config.data, config.model
  check_choice('data.placement', data.placement, ('auto', 'resident', 'stream'))
  check_choice('data.resize', data.resize, RESIZE_RULES)
  check_choice('model.architecture', model.architecture, ('venn', 'dcgan'))
  check_choice('model.mixture', model.mixture, ('fixed', 'learned'))
  check_choice('loss.generator', config.loss.generator, ('non_saturating', 'saturating'))
  if data.image_size not in SIZES:
    raise ConfigError(
      f'config.data.image_size = {data.image_size} is not one of {", ".join(map(str, SIZES))}'
    )
  if data.channels not in (1, 3):
    raise ConfigError(f'config.data.channels = {data.channels} must be 1 (grey) or 3 (RGB)')
  if model.num_components < 0:
    raise ConfigError(f'config.model.num_components = {model.num_components} must be 0 or more')
  _check_sets(config)
  positive(
    config,
    'model.num_latents',
    'model.classifier_width',
    'optim.learning_rate',
    'optim.mixture_learning_rate',
    'eval.num_samples',
    'eval.batch_size',
    'data.resident_limit_mb',
  )
  for key in ('gen_widths', 'disc_widths'):
    if not model[key] or min(model[key]) < 1:
      raise ConfigError(f'config.model.{key} = {tuple(model[key])} must be widths above 0')
  if len(model.gen_widths) != 4 or len(model.disc_widths) != 3:
    raise ConfigError('config.model.gen_widths has 4 widths and config.model.disc_widths 3')
  if config.loss.classifier < 0:
    raise ConfigError(f'config.loss.classifier = {config.loss.classifier} must be 0 or more')
  if not 0 <= config.ema_decay < 1:
    raise ConfigError(f'config.ema_decay = {config.ema_decay} must be in [0, 1); 0 is no average')
  k = num_components(config)
  if config.batch_size < k:
    raise ConfigError(
      f'config.batch_size = {config.batch_size} is less than the {k} components: '
      'a batch has as many fakes, some of each'
    )


def _check_sets(config: ConfigDict) -> None:
  data, own = config.data, folders(config)
  if not own:
    if data.name == 'folders':
      raise ConfigError(
        'config.data.sets is empty: name two or more folders of images, as --config.data.sets=a/,b/'
      )
    check_name(data.name)
    check_choice('data.case', data.case, CASES)
    if config.model.mixture == 'fixed' and config.model.num_components not in (
      0,
      2 ** len(CASES[data.case]) - 1,
    ):
      raise ConfigError(
        "config.model.mixture = 'fixed' has a component for each region of the sets: "
        'leave config.model.num_components at 0'
      )
    return
  if len(own) == 1:
    raise ConfigError(
      f'config.data.sets = {data.sets!r} is a single set: what sets share needs two or more, '
      'as a/,b/'
    )
  if len(set(own)) < len(own):
    raise ConfigError(f'config.data.sets = {data.sets!r} names a folder twice')
  whole = [path.absolute() for path in own]
  for a in whole:
    for b in whole:
      if a in b.parents:
        raise ConfigError(f'config.data.sets: {b} lies in {a}, so that both would own its images')
