"""Measures how many words a second one core draws, and makes the sheet for the docs.

  python benchmarks/drawn_words.py --json benchmarks/results/drawn_words_cpu.json
  python benchmarks/drawn_words.py --sheet docs/images/handwriting_drawn.png

Each case draws a hundred words several times after warming up its faces; the best time counts, in processor
seconds, since the machine may be busy otherwise.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import machine
import numpy as np
from PIL import Image

from jaxgen.command import exits
from jaxgen.systems.handwriting.drawn.drawing import Canvas
from jaxgen.systems.handwriting.drawn.examples import Writing, drawn_words
from jaxgen.systems.handwriting.drawn.faces import find_faces
from jaxgen.systems.handwriting.drawn.hands import CLEAN, SLOTS, Hands
from jaxgen.systems.handwriting.drawn.word_lists import Variety, find_words

# name: canvas, longest word, hands, script
CASES = {
  'slots': (Canvas(32, 128, slots=True), 8, SLOTS, 'latin'),
  'clean': (Canvas(32, 128), 8, CLEAN, 'latin'),
  'natural_32': (Canvas(32, 128), 8, Hands(), 'latin'),
  'natural_64': (Canvas(64, 256), 12, Hands(), 'latin'),
  'natural_128': (Canvas(128, 512), 16, Hands(), 'latin'),
  'arabic_64': (Canvas(64, 256), 12, Hands(), 'arabic'),
}
LISTS = {'latin': 'french', 'arabic': 'arabic'}


def words_a_second(writing: Writing, repeats: int) -> float:
  """The best rate over several hundreds of words."""
  drawn_words(writing, 0, range(200))
  seconds = []
  for i in range(2, 2 + repeats):
    start = time.process_time()
    drawn_words(writing, 0, range(100 * i, 100 * i + 100))
    seconds.append(time.process_time() - start)
  return 100 / min(seconds)


def sheet(path: Path) -> None:
  """Sixty French words, six a row, each in a different hand."""
  words, _ = find_words('french').select(2, 10)
  variety = Variety(capitalised=0.15, capitals=0.05, elided=0.2, numbers=0.05)
  writing = Writing(words, find_faces('latin'), Canvas(48, 168), variety=variety)
  images = drawn_words(writing, 0, range(60)).images
  framed = np.pad(images, ((0, 0), (0, 4), (0, 4)), constant_values=140)
  rows = framed.reshape(10, 6, *framed.shape[1:]).swapaxes(1, 2)
  pixels = rows.reshape(10 * 52, 6 * 172)[:-4, :-4]
  Image.fromarray(pixels).save(path, optimize=True)


def main() -> None:
  """Measures, prints, and writes the requested files."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--json', metavar='FILE', type=Path, help='write the rates')
  parser.add_argument('--sheet', metavar='FILE', type=Path, help='write the sheet; measure nothing')
  parser.add_argument('--repeats', type=int, default=5, help='by default 5')
  args = parser.parse_args()
  if args.sheet:
    sheet(args.sheet)
    return
  rates = {}
  for name, (canvas, longest, hands, script) in CASES.items():
    words, _ = find_words(LISTS[script]).select(2, longest)
    writing = Writing(words, find_faces(script), canvas, hands)
    rates[name] = words_a_second(writing, args.repeats)
    print(f'{name:>12}: {rates[name]:5.0f} words a second')
  if args.json:
    result = {'machine': machine.describe(), 'words_per_second': rates}
    args.json.write_text(json.dumps(result, indent=2) + '\n')


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
