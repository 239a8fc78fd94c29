"""The paper's experiment at our scale: whether a lip reader benefits from synthetic video.

  python benchmarks/lipgen_synthesis_rows.py --out benchmarks/results/FILE.json --page FILE.md

Readers are trained on a few clips of drawn speakers of look a, which stand for real ones: alone; with the same
clips turned, the control; and with as many synthetic ones, which nets make from pictures of look b and
synthetic voices. All have the same updates, seeds and share. They are evaluated on other speakers of look a,
unchanged and with turned heads. With --set grid the real clips are those of GRID's speaker.

Seed 0 of every row comes first. Sets of synthetic clips, and their gates, are identified by the contents of the
nets that made them. Before any row with synthetic clips is trained, a reader of real ones must be able to read
them, see `GATES`. Runs and sets are kept in --runs and resumed or reused, so the command can be stopped and
rerun; --finished trains nothing, --join takes runs from result files, and lipgen_synthesis_page.py writes the
page of one. A row
with synthetic clips is printed only with the seeds that the control has too.
"""

import argparse
import functools
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import lipgen_synthesis_sets as sets
import machine
import rows
from lipgen_synthesis_page import CONTROL, FIGURES, GATES, PAPER, REAL, ROWS, SYNTHETIC, page
from ml_collections import ConfigDict

from jaxgen.command import exits
from jaxgen.command.opening import load
from jaxgen.exchange.shipped import WEIGHTS
from jaxgen.files import write_bytes, write_json
from jaxgen.run import startup
from jaxgen.systems.lipgen.synthesis.chain import MOTION, RENDER, digest_of, load_net
from jaxgen.task import Trained
from jaxgen.terminal.reporter import Reporter

# Options that affect figures, besides the nets.
DECIDING = ('set', 'steps', 'clips', 'speakers', 'judged', 'faces', 'clips_per_face', 'sampling')
TABLE = rows.Table('lipgen', tuple(ROWS), FIGURES, FIGURES, rows.has('accuracy'))


def main() -> None:
  """Parses the command line, trains missing runs, writes the result and the page."""
  args = make_parser().parse_args()
  named = args.rows.split(',')
  if unknown := set(named) - ROWS.keys():
    raise SystemExit(f'--rows: no {", ".join(sorted(unknown))}; there are {", ".join(ROWS)}')
  startup.enable_compilation_cache()
  reporter = Reporter()
  found = joined(args)
  # The reader of real clips, needed by the gates, comes first, and the control before the rows it controls.
  named = [row for row in ROWS if row in named]
  for seed, row in itertools.product(range(args.first_seed, args.seeds), named):
    if str(seed) in found['runs'].get(row, {}):
      continue
    figures = measured(row, seed, args, reporter, found)
    if figures is not None:
      found['runs'].setdefault(row, {})[str(seed)] = figures
      write_json(args.out, report(found, args))
  if not found['runs']:
    raise SystemExit('no run is finished')
  write_json(args.out, report(found, args))
  if args.sheet:
    beside = [configured(row, 0, args)[0] for row in (CONTROL, SYNTHETIC[0])]
    sets.sheet(configured(REAL, 0, args)[0], beside, args.sheet)
  if args.page:
    write_bytes(args.page, page(json.loads(args.out.read_text())).encode())


def make_parser() -> argparse.ArgumentParser:
  """The command line's options."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--rows', default=','.join(PAPER), help=f'comma-separated, of {", ".join(ROWS)}')
  add('--set', choices=('procedural', 'grid'), default='procedural', help='the real clips')
  add('--steps', type=int, default=800, help='updates of a row')
  add('--clips', type=int, default=1_000, help='real clips of drawn speakers')
  add('--speakers', type=int, default=500, help='of them')
  add('--judged', type=int, default=500, help='clips of drawn speakers that are judged by')
  add('--faces', default='drawn:165:b', help='of synthetic clips, see jaxgen synthesise')
  add('--clips-per-face', type=int, default=5)
  add('--sampling', type=int, default=2, help='steps of rendering')
  for name in (MOTION, RENDER):
    kind = name.removeprefix('lipgen_')
    add(f'--{kind}', type=Path, default=WEIGHTS / f'{name}.safetensors', help='a run or a file')
  add('--anyway', action='store_true', help='train on synthetic clips that fail the gates')
  rows.add_joining(parser)
  add('--runs', type=Path, default=Path('runs/synthesis_rows'), help='where runs and sets live')
  add('--out', type=Path, required=True, help='JSON file')
  add('--page', type=Path, help="the documentation's tables, as Markdown")
  add('--sheet', type=Path, help='a picture of real, turned and synthetic clips of seed 0')
  return parser


def joined(args: argparse.Namespace) -> dict[str, Any]:
  """The runs and gates of --join, and the kind of their test set; empty without."""
  found: dict[str, Any] = {'gates': {}, 'kind': '', 'runs': rows.joined(args.join, common(args))}
  for path in args.join:
    report = json.loads(path.read_text())
    found['gates'] = report['gates'] | found['gates']
    found['kind'] = report['pose_set']
  return found


def measured(
  row: str, seed: int, args: argparse.Namespace, reporter: Reporter, found: dict[str, Any]
) -> dict[str, Any] | None:
  """The figures of a row, after making its sets and training its reader if missing.

  None if nothing may be trained and it is not finished. The gates' results are put into `found`.
  """
  real, name = configured(REAL, seed, args)
  config, own = configured(row, seed, args)
  path = args.runs / own / 'evaluation.json'
  if not args.finished:
    found['kind'] = sets.turned(real, sets.TEST, folder('test', seed, args))
    if row == CONTROL:
      sets.turned(real, sets.TRAIN, folder('turned', seed, args))
    if row in SYNTHETIC:
      nets = [net for net, _ in nets_of(args.motion, args.render).values()]
      sets.synthetic(
        real, folder('synthetic', seed, args), args.faces, args.clips_per_face, nets, args.sampling
      )
  else:
    found['kind'] = 'full-face' if args.set == 'procedural' else 'pose-crop'
  if row in SYNTHETIC and not judged(args.runs / name, seed, args, reporter, found):
    return None
  done = json.loads(path.read_text()) if path.is_file() else {}
  if done.get('step') != config.num_steps:
    if args.finished:
      return None
    given = argparse.Namespace(set=settings(row, seed, args), runs=args.runs, evaluate=False)
    done = rows.figures(TABLE, variant(row, args), seed, given, reporter)
  return {
    **{key: done.get(key) for key in ('step', *FIGURES)},
    'environment': machine.describe(path),
  }


def judged(
  run: Path, seed: int, args: argparse.Namespace, reporter: Reporter, found: dict[str, Any]
) -> bool:
  """Whether the reader of real clips reads a seed's synthetic ones well enough; cached in a file.

  Raises:
    SystemExit: that reader is missing.
  """
  path = args.runs / f'gates-{tag("synthetic", args)}-{args.steps}-{seed}.json'
  if not path.is_file():
    if args.finished:
      return False
    if not (run / 'evaluation.json').is_file():
      raise SystemExit(f'{run} is not trained yet: --rows with {REAL} first')
    write_json(path, sets.gates(run, folder('synthetic', seed, args)))
    jax.clear_caches()
  gate = found['gates'][str(seed)] = json.loads(path.read_text())
  failed = [name for name, least in GATES.items() if gate[name] < least]
  if failed:
    reporter.warn(
      f'synthetic clips of seed {seed}: {failed[0]} is {gate[failed[0]]:.2f}, {GATES[failed[0]]} is asked for'
    )
  return args.anyway or not failed


# --- Where things are ---


@functools.cache
def nets_of(motion: Path, render: Path) -> dict[str, tuple[Trained, str]]:
  """The nets that make clips, by system, each with a digest of its contents, independent of its path."""
  nets = {of: load_net(path, of, load) for of, path in ((MOTION, motion), (RENDER, render))}
  return {of: (net, digest_of(net)) for of, net in nets.items()}


def tag(kind: str, args: argparse.Namespace) -> str:
  """A name for what a set is made from."""
  made = f'{args.clips}-{args.speakers}-{args.judged}' if args.set == 'procedural' else ''
  if kind == 'synthetic':
    faces = args.faces.replace('/', '_').replace(':', '_')
    nets = '-'.join(digest[:8] for _, digest in nets_of(args.motion, args.render).values())
    made += f'-{faces}-{args.clips_per_face}-{args.sampling}-{nets}'
  return f'{args.set}-{made}'.replace('--', '-').rstrip('-')


def folder(kind: str, seed: int, args: argparse.Namespace) -> Path:
  """The folder of a set of clips."""
  return (args.runs / 'sets' / f'{kind}-{tag(kind, args)}-{seed}').absolute()


def variant(row: str, args: argparse.Namespace) -> str:
  """The variant of configs/lipgen.py."""
  return f'{args.set},{ROWS[row]}'


def settings(row: str, seed: int, args: argparse.Namespace) -> list[str]:
  """The KEY=VALUE settings of a row."""
  pairs = [
    f'num_steps={args.steps}',
    f'eval_every={args.steps}',
    f'save_every={max(1, args.steps // 4)}',
    f'eval.pose={folder("test", seed, args)}',
  ]
  if args.set == 'procedural':
    pairs += [
      f'data.num_clips={args.clips}',
      f'data.num_speakers={args.speakers}',
      f'data.num_validation={args.judged}',
    ]
  if row == CONTROL:
    pairs.append(f'data.synthetic.dir={folder("turned", seed, args)}')
  if row in SYNTHETIC:
    pairs.append(f'data.synthetic.dir={folder("synthetic", seed, args)}')
  return pairs


def configured(row: str, seed: int, args: argparse.Namespace) -> tuple[ConfigDict, str]:
  """The config of a row and the name of its folder."""
  return rows.configured(TABLE, variant(row, args), seed, settings(row, seed, args))


# --- What is written ---


def report(found: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
  """The result file: rows with synthetic clips have only the seeds that the control has."""
  runs = with_control(found['runs'])
  return {
    'command': command(args),
    'settings': common(args),
    'pose_set': found['kind'],
    'gates': found['gates'],
    'summary': {
      row: rows.summary(list(by_seed.values()), FIGURES) for row, by_seed in runs.items()
    },
    'runs': runs,
  }


def common(args: argparse.Namespace) -> dict[str, Any]:
  """What all runs of a result file share and what decides their figures."""
  nets = nets_of(args.motion, args.render)
  return {name: getattr(args, name) for name in DECIDING} | {
    'nets': {of: {'digest': digest, 'updates': net.step} for of, (net, digest) in nets.items()}
  }


def command(args: argparse.Namespace) -> str:
  """The command as far as it affects figures; for nets other than the package's, the last part of the path."""
  options = [f'--{name.replace("_", "-")} {getattr(args, name)}' for name in DECIDING]
  for name in ('motion', 'render'):
    path = getattr(args, name)
    if path != WEIGHTS / f'lipgen_{name}.safetensors':
      options.append(f'--{name} {path.name}')
  return ' '.join(['lipgen_synthesis_rows.py', *options])


def with_control(runs: dict[str, Any]) -> dict[str, Any]:
  """The runs, without those on synthetic clips whose control with the same seed and steps is missing."""
  control = runs.get(CONTROL, {})
  kept = {
    row: {
      seed: figures
      for seed, figures in by_seed.items()
      if row not in SYNTHETIC or control.get(seed, {}).get('step') == figures['step']
    }
    for row, by_seed in runs.items()
  }
  return {row: by_seed for row, by_seed in kept.items() if by_seed}


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
