"""Measures the legibility of each symbol of a writer to an independent recogniser, generated and drawn.

  python benchmarks/handwriting_symbols.py --weights jaxgen/weights/handwriting.safetensors --out FILE

Every symbol of the charset appears in --texts texts unseen in training: a letter, an apostrophe or a hyphen
replaces a letter of a word, a digit is part of a number, a punctuation mark adjoins a word. Each text is
generated in its own hand and drawn in another. The recogniser is that of the writer's evaluation, which took no
part in its training. A symbol is misread if the edits from the text to the reading change or delete it; the
rate on drawn texts is the recogniser's own error.
"""

import argparse
import collections
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from rapidfuzz.distance import Levenshtein

from jaxgen.axis import row_keys
from jaxgen.command import exits
from jaxgen.data.order import generator
from jaxgen.data.splits import make_split
from jaxgen.errors import ConfigError
from jaxgen.evaluation import passes
from jaxgen.files import write_json
from jaxgen.run import inference, startup
from jaxgen.systems.handwriting import defaults, recogniser
from jaxgen.systems.handwriting.config import is_natural
from jaxgen.systems.handwriting.corpus import drawn_corpus
from jaxgen.systems.handwriting.drawn.drawing import Canvas, try_to_draw
from jaxgen.systems.handwriting.drawn.faces import find_faces, missing
from jaxgen.systems.handwriting.drawn.hands import Hands, make_hand
from jaxgen.systems.handwriting.evaluation import Levels
from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.judging import Judged, Reader
from jaxgen.systems.handwriting.levels import from_levels, to_levels
from jaxgen.systems.handwriting.recogniser_task import make_model as make_reader
from jaxgen.systems.handwriting.task import make_model
from jaxgen.terminal.reporter import Reporter

BATCH = 64
OPENING = '«('
SHOWN = 0.2  # least misread rate of a symbol in the printed table
Placed = tuple[str, int]  # a text, and the symbol's position in it


def main() -> None:
  """Generates, draws and reads every symbol, and writes the result."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  add = parser.add_argument
  add('--weights', type=Path, required=True, metavar='RUN|FILE', help='a trained writer')
  add('--texts', type=int, default=40, help='of each symbol')
  add('--seed', type=int, default=1_000, help='of texts, hands and noises')
  add('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  reporter = Reporter()
  opened = inference.open_run(args.weights, reporter=reporter)
  if opened.trained.config.system != 'handwriting':
    raise ConfigError(f'--weights {args.weights}: a {opened.trained.config.system}, no writer')
  texts = placed_texts(opened.trained.config, opened.trained.facts, args.texts, args.seed)
  generated, drawn = judged(opened, texts, args.seed)
  symbols = {
    symbol: {
      'generated': misread(places, generated),
      'drawn': misread(places, drawn),
    }
    for symbol, places in by_symbol(texts).items()
  }
  found = {
    'command': f'handwriting_symbols.py --weights {args.weights.name} --texts {args.texts} --seed {args.seed}',
    'environment': machine.describe(),
    'step': int(opened.trained.step),
    'texts': args.texts,
    'misread': {
      kind: float(np.mean([of[kind]['share'] for of in symbols.values()]))
      for kind in ('generated', 'drawn')
    },
    'symbols': symbols,
  }
  write_json(args.out, found)
  worst = sorted(symbols.items(), key=lambda item: -item[1]['generated']['share'])
  rows = [
    [symbol, of['generated']['share'], of['drawn']['share'], ' '.join(of['generated']['as'])]
    for symbol, of in worst
    if of['generated']['share'] >= SHOWN
  ]
  reporter.table(
    'symbols by how often they are misread', ['', 'generated', 'drawn', 'read as'], rows
  )


def placed_texts(
  config: Any, facts: dict[str, Any], number: int, seed: int
) -> list[tuple[str, Placed]]:
  """(symbol, (text, position)), `number` of each symbol, from words unseen in training."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    for kind in config.data.variety:
      config.data.variety[kind] = 0.0
    config.data.num_examples = config.data.num_validation = 1
  words = [word for word in drawn_corpus(config).unseen if 4 <= len(word) < facts['max_length']]
  rng = generator(seed, 'texts with symbols', 0)
  return [
    (symbol, placed(symbol, words[int(rng.integers(len(words)))], rng))
    for symbol in facts['charset']
    for _ in range(number)
  ]


def placed(symbol: str, word: str, rng: np.random.Generator) -> Placed:
  """A text containing the symbol, and its position."""
  if symbol.isdecimal():
    digits = [str(x) for x in rng.integers(10, size=int(rng.integers(1, 5)))]
    at = int(rng.integers(len(digits)))
    return ''.join([*digits[:at], symbol, *digits[at + 1 :]]), at
  if symbol in defaults.MARKS:
    return (symbol + word, 0) if symbol in OPENING else (word + symbol, len(word))
  if symbol in "'-":
    at = int(rng.integers(1, len(word) - 1))
  else:
    at = 0 if symbol.isupper() else int(rng.integers(len(word)))
  return word[:at] + symbol + word[at + 1 :], at


def judged(opened: Any, texts: list[tuple[str, Placed]], seed: int) -> tuple[Judged, Judged]:
  """The independent recogniser's readings of the texts, generated and drawn."""
  trained, tools = opened.trained, opened.tools
  config, facts = trained.config, trained.facts
  writer = Inference(make_model(config, facts), facts, config)
  said = [text for _, (text, _) in texts]
  labels, lengths = writer.charset.encode(said, facts['max_length'])
  z = np.asarray(writer.latents(row_keys(jax.random.key(seed), jnp.arange(len(said)))))
  write = tools.compile(lambda variables, z, *words: to_levels(writer.write(variables, z, *words)))
  parts = [slice(i, i + BATCH) for i in range(0, len(said), BATCH)]
  generated = [
    np.asarray(write(trained.variables, z[part], labels[part], lengths[part]))
    for part in tools.progress(parts, 'writing', len(parts))
  ]
  draw = drawer(config, seed)
  drawn = [draw(text, i) for i, text in enumerate(tools.progress(said, 'drawing', len(said)))]
  asset = tools.trained(recogniser.asset_config(config))
  reader = Reader(make_reader(asset.config, asset.facts), asset.variables, facts, tools)

  def read(images: np.ndarray, what: str) -> Judged:
    split = make_split(
      Levels(images, label=labels), BATCH, lambda x: {**x, 'image': from_levels(x['image'])}
    )
    return reader(passes.shown(split, BATCH, tools, what))

  return read(np.concatenate(generated), 'reading generated'), read(
    np.stack(drawn), 'reading drawn'
  )


def drawer(config: Any, seed: int) -> Callable[[str, int], np.ndarray]:
  """A function that draws text `number` in the hand of an unseen writer, uint8 [H, W]."""
  data = config.data
  canvas = Canvas(data.height, data.width, not is_natural(config))
  hands = Hands(**{name: tuple(value) for name, value in data.hands.items()})
  faces = find_faces(data.faces or data.script)

  def draw(text: str, number: int) -> np.ndarray:
    for attempt in range(20):  # a wide hand may not fit
      writer = data.num_writers + 20 * number + attempt
      hand = make_hand(seed, writer, len(faces), hands)
      face = faces[hand.face]
      if missing(face, text):
        continue
      found = try_to_draw(text, face, hand, generator(seed, 'symbols', writer), canvas)
      if found is not None:
        return found[0]
    raise ConfigError(f'{text!r} could not be drawn on {data.height} x {data.width} pixels')

  return draw


def by_symbol(texts: list[tuple[str, Placed]]) -> dict[str, list[tuple[int, int]]]:
  """{symbol: [(row, position in its text)]}."""
  found: dict[str, list[tuple[int, int]]] = {}
  for row, (symbol, (_, place)) in enumerate(texts):
    found.setdefault(symbol, []).append((row, place))
  return found


def misreading(text: str, place: int, reading: str) -> str | None:
  """What is read in place of a text's symbol, '' if it is omitted; None if it is read."""
  for edit in Levenshtein.editops(text, reading):
    if edit.src_pos == place and edit.tag in ('replace', 'delete'):
      return reading[edit.dest_pos] if edit.tag == 'replace' else ''
  return None


def misread(places: list[tuple[int, int]], read: Judged) -> dict[str, Any]:
  """The share of a symbol's occurrences that is misread, and its most frequent misreading ('' if omitted)."""
  seen: collections.Counter[str] = collections.Counter()
  for row, place in places:
    other = misreading(read.texts[row], place, read.readings[row])
    if other is not None:
      seen[other] += 1
  return {
    'share': sum(seen.values()) / len(places),
    'as': [other for other, _ in seen.most_common(3)],
  }


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
