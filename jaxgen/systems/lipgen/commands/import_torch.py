"""`jaxgen import-torch lipgen FILE --words ...`: names the imported classes."""

import argparse

from jaxgen.command import exchange
from jaxgen.command.arguments import path as as_path
from jaxgen.command.commands import Extension
from jaxgen.errors import ConfigError


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    '--words',
    type=as_path,
    metavar='FILE|DIR',
    help='lipgen: the words in class order, as a file with one per line, or the folder of LRW',
  )


def _import_torch(args: argparse.Namespace) -> None:
  if args.system != 'lipgen':
    raise ConfigError(f'--words applies to lipgen only: {args.system} has no words, drop it')
  if not args.words.exists():
    raise ConfigError(f'--words={args.words}: no such file or folder')
  from jaxgen.systems.lipgen.portable import read_classes

  exchange.import_torch(args, words=read_classes(args.words))


IMPORT_WORDS = Extension(
  'import-torch', _add_arguments, lambda args: args.words is not None, _import_torch
)
