"""Trains the rows of the lip reader's ablation on GRID with several seeds, and their baselines.

  python benchmarks/lipgen_rows.py --seeds 3 --out FILE
  python benchmarks/lipgen_rows.py --seeds 3 --finished --join FILE... --out FILE --page PAGE

Besides the paper's rows there are the other back-ends on real lips alone, and `pretrained`, ours: the net first
learns GRID's words from drawn speakers, in a separate run for each seed, then real lips as in `no_syn`. Seed 0
of every row comes first. Runs are kept in --runs and resumed or reused if present, so the command can be
stopped and rerun; --finished trains nothing and uses existing runs, --join takes runs from result files, which
have all that a page needs. $JAXGEN_DATA must hold grid_s1_mouths.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import machine
import rows
from lipgen_rows_page import FIGURES, PRETRAINED, ROWS, page

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.exchange.weight_files import save_weights
from jaxgen.files import write_bytes, write_json
from jaxgen.run import loading, startup, training
from jaxgen.systems.lipgen.clips.grid import WORDS
from jaxgen.terminal.reporter import Reporter

DRAWN_CLIPS = 6_000
TABLE = rows.Table('lipgen', tuple(ROWS), FIGURES, FIGURES, rows.has('accuracy'))


def main() -> None:
  """Parses the command line, trains missing runs, writes the result and the page."""
  args = make_parser().parse_args()
  named = args.rows.split(',')
  unknown = set(named) - ROWS.keys()
  if unknown:
    raise SystemExit(f'--rows: no {", ".join(sorted(unknown))}; there are {", ".join(ROWS)}')
  startup.enable_compilation_cache()
  reporter, runs = Reporter(), rows.joined(args.join, common(args))
  # Seed 0 of every row first: an interrupted command leaves complete tables.
  for seed, row in itertools.product(range(args.first_seed, args.seeds), named):
    if str(seed) in runs.get(row, {}):
      continue
    found = figures(row, seed, args, reporter)
    if found is not None:
      runs.setdefault(row, {})[str(seed)] = found
      write_json(args.out, report(runs, args))
  if runs:
    write_json(args.out, report(runs, args))
  if args.page and runs:
    write_bytes(args.page, page(json.loads(args.out.read_text())).encode())


def make_parser() -> argparse.ArgumentParser:
  """The command line's options."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--rows', default=','.join(ROWS), help='comma-separated')
  add('--set', action='append', default=[], metavar='KEY=VALUE', help='override, of all rows')
  add('--steps', type=int, default=6_000, help='updates of a row')
  add('--drawn-steps', type=int, default=3_000, help=f'of {PRETRAINED}: updates by drawn speakers')
  add('--drawn-clips', type=int, default=DRAWN_CLIPS, help=f'of {PRETRAINED}: their clips')
  rows.add_joining(parser)
  add('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  add('--out', type=Path, required=True, help='JSON file')
  add('--page', type=Path, help="the documentation's table, as Markdown")
  return parser


def figures(
  row: str, seed: int, args: argparse.Namespace, reporter: Reporter
) -> dict[str, Any] | None:
  """The figures of a row, trained first if missing; None if training is not allowed."""
  variant, pairs = f'grid,{ROWS[row]}', settings(row, seed, args)
  config, name = rows.configured(TABLE, variant, seed, pairs)
  path = args.runs / name / 'evaluation.json'
  found = json.loads(path.read_text()) if path.is_file() else {}
  if found.get('step') != config.num_steps:
    if args.finished:
      return None
    if row == PRETRAINED:
      pretrain(seed, args, reporter)
    given = argparse.Namespace(set=pairs, runs=args.runs, evaluate=False)
    found = rows.figures(TABLE, variant, seed, given, reporter)
  return {
    **{name: found.get(name) for name in ('step', *FIGURES)},
    'environment': machine.describe(path),
  }


def common(args: argparse.Namespace) -> dict[str, Any]:
  """What all runs of a result file share and what decides their figures."""
  return {
    'steps': {'row': args.steps, 'drawn': args.drawn_steps},
    'drawn_clips': args.drawn_clips,
    'set': rows.deciding(args.set),
  }


def settings(row: str, seed: int, args: argparse.Namespace) -> list[str]:
  """The KEY=VALUE settings of a row."""
  pairs = [*args.set, f'num_steps={args.steps}']
  if row == PRETRAINED:
    pairs.append(f'init_from={drawn_folder(seed, args).with_suffix(".safetensors")}')
  return pairs


# --- Drawn speakers first ---


def drawn_folder(seed: int, args: argparse.Namespace) -> Path:
  """The folder where a net learns GRID's words from drawn speakers."""
  given = configs.digest(sorted(args.set)) if args.set else 'default'
  return args.runs / f'drawn-{args.drawn_steps}-{args.drawn_clips}-{given}-{seed}'


def pretrain(seed: int, args: argparse.Namespace, reporter: Reporter) -> None:
  """Trains the initial net of `pretrained` if missing, and exports it beside its folder."""
  folder = drawn_folder(seed, args)
  file = folder.with_suffix('.safetensors')
  if file.is_file():
    return
  reporter.say(f'drawn speakers, seed {seed}: {folder}')
  config, _ = rows.configured(TABLE, f'grid,{ROWS[PRETRAINED]}', seed, args.set)
  config, _ = rows.configured(
    TABLE,
    f'procedural,{ROWS[PRETRAINED]}',
    seed,
    [
      *args.set,
      f'num_steps={args.drawn_steps}',
      f'data.words={",".join(WORDS)}',
      f'data.look={config.data.synthetic.look}',
      f'data.num_clips={args.drawn_clips}',
      f'data.num_speakers={args.drawn_clips // 2}',
    ],
  )
  training.train(config, folder, reporter)
  trained = loading.load(folder)
  save_weights(file, trained._replace(variables=jax.device_get(trained.variables)))
  jax.clear_caches()


# --- What is written ---


def report(runs: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
  """The result file."""
  return {
    'command': ' '.join(
      [
        'lipgen_rows.py',
        f'--seeds {args.seeds} --steps {args.steps}',
        f'--drawn-steps {args.drawn_steps} --drawn-clips {args.drawn_clips}',
        *(f'--set {x}' for x in args.set),
      ]
    ),
    'settings': common(args),
    'summary': {
      row: rows.summary(list(by_seed.values()), FIGURES) for row, by_seed in runs.items()
    },
    'runs': runs,
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
