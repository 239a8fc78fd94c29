"""Trains the rows of the paper's tables with several seeds, from random weights and after our paired start.

  python benchmarks/handwriting_rows.py --seeds 3 --out benchmarks/results/handwriting_rows_cpu.json
  python benchmarks/handwriting_rows.py --seeds 3 --finished --out FILE --page PAGE --sheet PICTURE

The first kind is the row's variant unchanged. The second one, ours, has the same networks and objective but
starts from drawings: R learns to read, then G and phi learn to copy drawings of their words, then the row's own
updates follow. Rows with the same networks share that start, which is trained once per seed as a separate run.
Seed 0 of every row comes first. Runs are kept in --runs and resumed or reused if present, so the command can be
stopped and rerun; --finished trains nothing and uses existing runs, --join takes runs from result files, which
have all that a page needs (the sheet needs the runs of seed 0). For real handwriting:

  python benchmarks/handwriting_rows.py --size small --set data.name=dhsd_words_de --set data.max_letters=12 \
    --word Straße --out FILE --page PAGE --sheet PICTURE

there the start is trained on drawings of the set's words.
"""

import argparse
import itertools
import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import matplotlib
import numpy as np
import rows
from handwriting_rows_page import KINDS, OWN_NETWORKS, PAPER, page
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.axis import row_keys
from jaxgen.command import exits
from jaxgen.exchange.weight_files import save_weights
from jaxgen.files import write_bytes, write_json
from jaxgen.pictures.grids import image_grid, titled
from jaxgen.pictures.png import write_image
from jaxgen.run import inference, loading, startup, training
from jaxgen.systems.handwriting.config import is_drawn
from jaxgen.systems.handwriting.corpus import load_corpus
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.levels import to_levels
from jaxgen.systems.handwriting.task import make_model
from jaxgen.task import Trained
from jaxgen.terminal.reporter import Reporter

FACE = Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / 'DejaVuSans.ttf'
ROWS = tuple(PAPER)
FIGURES = (
  'fid_r',
  'fid_r_untrained',
  'kid',
  'geometry_score',
  'geometry_score_floor',
  'generated_cer',
  'generated_cer_unseen',
  'generated_cer_own',
  'recogniser_cer',
  'reader_cer',
  'style_spread.relative.slant',
  'style_spread.relative.stroke_width',
  'style_spread.relative.ink',
  'grad_norm_ratio.pixels',
  'grad_norm_ratio.parameters',
  'num_examples',
  'num_generated',
)


def complete(evaluation: dict[str, Any]) -> bool:
  """Whether an evaluation is complete; older ones without a floor, with fewer draws, are repeated."""
  return evaluation['geometry_score'] is not None and 'geometry_score_floor' in evaluation


TABLE = rows.Table('handwriting', ROWS, FIGURES, FIGURES, complete)
RANDOM, STARTED = KINDS
NOISES = 4  # samples of the word on the sheet, per row and kind
GAP = 24  # white pixels between the kinds


def main() -> None:
  """Parses the command line, trains missing runs, writes the result, the page and the sheet."""
  args = make_parser().parse_args()
  unknown = set(args.rows.split(',')) - set(ROWS)
  if unknown:
    raise SystemExit(f'--rows: no {", ".join(sorted(unknown))}; there are {", ".join(ROWS)}')
  startup.enable_compilation_cache()
  kinds, named = args.kinds.split(','), args.rows.split(',')
  reporter = Reporter()
  runs = {kind: {} for kind in kinds} | rows.joined(args.join, common(args))
  # Seed 0 of every row first: an interrupted command leaves complete tables.
  for seed, kind, row in itertools.product(range(args.first_seed, args.seeds), kinds, named):
    if str(seed) in runs[kind].get(row, {}):
      continue
    found = figures(kind, row, seed, args, reporter)
    if found is not None:
      runs[kind].setdefault(row, {})[str(seed)] = found
      write_json(args.out, report(runs, args))
  if any(runs.values()):
    write_json(args.out, report(runs, args))
  if args.sheet:
    write_image(args.sheet, sheet(runs, args))
  if args.page and any(runs.values()):
    write_bytes(args.page, page(json.loads(args.out.read_text())).encode())


def make_parser() -> argparse.ArgumentParser:
  """The command line's options."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--size', default='tiny', help='tiny, small or paper')
  add('--rows', default=','.join(ROWS), help='comma-separated')
  add('--kinds', default=','.join(KINDS), help='comma-separated')
  add('--set', action='append', default=[], metavar='KEY=VALUE', help='override, of all runs')
  add('--steps', type=int, default=5_000, help='updates of a row from random weights')
  add('--read-steps', type=int, default=1_000, help='of a start: updates of R alone')
  add('--paired-steps', type=int, default=8_000, help='of a start: updates of G by drawings')
  add('--started-steps', type=int, default=2_000, help='updates of a row after its start')
  add('--word', default='réparer', help='on the sheet')
  rows.add_joining(parser)
  add('--runs', type=Path, default=Path('runs/rows'), help='where the runs live')
  add('--out', type=Path, required=True, help='JSON file')
  add('--page', type=Path, help="the documentation's table, as Markdown")
  add('--sheet', type=Path, help='PNG: the word by seed 0 of each row')
  return parser


def figures(
  kind: str, row: str, seed: int, args: argparse.Namespace, reporter: Reporter
) -> dict[str, Any] | None:
  """Flattened evaluation.json of a row, trained first if missing; None if training is not allowed.

  For a row after its start, the start's figures are included as 'start.NAME'.
  """
  variant, pairs = f'{args.size},{row}', settings(kind, row, seed, args)
  found = _finished(variant, pairs, seed, args)
  if found is None and not args.finished:
    if kind == STARTED:
      make_start(row, seed, args, reporter)
    found = run(variant, pairs, seed, args, reporter)
  if found is None:
    return None
  if kind == STARTED:
    path = start_folder(row, seed, args) / 'evaluation.json'
    start = chosen(json.loads(path.read_text())) if path.is_file() else {}
    found |= {f'start.{name}': x for name, x in start.items()}
  _, name = rows.configured(TABLE, variant, seed, pairs)
  return {**found, 'environment': machine.describe(args.runs / name / 'evaluation.json')}


def common(args: argparse.Namespace) -> dict[str, Any]:
  """What all runs of a result file share and what decides their figures."""
  return {
    'size': args.size,
    'words': set_name(args) or 'drawn',
    'set': rows.deciding(args.set),
    'steps': {
      RANDOM: args.steps,
      'reading': args.read_steps,
      'drawings': args.paired_steps,
      STARTED: args.started_steps,
    },
  }


def settings(kind: str, row: str, seed: int, args: argparse.Namespace) -> list[str]:
  """The KEY=VALUE settings of a run."""
  if kind == RANDOM:
    return [*args.set, f'num_steps={args.steps}']
  file = start_folder(row, seed, args).with_suffix('.safetensors')
  return [*args.set, f'num_steps={args.started_steps}', f'init_from={file}']


def run(
  variant: str, pairs: list[str], seed: int, args: argparse.Namespace, reporter: Reporter
) -> dict[str, Any]:
  """Trains and evaluates a run, resuming it if it is partly done."""
  given = argparse.Namespace(set=pairs, runs=args.runs, evaluate=True)
  return chosen(rows.figures(TABLE, variant, seed, given, reporter))


def _finished(
  variant: str, pairs: list[str], seed: int, args: argparse.Namespace
) -> dict[str, Any] | None:
  """The figures of a finished, fully evaluated run; None if there is none."""
  config, name = rows.configured(TABLE, variant, seed, pairs)
  return finished(args.runs / name, config)


def finished(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
  """The figures of a config's fully evaluated run; None if there is none.

  Raises:
    SystemExit: the folder belongs to another run.
  """
  try:
    found = json.loads((workdir / 'evaluation.json').read_text())
    saved = saved_configs.from_saved(json.loads((workdir / 'config.json').read_text()))
  except OSError:
    return None
  refuse_other(workdir, saved, config)
  done = found['step'] == config.num_steps and TABLE.complete(found)
  return chosen(found) if done else None


def refuse_other(path: Path, saved: ConfigDict, config: ConfigDict) -> None:
  """Raises SystemExit if what is at a path was trained with a config other than the requested one."""
  lines = saved_configs.differing(saved, config, (*saved_configs.RESUME_FREE, 'steps_per_call'))
  if lines:
    raise SystemExit(f'error: {path} is a run of another config: {"; ".join(lines)}')


def chosen(evaluation: dict[str, Any]) -> dict[str, Any]:
  """The flattened figures of an evaluation.json, and its step; None if one was not measured."""
  flat = configs.flatten(evaluation)
  return {name: flat.get(name) for name in ('step', *FIGURES)}


# --- Starts ---


def start_folder(row: str, seed: int, args: argparse.Namespace) -> Path:
  """The folder for the start of a row, shared by rows with the same networks."""
  form = row if row in OWN_NETWORKS else 'shared'
  steps = f'{args.read_steps}-{args.paired_steps}'
  given = configs.digest(sorted(args.set)) if args.set else 'default'
  return args.runs / f'start-{args.size}-{form}-{steps}-{given}-{seed}'


def make_start(row: str, seed: int, args: argparse.Namespace, reporter: Reporter) -> None:
  """Trains the start of a row if missing, and exports it beside its folder.

  An existing start evaluated by a different judge than the rows is re-evaluated.

  Raises:
    SystemExit: the existing file is another start's.
  """
  folder = start_folder(row, seed, args)
  file, config = folder.with_suffix('.safetensors'), start_config(row, seed, args)
  if file.is_file():
    refuse_other(file, loading.load(file).config, config)
    path = folder / 'evaluation.json'
    if (
      path.is_file() and json.loads(path.read_text()).get('reader_seed') != config.eval.reader_seed
    ):
      inference.evaluate(folder, given=config, reporter=reporter)
    return
  reporter.say(f'the start of {row}, seed {seed}: {folder}')
  training.train(config, folder, reporter)
  trained = loading.load(folder)
  save_weights(file, trained._replace(variables=jax.device_get(trained.variables)))
  jax.clear_caches()


def start_config(row: str, seed: int, args: argparse.Namespace) -> ConfigDict:
  """The config of a row's networks trained on drawings, of the set's own words if the set is not drawn."""
  steps = args.read_steps + args.paired_steps
  variant = f'{args.size},{row if row in OWN_NETWORKS else "alpha_1"}'
  pairs = [
    *args.set,
    f'num_steps={steps}',
    f'curriculum.read_steps={args.read_steps}',
    f'curriculum.paired_steps={args.paired_steps}',
    'loss.parameter_norms=0',
    'optim.recogniser_learning_rate=2e-3',  # as in the main job, since R trains alone
    *(['data.name=drawn'] if set_name(args) else []),
  ]
  config, _ = rows.configured(TABLE, variant, seed, pairs)
  if set_name(args):
    _draw_words_of_set(config, variant, seed, args)
  return config


def set_name(args: argparse.Namespace) -> str:
  """data.name from --set; '' for drawn words."""
  config, _ = rows.configured(TABLE, f'{args.size},alpha_1', 0, args.set)
  return '' if is_drawn(config) else config.data.name


def _draw_words_of_set(
  config: ConfigDict, variant: str, seed: int, args: argparse.Namespace
) -> None:
  """Makes a config draw the training words of the set named by --set, in the set's symbols."""
  corpus = load_corpus(rows.configured(TABLE, variant, seed, args.set)[0])
  text = '\n'.join(corpus.words) + '\n'
  name = f'words-{configs.digest(text)}.txt'
  write_bytes(args.runs / name, text.encode())
  with config.unlocked():
    config.data.word_list = str(args.runs / name)
    config.data.letters = ''.join(corpus.charset.symbols)
    config.data.num_words = 0
    config.data.num_unseen = min(config.data.num_unseen, 1 + len(corpus.words) // 10)
    for kind in config.data.variety:
      config.data.variety[kind] = 0.0
  configs.check(config)


# --- What is written ---


def report(runs: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
  """The result file."""
  return {
    'command': ' '.join(
      [
        'handwriting_rows.py',
        f'--size {args.size} --seeds {args.seeds}',
        *(f'--set {x}' for x in args.set),
      ]
    ),
    'settings': common(args),
    'summary': {
      kind: {row: summary(list(by_seed.values())) for row, by_seed in found.items()}
      for kind, found in runs.items()
    },
    'runs': runs,
  }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
  """Mean, 95 % interval and minimum over seeds of each figure that all of them have."""
  result = {}
  for name in dict.fromkeys(name for x in runs for name in x):
    values = [x.get(name) for x in runs]
    if name not in ('step', 'environment') and all(value is not None for value in values):
      result[name] = {**rows.mean_interval(values), 'least': float(np.min(values))}
  return result


def sheet(runs: dict[str, Any], args: argparse.Namespace) -> np.ndarray:
  """A line for each row with a run of seed 0, under its name: the word with noises of one key, by kind."""
  lines = []
  for row in args.rows.split(','):
    kinds = [kind for kind in runs if '0' in runs[kind].get(row, {})]
    parts, told = [], []
    for kind in kinds:
      _, name = rows.configured(TABLE, f'{args.size},{row}', 0, settings(kind, row, 0, args))
      word, images = written(inference.load(args.runs / name), args.word)
      parts += [images, np.full((len(images), GAP), 255, np.uint8)]
      told.append(kind)
    if parts:
      line = np.concatenate(parts[:-1], 1)
      lines.append(titled(line, f'{row}, "{word}": {" | ".join(told)}', face=FACE))
  if not lines:
    raise SystemExit('--sheet: no run of seed 0 is finished')
  width = max(line.shape[1] for line in lines)
  return np.concatenate(
    [np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=255) for x in lines]
  )


def written(trained: Trained, word: str) -> tuple[str, np.ndarray]:
  """A word as a net can spell it, and a line of samples of it, with noises shared by nets of equal z size."""
  writer = Inference(make_model(trained.config, trained.facts), trained.facts, trained.config)
  word = spelled(word, writer)
  labels, lengths = writer.charset.encode([word] * NOISES, trained.facts['max_length'])
  z = writer.latents(row_keys(jax.random.key(0), jnp.arange(NOISES)))
  images = jax.jit(lambda *given: to_levels(writer.write(*given)))(
    trained.variables, z, labels, lengths
  )
  return word, image_grid(np.asarray(images) / 255.0, columns=NOISES, pad=4)


def spelled(word: str, writer: Inference) -> str:
  """The word, in lower case if the writer has no capitals, without accents if it has none.

  Raises:
    SystemExit: it cannot be spelled.
  """
  plain = unicodedata.normalize('NFD', word.lower()).replace('ß', 'ss')
  plain = ''.join(x for x in plain if not unicodedata.combining(x))
  for one in (word, word.lower(), plain):
    if not writer.charset.unknown(one) and len(one) <= writer.facts['max_length']:
      return one
  raise SystemExit(f'--word {word}: the nets cannot spell it')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
