"""LipGen's motion model: predicts mouth and head motion from sound.

The first half of the paper's synthesis, as a system of its own: from log-mels to the lip contours' offsets from
the speaker's own neutral ones, and to head motion.
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
  'make_evaluation_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'exported_function': 'portable',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
