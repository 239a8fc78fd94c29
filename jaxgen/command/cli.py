"""The `jaxgen` command: inspect systems and use trained models."""

from __future__ import annotations

import sys

from jaxgen.command.exits import guarded, listen

TYPE_CHECKING = False  # importing typing takes milliseconds
if TYPE_CHECKING:
  from collections.abc import Sequence

  from jaxgen.command.arguments import Parser


def main(argv: Sequence[str] | None = None) -> int:
  """Runs a command line, by default this process's; returns the exit status."""
  return guarded(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
  if argv is None:
    listen()
    argv = sys.argv[1:]
  parser = _parser()
  from jaxgen.command.arguments import fetch

  args = parser.parse_args(argv)
  fetch(args)
  args.run(args)


def _parser() -> Parser:
  """The parser with all subcommands; imported here, where Ctrl-C is already handled."""
  from jaxgen import __version__
  from jaxgen.command import commands, demo, doctor, exchange, inspecting, using
  from jaxgen.command.arguments import Parser
  from jaxgen.command.completion import SHELLS, Completion

  parser = Parser(
    prog='jaxgen',
    description='Inspect systems and use trained runs. To train, use launch.py.',
    epilog='jaxgen COMMAND --help shows the options of a command.',
  )
  parser.add_argument('--version', action='version', version=f'jaxgen {__version__}')
  parser.add_argument(
    '--completion',
    action=Completion,
    choices=SHELLS,
    metavar='SH',
    help=f'print a shell completion script, for {", ".join(SHELLS)}',
  )
  subparsers = parser.add_subparsers(required=True, metavar='COMMAND')
  core = (
    inspecting.INSPECT,
    using.EVALUATE,
    using.SAMPLE,
    exchange.EXPORT,
    exchange.IMPORT_TORCH,
    demo.DEMO,
    doctor.DOCTOR,
  )
  for command in (*map(commands.extended, core), *commands.of_systems()):
    one = subparsers.add_parser(command.name, help=command.help, description=command.description)
    command.add_arguments(one)
    one.set_defaults(run=command.run)
  return parser


if __name__ == '__main__':
  sys.exit(main())
