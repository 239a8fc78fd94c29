"""SrSENet: single-image super-resolution with squeeze-and-excitation.

Source: Mei et al., "An Effective Single-Image Super-Resolution Model Using Squeeze-and-Excitation Networks".
"""

from jaxgen.systems import imported_on_use
from jaxgen.systems.srsenet.config import (
  CONVOLUTIONAL,
  EVAL_METRICS,
  EVALUATES_WITHOUT_DATA,
  check_config,
  depends_on_num_steps,
)

_LAZY = {
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'exported_function': 'portable',
  'from_torch': 'portable',
}

__all__ = [
  'CONVOLUTIONAL',
  'EVALUATES_WITHOUT_DATA',
  'EVAL_METRICS',
  'check_config',
  'depends_on_num_steps',
  *_LAZY,
]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
