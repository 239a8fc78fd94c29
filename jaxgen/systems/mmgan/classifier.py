"""The classifier that judges a Mixed Membership GAN: a system of its own, trained once on labelled images.

The trunk of the discriminators without spectral norm, and the component classifier's layers on it.
"""

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.data.sources import check_name
from jaxgen.errors import ConfigError
from jaxgen.systems import imported_on_use

CONVOLUTIONAL = True
EVAL_METRICS = ('accuracy', 'cross_entropy')
VARIANTS = ('digits', 'mnist', 'fashion_mnist', 'emnist_mnist', 'kmnist')
_LAZY = ('make_data', 'make_model', 'make_task')

__all__ = [
  'CONVOLUTIONAL',
  'EVAL_METRICS',
  'asset_config',
  'check_config',
  'depends_on_num_steps',
  *_LAZY,
]


__getattr__ = imported_on_use(
  __name__, dict.fromkeys(_LAZY, 'jaxgen.systems.mmgan.classifier_task')
)


def depends_on_num_steps(config: ConfigDict) -> bool:
  """Whether an update depends on config.num_steps: the learning rate falls to 0 at the end."""
  del config
  return True


def check_config(config: ConfigDict) -> None:
  """Raises ConfigError for values that cannot work."""
  check_name(config.data.name)
  configs.positive(
    config, 'model.hidden', 'optim.learning_rate', 'eval.batch_size', 'data.image_size'
  )
  if len(config.model.widths) != 3 or min(config.model.widths) < 1:
    raise ConfigError(f'config.model.widths = {tuple(config.model.widths)} must be 3 widths')
  if config.data.max_shift < 0:
    raise ConfigError(f'config.data.max_shift = {config.data.max_shift} must be 0 or more')


def asset_config(config: ConfigDict) -> ConfigDict:
  """The config of the classifier for the labelled set of an mmgan config."""
  name = config.data.name
  asset = configs.load(f'mmgan_classifier:{name if name in VARIANTS else "mnist"}')
  with asset.unlocked():
    for key in ('name', 'dir', 'columns', 'image_size', 'channels'):
      asset.data[key] = config.data[key]
  return asset
