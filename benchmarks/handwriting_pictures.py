"""Measures how the shipped reader depends on framing and light, and how often several lines pass as one.

  python benchmarks/handwriting_pictures.py --out benchmarks/results/handwriting_pictures_cpu.json

reads test pictures of real sets as they are, with margins or cropped to their ink, and in light that falls off.
Then it puts test pictures below each other, with gaps, and counts how many of these pages are taken for a
single line; and how many single pictures are taken for several. The sets are in $JAXGEN_DATA.
"""

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import handwriting_readers as readers
import machine
import numpy as np

from jaxgen.command import exits
from jaxgen.errors import DataError
from jaxgen.run import inference, startup
from jaxgen.systems.handwriting import apply
from jaxgen.systems.handwriting.reading.error_rates import error_rates
from jaxgen.systems.handwriting.reading.pictures import num_lines, picture_of
from jaxgen.systems.handwriting.reading.service import Service
from jaxgen.systems.handwriting.reading.understanding import Decoding
from jaxgen.systems.handwriting.real.canvas import extent, flattened, ink_of

PAGES, MOST = 100, 1000
STACKS = ((2, 0.0), (2, 0.5), (2, 1.0), (2, 2.0), (3, 0.5), (3, 1.0), (3, 2.0), (5, 1.0), (5, 2.0))
Change = Callable[[np.ndarray], np.ndarray]


def main() -> None:
  """Reads the pictures, counts the pages and writes the result file."""
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--sets', default='dhsd,lectaurep,poilus', help='comma-separated')
  parser.add_argument('--pictures', type=int, default=96, help='of each set, spread over it')
  parser.add_argument('--out', type=Path, required=True, help='JSON file')
  args = parser.parse_args()
  startup.enable_compilation_cache()
  weights = apply.shipped_reader()
  trained = inference.load(weights)
  service = Service(apply.reading_model(trained), Decoding(nbest=1))
  found: dict[str, Any] = {}
  for name in args.sets.split(','):
    words = readers.test_words(name)
    some = words.take(np.unique(np.linspace(0, len(words) - 1, args.pictures).astype(int)))
    images = some.gather(np.arange(len(some)))
    found[name] = {'pictures': len(some)}
    for change, apply_to in CHANGES.items():
      found[name][change] = cer(service, [apply_to(image) for image in images], some.texts)
      machine.say(f'{name}, {change}: {found[name][change]:.3f}')
    found[name]['pages'] = pages(words.gather(np.arange(min(len(words), MOST))))
    machine.say(f'{name}: {found[name]["pages"]}')
    machine.write_json(args.out, {'machine': machine.describe(), 'sets': found})


def cer(service: Service, images: Sequence[np.ndarray], texts: Sequence[str]) -> float:
  """The character error rate of `jaxgen read`; a refused picture counts as read to be empty."""
  ink, widest = service.model.preprocessing(), service.model.widest
  pictures, kept = [], []
  for i, image in enumerate(images):
    try:
      pictures.append(picture_of(image, 'a picture', ink, widest))
      kept.append(i)
    except DataError:
      continue
  readings = [''] * len(images)
  for i, answer in zip(kept, service(pictures), strict=True):
    readings[i] = answer.text
  return error_rates(texts, readings).cer


def pages(images: Sequence[np.ndarray]) -> dict[str, Any]:
  """How many single pictures count as several lines, and how many stacks of them, by gap in heights, as one."""
  rng = np.random.default_rng(0)
  missed = {}
  for number, gap in STACKS:
    stacks = [
      stacked([images[i] for i in rng.choice(len(images), number, False)], gap)
      for _ in range(PAGES)
    ]
    missed[f'{number} lines, gap {gap:g}'] = sum(num_lines(page) == 1 for page in stacks)
  refused = sum(num_lines(image) > 1 for image in images)
  return {'single': len(images), 'refused': refused, 'of': PAGES, 'missed': missed}


def stacked(images: Sequence[np.ndarray], gap: float) -> np.ndarray:
  """Pictures below each other on paper of their colour, `gap` heights apart."""
  height, paper = len(images[0]), paper_of(np.concatenate(images, axis=1))
  width = max(image.shape[1] for image in images)
  space = np.full((round(gap * height), width), paper, np.uint8)
  rows = [np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=paper) for x in images]
  return np.concatenate([part for row in rows for part in (space, row)][1:])


def paper_of(image: np.ndarray) -> int:
  """The usual level of a picture."""
  return int(np.median(image))


def framed(image: np.ndarray, above: float, below: float, beside: float) -> np.ndarray:
  """A picture with margins in heights, in the colour of its paper."""
  a, b, c = (round(len(image) * x) for x in (above, below, beside))
  return np.pad(image, ((a, b), (c, c)), constant_values=paper_of(image))


def cut(image: np.ndarray) -> np.ndarray:
  """A picture cropped to all of its ink but a hundredth."""
  ink = ink_of(flattened(image))
  return image[extent(ink.sum(1)), extent(ink.sum(0))]


def lit(image: np.ndarray, least: float, axis: int) -> np.ndarray:
  """A picture in light that grows from `least` to 1 along an axis."""
  light = np.linspace(least, 1, image.shape[axis])
  return (image * (light if axis else light[:, None])).astype(np.uint8)


def by_a_lamp(image: np.ndarray) -> np.ndarray:
  """A picture in light that falls to half with the distance from a point above it."""
  height, width = image.shape
  y, x = np.mgrid[:height, :width]
  away = np.hypot(x / width - 0.3, 0.7 * (y / height + 0.2))
  return (image * (1 - 0.5 * away / away.max())).astype(np.uint8)


CHANGES: dict[str, Change] = {
  'as it is': lambda image: image,
  **{
    f'margins {x:g}': functools.partial(framed, above=x, below=x, beside=x)
    for x in (0.25, 0.5, 1, 3)
  },
  'below an empty line': functools.partial(framed, above=1, below=0, beside=0),
  'cropped to its ink': cut,
  'light .7 to 1 across': functools.partial(lit, least=0.7, axis=1),
  'light .4 to 1 across': functools.partial(lit, least=0.4, axis=1),
  'light .7 to 1 down': functools.partial(lit, least=0.7, axis=0),
  'light .4 to 1 down': functools.partial(lit, least=0.4, axis=0),
  'a lamp': by_a_lamp,
}


if __name__ == '__main__':
  sys.exit(exits.guarded(main))
