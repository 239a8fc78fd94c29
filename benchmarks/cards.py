r"""Regenerates the model cards of the nets shipped with jaxgen from their result files.

  python benchmarks/cards.py

writes jaxgen/weights/*.md. Nothing is trained or measured: the scripts that did so define the cards' contents.
"""

import argparse
import functools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import comvae_weights
import handwriting_card
import lipgen_drawn_weights
import lipgen_motion_weights
import lipgen_render_weights
import lipgen_weights
import mmgan_weights
import shipping
import weights_card

from jaxgen.command import exits
from jaxgen.systems.comvae import apply as comvae

RESULTS = Path(__file__).parent / 'results'
WEIGHTS = Path(__file__).parents[1] / 'jaxgen' / 'weights'
# card -> result file, its row (all rows if empty), and the function that makes the card from it
CARDS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
  'COMVAE_MNIST.md': (
    'comvae_weights_cpu.json',
    comvae.MNIST,
    functools.partial(comvae_weights.card, comvae.MNIST),
  ),
  'COMVAE_DIGITS.md': (
    'comvae_weights_cpu.json',
    comvae.DIGITS,
    functools.partial(comvae_weights.card, comvae.DIGITS),
  ),
  'MMGAN.md': ('mmgan_weights_cpu.json', 'mnist', mmgan_weights.card),
  'SRSENET.md': ('srsenet_weights_cpu.json', '', weights_card.card),
  'HANDWRITING.md': ('handwriting_weights_cpu.json', 'writer', handwriting_card.writer_card),
  'HANDWRITING_READER.md': (
    'handwriting_weights_cpu.json',
    'reader',
    handwriting_card.reader_card,
  ),
  'LIPGEN.md': ('lipgen_weights_cpu.json', 'reader', lipgen_weights.card),
  'LIPGEN_DRAWN.md': ('lipgen_drawn_weights_cpu.json', 'reader', lipgen_drawn_weights.card),
  'LIPGEN_MOTION.md': (
    'lipgen_motion_weights_cpu.json',
    'motion',
    lipgen_motion_weights.card,
  ),
  'LIPGEN_RENDER.md': (
    'lipgen_render_weights_cpu.json',
    'render',
    lipgen_render_weights.card,
  ),
}


def main() -> None:
  """Writes all cards."""
  argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  ).parse_args()
  for name, text in made():
    shipping.write_card(WEIGHTS / name, text)


def made() -> Iterator[tuple[str, str]]:
  """Yields the name and text of each card."""
  for name, (file, key, card) in CARDS.items():
    rows = json.loads((RESULTS / file).read_text())['rows']
    yield name, card(rows[key] if key else rows)


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
