"""`jaxgen export WORKDIR --segmenting JSON`: how a reader searches for words, in the header of its weights."""

import argparse

from jaxgen.command import exchange
from jaxgen.command.commands import Extension
from jaxgen.errors import ConfigError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    '--segmenting',
    metavar='JSON',
    help='lipgen: how lipread searches for words with these weights, as \'{"new_word": 1.0}\'',
  )


def _export(args: argparse.Namespace) -> None:
  if args.format == 'stablehlo':
    raise ConfigError('--segmenting is for weights, and stablehlo has no header: drop one of them')
  from jaxgen.systems.lipgen.apply import SYSTEM
  from jaxgen.systems.lipgen.reading.segmenting import KEY, Segmenting

  how = Segmenting.from_json(args.segmenting)
  exchange.export_run(args, {KEY: how.to_json()}, SYSTEM)


EXPORT_SEARCH = Extension(
  'export', _add_arguments, lambda args: args.segmenting is not None, _export
)
