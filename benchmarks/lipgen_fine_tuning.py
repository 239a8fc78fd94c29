r"""Measures the benefit of fine-tuning a trained reader on a few clips of other words over random weights.

  jaxgen pose-augment --of runs/lipgen --output turned
  python benchmarks/lipgen_fine_tuning.py --table turned/straight/words.tsv \
    --init jaxgen/weights/lipgen.safetensors --name drawn --out benchmarks/results/lipgen_fine_tuning_cpu.json

  python benchmarks/lipgen_fine_tuning.py --table $JAXGEN_DATA/grid_s1_mouths/words.tsv --held-out 0.9 \
    --words zero,one,two,three,four,five,six,seven,eight,nine --every 150 --batch-size 8 \
    --init runs/lipgen/export/lipgen.safetensors --name digits --out FILE

trains `configs/lipgen.py:table` twice for the same number of updates, from the reader's net and from random
weights, on all but the --held-out share of the table's clips, and reads the held-out ones. --words selects some
of the table's words, --clips names the folder of its clips. One result file holds several experiments by name.
"""

import argparse
import csv
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import machine

from jaxgen import config as configs
from jaxgen.command import exits
from jaxgen.run import training
from jaxgen.systems.lipgen.clips import table as tables
from jaxgen.systems.lipgen.corpus import load_real

FIGURES = 'accuracy', 'top5', 'accuracy_no_boundary', 'num_classes', 'num_examples'


def part_of(table: Path, words: list[str], folder: Path) -> Path:
  """Writes the rows of some words as a separate table."""
  path = folder / 'words.csv'
  rows = [row for row in tables.read_table(table) if row.word in words]
  with path.open('w', newline='') as out:
    writer = csv.writer(out)
    writer.writerow(['clip', 'word', 'start_frame', 'end_frame'])
    writer.writerows([row.clip, row.word, row.start, row.end] for row in rows)
  return path


def measure(args: argparse.Namespace, table: Path, init: str, folder: Path) -> dict[str, Any]:
  """Figures of one training run."""
  config = configs.load('lipgen:table')
  with config.unlocked():
    config.seed = args.seed
    config.data.name = str(table)
    config.data.dir = str(args.clips or tables.folder_of_clips(args.table))
    config.data.held_out = args.held_out
    config.num_steps = config.save_every = args.steps
    config.eval_every = args.every
    config.log_every = min(args.every, 50)
    config.batch_size = args.batch_size
    config.optim.learning_rate = args.learning_rate
    config.init_from = init
  configs.check(config)
  clips = load_real(config)
  began = time.perf_counter()
  training.train(config, folder)
  seconds = time.perf_counter() - began
  evaluation = json.loads((folder / 'evaluation.json').read_text())
  lines = map(json.loads, (folder / 'metrics.jsonl').read_text().splitlines())
  course = {x['step']: x['eval/accuracy'] for x in lines if 'eval/accuracy' in x}
  return {
    'training_words': clips['train'].num_words,
    'seconds': round(seconds),
    **{name: evaluation[name] for name in FIGURES},
    'course': course,
  }


def main() -> None:
  """Measures and writes."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--table', type=Path, required=True, help='of clips, words and times')
  add('--clips', type=Path, help='their folder; by default the table says')
  add('--words', type=lambda text: text.split(','), help='of the table, by commas; all by default')
  add('--held-out', type=float, default=0.8, help='share of the clips that is read')
  add('--init', type=Path, required=True, help='a file of jaxgen export')
  add('--steps', type=int, default=150)
  add('--every', type=int, default=50, help='updates between two readings of the held-out clips')
  add('--batch-size', type=int, default=16)
  add('--learning-rate', type=float, default=2e-3)
  add('--seed', type=int, default=0)
  add('--name', required=True, help='of the experiment in the result file')
  add('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  results = json.loads(args.out.read_text()) if args.out.is_file() else {}
  row: dict[str, Any] = {'machine': machine.describe()}
  row |= {name: getattr(args, name) for name in ('held_out', 'steps', 'batch_size', 'seed')}
  row |= {'learning_rate': args.learning_rate, 'init': args.init.name}
  with tempfile.TemporaryDirectory(prefix='jaxgen-benchmark-') as folder:
    place = Path(folder)
    table = part_of(args.table, args.words, place) if args.words else args.table
    for name, init in (('from_the_reader', str(args.init)), ('from_random_weights', '')):
      row[name] = measure(args, table, init, place / name)
      machine.say(f'{name}: {json.dumps(row[name])}')
  machine.write_json(args.out, {**results, args.name: row})


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
