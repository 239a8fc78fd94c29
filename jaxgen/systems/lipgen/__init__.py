"""LipGen's lip reader: words from lip video, guided by visemes and temporal attention.

Source: Hao et al., "LipGen: Viseme-Guided Lip Video Generation for Enhancing Visual Speech Recognition".
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
  'make_evaluation_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'exported_function': 'portable',
  'from_torch': 'portable',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
