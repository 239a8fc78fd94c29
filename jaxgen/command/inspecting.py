"""`jaxgen inspect`: layers, parameters and FLOPs of a variant."""

import argparse
import json

from jaxgen import config as configs
from jaxgen.command.commands import Command
from jaxgen.systems import SYSTEMS


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  parser.add_argument('spec', metavar='SYSTEM[:VARIANT]', help='e.g. comvae:mnist_vanilla')
  parser.add_argument('--json', action='store_true', help='parameter counts as JSON')


def _run(args: argparse.Namespace) -> None:
  config = configs.load(args.spec)
  configs.check(config)
  from jaxgen.command.opening import prepare
  from jaxgen.command.summary import summarize
  from jaxgen.terminal.reporter import Reporter
  from jaxgen.words import counted

  prepare()
  summary = summarize(config)
  if args.json:
    keys = ('players', 'total', 'total_without_norm')
    print(json.dumps({key: getattr(summary, key) for key in keys}))
    return
  reporter = Reporter()
  rows = [[x.player, x.name, ' x '.join(map(str, x.shape)), f'{x.size:,}'] for x in summary.layers]
  reporter.table(args.spec, ['player', 'layer', 'shape', 'parameters'], rows)
  for player, count in summary.players.items():
    reporter.say(f'{player}: {counted(count, "parameter")}')
  reporter.say(f'total: {summary.total:,}, without normalisation {summary.total_without_norm:,}')
  if summary.flops is not None:
    reporter.say(f'one step of batch {config.batch_size}: {summary.flops / 1e6:,.1f} MFLOP (XLA)')


INSPECT = Command(
  'inspect',
  'layers, parameters and FLOPs of a variant',
  f'Systems: {", ".join(SYSTEMS)}. Nothing is trained, loaded or downloaded.',
  _add_arguments,
  _run,
)
