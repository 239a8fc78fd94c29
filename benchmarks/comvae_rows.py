"""Trains rows of the Compound VAE's table over seeds and writes their figures, with intervals, to one file.

  python benchmarks/comvae_rows.py --prefix '' --seeds 5 --out benchmarks/results/comvae_digits.json
  python benchmarks/comvae_rows.py --prefix mnist_ --rows vanilla,simplified_mixture --seeds 3 --out FILE

All eight rows of MNIST need a GPU: the compound rows move 4.4 GB a step. Runs live in --runs and are resumed
or reused when they are there, so the command can be stopped and given again.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
from scipy import stats

from jaxgen import config as configs
from jaxgen import devices, run
from jaxgen.report import Reporter, write_json

ROWS = (
  'vanilla',
  'simplified_single',
  'simplified_mixture',
  'compound_single',
  'compound_mixture',
  'no_latent_dbnn',
  'no_reweighting',
  'no_batch_norm',
)
TERMS = ('reconstruction', 'latent_kl', 'negative_elbo', 'weight_kl')
BEYOND = (
  'nll_importance',
  'nll_ais',
  'amortization_gap',
  'approximation_gap',
  'active_units',
  'latent_mean_variance',
  'ood_auroc',
  'ood_auroc_variance',
)


def main() -> None:
  """Parses the command line, runs what is missing, writes and prints the table."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--prefix', default='', help="'' for the digits, mnist_, fashion_mnist_, ...")
  parser.add_argument('--rows', default=','.join(ROWS), help='comma-separated')
  parser.add_argument('--seeds', type=int, default=5, help='seeds 0 .. N-1')
  parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='override')
  parser.add_argument('--evaluate', action='store_true', help='also what goes beyond the paper')
  parser.add_argument('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  devices.enable_compilation_cache()
  reporter = Reporter()
  rows = {}
  for row in args.rows.split(','):
    rows[row] = [
      _figures(args.prefix + row, seed, args, reporter, args.runs) for seed in range(args.seeds)
    ]
    report = {
      'command': f'comvae_rows.py --prefix {args.prefix!r} --set {args.set} --seeds {args.seeds}',
      'environment': machine.describe(),
      'steps': configs.load(f'comvae:{args.prefix}{row}').num_steps,
      'summary': {name: summary(figures) for name, figures in rows.items()},
      'runs': rows,
    }
    write_json(args.out, report)
  _print(report['summary'], reporter)


def _figures(
  variant: str, seed: int, args: argparse.Namespace, reporter: Reporter, runs: Path
) -> dict[str, Any]:
  """evaluation.json of one run, trained first where it is not there."""
  config = configs.load(f'comvae:{variant}')
  overrides = dict(pair.split('=', 1) for pair in args.set)
  for key, value in overrides.items():
    config.update_from_flattened_dict({key: _typed(configs.flatten(config)[key], value)})
  config.seed = seed
  configs.check(config)
  tag = configs.digest(sorted(overrides.items())) if overrides else 'default'
  workdir = runs / f'{variant}-{tag}-{seed}'
  reporter.say(f'{variant}, seed {seed}: {workdir}')
  run.train(config, workdir, reporter)
  path = workdir / 'evaluation.json'
  if args.evaluate and json.loads(path.read_text())['nll_importance'] is None:
    run.evaluate(workdir, given=config, reporter=reporter)
  jax.clear_caches()
  return json.loads(path.read_text())


def _typed(now: Any, value: str) -> Any:
  return value if isinstance(now, str) else type(now)(float(value))


def summary(figures: list[dict[str, Any]]) -> dict[str, Any]:
  """Mean and 95 % t interval over seeds of every figure that is a number."""
  flat = [configs.flatten({'test': {k: f.get(k) for k in (*TERMS, *BEYOND)}}
                          | {k: v for k, v in f.items() if isinstance(v, dict)})
          for f in figures]  # fmt: skip
  result = {}
  for key in flat[0]:
    values = [f.get(key) for f in flat]
    if all(isinstance(v, int | float) for v in values):
      half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else 0.0
      result[key] = {'mean': float(np.mean(values)), 'interval95': float(half), 'n': len(values)}
  return result


def _print(summaries: dict[str, Any], reporter: Reporter) -> None:
  figures = [f'test.{name}' for name in (*TERMS[:3], *BEYOND)]
  figures = [f for f in figures if any(f in s for s in summaries.values())]

  def cell(s: dict[str, Any], column: str) -> str:
    return f'{s[column]["mean"]:.2f} ± {s[column]["interval95"]:.2f}' if column in s else '-'

  rows = [[f.removeprefix('test.'), *(cell(s, f) for s in summaries.values())] for f in figures]
  reporter.table('mean ± 95 % interval over seeds', ['figure', *summaries], rows)


if __name__ == '__main__':
  main()
