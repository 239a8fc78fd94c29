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
    help='keys of the config that change no training, as eval.batch_size=64',
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
  'every figure of a run into its evaluation.json',
  'Computes every figure of a trained run, the expensive ones too, into its evaluation.json.',
  _add_arguments,
  _evaluate,
)
SAMPLE = Command(
  'sample',
  'pictures that need no data into its samples/',
  'Draws the pictures of a trained run that need no data into its samples/.',
  _add_arguments,
  _sample,
)
