"""What tests of handwriting share: small configs, and variables of networks without training."""

import jax
import numpy as np
from helpers import override

from jaxgen import config as configs
from jaxgen.systems.handwriting.networks.blocks import batch_norm

WORDS = {
  'data__width': 48,
  'data__letters': 'aeimnrst',
  'data__max_letters': 3,
  'data__num_words': 40,
  'data__num_unseen': 8,
  'data__num_examples': 32,
  'data__num_validation': 8,
  'data__num_writers': 8,
}
TINY = {
  'loss__parameter_norms': 0,  # the game would be compiled twice
  **WORDS,
  'batch_size': 16,
  'num_steps': 4,
  'log_every': 2,
  'eval_every': 0,
  'save_every': 2,
  'picture_every': 0,
  'model__gen_filters': (4, 4, 4, 4),
  'model__chunk': 2,
  'model__disc_filters': (4, 4),
  'model__recogniser_width': 0.1,
  'curriculum__read_steps': 0,
  'curriculum__paired_steps': 0,
  'curriculum__freeze_recogniser': False,
  'eval__batch_size': 8,
  'eval__num_words': 8,
  'eval__reader_steps': 2,
}
# The paper's networks, with its embedding, its conditional norms and attention, at 32 x 128.
PAPER = {
  'data__width': 128,
  'data__max_letters': 8,
  'model__gen_filters': (8, 4, 4, 8, 4),
  'model__disc_filters': (8, 4, 4, 4, 4),
  'model__cbn_hidden': 4,
  'model__text_features': 4,
  'model__text_hidden': 4,
  'model__text_layers': 1,
}


def tiny(variant='tiny', **overrides):
  """A handwriting config at tiny widths, the game alone; overrides by dotted key, dots as '__'."""
  return override(configs.load(f'handwriting:{variant}'), {**TINY, **overrides})


def tiny_recogniser(**overrides):
  """A recogniser's config at tiny widths."""
  small = {
    **WORDS,
    'batch_size': 16,
    'num_steps': 4,
    'log_every': 2,
    'save_every': 2,
    'model__recogniser_width': 0.1,
    'eval__batch_size': 8,
  }
  return override(configs.load('handwriting_recogniser'), {**small, **overrides})


NORM = batch_norm()
KEY = jax.random.key(0)


def shapes_of(module, *args):
  """The shapes of a network's variables."""
  return jax.eval_shape(lambda: module.init(KEY, *args))


def variables_of(module, *args, seed=0):
  """Random variables of a network, without compiling its initialisation."""
  rng = np.random.default_rng(seed)

  def draw(path, x):
    name = str(path[-1].key)
    if name in ('var', 'scale') or name.endswith('sigma'):
      return rng.uniform(0.5, 1.5, x.shape).astype(x.dtype)
    return (rng.normal(size=x.shape) / np.sqrt(max(1, np.prod(x.shape[:-1])))).astype(x.dtype)

  return jax.tree_util.tree_map_with_path(draw, shapes_of(module, *args))
