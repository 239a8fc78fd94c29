"""The systems: name -> module with `make_data`, `make_model`, `make_task`; imported on use."""

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

SYSTEMS = {
  'comvae': 'jaxgen.systems.comvae',
  'mmgan': 'jaxgen.systems.mmgan',
  'srsenet': 'jaxgen.systems.srsenet',
  'mmgan_classifier': 'jaxgen.systems.mmgan.classifier',
  'handwriting': 'jaxgen.systems.handwriting',
  'handwriting_recogniser': 'jaxgen.systems.handwriting.recogniser',
  'lipgen': 'jaxgen.systems.lipgen',
  'lipgen_motion': 'jaxgen.systems.lipgen.motion',
  'lipgen_render': 'jaxgen.systems.lipgen.render',
}


def parts(name: str) -> Iterator[ModuleType]:
  """The module `name` of each system that is a package and has one, in the order of SYSTEMS.

  Nothing else of a system is imported.
  """
  for module in dict.fromkeys(SYSTEMS.values()):
    if _has_part(module, name):
      yield importlib.import_module(f'{module}.{name}')


def _has_part(module: str, name: str) -> bool:
  try:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.submodule_search_locations is None:  # missing, or a single file
      return False
    return importlib.util.find_spec(f'{module}.{name}') is not None
  except ModuleNotFoundError:  # of a parent
    return False


def imported_on_use(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
  """A module's `__getattr__` that imports what it names on use only: config mistakes are told before jax is
  imported, and `jaxgen --help` imports no system.

  Args:
    module: its name.
    places: attribute -> full name of the module that defines it.
  """

  def get(name: str) -> Any:
    if name in places:
      return getattr(importlib.import_module(places[name]), name)
    raise AttributeError(f'module {module!r} has no attribute {name!r}')

  return get
