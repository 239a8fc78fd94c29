"""The paper's experiment: recognisers trained on real words, on real and generated words, on generated words.

  python benchmarks/handwriting_augmentation.py --weights runs/handwriting --generated runs/generated \
    --out benchmarks/results/handwriting_augmentation_cpu.json --page docs/handwriting_augmentation_scores.md

The writer makes the generated set once, in --generated: --words texts from a list in --styles hands each (the
paper: 100,000 pictures). Words held out for evaluation are removed from the list, ignoring case. Real words are
those that the writer was trained on, drawn or not. Each recogniser is its run's best checkpoint on validation;
it is measured there, as in the paper, and on a test set. With drawn words both have words and writers that
appear in no training data, real or generated, and the test set has further drawings. Recognisers are kept in
--runs and resumed or reused if present.
"""

import argparse
import csv
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import machine
import rows
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.evaluation import passes
from jaxgen.files import write_bytes, write_json
from jaxgen.run import inference, loading, startup, training
from jaxgen.systems.handwriting import recogniser_task
from jaxgen.systems.handwriting.config import is_drawn
from jaxgen.systems.handwriting.corpus import load_corpus
from jaxgen.systems.handwriting.drawn.word_lists import WordList, find_words
from jaxgen.systems.handwriting.judging import Reader
from jaxgen.systems.handwriting.listed_words import LANGUAGES
from jaxgen.systems.handwriting.reading.error_rates import intervals
from jaxgen.systems.handwriting.writing.folder import TABLE
from jaxgen.task import Split
from jaxgen.terminal.reporter import Reporter
from jaxgen.words import counted

# (edit distance, word error rate) in %, on the validation set of RIMES; the paper gives none for the last row.
PAPER = {
  'augment_real': (4.34, 12.1),
  'augment_real_generated': (4.03, 11.9),
  'augment_generated': None,
}
LABELS = {
  'augment_real': 'real words',
  'augment_real_generated': 'real and generated words',
  'augment_generated': 'generated words',
}
BASE = 'augment_real'
SPLITS, RATES = ('validation', 'test'), ('cer', 'wer')
MEASURED = 'augmentation.json'  # in the folder of a run


def main() -> None:
  """Makes the set, trains missing recognisers, writes the result file and the page."""
  args = make_parser().parse_args()
  unknown = set(args.variants.split(',')) - set(PAPER)
  if unknown:
    raise SystemExit(f'--variants: no {", ".join(sorted(unknown))}; there are {", ".join(PAPER)}')
  startup.enable_compilation_cache()
  reporter, runs = Reporter(), {}
  data = loading.load(args.weights).config.data
  make_generated(data, args)
  for seed, variant in itertools.product(range(args.seeds), args.variants.split(',')):
    config = configured(variant, seed, data, args)
    runs.setdefault(variant, {})[str(seed)] = measured(config, args.runs, reporter)
    write_json(args.out, report(runs, args))
  if args.page:
    write_bytes(args.page, page(json.loads(args.out.read_text())).encode())


def make_parser() -> argparse.ArgumentParser:
  """The command line's options."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--weights', type=Path, required=True, metavar='RUN|FILE', help='a trained writer')
  add('--generated', type=Path, default=Path('runs/generated'), help='folder of the generated set')
  add('--words', type=int, default=20_000, help='texts of the generated set')
  add('--styles', type=int, default=5, help='pictures of each')
  add(
    '--list', help='file of the texts, as --list of `jaxgen write`; by default the list that ships'
  )
  add('--variants', default=','.join(PAPER), help='comma-separated')
  add('--seeds', type=int, default=3, help='seeds 0 .. N-1; an interval is claimed from three on')
  add('--set', action='append', default=[], metavar='KEY=VALUE', help='override, of recognisers')
  add('--runs', type=Path, default=Path('runs/rows'), help='where the recognisers live')
  add('--out', type=Path, required=True, help='JSON file')
  add('--page', type=Path, help="the documentation's table, as Markdown")
  return parser


def make_generated(data: ConfigDict, args: argparse.Namespace) -> None:
  """Makes or resumes the generated set with `jaxgen write`, without held-out words.

  Whole canvases are kept, so that words are placed as in the pictures that the writer was trained on.

  Raises:
    SystemExit: the folder already has held-out words, or could not be made.
  """
  config = configured(BASE, 0, data, args)
  aside = {word.casefold() for word in load_corpus(config).set_aside}
  check_generated(args.generated, aside)
  words = without(find_words(args.list or LANGUAGES[config.data.script]), aside)
  path = args.runs / f'words-{configs.digest(words)}.txt'
  write_bytes(path, words.encode())
  command = [sys.executable, '-m', 'jaxgen', 'write', '--weights', str(args.weights), '--canvas']
  command += ['--count', str(args.words), '--styles', str(args.styles)]
  command += ['--output', f'{args.generated}/', '--list', str(path)]
  done = subprocess.run(command, check=False)
  if done.returncode:
    raise SystemExit(f'error: {args.generated} was not made: jaxgen write failed, see above')


def check_generated(folder: Path, aside: set[str]) -> None:
  """Raises SystemExit if a folder of `jaxgen write` has held-out words, ignoring case."""
  table = folder / TABLE
  if not table.is_file():
    return
  with table.open(encoding='utf-8', newline='') as file:
    found = {row['text'] for row in csv.DictReader(file) if row['text'].casefold() in aside}
  if found:
    raise SystemExit(
      f'error: {folder} has {counted(len(found), "word")} that recognisers are tested on, as {min(found)!r}: '
      'name another folder by --generated'
    )


def without(words: WordList, aside: set[str]) -> str:
  """The word list as a file's text, with counts if it has any, without the words in `aside`, ignoring case."""
  counts = [None] * len(words.words) if words.counts is None else words.counts.tolist()
  rows = zip(words.words, counts, strict=True)
  kept = [(word, count) for word, count in rows if word.casefold() not in aside]
  return ''.join(f'{word}\n' if count is None else f'{word} {count!r}\n' for word, count in kept)


def configured(variant: str, seed: int, data: ConfigDict, args: argparse.Namespace) -> ConfigDict:
  """The config of a recogniser: the writer's data, overridden by --set."""
  config = configs.load(f'handwriting_recogniser:{variant}')
  with config.unlocked():
    config.seed = seed
    config.data = data.copy_and_resolve_references()
    if variant != BASE:
      config.generated.name = str(args.generated)
  rows.set_keys(config, args.set)
  configs.check(config)
  return config


def measured(config: ConfigDict, runs: Path, reporter: Reporter) -> dict[str, Any]:
  """The error rates of a recogniser on both splits; trains it first if missing."""
  # steps_per_call follows from the other keys and is not part of the name.
  workdir = runs / f'{config.system}-{configs.digest(configs.to_json(config))}'
  path = workdir / MEASURED
  if not path.is_file():
    reporter.say(f'{config.generated}, seed {config.seed}: {workdir}')
    training.train(config, workdir, reporter)
    write_json(path, measure(workdir, reporter))
    jax.clear_caches()
  return json.loads(path.read_text())


def measure(workdir: Path, reporter: Reporter) -> dict[str, Any]:
  """The error rates of a run's best saved step, with intervals over texts."""
  opened = inference.open_run(workdir, 'best', reporter=reporter)
  trained = opened.trained
  steps = recogniser_task.Steps(trained.config, trained.facts)
  reader = Reader(steps.net, trained.variables, trained.facts, opened.tools, steps.shown)
  found = {'step': int(trained.step), 'steps': loading.saved_steps(workdir)[-1]}
  for name, split in held_out(trained.config).items():
    size = trained.config.eval.batch_size
    read = reader(passes.shown(split, size, opened.tools, f'reading {name}'))
    rates = read.rates()
    found[name] = {
      'cer': rates.cer,
      'wer': rates.wer,
      'edit_distance': rates.character_edits / max(rates.texts, 1),
      'intervals': intervals(read.texts, read.readings),
      'num_examples': rates.texts,
    }
  return found


def held_out(config: ConfigDict) -> dict[str, Split]:
  """The two evaluation splits, which contain no generated words."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.generated.name, config.generated.alone = '', False
  splits = recogniser_task.make_data(config).splits
  if 'test' not in splits and is_drawn(config):
    with config.unlocked():  # the drawings after those of validation
      config.data.num_examples += config.data.num_validation
    splits = splits | {'test': recogniser_task.make_data(config).splits['validation']}
  return {name: splits[name] for name in SPLITS if name in splits}


# --- What is written ---


def report(runs: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
  """The result file."""
  return {
    'command': ' '.join(
      [
        f'handwriting_augmentation.py --words {args.words} --styles {args.styles} --seeds {args.seeds}',
        *(f'--set {x}' for x in args.set),
      ]
    ),
    'environment': machine.describe(),
    'generated': args.words * args.styles,
    'summary': {variant: summary(by_seed, runs[BASE]) for variant, by_seed in runs.items()}
    if BASE in runs
    else {},
    'runs': runs,
  }


def summary(by_seed: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
  """{'validation.cer': mean and interval over seeds, with 'difference' from real words alone, seed by seed}."""
  result = {}
  for split, rate in itertools.product(SPLITS, RATES):
    found = {seed: x[split][rate] for seed, x in by_seed.items() if split in x}
    if found:
      less = [x - base[seed][split][rate] for seed, x in found.items() if seed in base]
      result[f'{split}.{rate}'] = {
        **rows.mean_interval(list(found.values())),
        'difference': rows.mean_interval(less),
      }
  return result


def page(found: dict[str, Any]) -> str:
  """The documentation's table, rates in %."""
  names = [f'{split} {rate.upper()}' for split, rate in itertools.product(SPLITS, RATES)]
  lines = [
    f'| trained on | seeds | best step | {" | ".join(names)} | paper: ED, WER on validation |',
    '|' + '---|' * (4 + len(names)),
  ]
  for variant, of_variant in found['summary'].items():
    runs = found['runs'][variant].values()
    paper = PAPER[variant]
    cells = [
      LABELS[variant],
      str(len(runs)),
      ', '.join(f'{x["step"]:,}' for x in runs),
      *(
        _percent(of_variant.get(f'{split}.{rate}'), variant == BASE)
        for split, rate in itertools.product(SPLITS, RATES)
      ),
      '{:.2f}, {:.1f}'.format(*paper) if paper else '"not competitive"',
    ]
    lines.append(f'| {" | ".join(cells)} |')
  about = found['environment']
  return '\n'.join(
    [
      *lines,
      '',
      'In %, means over seeds, 95 % intervals from three on; in brackets the difference from real words '
      f'alone, seed by seed. {found["generated"]:,} generated pictures (the paper: 100,000). Hardware: '
      f'{about["processor"]}, {about["cores"]} cores, {about["device"]}; {about["date"][:10]}. '
      f'`{found["command"]}`',
      '',
    ]
  )


def _percent(value: dict[str, Any] | None, is_base: bool) -> str:
  if value is None:
    return '-'
  told = _with_interval(value, '{:.2f}')
  return told if is_base else f'{told} ({_with_interval(value["difference"], "{:+.2f}")})'


def _with_interval(value: dict[str, Any], form: str) -> str:
  mean = form.format(100 * value['mean'])
  return mean if value['n'] < 3 else f'{mean} ± {100 * value["interval95"]:.2f}'


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
