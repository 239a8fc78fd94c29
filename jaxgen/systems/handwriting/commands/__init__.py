"""The subcommands of `jaxgen` that handwriting brings, a module each."""

from jaxgen.systems.handwriting.commands.read import READ
from jaxgen.systems.handwriting.commands.write import WRITE

COMMANDS = (WRITE, READ)
