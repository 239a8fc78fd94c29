"""Mixed Membership GAN: learns what several image collections share and what is specific to each.

Source: Yazici et al., "Mixed Membership Generative Adversarial Networks".
"""

from jaxgen.systems import imported_on_use

_LAZY = {
  'ABOUT': 'config',
  'CONVOLUTIONAL': 'config',
  'EVAL_METRICS': 'config',
  'KEYS': 'config',
  'check_config': 'config',
  'depends_on_num_steps': 'config',
  'exported_function': 'portable',
  'make_data': 'data',
  'make_model': 'task',
  'make_task': 'task',
  'image_rule': 'apply',
  'memberships': 'apply',
}

__all__ = [*_LAZY]

__getattr__ = imported_on_use(__name__, {k: f'{__name__}.{v}' for k, v in _LAZY.items()})
