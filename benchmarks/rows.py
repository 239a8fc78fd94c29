"""Trains variants of a system with several seeds and writes their figures, with intervals, to one file.

Shared by `comvae_rows.py`, `mmgan_rows.py` and `srsenet_rows.py`.
"""

import argparse
import fnmatch
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import machine
import numpy as np
from ml_collections import ConfigDict
from scipy import stats

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.errors import UserError
from jaxgen.files import write_json
from jaxgen.run import inference, startup, training
from jaxgen.schema import near_matches
from jaxgen.terminal.reporter import Reporter


class Table(NamedTuple):
  """The rows of a system's table.

  Attributes:
    system: its name.
    rows: variants without a prefix.
    figures: figures of evaluation.json that are averaged over seeds.
    shown: patterns of those that are printed.
    complete: whether an evaluation.json has what only a full evaluation computes.
    whole: config keys for a full evaluation, unless overridden by --set.
  """

  system: str
  rows: Sequence[str]
  figures: Sequence[str]
  shown: Sequence[str]
  complete: Callable[[dict[str, Any]], bool]
  whole: Mapping[str, Any] = {}


def has(figure: str) -> Callable[[dict[str, Any]], bool]:
  """A test for whether a figure in evaluation.json was computed."""
  return lambda found: found[figure] is not None


def main(table: Table, description: str) -> None:
  """Parses the command line, trains missing runs, writes and prints the table."""
  parser = argparse.ArgumentParser(
    description=description, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--prefix', default='', help="'' for the digits, mnist_, fashion_mnist_, ...")
  parser.add_argument('--rows', default=','.join(table.rows), help='comma-separated')
  parser.add_argument('--seeds', type=int, default=5, help='seeds 0 .. N-1')
  parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE', help='override')
  parser.add_argument('--evaluate', action='store_true', help='also what goes beyond the paper')
  parser.add_argument('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  reporter = Reporter()
  command = f'{table.system}_rows.py --prefix {args.prefix!r} --set {args.set} --seeds {args.seeds}'
  rows = earlier(args.out, command)
  for row in args.rows.split(','):
    rows[row] = [
      figures(table, args.prefix + row, seed, args, reporter) for seed in range(args.seeds)
    ]
    report = {
      'command': command,
      'environment': machine.describe(),
      'steps': rows[row][0]['step'],
      'summary': {name: summary(found, table.figures) for name, found in rows.items()},
      'runs': rows,
    }
    write_json(args.out, report)
  _print(report['summary'], table.shown, reporter)


def earlier(path: Path, command: str) -> dict[str, list[dict[str, Any]]]:
  """The rows already in a file, which are kept.

  Raises:
    UserError: they come from another command and cannot share a table.
  """
  if not path.is_file():
    return {}
  report = json.loads(path.read_text())
  if report['command'] != command:
    raise UserError(f'{path} has the rows of {report["command"]}: name another file by --out')
  return report['runs']


def add_joining(parser: argparse.ArgumentParser) -> None:
  """Adds the options with which the runs of a table can be shared out over machines."""
  add = parser.add_argument
  add('--seeds', type=int, default=3, help='seeds up to N-1; an interval is claimed from three on')
  add('--first-seed', type=int, default=0, help='the first of them')
  add('--finished', action='store_true', help='train nothing: take the runs that are finished')
  add(
    '--join',
    type=Path,
    nargs='*',
    default=[],
    metavar='FILE',
    help='take the runs of these result files, made elsewhere or before',
  )


def joined(paths: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, Any]:
  """The runs of result files, nested as there; where several have a run, that of the first.

  Raises:
    SystemExit: a file was made with other settings.
  """
  runs: dict[str, Any] = {}
  ours = json.loads(json.dumps(settings))  # lists for tuples, as in files
  for path in paths:
    report = json.loads(path.read_text())
    theirs = report.get('settings', {})
    for name, value in ours.items():
      if theirs.get(name) != value:
        raise SystemExit(f'--join {path}: {name} is {theirs.get(name)} there, and {value} here')
    _merge(runs, report['runs'])
  return runs


def _merge(runs: dict[str, Any], more: dict[str, Any]) -> None:
  for key, value in more.items():
    if 'step' in value:
      runs.setdefault(key, value)
    else:
      _merge(runs.setdefault(key, {}), value)


def machines(runs: dict[str, Any]) -> str:
  """Where nested runs were measured, each machine and day once."""
  return '; '.join(dict.fromkeys(machine.told(run['environment']) for run in _each(runs)))


def _each(runs: dict[str, Any]) -> Iterator[dict[str, Any]]:
  for value in runs.values():
    if 'step' in value:
      yield value
    else:
      yield from _each(value)


def deciding(pairs: Sequence[str]) -> list[str]:
  """KEY=VALUE pairs of --set that affect training; how often runs are saved does not."""
  free = saved_configs.RESUME_FREE
  return sorted(x for x in pairs if x.split('=')[0] not in free and x.split('.')[0] not in free)


def configured(
  table: Table, variant: str, seed: int, pairs: Sequence[str]
) -> tuple[ConfigDict, str]:
  """The config of one run and the name of its folder; `pairs` are KEY=VALUE of --set."""
  config = configs.load(f'{table.system}:{variant}')
  overrides = set_keys(config, pairs)
  config.seed = seed
  configs.check(config)
  tag = configs.digest(sorted(overrides.items())) if overrides else 'default'
  return config, f'{variant}-{tag}-{seed}'


def set_keys(config: ConfigDict, pairs: Sequence[str]) -> dict[str, str]:
  """Sets config keys from KEY=VALUE pairs of --set, and returns them.

  Raises:
    UserError: a pair is malformed, its key is unknown or its value has another type.
  """
  found = {}
  for pair in pairs:
    key, sign, value = pair.partition('=')
    if not sign:
      raise UserError(f'--set takes KEY=VALUE, not {pair!r}')
    flat = configs.flatten(config)
    if key not in flat:
      raise UserError(f'--set: unknown key {key!r}.{near_matches(key, flat)}')
    config.update_from_flattened_dict({key: saved_configs.parsed(key, value, flat[key])})
    found[key] = value
  return found


def figures(
  table: Table, variant: str, seed: int, args: argparse.Namespace, reporter: Reporter
) -> dict[str, Any]:
  """evaluation.json of one run, trained first if missing; uses set, runs and evaluate of `args`."""
  config, name = configured(table, variant, seed, args.set)
  workdir = args.runs / name
  reporter.say(f'{variant}, seed {seed}: {workdir}')
  training.train(config, workdir, reporter)
  path = workdir / 'evaluation.json'
  if args.evaluate and not table.complete(json.loads(path.read_text())):
    given = {pair.split('=', 1)[0] for pair in args.set}
    more = {key: value for key, value in table.whole.items() if key not in given}
    config.update_from_flattened_dict(more)
    inference.evaluate(workdir, given=config, reporter=reporter)
  jax.clear_caches()
  return json.loads(path.read_text())


def summary(runs: list[dict[str, Any]], names: Sequence[str]) -> dict[str, Any]:
  """Mean and 95 % t interval over seeds of every numeric figure.

  Figures of the test set are named 'test.NAME', those of other splits 'SPLIT.NAME'. Single images are omitted.
  """
  flat = [
    configs.flatten(
      {'test': {k: f.get(k) for k in names}} | {k: v for k, v in f.items() if isinstance(v, dict)}
    )
    for f in runs
  ]
  result = {}
  for key in flat[0]:
    if '.images.' in key:
      continue
    values = [f.get(key) for f in flat]
    if all(isinstance(v, int | float) for v in values):
      result[key] = mean_interval(values)
  return result


def mean_interval(values: Sequence[float]) -> dict[str, float | int | None]:
  """Mean and half-width of the 95 % t interval, which a single value does not have."""
  half = None
  if len(values) > 1:
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
  return {'mean': float(np.mean(values)), 'interval95': half, 'n': len(values)}


def told(found: Mapping[str, Any], form: str = '.3f') -> str:
  """What `mean_interval` found: 'mean ± half-width', or the mean of a single value."""
  half = found['interval95']
  return f'{found["mean"]:{form}}' + ('' if half is None else f' ± {half:{form.lstrip("+")}}')


def _print(summaries: dict[str, Any], shown: Sequence[str], reporter: Reporter) -> None:
  names = dict.fromkeys(name for s in summaries.values() for name in s)
  figures = [
    name
    for pattern in shown
    for name in names
    if fnmatch.fnmatchcase(name.removeprefix('test.'), pattern)
  ]

  def cell(s: dict[str, Any], column: str) -> str:
    return told(s[column]) if column in s else '-'

  rows = [[f.removeprefix('test.'), *(cell(s, f) for s in summaries.values())] for f in figures]
  reporter.table('mean ± 95 % interval over seeds', ['figure', *summaries], rows)
