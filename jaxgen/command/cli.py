"""The `jaxgen` command: look at systems and use what was trained."""

from __future__ import annotations

import sys

from jaxgen.command.exits import guarded, listen

TYPE_CHECKING = False  # typing itself takes milliseconds
if TYPE_CHECKING:
  from collections.abc import Sequence

  from jaxgen.command.arguments import Parser


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command, by default that of this process; returns the exit status."""
  return guarded(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
  if argv is None:
    listen()
    argv = sys.argv[1:]
  args = _parser().parse_args(argv)
  args.run(args)


def _parser() -> Parser:
  """All subcommands; imported here, where Ctrl-C is heard already."""
  from jaxgen import __version__
  from jaxgen.command import commands, demo, exchange, inspecting, using
  from jaxgen.command.arguments import Parser

  parser = Parser(
    prog='jaxgen',
    description='Look at systems and use trained runs. Training is launch.py.',
    epilog='jaxgen COMMAND --help says more.',
  )
  parser.add_argument('--version', action='version', version=f'jaxgen {__version__}')
  subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
  core = (
    inspecting.INSPECT,
    using.EVALUATE,
    using.SAMPLE,
    exchange.EXPORT,
    exchange.IMPORT_TORCH,
    demo.DEMO,
  )
  for command in (*map(commands.extended, core), *commands.of_systems()):
    one = subparsers.add_parser(command.name, help=command.help, description=command.description)
    command.add_arguments(one)
    one.set_defaults(run=command.run)
  return parser


if __name__ == '__main__':
  sys.exit(main())
