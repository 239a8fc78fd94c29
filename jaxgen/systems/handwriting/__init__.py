"""Handwriting: a GAN that writes a given word, with a recogniser that reads it and balanced gradients.

Source: Alonso, Moysset, Messina, "Adversarial Generation of Handwritten Text Images Conditioned on Sequences".
"""

from jaxgen.systems import imported_on_use

_LAZY = {
  'ABOUT': 'config',
  'CONVOLUTIONAL': 'config',
  'EVAL_METRICS': 'config',
  'KEYS': 'config',
  'check_config': 'config',
  'curriculum_steps': 'config',
  'depends_on_num_steps': 'config',
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
