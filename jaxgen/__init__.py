"""Published generative and recognition systems as pure functions in JAX/Flax.

Most functions do what the command of the same name does; `load` opens a trained run. They are imported lazily:
`import jaxgen` does not import JAX.
"""

from importlib import import_module
from threading import RLock
from typing import Any

__version__ = '0.1.0'

# The public functions and the modules that define them.
_FUNCTIONS = {
  'load': 'jaxgen.run.loading',
  'upscale': 'jaxgen.systems.srsenet.functions',
  'write': 'jaxgen.systems.handwriting.functions',
  'write_sheet': 'jaxgen.systems.handwriting.functions',
  'read': 'jaxgen.systems.handwriting.functions',
  'score': 'jaxgen.systems.comvae.functions',
  'latents': 'jaxgen.systems.comvae.functions',
  'decode': 'jaxgen.systems.comvae.functions',
  'memberships': 'jaxgen.systems.mmgan.functions',
  'samples': 'jaxgen.systems.mmgan.functions',
  'lipread': 'jaxgen.systems.lipgen.functions',
  'talk': 'jaxgen.systems.lipgen.functions',
}
__all__ = ['__version__', *_FUNCTIONS]
# Threads that import mutually dependent modules may otherwise see one only partly initialised.
_importing = RLock()


def __getattr__(name: str) -> Any:
  if name not in _FUNCTIONS:
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  with _importing:
    return getattr(import_module(_FUNCTIONS[name]), name)


def __dir__() -> list[str]:
  return sorted(__all__)
