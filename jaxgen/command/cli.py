"""The `jaxgen` command: look at systems and use what was trained."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxgen import config as configs
from jaxgen.command.launcher import guarded
from jaxgen.errors import ConfigError, UserError
from jaxgen.systems import SYSTEMS


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command; returns the exit status."""
  args = _parser().parse_args(argv)
  return guarded(lambda: args.run(args))


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='jaxgen',
    description='Look at systems and use trained runs. Training is launch.py.',
    epilog='jaxgen COMMAND --help says more.',
  )
  commands = parser.add_subparsers(required=True, metavar='COMMAND')

  inspect = commands.add_parser(
    'inspect',
    help='layers, parameters and FLOPs of a variant',
    description=f'Systems: {", ".join(SYSTEMS)}. Nothing is trained, loaded or downloaded.',
  )
  inspect.add_argument('spec', metavar='SYSTEM[:VARIANT]', help='as comvae:mnist_vanilla')
  inspect.add_argument('--json', action='store_true', help='parameter counts as JSON')
  inspect.set_defaults(run=_inspect)

  for name, run, text in (
    ('evaluate', _evaluate, 'every figure of a run into its evaluation.json'),
    ('sample', _sample, 'pictures that need no data into its samples/'),
  ):
    command = commands.add_parser(name, help=text, description=text)
    _add_workdir(command)
    command.add_argument(
      'overrides',
      metavar='KEY=VALUE',
      nargs='*',
      help='keys of the config that change no training, as eval.batch_size=64',
    )
    command.set_defaults(run=run)

  score = commands.add_parser(
    'score',
    help='negative ELBO, importance bound and weight variance of your own images (comvae)',
    description="Scores images in nats. Images of another size are fitted into the model's.",
  )
  _add_workdir(score)
  _add_images(score)
  score.set_defaults(run=_score)

  memberships = commands.add_parser(
    'memberships',
    help='which components and collections your own images belong to (mmgan)',
    description='Posteriors of images over components and over collections, both uniform before '
    "seeing the image. Images of another size are brought to the model's as in training.",
  )
  _add_workdir(memberships)
  _add_images(memberships)
  memberships.set_defaults(run=_memberships)
  _add_upscale(commands)

  export = commands.add_parser(
    'export',
    help='a trained run as one file for other programs',
    description='safetensors: weights, config and facts, for any jaxgen command. stablehlo: a program '
    'with its weights inside, for jax.export.deserialize; images of any size go in.',
  )
  _add_workdir(export)
  export.add_argument('--format', choices=('stablehlo', 'safetensors'), default='safetensors')
  export.add_argument('--output', type=_path, help='the file; WORKDIR/export/SYSTEM.* by default')
  export.set_defaults(run=_export)

  torch = commands.add_parser(
    'import-torch',
    help='a published PyTorch state dict as a folder that jaxgen commands use (srsenet)',
    description='Only tensors are read from the file, no code is run. Needs the extra jaxgen[torch].',
  )
  torch.add_argument('system', metavar='SYSTEM', help='srsenet')
  torch.add_argument('file', metavar='FILE', type=_path, help='.pt or .pth with a state dict')
  torch.add_argument('--workdir', type=_path, required=True, help='a new folder')
  torch.set_defaults(run=_import_torch)
  return parser


def _add_upscale(commands: Any) -> None:
  upscale = commands.add_parser(
    'upscale',
    help='photos two to eight times as large (srsenet)',
    description='Upscales image files, folders with all below them, and patterns. Depth, alpha, colour '
    'profile and metadata stay; existing outputs are skipped, so an interrupted run goes on where it was.',
  )
  add = upscale.add_argument
  add('inputs', metavar='INPUT', nargs='+', help='files, folders, patterns')
  add('--scale', type=float, help="2 by default, or the --weights' own; also between those of nets")
  add('--output', type=_path, metavar='DIR', help='beside each input by default')
  add('--weights', type=_path, metavar='WORKDIR|FILE', help='a trained run, or an exported file')
  add('--overwrite', action='store_true', help='write existing outputs anew')
  add(
    '--tiling',
    choices=('auto', 'whole', 'exact', 'sampled'),
    default='auto',
    help='auto: whole where the features fit --memory, else sampled (one pass, the attention gates '
    'from tiles spread over the image). exact: as whole, features in a temporary file',
  )
  add('--memory', type=int, default=1024, metavar='MIB', help='for features; 1024 by default')
  add('--ensemble', action='store_true', help='average over flips and turns: 8 times the work')
  add('--sheet', action='store_true', help='also a comparison with bicubic beside each output')
  add('--quality', type=int, default=95, help='of JPEG and WebP; 95 by default')
  upscale.set_defaults(run=_upscale)


def _add_images(command: argparse.ArgumentParser) -> None:
  command.add_argument('images', metavar='IMAGE', nargs='+', help='any file Pillow reads')
  command.add_argument(
    '--invert',
    action='store_true',
    help='dark ink on white paper, for a model of light ink on black',
  )
  command.add_argument('--json', action='store_true', help='one JSON object an image')


def _path(text: str) -> Path:
  """A path whose ~ stands for a home: shells leave it as it is after an equals sign."""
  return Path(os.path.expanduser(text))  # noqa: PTH111, which fails where there is no such home


def _add_workdir(command: argparse.ArgumentParser) -> None:
  command.add_argument('workdir', metavar='WORKDIR', type=_path, help='the folder of a trained run')
  command.add_argument('--step', type=int, help='a saved step; the newest by default')


def _inspect(args: argparse.Namespace) -> None:
  config = configs.load(args.spec)
  configs.check(config)
  from jaxgen.command.summary import summarize
  from jaxgen.terminal.reporter import Reporter

  summary = summarize(config)
  if args.json:
    keys = ('players', 'total', 'total_without_norm')
    print(json.dumps({key: getattr(summary, key) for key in keys}))
    return
  reporter = Reporter()
  rows = [[x.player, x.name, ' x '.join(map(str, x.shape)), f'{x.size:,}'] for x in summary.layers]
  reporter.table(args.spec, ['player', 'layer', 'shape', 'parameters'], rows)
  for player, count in summary.players.items():
    reporter.say(f'{player}: {count:,} parameters')
  reporter.say(f'total: {summary.total:,}, without normalisation {summary.total_without_norm:,}')
  if summary.flops is not None:
    reporter.say(f'one step of batch {config.batch_size}: {summary.flops / 1e6:,.1f} MFLOP (XLA)')


def _evaluate(args: argparse.Namespace) -> None:
  _prepare()
  from jaxgen.run import inference

  inference.evaluate(
    args.workdir, args.step, inference.with_overrides(args.workdir, args.overrides)
  )


def _sample(args: argparse.Namespace) -> None:
  _prepare()
  from jaxgen.run import inference

  inference.sample(args.workdir, args.step, inference.with_overrides(args.workdir, args.overrides))


def _score(args: argparse.Namespace) -> None:
  with _opened(args, 'score_images', 'scores no images') as (opened, system):
    from jaxgen.photos.images import read_grey

    height, width = system.image_size(opened.trained)
    images, failed = _read_each(
      args.images, lambda path: read_grey(path, height, width, args.invert), opened
    )
    scores = system.score_images(opened.trained, opened.tools, list(images.values()))
  if args.json:
    for path, score in zip(images, scores, strict=True):
      print(json.dumps({'image': path, **score._asdict()}))
  elif images:
    columns = ['image', 'negative ELBO', 'NLL (importance bound)', 'weight variance']
    rows = [
      [p, s.negative_elbo, s.nll_importance, f'{s.weight_variance:.4f}']
      for p, s in zip(images, scores, strict=True)
    ]
    opened.reporter.table('nats', columns, rows)
  _tell_failed(failed, args.images)


def _memberships(args: argparse.Namespace) -> None:
  with _opened(args, 'memberships', 'has no memberships') as (opened, system):
    from jaxgen.data.image_folders import read_image

    rule = system.image_rule(opened.trained)
    images, failed = _read_each(
      args.images, lambda path: read_image(Path(path), rule, args.invert), opened
    )
    found = system.memberships(opened.trained, opened.tools, list(images.values()))
  names = opened.trained.facts['set_names']
  if args.json:
    for path, x in zip(images, found, strict=True):
      sets = dict(zip(names, x.distribution, strict=True))
      print(json.dumps({'image': path, 'components': x.component, 'sets': sets}))
  elif images:
    columns = ['image', *(f'c{k + 1}' for k in range(len(found[0].component))), *names]
    rows = [[p, *x.component, *x.distribution] for p, x in zip(images, found, strict=True)]
    title = 'probabilities of components (c) and of collections'
    opened.reporter.table(title, columns, rows)
  _tell_failed(failed, args.images)


def _upscale(args: argparse.Namespace) -> None:
  if args.memory < 1 or not 1 <= args.quality <= 100:
    raise ConfigError('--memory must be above 0 and --quality from 1 to 100')
  if args.sheet and args.scale is not None and not args.scale.is_integer():
    raise ConfigError('--sheet needs a whole --scale')
  _prepare()
  from jaxgen.run import inference, tools
  from jaxgen.systems.srsenet import apply
  from jaxgen.systems.srsenet.plan import make_plan
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.terminal.signals import StopSignals

  wanted = args.scale if args.scale is not None or args.weights else 2.0
  if args.weights and not args.weights.exists():
    raise ConfigError(f'--weights {args.weights}: no such file or folder')
  weights = args.weights or apply.shipped_weights(wanted)
  trained = inference.load(weights)
  scale = trained.config.get('scale', 0) if wanted is None else wanted
  apply.check_weights(trained, scale, weights)
  options = apply.Options(
    scale, args.tiling, args.overwrite, args.ensemble, args.sheet, args.quality
  )
  plan = make_plan(args.inputs, args.output, scale, args.sheet)
  if args.output:
    apply.check_writable(args.output)
  reporter = Reporter()
  with StopSignals() as signals:

    def progress(items: Any, description: str) -> Iterator[Any]:
      return reporter.progress(items, description, check=lambda: tools.check_stop(signals))

    upscaler = apply.make_upscaler(trained, args.memory, progress)
    apply.run(plan, upscaler, options, reporter)


def _export(args: argparse.Namespace) -> None:
  _prepare()
  from jaxgen.exchange import export, weight_files
  from jaxgen.run import inference

  trained = inference.load(args.workdir, args.step)
  suffix, source, card = export.SUFFIXES[args.format], args.workdir, {}
  default = source / 'export' / f'{trained.config.system}{suffix}'
  if source.is_file():
    default, card = source.with_suffix(suffix), weight_files.load_card(source)
  path = args.output or default
  if path.is_dir():
    raise ConfigError(f'--output={path} is a folder: name a file, as {path / default.name}')
  if path.exists() and path.resolve() == source.resolve():
    raise ConfigError(f'{source} would be written over itself: name another file with --output')
  export.write(trained, args.format, path, card)
  print(f'wrote {path} ({path.stat().st_size / 2**20:.1f} MiB)')


def _import_torch(args: argparse.Namespace) -> None:
  if args.system not in SYSTEMS:
    near = configs.near_matches(args.system, SYSTEMS)
    raise ConfigError(f'unknown system {args.system!r}.{near}')
  from jaxgen.exchange import torch_import

  folder = torch_import.run(args.system, args.file, args.workdir)
  print(f'wrote {folder / "config.json"} and {folder / "weights.safetensors"}')


@contextmanager
def _opened(args: argparse.Namespace, needs: str, otherwise: str) -> Iterator[tuple[Any, Any]]:
  """The run of a command, and its system, which must offer `needs`."""
  _prepare()
  from jaxgen.run import inference
  from jaxgen.terminal.signals import StopSignals

  with StopSignals() as signals:
    opened = inference.open_run(args.workdir, args.step, signals=signals)
    system = configs.system_module(opened.trained.config)
    if not hasattr(system, needs):
      raise ConfigError(
        f'{args.workdir} is a run of {opened.trained.config.system}, which {otherwise}'
      )
    yield opened, system


def _read_each(
  paths: Sequence[str], read: Callable[[str], np.ndarray], opened: Any
) -> tuple[dict[str, np.ndarray], list[str]]:
  """Images by path, and the paths that cannot be read; each of those is told of."""
  images, failed = {}, []
  for path in paths:
    try:
      images[path] = read(path)
    except UserError as error:
      failed.append(path)
      opened.reporter.warn(f'error: {error}')
  return images, failed


def _tell_failed(failed: Sequence[str], paths: Sequence[str]) -> None:
  if failed:
    raise UserError(f'{len(failed)} of {len(paths)} images could not be read: {", ".join(failed)}')


def _prepare() -> None:
  from jaxgen.run import devices

  devices.enable_compilation_cache()


if __name__ == '__main__':
  sys.exit(main())
