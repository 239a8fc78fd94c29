"""Keys and checks of an mmgan config. Imports nothing heavy."""

import logging
from pathlib import Path

from ml_collections import ConfigDict

from jaxgen.data.folders import expanded, listed
from jaxgen.data.keys import LABELLED, PLACEMENT, image_set
from jaxgen.errors import ConfigError
from jaxgen.exchange.cards import About
from jaxgen.schema import (
  above,
  at_least,
  choice,
  each,
  flag,
  place,
  require,
  text,
  warn_of_idle,
  whole,
  within,
)
from jaxgen.systems.mmgan.regions import CASES, region_classes

CONVOLUTIONAL = True
EVAL_METRICS = ('set_accuracy', 'set_nll')
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'A Mixed Membership GAN (Yazici et al.): finds what several collections of images share '
  'and what each has alone.',
  pipeline_tag='unconditional-image-generation',
  tags=('gan', 'mixture-model'),
  command='jaxgen memberships {weights} image.png',
)
SIZES = (28, 32, 64)
RESIZE_RULES = ('none', 'fit', 'crop', 'stretch')
FEW_FAKES = 8  # per component in a batch
# Keys that a fixed mixture ignores, with their defaults.
OF_LEARNED = {
  'model.mixture_support': 'all',
  'optim.mixture_optimizer': 'adam',
  'optim.mixture_hold': 0,
  'loss.mixture_value': 1,
  'loss.likelihood': 0,
  'loss.sharing': 0,
  'loss.sharing_decay': 0,
  'loss.sparsity': 0,
  'loss.sparsity_from': 0,
}
CHANNELS = choice(1, 3, words='1 (grey) or 3 (RGB)')
# The rule of each key; those shared by all systems are in `jaxgen.config.CORE`.
KEYS = {
  **LABELLED,
  **PLACEMENT,
  'data.name': text('the name of an image set'),  # unused with data.sets
  'data.case': choice(*CASES),
  'data.sets': place('folders of images, as a/,b/, or empty for class sets'),
  'data.image_size': choice(*SIZES),
  'data.channels': CHANNELS,
  'data.resize': choice(*RESIZE_RULES),
  'model.num_components': whole(0),
  'model.mixture': choice('fixed', 'learned', 'from_truth'),
  'model.mixture_support': choice('all', 'groups'),
  'model.architecture': choice('venn', 'dcgan'),
  'model.num_latents': whole(),
  'model.gen_widths': each(whole(), 'widths', 4),
  'model.disc_widths': each(whole(), 'widths', 3),
  'model.classifier_width': whole(),
  'model.spectral_norm': flag(),
  'model.norm_momentum': within(0, 1, closed='left'),
  'loss.classifier': at_least(0),
  'loss.classifier_decay': within(0, 1),
  'loss.mixture_value': at_least(0),
  'loss.likelihood': at_least(0),
  'loss.sharing': at_least(0),
  'loss.sharing_decay': within(0, 1),
  'loss.sparsity': at_least(0),
  'loss.sparsity_from': within(0, 1, closed='left'),
  'loss.generator': choice('non_saturating', 'saturating'),
  'optim.learning_rate': above(0),
  'optim.mixture_optimizer': choice('adam', 'sgd', 'mirror'),
  'optim.mixture_learning_rate': above(0),
  'optim.mixture_hold': within(0, 1, closed='left'),
  'optim.b1': within(0, 1, closed='left'),
  'optim.b2': within(0, 1, closed='left'),
  'ema_decay': within(0, 1, closed='left', note='0 is no average'),
  'eval.num_samples': whole(),
  'inspect.facts.image_shape': each(whole(), 'sizes', 3),
  'inspect.facts.set_names': each(text('a name'), 'names'),
  'inspect.facts.true_mixture': each(each(within(0, 1), 'shares'), 'rows of shares'),
  'inspect.facts.num_classes': whole(),
  'inspect.facts.steps_per_epoch': whole(),
}


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: if a weight or the mixture's rate changes over the run."""
  loss = config.loss
  learned = is_learned(config)
  return bool(
    (loss.classifier and loss.classifier_decay)
    or (learned and loss.sharing and loss.sharing_decay)
    or (learned and loss.sparsity and loss.sparsity_from)
    or (learned and config.optim.mixture_hold)
  )


def folders(config: ConfigDict) -> list[Path]:
  """The image folders of config.data.sets; empty if class sets are used."""
  return [expanded(name) for name in _listed(config)]


def _listed(config: ConfigDict) -> list[str]:
  """The folders as given, unresolved: a trained model also works where they do not exist."""
  return listed(config.data.sets)


def num_sets(config: ConfigDict) -> int:
  """n, the number of distributions."""
  return len(_listed(config)) or len(CASES[config.data.case])


def num_components(config: ConfigDict) -> int:
  """K: config.model.num_components, or 2^n - 1 if that is 0."""
  return config.model.num_components or 2 ** num_sets(config) - 1


def num_owned(config: ConfigDict) -> int:
  """The number of components that a fixed mixture assigns to some class set: those that make fakes."""
  return sum(bool(classes) for classes in region_classes(CASES[config.data.case]))


def is_learned(config: ConfigDict) -> bool:
  """Whether the mixture is learned: for a user's own folders none is known."""
  return config.model.mixture != 'fixed' or bool(_listed(config))


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for incompatible values; each value already fits its rule in KEYS.

  Few fakes per component only cause a warning, as do keys that the mixture ignores.
  """
  if folders(config):
    _check_folders(config)
  else:
    _check_class_sets(config)
  k = num_components(config)
  if config.model.mixture_support == 'groups' and k != 2 ** num_sets(config) - 1:
    raise ConfigError(
      "config.model.mixture_support = 'groups' has a component for each group of sets: "
      "leave config.model.num_components at 0, or set config.model.mixture_support to 'all'"
    )
  if config.batch_size < k:
    raise ConfigError(
      f'config.batch_size = {config.batch_size} is less than the {k} components: '
      'a batch has as many fakes, at least one of each'
    )
  _warn_of_idle(config)
  made = k if is_learned(config) else num_owned(config)
  if config.batch_size < FEW_FAKES * made:
    logging.warning(
      'config.batch_size = %d gives each component %d fakes per step: with fewer than %d its gradients are '
      'noisy. Raise it to %d or more',
      config.batch_size,
      config.batch_size // made,
      FEW_FAKES,
      FEW_FAKES * made,
    )


def _warn_of_idle(config: ConfigDict) -> None:
  """Warns of keys that have no effect, and of a learned mixture without a learning signal."""
  if not is_learned(config):
    warn_of_idle(config, OF_LEARNED, 'config.model.mixture is fixed')
    return
  if folders(config) and config.model.mixture != 'learned':
    logging.warning(
      'config.model.mixture = %r: the shares of folders are unknown, so they are learned, starting from equal '
      'ones; see the variant `folders`',
      config.model.mixture,
    )
  if not (config.loss.mixture_value or config.loss.likelihood):
    logging.warning(
      'config.loss.mixture_value and config.loss.likelihood are both 0: no image moves the mixture'
    )


def _check_class_sets(config: ConfigDict) -> None:
  data = config.data
  if data.name == 'folders':
    raise ConfigError(
      'config.data.sets is empty: name two or more folders of images, as --config.data.sets=a/,b/'
    )
  require('data.name', image_set(training=True), data.name)
  known = (0, 2 ** len(CASES[data.case]) - 1)
  if config.model.mixture != 'learned' and config.model.num_components not in known:
    raise ConfigError(
      f'config.model.mixture = {config.model.mixture!r} has a component for each region of the sets: '
      'leave config.model.num_components at 0'
    )


def _check_folders(config: ConfigDict) -> None:
  names, own = config.data.sets, folders(config)
  if len(own) == 1:
    raise ConfigError(
      f'config.data.sets = {names!r} is a single set: what sets share needs two or more, as a/,b/'
    )
  whole_paths = [path.resolve() for path in own]
  if len(set(whole_paths)) < len(own):
    raise ConfigError(f'config.data.sets = {names!r} names a folder twice')
  for a in whole_paths:
    for b in whole_paths:
      if a in b.parents:
        raise ConfigError(f'config.data.sets: {b} lies in {a}, so both would own its images')
