"""Trains the rows of the lip reader's ablation on GRID with several seeds, and their baselines.

  python benchmarks/lipgen_rows.py --seeds 3 --out benchmarks/results/lipgen_rows_cpu.json
  python benchmarks/lipgen_rows.py --seeds 3 --finished --out FILE --page docs/lipgen_rows_scores.md

Besides the paper's rows there are the other back-ends on real lips alone, and `pretrained`, ours: the net first
learns GRID's words from drawn speakers, in a separate run for each seed, then real lips as in `no_syn`. Seed 0
of every row comes first. Runs are kept in --runs and resumed or reused if present, so the command can be
stopped and rerun; --finished trains nothing and uses existing runs, --join adds runs of other machines from
their result files. $JAXGEN_DATA must hold grid_s1_mouths.
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
from lipgen_rows_page import FIGURES, PRETRAINED, ROWS, is_old, page

from jaxgen import config as configs
from jaxgen import saved_configs
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
  reporter, others = Reporter(), [json.loads(path.read_text()) for path in args.join]
  runs = joined(others, named, args)
  # Seed 0 of every row first: an interrupted command leaves complete tables.
  for seed, row in itertools.product(range(args.first_seed, args.seeds), named):
    if str(seed) in runs.get(row, {}):
      continue
    found = figures(row, seed, args, reporter)
    if found is not None:
      runs.setdefault(row, {})[str(seed)] = found
      write_json(args.out, report(runs, args, others))
  if runs:
    write_json(args.out, report(runs, args, others))
  if args.page and runs:
    write_bytes(args.page, page(json.loads(args.out.read_text())).encode())


def make_parser() -> argparse.ArgumentParser:
  """The command line's options."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--rows', default=','.join(ROWS), help='comma-separated')
  add('--seeds', type=int, default=3, help='seeds up to N-1; an interval is claimed from three on')
  add('--first-seed', type=int, default=0, help='the first of them')
  add('--set', action='append', default=[], metavar='KEY=VALUE', help='override, of all rows')
  add('--steps', type=int, default=6_000, help='updates of a row')
  add('--drawn-steps', type=int, default=3_000, help=f'of {PRETRAINED}: updates by drawn speakers')
  add('--drawn-clips', type=int, default=DRAWN_CLIPS, help=f'of {PRETRAINED}: their clips')
  add('--finished', action='store_true', help='train nothing: take the runs that are finished')
  add(
    '--join',
    type=Path,
    nargs='*',
    default=[],
    metavar='FILE',
    help='result files of other machines',
  )
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
  return {name: found.get(name) for name in ('step', *FIGURES)}


def joined(
  others: list[dict[str, Any]], named: list[str], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
  """The runs of the named rows in other result files, except rows whose net has changed since.

  Raises:
    SystemExit: a file has other settings.
  """
  runs: dict[str, dict[str, Any]] = {}
  wanted = steps_of(args), args.drawn_clips, deciding(args.set)
  for path, other in zip(args.join, others, strict=True):
    # Older files do not record them: the default is assumed.
    theirs = other['steps'], other.get('drawn_clips', DRAWN_CLIPS), deciding(other['set'])
    if theirs != wanted:
      raise SystemExit(
        f'--join {path}: its steps, --drawn-clips and --set {theirs} are not {wanted}'
      )
    for row in named:
      if not is_old(other, row):
        runs.setdefault(row, {}).update(other['runs'].get(row, {}))
  return {row: by_seed for row, by_seed in runs.items() if by_seed}


def steps_of(args: argparse.Namespace) -> dict[str, int]:
  """Updates of a row, and of its pretraining on drawn speakers."""
  return {'row': args.steps, 'drawn': args.drawn_steps}


def deciding(pairs: list[str]) -> list[str]:
  """KEY=VALUE pairs of --set that affect training; how often runs are saved does not."""
  free = saved_configs.RESUME_FREE
  return sorted(x for x in pairs if x.split('=')[0] not in free and x.split('.')[0] not in free)


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


def report(
  runs: dict[str, Any], args: argparse.Namespace, others: list[dict[str, Any]]
) -> dict[str, Any]:
  """The result file; `others` are the joined files."""
  return {
    'command': ' '.join(
      [
        'lipgen_rows.py',
        f'--seeds {args.seeds} --steps {args.steps}',
        f'--drawn-steps {args.drawn_steps} --drawn-clips {args.drawn_clips}',
        *(f'--set {x}' for x in args.set),
      ]
    ),
    'environment': machine.describe(),
    'other_environments': [other['environment'] for other in others],
    'set': args.set,
    'steps': steps_of(args),
    'drawn_clips': args.drawn_clips,
    'summary': {
      row: rows.summary(list(by_seed.values()), FIGURES) for row, by_seed in runs.items()
    },
    'runs': runs,
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
