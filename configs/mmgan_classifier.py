"""The classifier that judges the components of a Mixed Membership GAN.

mmgan trains it once, when it is first needed, and keeps it in $JAXGEN_CACHE/runs. To train it directly:

  python launch.py --config=configs/mmgan_classifier.py --workdir=runs/classifier

trains a narrow one on scikit-learn's bundled digits (resized to 28x28). The variants mnist, fashion_mnist,
emnist_mnist and kmnist have the paper's widths and read their files from --config.data.dir=DIR.
"""

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config, labelled_images
from jaxgen.systems.mmgan.classifier import VARIANTS


def get_config(variant: str = 'digits') -> ConfigDict:
  """The config of the classifier of one labelled set."""
  choose_variant(variant, VARIANTS)
  bundled = variant == 'digits'
  steps_per_epoch = 22 if bundled else 937
  epochs = 30 if bundled else 5
  config = base_config('mmgan_classifier', mode='min', keep=1)
  config.batch_size = 64
  config.num_steps = epochs * steps_per_epoch
  config.log_every = steps_per_epoch
  config.eval_every = config.num_steps
  config.save_every = config.num_steps

  config.data = labelled_images(variant)
  config.data.image_size = 28
  config.data.channels = 1
  config.data.max_shift = 2  # largest random shift, pixels, vertically and horizontally

  config.model = ConfigDict()
  config.model.widths = (16, 32, 64) if bundled else (64, 128, 256)  # the trunk, paper
  config.model.hidden = 64 if bundled else 256

  config.optim = ConfigDict()
  config.optim.learning_rate = 2e-3 if bundled else 1e-3  # cosine decay to 0

  config.eval = ConfigDict()
  config.eval.batch_size = 360 if bundled else 512

  facts = {'image_shape': (28, 28, 1), 'num_classes': 10, 'steps_per_epoch': steps_per_epoch}
  config.inspect = ConfigDict({'facts': facts})
  return config.lock()
