"""Texts as pictures: each word is written once and cropped to its ink; lines are set from their words."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.systems.handwriting.inference import Inference
from jaxgen.systems.handwriting.writing.finishing import fault, trimmed
from jaxgen.systems.handwriting.writing.layout import Sheet, sheet
from jaxgen.systems.handwriting.writing.lines import set_line
from jaxgen.systems.handwriting.writing.redrawing import Request, Second, Written, write_words
from jaxgen.systems.handwriting.writing.texts import Text
from jaxgen.task import PyTree, Tools

Wanted = tuple[int, int]  # index of a text, and style, from 0


class Options(NamedTuple):
  """How texts are written.

  Attributes:
    styles: number of styles per text.
    seed: of the styles.
    tries: see `write_words`.
    lines: texts are lines of words, not single words.
    canvas: words keep the whole canvas; otherwise they are cropped to their ink.
  """

  styles: int = 1
  seed: int = 0
  tries: int = 0
  lines: bool = False
  canvas: bool = False


class Picture(NamedTuple):
  """A text in a style.

  Attributes:
    text: its index.
    style: from 0.
    image: uint8 [H, W], 255 paper.
    misread: what is read in each word that stayed illegible, by word.
    faults: BLANK and BLACK of `finishing`, if a word has them.
  """

  text: int
  style: int
  image: np.ndarray
  misread: dict[str, str]
  faults: frozenset[str]


def all_wanted(texts: Sequence[Text], styles: int) -> list[Wanted]:
  """Every style of every text that can be written."""
  return [
    (i, style)
    for i, text in enumerate(texts)
    if text.words and not text.error
    for style in range(styles)
  ]


def make_pictures(
  inference: Inference,
  variables: PyTree,
  tools: Tools,
  texts: Sequence[Text],
  wanted: Sequence[Wanted],
  options: Options,
  second: Second | None = None,
) -> Iterator[Picture]:
  """Yields the wanted pictures as they are finished; a repeated word is made once.

  Args:
    inference: of the run.
    variables: exported variables.
    tools: provided by the host.
    texts: that `wanted` refers to by index.
    wanted: distinct.
    options: how to write.
    second: see `write_words`.
  """
  needs = {(i, style): [Request(w, style) for w in texts[i].words] for i, style in wanted}
  uses = Counter(request for requests in needs.values() for request in set(requests))
  waiting = defaultdict(list)
  missing = {}
  for one, requests in needs.items():
    missing[one] = len(set(requests))
    for request in set(requests):
      waiting[request].append(one)
  done: dict[Request, Written] = {}
  written = write_words(
    inference, variables, tools, list(uses), options.seed, options.tries, second
  )
  for word in tools.progress(written, 'words', len(uses)):
    done[word.request] = word
    for one in waiting.pop(word.request):
      missing[one] -= 1
      if not missing[one]:
        words = [done[request] for request in needs[one]]
        yield _picture(one, words, texts[one[0]].joined, inference.rtl, options)
        uses.subtract(set(needs[one]))
        for request in set(needs[one]):
          if not uses[request]:
            del done[request]


def _picture(
  one: Wanted, words: Sequence[Written], joined: frozenset[int], rtl: bool, options: Options
) -> Picture:
  if options.lines:
    images, spelt = [word.image for word in words], [word.request.word for word in words]
    line = set_line(images, spelt, options.seed, rtl, joined)
    image = np.pad(line, ((0, 0), (line.shape[0] // 16,) * 2), constant_values=255)
  else:
    image = words[0].image if options.canvas else trimmed(words[0].image)
  misread = {word.request.word: word.reading or '' for word in words if not word.legible}
  return Picture(*one, image, misread, frozenset({fault(word.image) for word in words} - {''}))


def make_sheet(
  texts: Sequence[Text],
  pictures: Mapping[Wanted, np.ndarray],
  options: Options,
  height: int,
  rtl: bool,
) -> Sheet:
  """All pictures on one sheet: a row per text, a column per style.

  Words that could not be written have no row; lines that could not, and empty lines, keep theirs.

  Args:
    texts: in the order of rows.
    pictures: uint8 [H, W] by text and style, with all styles of each text present.
    options: how they were made.
    height: of the net's canvas.
    rtl: whether the script runs right to left.
  """
  empty = np.full((height, 1), 255, np.uint8)
  rows = [
    (text.given, [pictures.get((i, style), empty) for style in range(options.styles)])
    for i, text in enumerate(texts)
    if options.lines or (i, 0) in pictures
  ]
  gap = height // 8
  if options.lines:  # columns are as far apart as paragraphs, wider than any space
    return sheet(rows, (gap, 2 * height), height // 2, rtl)
  return sheet(rows, (gap, gap), gap, rtl)


def health(faults: Iterable[frozenset[str]], total: int, step: int) -> list[str]:
  """Messages about pictures that show no writing: how many, and the likely reason."""
  counts = Counter(kind for kinds in faults for kind in kinds)
  return [
    f'{n} of {total} {"picture" if total == 1 else "pictures"} {"is" if n == 1 else "are"} {kind}: '
    f'the weights of step {step:,} write nothing there; choose others with --weights or --step, or train longer'
    for kind, n in counts.items()
  ]
