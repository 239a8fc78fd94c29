"""`jaxgen upscale`: a person's files and folders through a trained or a shipped SrSENet."""

import argparse
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, path
from jaxgen.command.commands import Command
from jaxgen.command.opening import prepare
from jaxgen.errors import ConfigError, UserError
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.srsenet.apply import Options
  from jaxgen.systems.srsenet.plan import Plan
  from jaxgen.systems.srsenet.tiling import Upscaler
  from jaxgen.terminal.reporter import Reporter


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('inputs', metavar='INPUT', nargs='+', help='files, folders, patterns')
  add('--scale', type=float, help="2 by default, or the --weights' own; also between those of nets")
  add('--output', type=path, metavar='DIR', help='beside each input by default')
  add('--weights', type=path, metavar='WORKDIR|FILE', help='a trained run, or an exported file')
  add_step(parser, 'of --weights WORKDIR: ')
  add(
    '--net',
    choices=('clean', 'photo'),
    help='of the shipped nets: clean (the default) undoes downscaling alone, photo also JPEG and mild noise',
  )
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


def _upscale(args: argparse.Namespace) -> None:
  if args.memory < 1 or not 1 <= args.quality <= 100:
    raise ConfigError('--memory must be above 0 and --quality from 1 to 100')
  if args.sheet and args.scale is not None and not args.scale.is_integer():
    raise ConfigError('--sheet needs a whole --scale')
  if args.step is not None and not (args.weights and args.weights.is_dir()):
    raise ConfigError('--step is of a trained run: name its folder with --weights')
  if args.net and args.weights:
    raise ConfigError(
      '--net chooses among the shipped nets: leave it out where --weights names one'
    )
  prepare()
  from jaxgen.run import inference, tools
  from jaxgen.systems.srsenet import apply
  from jaxgen.systems.srsenet.plan import make_plan
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.terminal.signals import StopSignals

  wanted = args.scale if args.scale is not None or args.weights else 2.0
  if args.weights and not args.weights.exists():
    raise ConfigError(f'--weights {args.weights}: no such file or folder')
  weights = args.weights or apply.shipped_weights(wanted, args.net or apply.CLEAN)
  trained = inference.load(weights, args.step)
  scale = trained.config.get('scale', 0) if wanted is None else wanted
  apply.check_weights(trained, scale, weights)
  options = apply.Options(
    scale, args.tiling, args.overwrite, args.ensemble, args.sheet, args.quality
  )
  plan = make_plan(args.inputs, args.output, scale, args.sheet)
  if args.output:
    apply.check_writable(args.output)
  reporter = Reporter()
  with StopSignals('ending') as signals:

    def progress(items: Iterable, description: str, total: int | None = None) -> Iterator:
      return reporter.progress(items, description, total, lambda: tools.check_stop(signals))

    upscaler = apply.make_upscaler(trained, args.memory, progress)
    _work(plan, upscaler, options, reporter)


def _work(plan: 'Plan', upscaler: 'Upscaler', options: 'Options', reporter: 'Reporter') -> None:
  """Upscales what is planned and tells of it, stopped or not."""
  from jaxgen.data.image_folders import SUFFIXES
  from jaxgen.systems.srsenet import apply
  from jaxgen.terminal.signals import Stopped

  others = counted(plan.others, 'other file')
  if not (plan.jobs or plan.outputs or plan.missing):
    raise UserError(f'no image found ({others}; images are {", ".join(SUFFIXES)})')
  tally = apply.Tally()
  began = time.monotonic()
  try:
    apply.run(plan, upscaler, options, tally, reporter.say, reporter.warn)
  except Stopped as stop:
    reporter.say(f'stopped by {stop}; {tally.upscaled} upscaled. Run the same command to go on.')
    raise
  parts = [f'{tally.upscaled} upscaled in {time.monotonic() - began:.1f} s']
  if tally.existing:
    were = counted(tally.existing, 'was', 'were')
    parts.append(f'{were} there already (--overwrite writes anew)')
  if plan.outputs:
    parts.append(f'{counted(plan.outputs, "output")} of earlier runs left alone')
  if plan.others:
    parts.append(f'{others} skipped')
  reporter.say('; '.join(parts))
  if tally.failed:
    raise UserError(f'{len(tally.failed)} of {len(plan.jobs) + len(plan.missing)} failed')


COMMANDS = (
  Command(
    'upscale',
    'photos two to eight times as large (srsenet)',
    'Upscales image files, folders with all below them, and patterns. Depth, alpha, colour profile and '
    'metadata stay; existing outputs are skipped, so an interrupted run goes on where it was.',
    _add_arguments,
    _upscale,
  ),
)
