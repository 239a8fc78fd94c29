"""Compares interpretations of ambiguous points of the SrSENet paper at equal budget, over seeds.

  python benchmarks/srsenet_readings.py --runs runs/rows --out benchmarks/results/srsenet_readings_cpu.json

trains the main job's net (x2, four blocks of 32 channels, on the photographs of scikit-image and scikit-learn)
for each reading and seed, measures all on Set5, Set14 and BSD100 in $JAXGEN_DATA/sr, and writes
docs/srsenet_readings_scores.md from the result file: 18 runs of five minutes on two free CPU cores. Runs use
the same folders as in srsenet_rows.py, and are resumed or reused if present; with --finished, unfinished runs
are skipped instead of trained.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
import machine
import numpy as np
import rows
from ml_collections import ConfigDict
from srsenet_rows import SETS, TABLE

from jaxgen import saved_configs
from jaxgen.command import exits
from jaxgen.run import startup
from jaxgen.systems.srsenet.task import make_model
from jaxgen.terminal.reporter import Reporter

VARIANT, BASE = 'bundled', "the paper's text"
READINGS = {
  BASE: (),
  'gates of width 16': ('model.se_width=16',),
  'one shared block': ('model.share_weights=True',),
  "one shared block, gates of width 16 (the authors' code)": (
    'model.share_weights=True',
    'model.se_width=16',
  ),
  "an activation after conv2 (the paper's figure)": ('model.activation_after_conv2=True',),
  'gates on x + f(x)': ('model.se_after_skip=True',),
}
FIGURES = ('psnr', 'ssim_matlab')
PAGE = Path(__file__).parents[1] / 'docs' / 'srsenet_readings_scores.md'


def main() -> None:
  """Trains missing runs, writes the result file and the page."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--seeds', type=int, default=3, help='seeds 0 .. N-1')
  parser.add_argument('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  parser.add_argument('--finished', action='store_true', help='train nothing')
  parser.add_argument('--out', required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  reporter, found = Reporter(), {}
  for name, pairs in READINGS.items():
    found[name] = reading(pairs, args, reporter)
  found = {name: x for name, x in found.items() if x['runs']}
  for x in found.values():
    x['difference'] = differences(x['runs'], found[BASE]['runs'])
  config, _ = rows.configured(TABLE, VARIANT, 0, ())
  report = {
    'command': f'srsenet_readings.py --seeds {args.seeds}',
    'environment': machine.describe(),
    'steps': config.num_steps,
    'readings': found,
  }
  machine.write_json(args.out, report)
  PAGE.write_text(page(report))


def reading(pairs: tuple[str, ...], args: argparse.Namespace, reporter: Reporter) -> dict[str, Any]:
  """{'set', 'parameters', 'runs': {seed: {set: {figure: mean}}}} for one reading."""
  runs = {}
  for seed in range(args.seeds):
    config, name = rows.configured(TABLE, VARIANT, seed, pairs)
    values = finished(args.runs / name, config)
    if values is None and not args.finished:
      given = argparse.Namespace(set=pairs, runs=args.runs, evaluate=True)
      values = rows.figures(TABLE, VARIANT, seed, given, reporter)
    if values is not None:
      sets = {of: {key: values['sets'][of][key] for key in FIGURES} for of in SETS}
      runs[str(seed)] = sets
  config, _ = rows.configured(TABLE, VARIANT, 0, pairs)
  return {'set': list(pairs), 'parameters': num_parameters(config), 'runs': runs}


def finished(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
  """evaluation.json of a finished run that was measured on the sets; None if there is none.

  Raises:
    SystemExit: the folder belongs to another run.
  """
  try:
    found = json.loads((workdir / 'evaluation.json').read_text())
    saved = saved_configs.from_saved(json.loads((workdir / 'config.json').read_text()))
  except OSError:
    return None
  free = (*saved_configs.RESUME_FREE, 'steps_per_call')
  lines = saved_configs.differing(saved, config, free)
  if lines:
    raise SystemExit(f'error: {workdir} is a run of another config: {"; ".join(lines)}')
  return found if found['step'] == config.num_steps and set(SETS) <= found['sets'].keys() else None


def num_parameters(config: ConfigDict) -> int:
  """Number of parameters of a config's net."""
  start = np.zeros((1, 8, 8, 1), np.float32)
  shapes = jax.eval_shape(make_model(config).init, jax.random.key(0), start)
  return sum(x.size for x in jax.tree.leaves(shapes))


def differences(runs: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
  """{set: {figure: mean and interval}} of a reading minus the first one, paired by seed."""
  seeds = [seed for seed in runs if seed in base]
  return {
    of: {
      key: rows.mean_interval([runs[seed][of][key] - base[seed][of][key] for seed in seeds])
      for key in FIGURES
    }
    for of in (SETS if seeds else ())
  }


def page(report: dict[str, Any]) -> str:
  """The documentation's table: PSNR of the first reading, and the others' differences from it."""
  lines = [
    '| reading | parameters | seeds | Set5 | Set14 | BSD100 |',
    '|---|---|---|---|---|---|',
  ]
  for name, x in report['readings'].items():
    if name == BASE:
      values = {of: rows.mean_interval([r[of]['psnr'] for r in x['runs'].values()]) for of in SETS}
      cells = [rows.told(v) for v in values.values()]
    else:
      found = [x['difference'].get(of, {}).get('psnr') for of in SETS]
      cells = [rows.told(v, '+.3f') if v else '-' for v in found]
    lines.append(f'| {name} | {x["parameters"]:,} | {len(x["runs"])} | {" | ".join(cells)} |')
  about = report['environment']
  return '\n'.join(
    [
      *lines,
      '',
      f'Hardware: {about["processor"]}, {about["cores"]} cores; {report["steps"]:,} steps a run; '
      f'{about["date"][:10]}.',
      '',
    ]
  )


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
