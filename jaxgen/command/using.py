"""`jaxgen evaluate` and `jaxgen sample`, which work for every trained run."""

import argparse

from jaxgen.command.arguments import add_workdir
from jaxgen.command.commands import Command
from jaxgen.command.opening import prepare


def _add_arguments(parser: argparse.ArgumentParser) -> None:
  add_workdir(parser)
  parser.add_argument(
    'overrides',
    metavar='KEY=VALUE',
    nargs='*',
    help='config keys that do not affect training, e.g. eval.batch_size=64',
  )


def _evaluate(args: argparse.Namespace) -> None:
  prepare()
  from jaxgen.run import inference

  given = inference.with_overrides(args.workdir, args.overrides)
  inference.evaluate(args.workdir, args.step, given)


def _sample(args: argparse.Namespace) -> None:
  prepare()
  from jaxgen.run import inference

  given = inference.with_overrides(args.workdir, args.overrides)
  inference.sample(args.workdir, args.step, given)


EVALUATE = Command(
  'evaluate',
  'all metrics of a run, written to its evaluation.json',
  'Computes all metrics of a trained run, expensive ones included, and writes them to its evaluation.json.',
  _add_arguments,
  _evaluate,
)
SAMPLE = Command(
  'sample',
  'pictures of a run that need no data, into its samples/',
  'Draws the pictures of a trained run that need no data, and writes them to its samples/.',
  _add_arguments,
  _sample,
)
