"""`jaxgen upscale`: upscales the user's files and folders with a trained or a shipped SrSENet."""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgen.command.arguments import add_step, check_weights, path
from jaxgen.command.arguments import weights as as_weights
from jaxgen.command.batch import batch
from jaxgen.command.commands import Command
from jaxgen.command.opening import load
from jaxgen.data.image_files import FORMATS
from jaxgen.errors import ConfigError, UserError
from jaxgen.exchange.shipped import check_finite
from jaxgen.files import is_pattern
from jaxgen.passes import no_bars
from jaxgen.systems.srsenet.asked import TILINGS, check_asked
from jaxgen.words import counted

if TYPE_CHECKING:
  from jaxgen.command.batch import Batch
  from jaxgen.photos import Size
  from jaxgen.systems.srsenet.apply import Options
  from jaxgen.systems.srsenet.plan import FileJob, Plan
  from jaxgen.systems.srsenet.tiling import Upscaler


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add = parser.add_argument
  add('inputs', metavar='INPUT', nargs='+', help='image files, folders, glob patterns')
  add(
    '--scale',
    type=float,
    help='2 by default, or that of --weights; may lie between the scales of the nets',
  )
  add('--output', type=path, metavar='DIR', help='output folder; beside each input by default')
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
    help='which shipped net: photo (the default at x2 and x4) also removes JPEG artefacts and mild noise, '
    'clean undoes only downscaling',
  )
  add('--overwrite', action='store_true', help='overwrite existing outputs')
  add(
    '--keep-times', action='store_true', help='outputs get the modification times of their inputs'
  )
  add(
    '--tiling',
    choices=TILINGS,
    default='auto',
    help='auto: whole if the features fit into --memory, else sampled (one pass, attention gates '
    'computed from tiles spread over the image). exact: same result as whole, features in a temporary file',
  )
  add(
    '--memory', type=int, default=1024, metavar='MIB', help='memory for features; 1024 by default'
  )
  add('--ensemble', action='store_true', help='average over flips and rotations: 8 times the work')
  add(
    '--preserve-mean',
    action='store_true',
    help='keep the local means of the input: for halftones, pixel art, measurements',
  )
  add(
    '--sheet', action='store_true', help='also write a comparison with bicubic beside each output'
  )
  add('--quality', type=int, default=95, help='quality of JPEG, WebP and AVIF; 95 by default')


def _check(args: argparse.Namespace) -> None:
  """Raises ConfigError for options that are invalid, alone or together."""
  check_asked(args.tiling, args.memory, args.quality, args.output)
  if args.sheet and args.scale is not None and not args.scale.is_integer():
    raise ConfigError('--sheet needs a whole --scale')
  if args.net and args.weights:
    raise ConfigError('--net selects a shipped net: leave it out with --weights')
  check_weights(args)
  if args.weights and args.weights.is_file() and args.weights.suffix != '.safetensors':
    raise ConfigError(
      f'--weights {args.weights} is neither the folder of a run nor a .safetensors file from jaxgen export; '
      'convert PyTorch weights with jaxgen import-torch'
    )


def _upscale(args: argparse.Namespace) -> None:
  _check(args)
  from jaxgen.systems.srsenet import apply
  from jaxgen.systems.srsenet.plan import make_plan

  wanted = args.scale if args.scale is not None or args.weights else 2.0
  weights = args.weights or apply.shipped_weights(wanted, args.net or apply.default_net(wanted))
  trained, config = None, apply.known_config(weights)
  if config is None:
    trained = load(weights, args.step)
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

  def make_upscaler() -> 'Upscaler':
    net = trained or load(weights, args.step)
    check_finite(net, weights, 'it makes no pictures')
    return apply.make_upscaler(net, args.memory, no_bars)

  _work(plan, options, make_upscaler)


def _check_any(plan: 'Plan') -> None:
  """Raises UserError if there is no image, and says what there is instead."""
  if not (plan.jobs or plan.outputs or plan.missing):
    others = len(plan.beside.others)
    found = [counted(others, 'other file')] if others else []
    found = [*found, *plan.beside.told] or ['no file at all']
    raise UserError(f'no image found ({"; ".join(found)}). Images are {", ".join(FORMATS)}')


def _work(plan: 'Plan', options: 'Options', make_upscaler: 'Callable[[], Upscaler]') -> None:
  """Carries out a plan, with a net that is loaded for the first file that needs it."""
  from jaxgen.systems.srsenet import apply

  began, upscaler = time.monotonic(), None
  with batch(False, 'image', overwrite=options.overwrite) as work:
    for line in plan.beside.told:
      work.note(line)
    for name in plan.missing:
      more = ', and nothing matches it as a pattern' if is_pattern(name) else ''
      work.fail(name, f'{name}: no such file or folder{more}')
    for number, (job, size, missing) in _waiting(plan, options, work):
      upscaler = upscaler or make_upscaler()
      name = str(job.source)
      try:
        apply.check_fits(job.source, size, upscaler, options)
        apply.check_writable(job.target.parent)
        shown = upscaler.shown(work.bars(job.source.name))
        wrote = apply.upscale_file(job, shown, options, missing, work.note)
      except (UserError, OSError) as error:
        work.fail(name, error)
        continue
      line = f'({number}/{len(plan.jobs)}) {wrote}' if len(plan.jobs) > 1 else wrote
      work.tell(name, line, (), {})
    total = len(plan.jobs) + len(plan.missing)
    did = f'upscaled in {time.monotonic() - began:.1f} s'
    work.end(did, total, 'upscaled', _left(plan))


def _waiting(
  plan: 'Plan', options: 'Options', work: 'Batch'
) -> 'Iterator[tuple[int, tuple[FileJob, Size, set[Path]]]]':
  """Yields each file with missing outputs: its number, its job, its size and what is missing."""
  from jaxgen.photos import read_size
  from jaxgen.systems.srsenet.outputs import missing_outputs

  for number, job in enumerate(plan.jobs, start=1):
    work.check()
    try:
      missing = missing_outputs(job, options.scale, options.sheet, options.overwrite)
      size = read_size(job.source) if missing else None
    except (UserError, OSError) as error:
      work.fail(str(job.source), error)
      continue
    if size is None:
      work.skip(str(job.source), {})
    else:
      yield number, (job, size, missing)


def _left(plan: 'Plan') -> list[str]:
  """Describes what was found but will not be upscaled."""
  parts = []
  if plan.outputs:
    parts.append(f'{counted(plan.outputs, "output")} of earlier runs left alone')
  for paths, one, many in (
    (plan.beside.others, 'other file', 'other files'),
    (plan.beside.foreign, 'file that cannot be read', 'files that cannot be read'),
    (plan.beside.lost, 'broken link', 'broken links'),
  ):
    if paths:
      parts.append(f'{counted(len(paths), one, many)} skipped')
  return parts


COMMANDS = (
  Command(
    'upscale',
    'photos upscaled up to eight times (srsenet)',
    'Upscales image files, folders (recursively) and glob patterns. Bit depth, alpha, colour profile and '
    'metadata are kept. Existing outputs are skipped, so an interrupted run resumes where it stopped.',
    _add_arguments,
    _upscale,
  ),
)
