r"""Ships a trained run as the reader of `jaxgen lipread`, and writes its model card.

  python benchmarks/lipgen_weights.py --run runs/grid --sentences benchmarks/results/lipgen_sentences_cpu.json \
    --evaluation benchmarks/results/lipgen_shipped_cpu.json --out benchmarks/results/lipgen_weights_cpu.json

writes jaxgen/weights/lipgen.safetensors from the newest saved step, with the word search parameters selected in
the sentences' result file, measures how long it takes to read 29 frames, and renders jaxgen/weights/LIPGEN.md
from the result file. The word error rates of sentences are those of `jaxgen evaluate` of the shipped file.
$JAXGEN_DATA must hold grid_s1_mouths.
"""

import argparse
import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
import shipping

from jaxgen.command import exits
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.exchange.weight_files import load_weights
from jaxgen.run import loading, startup
from jaxgen.systems.lipgen.apply import READER, known_segmenting, reading_model
from jaxgen.systems.lipgen.config import ABOUT
from jaxgen.systems.lipgen.reading import segmenting
from jaxgen.systems.lipgen.reading.service import Service

TERMS = (
  'Trained on 716 clips of one speaker of the GRID audiovisual sentence corpus (M. Cooke, J. Barker, S. '
  'Cunningham, X. Shao, doi 10.5281/zenodo.3625687), CC BY 4.0, cut to the mouth.'
)
LIMITS = (
  'It knows one speaker of British English, filmed from the front in a studio, and the 51 words of the corpus, '
  'in its six-word sentences. Do not rely on it for other speakers, words or cameras: fine-tune it '
  '(config.init_from) on your own clips.'
)
KEPT = (
  'num_steps',
  'batch_size',
  'optim.learning_rate',
  'curriculum.windows_from',
  'augment.boundary_dropout',
  'data.no_word',
  'data.held_out',
)
FIGURES = (
  'accuracy',
  'top5',
  'accuracy_no_boundary',
  'accuracy_windows',
  'accuracy_windows_no_boundary',
  'silence_found',
  'words_missed',
  'homophene_ceiling',
  'num_classes',
  'num_examples',
)
SAID = {
  'accuracy': 'words in whole clips, boundaries known',
  'top5': 'the same, among the five most probable',
  'accuracy_no_boundary': 'without boundaries',
  'accuracy_windows': 'in clips of 29 frames, boundaries known',
  'accuracy_windows_no_boundary': 'in clips of 29 frames, without boundaries',
  'silence_found': 'pauses classified as no word',
  'homophene_ceiling': 'upper bound from viseme sequences on these words',
}
# Word error rates of the sentences of all held-out clips.
READ = {'wer_known': 'with the true times of words', 'wer': 'from sliding windows'}
WIDTH = 110
REPEATS = 20
CARD = Path(__file__).parents[1] / 'jaxgen' / 'weights' / 'LIPGEN.md'


def main() -> None:
  """Ships the run and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--run', type=Path, required=True, metavar='RUN', help='a run of grid')
  parser.add_argument('--sentences', type=Path, metavar='FILE', help='of lipgen_sentences.py')
  parser.add_argument(
    '--evaluation', type=Path, metavar='FILE', help='of `jaxgen evaluate` of the shipped file'
  )
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  found = shipping.evaluated(args.run, None)
  trained = loading.load(args.run, found['step'])
  row = shipping.about(trained, args.run, KEPT)
  more = {}
  if args.sentences:
    more[segmenting.KEY] = json.dumps(json.loads(args.sentences.read_text())['segmenting'])
  shipping.save(READER, trained, row, TERMS, **more)
  row['evaluation'] = {key: found[key] for key in FIGURES}
  whole = json.loads(args.evaluation.read_text()) if args.evaluation else {}
  row['wer'] = {text: whole[key] for key, text in READ.items() if key in whole}
  row['seconds_to_read_29_frames'] = seconds_to_read()
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': {'reader': row}})
  shipping.write_card(CARD, card(row))


def seconds_to_read() -> float:
  """Median seconds to read a clip of 29 mouth crops of 96 x 96 as one word, excluding the first."""
  service = Service(reading_model(load_weights(READER), known_segmenting(READER)), 5)
  crops = np.random.default_rng(0).integers(0, 256, (29, 96, 96)).astype(np.uint8)
  times = []
  for _ in range(REPEATS + 1):
    start = time.perf_counter()
    service.whole(crops)
    times.append(time.perf_counter() - start)
  return round(float(np.median(times[1:])), 4)


def card(row: dict[str, Any]) -> str:
  """The model card."""
  found = row['evaluation']
  lines = [f'| word error rate of sentences, {key} | {x:.3f} |' for key, x in row['wer'].items()]
  held = (
    f'On {found["num_examples"]:,} words, of {found["num_classes"]} different ones, in held-out clips, which '
    'include all that have sound:'
  )
  end = f'Reading 29 mouth crops takes {row["seconds_to_read_29_frames"] * 1000:.0f} ms, after the first time. '
  return '\n'.join([
    front(row),
    '# The net behind `jaxgen lipread`',
    *body(row, READER.name, TERMS, 'lipgen.py:grid --workdir=runs/grid', held),
    *figures(found, SAID),
    *lines,
    '',
    textwrap.fill(f'{end}{LIMITS}', WIDTH),
    '',
  ])  # fmt: skip


def body(row: dict[str, Any], file: str, terms: str, command: str, held: str) -> list[str]:
  """The lines of a card from below its title to the head of its table.

  Args:
    row: of the reader.
    file: its name.
    terms: its terms.
    command: the config that trained it, and the workdir.
    held: the words that it was measured on.
  """
  trained = (
    f'{row["parameters"]:,} parameters and statistics; {row["steps"]:,} updates of '
    f'{row["config"]["batch_size"]} clips, {row["seconds"] / 60:.0f} minutes on {row["hardware"]}, shared '
    f'with other work, {row["date"]}, seed {row["seed"]}.'
  )
  return [
    '',
    "Float32; the file's header holds its config and facts, so `jaxgen.load(file)` gives all that is needed to",
    'apply it.',
    '',
    '## Terms',
    '',
    textwrap.fill(terms, WIDTH),
    '',
    f'## {file}',
    '',
    textwrap.fill(trained, WIDTH),
    '',
    f'    python launch.py --config=configs/{command}',
    '',
    textwrap.fill(held, WIDTH),
    '',
    '| figure | share |',
    '|---|---|',
  ]


def figures(found: dict[str, Any], said: dict[str, str]) -> list[str]:
  """The lines of a table of figures that were measured; `said` has their descriptions."""
  return [f'| {text} | {found[key]:.3f} |' for key, text in said.items() if found[key] is not None]


def front(row: dict[str, Any]) -> str:
  """The front matter of the card."""
  words = {'accuracy': round(row['evaluation']['accuracy'], 4)}
  results = [Result('lipgen', 'grid', words, 'words of held-out clips, boundaries known')]
  if 'from sliding windows' in row['wer']:
    wer = {'wer': round(row['wer']['from sliding windows'], 4)}
    results.append(Result('lipgen', 'grid', wer, 'sentences of held-out clips'))
  return cards.front_matter(ABOUT, Licence('cc-by-4.0'), results, ('grid',), (), ('en',))


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
