"""`jaxgen export` and `jaxgen import-torch`: trained models for other programs, and from them."""

import argparse
from typing import Any

from jaxgen import config as configs
from jaxgen.command.arguments import add_workdir, path, workdir
from jaxgen.command.commands import Command
from jaxgen.command.opening import prepare
from jaxgen.errors import ConfigError
from jaxgen.files import check_file
from jaxgen.systems import SYSTEMS
from jaxgen.terminal.signals import interruptible


def _add_export(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser)
  parser.add_argument('--format', choices=('stablehlo', 'safetensors'), default='safetensors')
  parser.add_argument('--output', type=path, help='the file; WORKDIR/export/SYSTEM.* by default')


def _export(args: argparse.Namespace) -> None:
  prepare()
  from jaxgen.exchange import export, weight_files
  from jaxgen.run import inference

  trained = inference.load(args.workdir, args.step)
  suffix, source, card = export.SUFFIXES[args.format], args.workdir, {}
  default = source / 'export' / f'{trained.config.system}{suffix}'
  if source.is_file():
    default, card = source.with_suffix(suffix), weight_files.load_card(source)
  target = args.output or default
  check_file('--output', target, default.name)
  if target.exists() and target.resolve() == source.resolve():
    raise ConfigError(f'{source} would be written over itself: name another file with --output')
  with interruptible():
    export.write(trained, args.format, target, card)
  print(f'wrote {target} ({target.stat().st_size / 2**20:.1f} MiB)')


def _add_import(parser: argparse.ArgumentParser) -> None:
  parser.add_argument('system', metavar='SYSTEM', help='as srsenet')
  parser.add_argument('file', metavar='FILE', type=path, help='.pt or .pth with a state dict')
  parser.add_argument('--workdir', type=workdir, required=True, help='a new folder')


def import_torch(args: argparse.Namespace, **options: Any) -> None:
  """Does it; `options` are what a system's `from_torch` takes besides."""
  if args.system not in SYSTEMS:
    near = configs.near_matches(args.system, SYSTEMS)
    raise ConfigError(f'unknown system {args.system!r}.{near}')
  prepare()
  from jaxgen.exchange import torch_import

  with interruptible():
    folder = torch_import.run(args.system, args.file, args.workdir, **options)
  print(f'wrote {folder / "config.json"} and {folder / "weights.safetensors"}')


EXPORT = Command(
  'export',
  'a trained run as one file for other programs',
  'safetensors: weights, config and facts; commands take it in place of WORKDIR, upscale as --weights. '
  "stablehlo: a program with its weights inside, for jax.export.deserialize; the system's page says what "
  'goes in.',
  _add_export,
  _export,
)
IMPORT_TORCH = Command(
  'import-torch',
  'a PyTorch state dict as a folder for jaxgen commands',
  'Reads published weights of a system that has some. Only tensors are read from the file, no code is '
  'run. Needs the extra jaxgen[torch].',
  _add_import,
  import_torch,
)
