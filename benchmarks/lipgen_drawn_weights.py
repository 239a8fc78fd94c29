r"""Ships a trained run as the lip reader of drawn speakers, which judges rendered clips, and writes its card.

  python launch.py --config=configs/lipgen.py --workdir=runs/lipgen
  python benchmarks/lipgen_drawn_weights.py --run runs/lipgen \
    --out benchmarks/results/lipgen_drawn_weights_cpu.json

writes jaxgen/weights/lipgen_drawn.safetensors from the newest saved step, and renders
jaxgen/weights/LIPGEN_DRAWN.md from the result file.
"""

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

import machine
import shipping
from lipgen_weights import WIDTH, body, figures

from jaxgen.command import exits
from jaxgen.exchange import cards
from jaxgen.exchange.cards import Licence, Result
from jaxgen.run import loading, startup
from jaxgen.systems.lipgen.config import ABOUT
from jaxgen.systems.lipgen.render.readers import DRAWN_READER

TERMS = (
  'Trained on speakers that jaxgen drew, who say words of CMUdict; no picture of a person was seen. Under the '
  'licence of jaxgen, the Apache License 2.0.'
)
LIMITS = (
  'It knows twenty words and the drawn speakers of one look, and is made to judge clips that '
  '`configs/lipgen_render.py` renders. It reads no filmed mouths: `jaxgen lipread` has another net.'
)
KEPT = 'num_steps', 'batch_size', 'optim.learning_rate', 'data.look', 'data.num_speakers'
FIGURES = 'accuracy', 'top5', 'accuracy_no_boundary', 'num_classes', 'num_examples'
SAID = {
  'accuracy': 'words, boundaries known',
  'top5': 'the same, among the five most probable',
  'accuracy_no_boundary': 'without boundaries',
}
CARD = Path(__file__).parents[1] / 'jaxgen' / 'weights' / 'LIPGEN_DRAWN.md'


def main() -> None:
  """Ships the run and writes the result file and the card."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--run', type=Path, required=True, metavar='RUN', help='a run of procedural')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  found = shipping.evaluated(args.run, None)
  trained = loading.load(args.run, found['step'])
  row = shipping.about(trained, args.run, KEPT)
  shipping.save(DRAWN_READER, trained, row, TERMS)
  row['evaluation'] = {key: found[key] for key in FIGURES}
  machine.write_json(args.out, {'machine': machine.describe(), 'rows': {'reader': row}})
  shipping.write_card(CARD, card(row))


def card(row: dict[str, Any]) -> str:
  """The model card."""
  found = row['evaluation']
  score = {'accuracy': round(found['accuracy'], 4)}
  results = [Result('lipgen_drawn', 'drawn-speakers', score, 'speakers not seen in training')]
  held = (
    f'On {found["num_examples"]:,} clips of {found["num_classes"]} words by speakers that training never '
    'showed:'
  )
  return '\n'.join([
    cards.front_matter(ABOUT, Licence('apache-2.0'), results, (), (), ('en',)),
    '# The lip reader of drawn speakers',
    *body(row, DRAWN_READER.name, TERMS, 'lipgen.py --workdir=runs/lipgen', held),
    *figures(found, SAID),
    '',
    textwrap.fill(LIMITS, WIDTH),
    '',
  ])  # fmt: skip


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
