"""Drawn words by index: example i depends only on (seed, i)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgen.data.order import generator
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.handwriting.drawn.drawing import Canvas, try_to_draw
from jaxgen.systems.handwriting.drawn.faces import Face, missing
from jaxgen.systems.handwriting.drawn.hands import Hands, check_hands, make_hand
from jaxgen.systems.handwriting.drawn.word_lists import (
  Variety,
  WordList,
  varied,
  with_another_letter,
  with_marks,
)

_ATTEMPTS = 200


class Writing(NamedTuple):
  """What drawings depend on, besides the seed.

  Attributes:
    words: the list.
    faces: one or more; a word is never drawn in a face that lacks one of its characters.
    canvas: its size and layout.
    hands: the ranges of writers.
    variety: how words are varied.
    charset: characters that a varied word may have; words with others are drawn as listed. None for any.
    longest: maximum letters of a varied word; longer ones are drawn as listed.
    num_writers: number of writers; 0 for a new one each time.
    first_writer: number of the first writer, so that two sets of words need not share any.
  """

  words: WordList
  faces: tuple[Face, ...]
  canvas: Canvas = Canvas()
  hands: Hands = Hands()
  variety: Variety = Variety()
  charset: frozenset[str] | None = None
  longest: int = 64
  num_writers: int = 0
  first_writer: int = 0


class Example(NamedTuple):
  """One drawn word.

  Attributes:
    image: [H, W] uint8, 255 paper, 0 ink.
    spans: [n, 2] float, the columns of each letter of the text.
    text: NFC, logical order.
    face: index among the faces.
    writer: its number, which together with the seed determines the hand.
    skipped: number of words tried before it that did not fit, or had no face.
  """

  image: np.ndarray
  spans: np.ndarray
  text: str
  face: int
  writer: int
  skipped: int


class DrawnWords(NamedTuple):
  """Examples: [N, H, W] uint8 images, N texts, N spans, [N] int32 faces and writers, count of skipped words."""

  images: np.ndarray
  texts: tuple[str, ...]
  spans: tuple[np.ndarray, ...]
  faces: np.ndarray
  writers: np.ndarray
  skipped: int


def check_writing(writing: Writing) -> None:
  """Refuses invalid settings.

  Raises:
    ConfigError: the canvas, a range of the hands or a fraction of the variety is out of bounds.
  """
  height, width, _ = writing.canvas
  if height < 16 or width < height:
    raise ConfigError(
      f'a canvas of {height} x {width} is too small: it needs at least 16 rows, and at least as many columns'
    )
  if not writing.faces:
    raise ConfigError('no face to write in')
  check_hands(writing.hands)
  *forms, replaced, marked = writing.variety  # the last two combine with the others
  if min(writing.variety) < 0 or max(sum(forms), replaced, marked) > 1:
    shares = ', '.join(f'{name} {share:g}' for name, share in writing.variety._asdict().items())
    raise ConfigError(
      'the shares of varied words (config.data.variety) must be at least 0, and at most 1 in total '
      f'(replaced and marked: at most 1 each): got {shares}'
    )
  if writing.num_writers < 0 or writing.first_writer < 0:
    raise ConfigError('num_writers and first_writer cannot be negative')


def draw_example(writing: Writing, seed: int, index: int) -> Example:
  """Draws the example of an index.

  Args:
    writing: the settings.
    seed: of words and writers.
    index: in [0, 2**32).

  Returns:
    The example. If a word does not fit the canvas, or no face has all of its characters, another is tried.

  Raises:
    DataError: none of many words fits; names one.
  """
  rng = generator(seed, 'drawn words', index)
  text = ''
  for skipped in range(_ATTEMPTS):
    text = _text(writing, rng)
    if writing.num_writers:
      writer = writing.first_writer + int(rng.integers(writing.num_writers))
    else:
      writer = (writing.first_writer + index) % 2**32
    hand = make_hand(seed, writer, len(writing.faces), writing.hands)
    able = [i for i, face in enumerate(writing.faces) if not missing(face, text)]
    if not able:
      continue
    if hand.face not in able:  # same hand, but in the next face that has the letters
      hand = hand._replace(face=able[hand.face % len(able)])
    drawing = try_to_draw(text, writing.faces[hand.face], hand, rng, writing.canvas)
    if drawing is not None:
      return Example(*drawing, text, hand.face, writer, skipped)
  raise DataError(
    f'{writing.words.name}: none of {_ATTEMPTS} words could be drawn on {writing.canvas.height} x '
    f'{writing.canvas.width} pixels, such as {text!r}: use shorter words, a wider canvas or other faces'
  )


def _text(writing: Writing, rng: np.random.Generator) -> str:
  return _fitting(writing, writing.words.draw(rng), rng)


def _fitting(writing: Writing, word: str, rng: np.random.Generator) -> str:
  """A varied word, or the word itself if the variation has other symbols or is too long."""
  text = varied(word, writing.variety, rng)
  if writing.variety.replaced and rng.random() < writing.variety.replaced:
    text = with_another_letter(text, writing.charset or set(text), rng)
  if writing.variety.marked and rng.random() < writing.variety.marked:
    text = with_marks(text, rng)
  allowed = writing.charset is None or writing.charset.issuperset(text)
  return text if allowed and len(text) <= writing.longest else word


def as_written(writing: Writing, words: WordList, seed: int) -> tuple[str, ...]:
  """The words of a list, each varied once as for drawings: a function of (seed, its index in the list)."""
  if not sum(writing.variety):
    return words.words
  rng = generator(seed, 'words as written', 0)
  return tuple(_fitting(writing, word, rng) for word in words.words)


def drawn_words(writing: Writing, seed: int, indices: Sequence[int] | range) -> DrawnWords:
  """Draws the examples of several indices.

  Args:
    writing: the settings.
    seed: of words and writers.
    indices: which, in any order.

  Returns:
    The examples, in that order.

  Raises:
    ConfigError: a setting in `writing` is out of bounds.
    DataError: none of many words fits.
  """
  check_writing(writing)
  examples = [draw_example(writing, seed, int(i)) for i in indices]
  height, width, _ = writing.canvas
  images = [x.image for x in examples]
  return DrawnWords(
    np.stack(images) if images else np.zeros((0, height, width), np.uint8),
    tuple(x.text for x in examples),
    tuple(x.spans for x in examples),
    np.array([x.face for x in examples], np.int32),
    np.array([x.writer for x in examples], np.int32),
    sum(x.skipped for x in examples),
  )
