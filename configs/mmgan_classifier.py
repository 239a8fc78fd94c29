"""The classifier that judges the components of a Mixed Membership GAN.

mmgan trains it when it needs it, once, and keeps it in $JAXGEN_CACHE/runs. By hand:

  python launch.py --config=configs/mmgan_classifier.py --workdir=runs/classifier

trains a narrow one on scikit-learn's bundled digits (brought to 28x28). The variants mnist, fashion_mnist,
emnist_mnist and kmnist have the paper's widths: --config.data.dir=DIR.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.systems.mmgan.classifier import VARIANTS


def get_config(variant: str = 'digits') -> ConfigDict:
  """The config of the classifier of one labelled set."""
  choose_variant(variant, VARIANTS)
  bundled = variant == 'digits'
  steps_per_epoch = 22 if bundled else 937
  epochs = 30 if bundled else 5
  config = ConfigDict()
  config.system = 'mmgan_classifier'
  config.seed = 0
  config.precision = 'float32'
  config.parallel = 'jit'

  config.batch_size = 64
  config.num_steps = epochs * steps_per_epoch
  config.steps_per_call = 0
  config.log_every = steps_per_epoch
  config.eval_every = config.num_steps
  config.save_every = config.num_steps
  config.picture_every = 0

  config.data = ConfigDict()
  config.data.name = variant
  config.data.dir = ''  # the folder with the set's files; empty: $JAXGEN_DATA/<name>
  config.data.columns = ConfigDict({'image': 'image', 'label': 'label'})  # of a tfds: set
  config.data.image_size = 28
  config.data.channels = 1
  config.data.max_shift = 2  # pixels, up and sideways, at random

  config.model = ConfigDict()
  config.model.widths = (16, 32, 64) if bundled else (64, 128, 256)  # the trunk, paper
  config.model.hidden = 64 if bundled else 256

  config.optim = ConfigDict()
  config.optim.learning_rate = 2e-3 if bundled else 1e-3  # falls to 0 along a cosine

  config.eval = ConfigDict()
  config.eval.batch_size = 360 if bundled else 512

  config.checkpoint = ConfigDict()
  config.checkpoint.keep = 1
  config.checkpoint.best = ''
  config.checkpoint.mode = 'min'

  config.stop = ConfigDict()
  config.stop.metric = ''
  config.stop.mode = 'min'
  config.stop.patience = 5

  config.inspect = ConfigDict()
  config.inspect.facts = ConfigDict(
    {'image_shape': (28, 28, 1), 'num_classes': 10, 'steps_per_epoch': steps_per_epoch}
  )
  return config.lock()
