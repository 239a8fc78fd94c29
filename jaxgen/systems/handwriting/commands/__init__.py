"""The subcommands that handwriting adds to `jaxgen`, one module each."""

from jaxgen.systems.handwriting.commands.read import READ
from jaxgen.systems.handwriting.commands.write import WRITE

COMMANDS = (WRITE, READ)
