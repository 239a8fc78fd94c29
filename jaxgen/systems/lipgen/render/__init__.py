"""LipGen's renderer: video diffusion conditioned on a warped face, its lip contours and a reference frame.

Source: Hao et al., "LipGen: Viseme-Guided Lip Video Generation for Enhancing Visual Speech Recognition", which
renders with AniPortrait (Wei et al. 2024).
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
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
