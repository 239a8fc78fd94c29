"""`jaxgen import-torch lipgen FILE --words ...`: the names of the imported classes."""

import argparse

from jaxgen.command import exchange
from jaxgen.command.arguments import path as as_path
from jaxgen.command.commands import Extension
from jaxgen.errors import ConfigError

_OPTIONS = 'words', 'dictionary', 'visemes'


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument(
    '--words',
    type=as_path,
    metavar='FILE|DIR',
    help='lipgen: the words in class order, as a file with one per line, or the folder of LRW',
  )
  parser.add_argument(
    '--dictionary',
    type=as_path,
    metavar='FILE',
    help='lipgen: pronunciation dictionary of these words instead of CMUdict',
  )
  parser.add_argument(
    '--visemes',
    type=as_path,
    metavar='FILE',
    help='lipgen: groups of the phonemes in it that look alike, instead of the 18 of jaxgen',
  )


def _given(args: argparse.Namespace) -> list[str]:
  """The options of lipgen on a command line."""
  return [name for name in _OPTIONS if getattr(args, name) is not None]


def _import_torch(args: argparse.Namespace) -> None:
  given = _given(args)
  if args.system != 'lipgen':
    raise ConfigError(f'--{given[0]} applies to lipgen only: {args.system} has no words, drop it')
  if args.words is None:
    raise ConfigError(f'--{given[0]} is about the words of --words: name them too')
  if not args.words.exists():
    raise ConfigError(f'--words={args.words}: no such file or folder')
  from jaxgen.systems.lipgen.portable import read_classes

  files = {name: str(getattr(args, name)) for name in given if name != 'words'}
  exchange.import_torch(args, words=read_classes(args.words), **files)


IMPORT_WORDS = Extension(
  'import-torch', _add_arguments, lambda args: bool(_given(args)), _import_torch
)
