"""`jaxgen upscale`: a person's files and folders through a trained or a shipped SrSENet."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, check_weights, path
from jaxgen.command.arguments import weights as as_weights
from jaxgen.command.batch import how_to_go_on
from jaxgen.command.commands import Command
from jaxgen.command.opening import prepare
from jaxgen.data.image_files import FORMATS
from jaxgen.errors import ConfigError, UserError
from jaxgen.exchange.shipped import check_finite
from jaxgen.systems.srsenet.asked import TILINGS, check_asked
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.systems.srsenet.apply import Options
  from jaxgen.systems.srsenet.batch import Tally
  from jaxgen.systems.srsenet.plan import Plan
  from jaxgen.systems.srsenet.tiling import Upscaler
  from jaxgen.task import Trained
  from jaxgen.terminal.reporter import Reporter


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('inputs', metavar='INPUT', nargs='+', help='files, folders, patterns')
  add('--scale', type=float, help="2 by default, or the --weights' own; also between those of nets")
  add('--output', type=path, metavar='DIR', help='beside each input by default')
  add(
    '--weights',
    type=as_weights,
    metavar='WORKDIR|FILE|NAME',
    help='a trained run, an exported file, or a name of the Hugging Face Hub as hf://OWNER/NAME',
  )
  add_step(parser, 'of --weights WORKDIR: ')
  add(
    '--net',
    choices=('clean', 'photo'),
    help='of the shipped nets: photo (the default at x2 and x4) undoes JPEG and mild noise too, '
    'clean downscaling alone',
  )
  add('--overwrite', action='store_true', help='write anew what is in the place of an output')
  add('--keep-times', action='store_true', help="outputs get their files' times of change")
  add(
    '--tiling',
    choices=TILINGS,
    default='auto',
    help='auto: whole where the features fit --memory, else sampled (one pass, the attention gates '
    'from tiles spread over the image). exact: as whole, features in a temporary file',
  )
  add('--memory', type=int, default=1024, metavar='MIB', help='for features; 1024 by default')
  add('--ensemble', action='store_true', help='average over flips and turns: 8 times the work')
  add(
    '--preserve-mean',
    action='store_true',
    help='what is enlarged has the local means of what it is made of: for halftones, pixel art, measurements',
  )
  add('--sheet', action='store_true', help='also a comparison with bicubic beside each output')
  add('--quality', type=int, default=95, help='of JPEG, WebP and AVIF; 95 by default')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that cannot be, alone or together."""
  check_asked(args.tiling, args.memory, args.quality, args.output)
  if args.sheet and args.scale is not None and not args.scale.is_integer():
    raise ConfigError('--sheet needs a whole --scale')
  if args.net and args.weights:
    raise ConfigError(
      '--net chooses among the shipped nets: leave it out where --weights names one'
    )
  check_weights(args)
  if args.weights and args.weights.is_file() and args.weights.suffix != '.safetensors':
    raise ConfigError(
      f'--weights {args.weights} is neither the folder of a run nor a .safetensors file of jaxgen export; '
      'PyTorch weights go through jaxgen import-torch'
    )


def _upscale(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.srsenet import apply
  from jaxgen.systems.srsenet.plan import make_plan
  from jaxgen.terminal.reporter import Reporter

  wanted = args.scale if args.scale is not None or args.weights else 2.0
  weights = args.weights or apply.shipped_weights(wanted, args.net or apply.default_net(wanted))
  trained, config = None, apply.known_config(weights)
  if config is None:
    trained = _load(weights, args.step)
    config = trained.config
  scale = config.get('scale', 0) if wanted is None else wanted
  apply.check_config(config, scale, weights)
  options = apply.Options(
    scale,
    args.tiling,
    args.overwrite,
    args.ensemble,
    args.sheet,
    args.quality,
    keep_times=args.keep_times,
    preserve_mean=args.preserve_mean,
  )
  plan = make_plan(args.inputs, args.output, scale, args.sheet)
  _check_any(plan)
  if args.output:
    apply.check_writable(args.output)

  def make_upscaler(bars: Callable) -> 'Upscaler':
    net = trained or _load(weights, args.step)
    check_finite(net, weights, 'it makes no pictures')
    return apply.make_upscaler(net, args.memory, bars)

  _work(plan, options, make_upscaler, Reporter())


def _load(weights: Path, step: int | str | None) -> 'Trained':
  """A net; of a file without what reads checkpoints, which takes long to import."""
  prepare()
  if weights.suffix == '.safetensors':
    from jaxgen.exchange import weight_files
    from jaxgen.run import tools

    trained = weight_files.load_weights(weights)
    tools.prepare_precision(trained.config)
    return trained
  from jaxgen.run import inference

  return inference.load(weights, step)


def _check_any(plan: 'Plan') -> None:
  """Raises UserError where there is no image, and says what there is instead."""
  if not (plan.jobs or plan.outputs or plan.missing):
    others = len(plan.beside.others)
    found = [counted(others, 'other file')] if others else []
    found = [*found, *plan.beside.told] or ['no file at all']
    raise UserError(f'no image found ({"; ".join(found)}). Images are {", ".join(FORMATS)}')


def _work(
  plan: 'Plan',
  options: 'Options',
  make_upscaler: 'Callable[[Callable], Upscaler]',
  reporter: 'Reporter',
) -> None:
  """Upscales what is planned and tells of it, stopped or not."""
  from jaxgen.systems.srsenet import batch
  from jaxgen.terminal.signals import Stopped, StopSignals

  for line in plan.beside.told:
    reporter.warn(f'warning: {line}')
  tally = batch.Tally()
  began = time.monotonic()
  with StopSignals('ending') as signals:

    def check() -> None:
      if signals.received:
        raise Stopped(signals.received)

    def progress(items: Iterable, description: str, total: int | None = None) -> Iterator:
      return reporter.progress(items, description, total, check)

    bars = batch.Bars(progress)
    host = batch.Host(lambda: make_upscaler(bars), bars, reporter.say, reporter.warn, check)
    try:
      batch.run(plan, options, tally, host)
    except Stopped as stop:
      done = f'{tally.upscaled} upscaled. {how_to_go_on(options.overwrite)}'
      reporter.say(f'stopped by {stop}; {done}')
      raise
    reporter.say('; '.join(_summary(plan, tally, time.monotonic() - began)))
  if tally.failed:
    raise UserError(f'{len(tally.failed)} of {len(plan.jobs) + len(plan.missing)} failed')


def _summary(plan: 'Plan', tally: 'Tally', seconds: float) -> list[str]:
  parts = [f'{tally.upscaled} upscaled in {seconds:.1f} s']
  if tally.existing:
    were = counted(tally.existing, 'was', 'were')
    parts.append(f'{were} there already (--overwrite writes anew)')
  if plan.outputs:
    parts.append(f'{counted(plan.outputs, "output")} of earlier runs left alone')
  for paths, one, many in (
    (plan.beside.others, 'other file', 'other files'),
    (plan.beside.foreign, 'file that cannot be read', 'files that cannot be read'),
    (plan.beside.lost, 'link to nothing', 'links to nothing'),
  ):
    if paths:
      parts.append(f'{counted(len(paths), one, many)} skipped')
  return parts


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
