"""Small configs of the Mixed Membership GAN."""

from helpers import override

from jaxgen import config as configs

TINY = {
  'batch_size': 24,  # 8 a component; 8 devices
  'num_steps': 4,
  'log_every': 2,
  'eval_every': 0,
  'save_every': 2,
  'model__gen_widths': (8, 4, 4, 4),
  'model__disc_widths': (4, 4, 8),
  'model__classifier_width': 8,
  'model__num_latents': 4,
  'model__mixture_support': 'all',  # the paper's
  'optim__mixture_optimizer': 'adam',
  'optim__mixture_learning_rate': 2e-4,
  'loss__sharing': 0.0,
  'loss__sharing_decay': 0.0,
  'eval__batch_size': 120,
  'eval__num_samples': 80,
}
CLASSIFIER = {
  'num_steps': 22,
  'log_every': 22,
  'eval_every': 0,
  'save_every': 22,
  'model__widths': (2, 2, 4),
  'model__hidden': 8,
}


def tiny(variant='A_fixed', **overrides):
  """An mmgan config at tiny widths; overrides by dotted key, dots as '__'."""
  return override(configs.load(f'mmgan:{variant}'), {**TINY, **overrides})


def tiny_classifier(**overrides):
  """The evaluation classifier's config at tiny widths."""
  return override(configs.load('mmgan_classifier'), {**CLASSIFIER, **overrides})
