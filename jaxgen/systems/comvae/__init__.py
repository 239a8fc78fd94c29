"""Compound VAE: a variational autoencoder whose encoder has a distribution over weights for each example.

Source: Su, Lin, Chen, "Compound Variational Auto-Encoder".
"""

from jaxgen.systems import imported_on_use
from jaxgen.systems.comvae.config import (
  CONVOLUTIONAL,
  EVAL_METRICS,
  check_config,
  depends_on_num_steps,
)

_LAZY = {
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'image_size': 'apply',
  'score_images': 'apply',
}

__all__ = ['CONVOLUTIONAL', 'EVAL_METRICS', 'check_config', 'depends_on_num_steps', *_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
