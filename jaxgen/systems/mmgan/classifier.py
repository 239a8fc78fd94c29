"""The classifier that evaluates a Mixed Membership GAN: a system of its own, trained once on labelled images.

It consists of the discriminators' trunk without spectral norm, and the component classifier's layers on top.
"""

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.keys import LABELLED
from jaxgen.exchange.cards import About
from jaxgen.schema import above, each, whole
from jaxgen.systems import imported_on_use
from jaxgen.systems.mmgan.config import CHANNELS

CONVOLUTIONAL = True
EVAL_METRICS = ('accuracy', 'cross_entropy')
# What model cards say about its models, see `exchange.cards`.
ABOUT = About(
  'The classifier that judges a Mixed Membership GAN.',
  pipeline_tag='image-classification',
)
# Each of the trunk's three convolutions halves the sides: smaller images would leave no pixels.
SMALLEST = 8
VARIANTS = ('digits', 'mnist', 'fashion_mnist', 'emnist_mnist', 'kmnist')
# The rule of each key; those shared by all systems are in `jaxgen.config.CORE`.
KEYS = {
  **LABELLED,
  'data.image_size': whole(SMALLEST),
  'data.channels': CHANNELS,
  'data.max_shift': whole(0),
  'model.widths': each(whole(), 'widths', 3),
  'model.hidden': whole(),
  'optim.learning_rate': above(0),
  'inspect.facts.image_shape': each(whole(), 'sizes', 3),
  'inspect.facts.num_classes': whole(),
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
  __name__, dict.fromkeys(_LAZY, 'jaxgen.systems.mmgan.classifier_task')
)


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: yes, the learning rate decays to 0 at the last step."""
  del config
  return True


def check_config(config: ConfigDict) -> None:
  """Checks nothing beyond KEYS: all values are compatible."""
  del config


def asset_config(config: ConfigDict) -> ConfigDict:
  """The classifier's config for the labelled set of an mmgan config."""
  name = config.data.name
  asset = configs.load(f'mmgan_classifier:{name if name in VARIANTS else "mnist"}')
  with asset.unlocked():
    for key in ('name', 'dir', 'columns', 'image_size', 'channels'):
      asset.data[key] = config.data[key]
  return asset
