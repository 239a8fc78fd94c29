"""The systems: name -> module with `make_data`, `make_model`, `make_task`; imported on use."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

SYSTEMS = {
  'comvae': 'jaxgen.systems.comvae',
  'mmgan': 'jaxgen.systems.mmgan',
  'srsenet': 'jaxgen.systems.srsenet',
  'mmgan_classifier': 'jaxgen.systems.mmgan.classifier',
}


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
