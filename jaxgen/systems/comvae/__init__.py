"""Compound VAE: a variational autoencoder whose encoder has a distribution over weights for each example.

Source: Su, Lin, Chen, "Compound Variational Auto-Encoder".
"""

from jaxgen.systems import imported_on_use

_LAZY = {
  'ABOUT': 'config',
  'CONVOLUTIONAL': 'config',
  'EVAL_METRICS': 'config',
  'KEYS': 'config',
  'check_config': 'config',
  'depends_on_num_steps': 'config',
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'image_size': 'apply',
  'score_images': 'apply',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
