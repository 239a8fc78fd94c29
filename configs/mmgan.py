"""Mixed Membership GAN (Yazici et al.): what several image collections share, and what only one of them has.

  python launch.py --config=configs/mmgan.py --workdir=runs/mmgan

trains on two overlapping class sets of scikit-learn's bundled digits (resized to 28x28), with a quarter of the
paper's widths and the mixture fixed at the truth.

  python launch.py --config=configs/mmgan.py:mnist_A_fixed --workdir=runs/mnist_A --config.data.dir=DIR

trains one row of the paper's table at paper size on MNIST (100,000 steps; it needs a GPU); DIR holds the four
.gz files. Variants: cases A, B and C (class sets), each with the mixture fixed, learned, or initialised at the
truth and learned from there, as A_fixed, B_learned or C_from_truth; prefixes: mnist_, fashion_mnist_.

  python launch.py --config=configs/mmgan.py:folders --workdir=runs/mine --config.data.sets=a/,b/,c/

trains on folders of your own images, of 28, 32 or 64 pixels (--config.data.image_size;
--config.data.resize=crop crops and resizes others), grey or RGB (--config.data.channels=3).
"""

from typing import Any

from ml_collections import ConfigDict

from jaxgen.config import choose_variant
from jaxgen.defaults import base_config, labelled_images, placement
from jaxgen.systems.mmgan.regions import CASES, regions

DATA = {'': 'digits', 'mnist_': 'mnist', 'fashion_mnist_': 'fashion_mnist'}
VARIANTS = {
  f'{prefix}{case}_{mixture}': (name, case, mixture)
  for prefix, name in DATA.items()
  for case in CASES
  for mixture in ('fixed', 'learned', 'from_truth')
}
VARIANTS['folders'] = ('folders', 'A', 'learned')
PER_COMPONENT = 32  # the paper


def get_config(variant: str = 'A_fixed') -> ConfigDict:
  """The config of one row of the paper's table, or of a person's own folders."""
  choose_variant(variant, VARIANTS)
  name, case, mixture = VARIANTS[variant]
  paper = name in ('mnist', 'fashion_mnist')
  num_sets = len(CASES[case])
  num_components = len(regions(num_sets))
  config = base_config('mmgan', mode='max')
  # Real images per distribution, and as many fakes, in equal numbers per component (the paper: 32 each).
  config.batch_size = num_components * (PER_COMPONENT if paper else 16)
  # 26 per component for two folders (3), 11 for three (7); splits over 8 devices.
  if name == 'folders':
    config.batch_size = 80
  config.num_steps = 100_000 if paper else 6_000
  config.log_every = 100
  config.eval_every = 10_000 if paper else 1_000
  config.save_every = 10_000 if paper else 1_000

  config.data = labelled_images(name)  # unused with data.sets
  config.data.case = case  # class sets: A, B, C
  config.data.sets = ''  # image folders of your own instead, as a/,b/
  config.data.image_size = 28  # 28, 32, 64
  config.data.channels = 1  # 1 grey, 3 RGB
  config.data.resize = 'none'  # of your own images: none, fit (on black), crop, stretch
  config.data.update(placement())

  config.model = _model(mixture, paper)

  config.loss = ConfigDict()
  config.loss.classifier = 0.5  # lambda, the paper
  # Ours, off for the paper's data sets; a decay is the fraction of the weight that is gone at the last step.
  config.loss.classifier_decay = 0.0
  config.loss.mixture_value = 1.0  # weight of eq. 8 in the loss of omega; the paper: 1
  config.loss.likelihood = 0.0  # weight of real images' likelihood under a learned mixture, by C
  config.loss.sharing = 0.0  # weight of I(set; component), a penalty on a learned mixture
  config.loss.sharing_decay = 0.0
  config.loss.sparsity = 0.0  # weight of the entropy of a learned mixture, a penalty ...
  config.loss.sparsity_from = 0.0  # ... that starts after this fraction of the run
  config.loss.generator = 'non_saturating'  # non_saturating, saturating

  config.optim = ConfigDict()
  config.optim.learning_rate = 2e-4 if paper else 1e-3  # Adam, the paper
  config.optim.mixture_learning_rate = 4e-4 if paper else 2e-4  # the paper: twice that of the rest
  config.optim.mixture_optimizer = 'adam'  # the paper; ours: sgd, mirror (exponentiated gradient)
  config.optim.mixture_hold = 0.0  # fraction of the run before omega is updated; ours
  config.optim.b1 = 0.0
  config.optim.b2 = 0.9
  config.ema_decay = 0.999  # moving average of the generator; 0: none

  config.eval = ConfigDict()
  config.eval.batch_size = 512
  config.eval.num_samples = 10_000  # of each component

  if not paper and mixture == 'learned':
    _ours(config)
  config.inspect = ConfigDict({'facts': _facts(num_sets, num_components)})
  return config.lock()


def _ours(config: ConfigDict) -> None:
  """How a learned mixture of the digits and of folders is trained: ours, chosen on case A of the digits.

  The paper's behaviour: mixture_support 'all', mixture_optimizer 'adam' at 2e-3, sharing 0.
  """
  config.model.mixture_support = 'groups'
  config.optim.mixture_optimizer = 'mirror'
  config.optim.mixture_learning_rate = 0.02
  config.loss.sharing = 0.15
  config.loss.sharing_decay = 1.0


def _model(mixture: str, paper: bool) -> ConfigDict:
  model = ConfigDict()
  model.num_components = 0  # K; 0: 2^n - 1
  # For class sets: fixed at the truth, learned, from_truth (initialised there, then learned); for folders
  # always learned.
  model.mixture = mixture
  # Of a learned mixture: all (the paper), groups (ours: sets outside group k have no share in component k).
  model.mixture_support = 'all'
  # venn (the same authors' Venn GAN), dcgan (what the paper names; without spectral norm).
  model.architecture = 'venn'
  model.num_latents = 128
  model.gen_widths = (256, 128, 64, 32) if paper else (64, 32, 16, 8)
  model.disc_widths = (64, 128, 256) if paper else (16, 32, 64)
  model.classifier_width = 256 if paper else 64
  model.spectral_norm = True
  model.norm_momentum = 0.9
  return model


def _facts(num_sets: int, num_components: int) -> dict[str, Any]:
  """Facts of the data, as `jaxgen inspect` assumes them without reading any."""
  return {
    'image_shape': (28, 28, 1),
    'set_names': tuple(f'set{i + 1}' for i in range(num_sets)),
    'true_mixture': ((1.0 / num_components,) * num_components,) * num_sets,
    'num_classes': 10,
    'steps_per_epoch': 500,
  }
