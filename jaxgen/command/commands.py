"""What a subcommand of `jaxgen` is, and where those of systems are found.

A system offers its own in `systems/<system>/commands.py` as `COMMANDS`, a tuple of `Command`. That file
imports nothing heavy: its functions do.
"""

import argparse
import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from jaxgen.systems import SYSTEMS


class Command(NamedTuple):
  """One subcommand.

  Attributes:
    name: as it is typed.
    help: one line for `jaxgen --help`, at most 60 characters.
    description: for its own `--help`.
    add_arguments: gives a parser its arguments.
    run: does it; mistakes of a person are UserErrors.
  """

  name: str
  help: str
  description: str
  add_arguments: Callable[[argparse.ArgumentParser], None]
  run: Callable[[argparse.Namespace], None]


def of_systems() -> list[Command]:
  """The commands that systems offer, in the order of SYSTEMS; no system is imported but for them."""
  found: list[Command] = []
  for module in dict.fromkeys(SYSTEMS.values()):
    if _offers_commands(module):
      found += importlib.import_module(f'{module}.commands').COMMANDS
  return found


def _offers_commands(module: str) -> bool:
  try:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.submodule_search_locations is None:  # missing, or a single file
      return False
    return importlib.util.find_spec(f'{module}.commands') is not None
  except ModuleNotFoundError:  # of a parent
    return False
