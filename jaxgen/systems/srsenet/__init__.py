"""SrSENet: single-image super-resolution with squeeze-and-excitation.

Source: Mei et al., "An Effective Single-Image Super-Resolution Model Using Squeeze-and-Excitation Networks".
"""

from jaxgen.systems import imported_on_use

_LAZY = {
  'ABOUT': 'config',
  'CONVOLUTIONAL': 'config',
  'EVALUATES_WITHOUT_DATA': 'config',
  'EVAL_METRICS': 'config',
  'KEYS': 'config',
  'check_config': 'config',
  'depends_on_num_steps': 'config',
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'exported_function': 'portable',
  'from_torch': 'portable',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
