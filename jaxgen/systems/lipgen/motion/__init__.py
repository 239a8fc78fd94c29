"""LipGen's motion: what a mouth and a head do while a sound is heard.

The first half of the paper's synthesis, as a system of its own: from log-mels to how the contours of the lips
differ from the speaker's own neutral ones, and how the head moves.
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
