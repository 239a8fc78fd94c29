"""`jaxgen export` and `jaxgen import-torch`: trained models for and from other programs."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jaxgen import config as configs
from jaxgen.command.arguments import add_workdir, path, workdir
from jaxgen.command.commands import Command
from jaxgen.command.opening import prepare
from jaxgen.errors import ConfigError
from jaxgen.files import check_file
from jaxgen.systems import SYSTEMS
from jaxgen.terminal.signals import interruptible

if TYPE_CHECKING:
  from jaxgen.task import Trained


def _add_export(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser)
  parser.add_argument(
    '--format', choices=('stablehlo', 'safetensors', 'hub'), default='safetensors'
  )
  parser.add_argument(
    '--output',
    type=path,
    help='output file, or folder for hub; WORKDIR/export/SYSTEM.*, WORKDIR/export/hub by default',
  )


def export_run(
  args: argparse.Namespace, header: Mapping[str, str] | None = None, system: str = ''
) -> None:
  """Runs the export.

  Args:
    args: of the command.
    header: further text for the header of the weights, by title; in place of what it has there.
    system: the only one whose weights can have it; '' for any.
  """
  prepare()
  from jaxgen.exchange import export, weight_files
  from jaxgen.run import inference

  trained = inference.load(args.workdir, args.step)
  if system not in ('', trained.config.system):
    of = trained.config.system
    raise ConfigError(f'{args.workdir} is a run of {of}: {", ".join(header or ())} is for {system}')
  if args.format == 'hub':
    _export_folder(args, trained, header or {})
    return
  suffix, source, card = export.SUFFIXES[args.format], args.workdir, {}
  default = source / 'export' / f'{trained.config.system}{suffix}'
  if source.is_file():
    default, card = source.with_suffix(suffix), weight_files.load_card(source)
  target = args.output or default
  check_file('--output', target, default.name)
  if target.exists() and target.resolve() == source.resolve():
    raise ConfigError(f'{source} would be overwritten: name another file with --output')
  with interruptible():
    export.write(trained, args.format, target, {**card, **(header or {})})
  print(f'wrote {target} ({target.stat().st_size / 2**20:.1f} MiB)')


def _export_folder(args: argparse.Namespace, trained: 'Trained', header: Mapping[str, str]) -> None:
  """Writes a folder for the Hugging Face Hub."""
  from jaxgen.exchange import hub_folder
  from jaxgen.run import loading
  from jaxgen.run.workdir import results_folder

  results = results_folder(args.workdir)
  target = args.output or results / 'export' / 'hub'
  with interruptible():
    card = {**loading.card(args.workdir), **header}
    told = hub_folder.write(trained, target, card, results)
  print(f'wrote {target}: {", ".join(sorted(x.name for x in target.iterdir()))}')
  for line in told:
    print(line)


def _add_import(parser: argparse.ArgumentParser) -> None:
  parser.add_argument('system', metavar='SYSTEM', help='e.g. srsenet')
  parser.add_argument('file', metavar='FILE', type=path, help='.pt or .pth with a state dict')
  parser.add_argument(
    '--workdir', type=workdir, required=True, help='folder to create for the imported weights'
  )


def import_torch(args: argparse.Namespace, **options: Any) -> None:
  """Runs the import; `options` are further arguments of the system's `from_torch`."""
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
  'a trained run as one file, or a folder for the HF Hub',
  'safetensors: weights, config and facts; commands accept it instead of WORKDIR, upscale as --weights. '
  'stablehlo: a program with its weights inside, for jax.export.deserialize; the docs page of the system '
  'lists its inputs. hub: a new folder with model card, weights, config and metrics, ready to upload to the '
  'Hugging Face Hub.',
  _add_export,
  export_run,
)
IMPORT_TORCH = Command(
  'import-torch',
  'a PyTorch state dict as a folder for jaxgen commands',
  'Imports the published weights of a system that has some. Only tensors are read from the file; no code in '
  'it is run.',
  _add_import,
  import_torch,
)
