"""Shared by commands that make mouths move: options for the nets, and a help formatter for examples."""

import argparse

from jaxgen.command.arguments import weights as as_weights
from jaxgen.errors import ConfigError

_NETS = {'motion': 'the lip motion network', 'render': 'the mouth rendering network'}


class Teaching(argparse.HelpFormatter):
  """A help formatter that keeps the line breaks of examples."""

  def _fill_text(self, text: str, width: int, indent: str) -> str:
    return text if '\n' in text else super()._fill_text(text, width, indent)


def add_nets(parser: argparse.ArgumentParser) -> None:
  """Adds --motion, --render and --steps."""
  for kind, what in _NETS.items():
    parser.add_argument(
      f'--{kind}',
      type=as_weights,
      metavar='RUN|FILE|NAME',
      help=f'{what}: a run of lipgen_{kind}, an exported file or hf://OWNER/NAME; by default the one '
      'shipped with jaxgen',
    )
  parser.add_argument(
    '--steps',
    type=int,
    metavar='N',
    help='sampling steps per frame; by default as configured in the renderer. Fewer are faster but '
    'blurrier',
  )


def check_nets(args: argparse.Namespace) -> None:
  """Raises ConfigError for invalid options of `add_nets`."""
  from jaxgen.systems.lipgen.diffusion.schedule import check_steps

  check_steps(args.steps)
  for name in _NETS:
    given = getattr(args, name)
    if given and not given.exists():
      raise ConfigError(f'--{name}={given}: no such file or folder')
