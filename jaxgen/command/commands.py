"""The interface of `jaxgen` subcommands, and the discovery of those of systems.

A system defines its own in `systems/<system>/commands.py`, or a package `commands`, as `COMMANDS`, a tuple of
`Command`, and options that it adds to a command of all systems as `EXTENSIONS`, a tuple of `Extension`. Such a
module imports nothing heavy: its functions do.
"""

import argparse
from collections.abc import Callable
from typing import NamedTuple

from jaxgen.systems import parts


class Command(NamedTuple):
  """One subcommand.

  Attributes:
    name: as typed.
    help: one line for `jaxgen --help`, at most 60 characters.
    description: for its own `--help`.
    add_arguments: adds its arguments to a parser.
    run: runs it; raises UserError for user mistakes.
  """

  name: str
  help: str
  description: str
  add_arguments: Callable[[argparse.ArgumentParser], None]
  run: Callable[[argparse.Namespace], None]


class Extension(NamedTuple):
  """Options that one system adds to a command of all systems.

  Attributes:
    command: the name of the command.
    add_arguments: adds further options to its parser.
    wanted: whether the command line has any of them.
    run: runs in that case, in place of the command.
  """

  command: str
  add_arguments: Callable[[argparse.ArgumentParser], None]
  wanted: Callable[[argparse.Namespace], bool]
  run: Callable[[argparse.Namespace], None]


def extended(command: Command) -> Command:
  """A command with the options that systems add to it."""
  more = [
    extension
    for module in parts('commands')
    for extension in getattr(module, 'EXTENSIONS', ())
    if extension.command == command.name
  ]

  def add_arguments(parser: argparse.ArgumentParser) -> None:
    command.add_arguments(parser)
    for extension in more:
      extension.add_arguments(parser)

  def run(args: argparse.Namespace) -> None:
    chosen = next((x for x in more if x.wanted(args)), command)
    chosen.run(args)

  return command._replace(add_arguments=add_arguments, run=run)


def of_systems() -> list[Command]:
  """The commands defined by systems, in the order of SYSTEMS; only their command modules are imported."""
  return [command for module in parts('commands') for command in module.COMMANDS]
