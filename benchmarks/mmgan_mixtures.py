"""Compares update rules for a learned mixture over seeds, and writes the figures to one file.

  python benchmarks/mmgan_mixtures.py --out benchmarks/results/mmgan_mixtures_digits_cpu.json
  python benchmarks/mmgan_mixtures.py --variants B_learned,C_learned --settings groups_sharing_decay --out FILE
  python benchmarks/mmgan_mixtures.py --prefix mnist_ --half --settings paper,groups_sharing_decay --out FILE

Runs are kept in --runs and resumed or reused if present, so the command can be stopped and rerun; settings and
variants already in the file are kept.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine
import numpy as np
import rows

from jaxgen.command import exits
from jaxgen.errors import UserError
from jaxgen.files import write_json
from jaxgen.run import startup
from jaxgen.terminal.reporter import Reporter

# Every setting fully specifies omega's update. `paper`: Adam at twice the others' rate (1e-3 on the digits).
# A step of mirror or gradient descent is proportional to the gradient, some hundredths of a nat.
PAPER = {
  'model.mixture_support': 'all',
  'optim.mixture_optimizer': 'adam',
  'optim.mixture_learning_rate': '2e-3',
  'optim.mixture_hold': '0.0',
  'loss.classifier': '0.5',
  'loss.classifier_decay': '0.0',
  'loss.mixture_value': '1.0',
  'loss.likelihood': '0.0',
  'loss.sharing': '0.0',
  'loss.sharing_decay': '0.0',
  'loss.sparsity': '0.0',
  'loss.sparsity_from': '0.0',
}
MIRROR = {**PAPER, 'optim.mixture_optimizer': 'mirror', 'optim.mixture_learning_rate': '0.02'}
GROUPS = {'model.mixture_support': 'groups'}
DECAYING = {'loss.sharing': '0.15', 'loss.sharing_decay': '1.0'}
LIKELIHOOD = {
  'loss.likelihood': '1.0',
  'loss.mixture_value': '0.0',
  'optim.mixture_hold': '0.1',
}
SETTINGS: dict[str, dict[str, str]] = {
  'paper': PAPER,
  'slow_adam': {**PAPER, 'optim.mixture_learning_rate': '2e-4'},
  'hold': {**PAPER, 'optim.mixture_hold': '0.3333'},
  'sgd': {**PAPER, 'optim.mixture_optimizer': 'sgd', 'optim.mixture_learning_rate': '0.06'},
  'mirror': MIRROR,
  'mirror_sharing': {**MIRROR, 'loss.sharing': '0.1'},
  'mirror_sharing_decay': {**MIRROR, 'loss.sharing': '1.0', 'loss.sharing_decay': '1.0'},
  'mirror_sparsity': {**MIRROR, 'loss.sparsity': '0.1', 'loss.sparsity_from': '0.6667'},
  'mirror_lambda': {**MIRROR, 'loss.classifier': '2.0'},
  'mirror_lambda_decay': {**MIRROR, 'loss.classifier': '2.0', 'loss.classifier_decay': '0.9'},
  'mirror_likelihood': {**MIRROR, **LIKELIHOOD},
  'groups': {**PAPER, **GROUPS},
  'groups_mirror': {**MIRROR, **GROUPS},
  'groups_sharing': {**MIRROR, **GROUPS, 'loss.sharing': '0.15'},
  'groups_sharing_decay': {**MIRROR, **GROUPS, **DECAYING},
  'groups_likelihood': {**MIRROR, **GROUPS, **LIKELIHOOD},
}
# MNIST and Fashion-MNIST on two cores: half the paper's widths, 6,000 steps.
HALF = {
  'model.gen_widths': '(128, 64, 32, 16)',
  'model.disc_widths': '(32, 64, 128)',
  'model.classifier_width': '128',
  'num_steps': '6000',
  'eval_every': '1000',
  'save_every': '1000',
  'optim.learning_rate': '5e-4',
}
HALF_RATES = {'2e-3': '1e-3', '2e-4': '1e-4'}  # Adam's rates, scaled in proportion
FIGURES = (
  'component_accuracy_mean',
  'mixture_accuracy',
  'mixture_error',
  'components_in_use',
  'set_accuracy',
)
KEPT = (
  *FIGURES,
  'component_accuracy',
  'regions',
  'mixture',
  'true_mixture',
  'step',
  'classifier_accuracy',
)
TABLE = rows.Table('mmgan', (), FIGURES, FIGURES, lambda found: 'mixture_error' in found)


def main() -> None:
  """Parses the command line, trains missing runs, writes and prints the table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--prefix', default='', help="'' for the digits, mnist_, fashion_mnist_")
  parser.add_argument('--variants', default='A_learned', help='comma-separated')
  parser.add_argument('--settings', default=','.join(SETTINGS), help='comma-separated')
  parser.add_argument('--seeds', type=int, default=3, help='seeds 0 .. N-1')
  parser.add_argument('--half', action='store_true', help='half the widths, 6,000 steps')
  parser.add_argument('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  unknown = set(args.settings.split(',')) - SETTINGS.keys()
  if unknown:
    raise SystemExit(
      f'--settings: no {", ".join(sorted(unknown))}; there are {", ".join(SETTINGS)}'
    )
  startup.enable_compilation_cache()
  reporter = Reporter()
  report = json.loads(args.out.read_text()) if args.out.is_file() else {'settings': {}}
  for variant in args.variants.split(','):
    for name in args.settings.split(','):
      found = _over_seeds(args, args.prefix + variant, name, reporter)
      report['settings'].setdefault(args.prefix + variant, {})[name] = found
      report['environment'] = machine.describe()
      write_json(args.out, report)
  _print(report['settings'], reporter)


def _overrides(name: str, half: bool) -> dict[str, str]:
  setting = SETTINGS[name]
  if not half:
    return setting
  key = 'optim.mixture_learning_rate'
  return {**setting, **HALF, key: HALF_RATES.get(setting[key], setting[key])}


def _over_seeds(
  args: argparse.Namespace, variant: str, name: str, reporter: Reporter
) -> dict[str, Any]:
  """The figures for every seed of a setting; for failed runs, the reason."""
  overrides = _overrides(name, args.half)
  given = argparse.Namespace(
    set=[f'{key}={value}' for key, value in overrides.items()], runs=args.runs, evaluate=True
  )
  runs = []
  for seed in range(args.seeds):
    try:
      found = rows.figures(TABLE, variant, seed, given, reporter)
      runs.append({'seed': seed, **{key: found[key] for key in KEPT}})
    except UserError as error:  # for example non-finite values
      runs.append({'seed': seed, 'failed': str(error).split(';')[0]})  # the rest names folders
  whole = [run for run in runs if 'failed' not in run]
  return {
    'overrides': overrides,
    'date': machine.describe()['date'],
    'mean': {key: float(np.mean([run[key] for run in whole])) for key in FIGURES if whole},
    'runs': runs,
  }


def _print(settings: dict[str, dict[str, Any]], reporter: Reporter) -> None:
  for variant, of_variant in settings.items():
    lines = [
      [name, len(found['runs']), *(found['mean'].get(key, float('nan')) for key in FIGURES)]
      for name, found in of_variant.items()
    ]
    reporter.table(f'{variant}: means over seeds', ['setting', 'seeds', *FIGURES], lines)


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
