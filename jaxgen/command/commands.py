"""What a subcommand of `jaxgen` is, and where those of systems are found.

A system offers its own in `systems/<system>/commands.py` as `COMMANDS`, a tuple of `Command`. That file
imports nothing heavy: its functions do.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from jaxgen.systems import parts


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
  """The commands that systems offer, in the order of SYSTEMS; of a system only these are imported."""
  return [command for module in parts('commands') for command in module.COMMANDS]
