"""Mixed Membership GAN: learns what several image collections share and what each has alone.

Source: Yazici et al., "Mixed Membership Generative Adversarial Networks".
"""

import importlib
from typing import Any

from jaxgen.systems.mmgan.config import (
  CONVOLUTIONAL,
  EVAL_METRICS,
  check_config,
  depends_on_num_steps,
)

_LAZY = {
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'image_rule': 'apply',
  'memberships': 'apply',
}

__all__ = ['CONVOLUTIONAL', 'EVAL_METRICS', 'check_config', 'depends_on_num_steps', *_LAZY]


def __getattr__(name: str) -> Any:
  """Imports what needs jax on use only, so that config mistakes are told at once."""
  if name in _LAZY:
    return getattr(importlib.import_module(f'{__name__}.{_LAZY[name]}'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
