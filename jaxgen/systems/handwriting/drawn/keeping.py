"""Drawings are made once and kept in the cache: drawing a word takes longer than training on it."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder
from jaxgen.data.keeping import keep, opening
from jaxgen.systems.handwriting.drawn.examples import Writing, drawn_words
from jaxgen.words import counted

_VERSION = 5
_TABLE, _IMAGES = 'table.json', 'images.npy'


class Kept(NamedTuple):
  """Cached drawings.

  Attributes:
    texts: N.
    images: [N, H, W] uint8, memory-mapped.
    spans: N of [n, 2], the columns of each letter, see `examples.Example`.
    faces: [N] int32, indices.
    writers: [N] int64, their numbers.
    skipped: number of words that were tried and could not be drawn.
  """

  texts: list[str]
  images: np.ndarray
  spans: list[np.ndarray]
  faces: np.ndarray
  writers: np.ndarray
  skipped: int


def kept_drawings(writing: Writing, seed: int, rows: range) -> Kept:
  """The examples of some indices, drawn once and kept in $JAXGEN_CACHE/drawn.

  Args:
    writing: the settings.
    seed: of words and writers.
    rows: their indices.

  Raises:
    DataError: words cannot be drawn, or the cache cannot be written.
  """
  root = cache_folder() / 'drawn' / name_of(writing, seed, rows)
  keep(
    root,
    lambda folder: _draw_all(writing, seed, rows, folder),
    f'drawing {counted(len(rows), "word")}',
    named='drawn words',
  )
  with opening(root):
    table = json.loads((root / _TABLE).read_text())
    return Kept(
      table['texts'],
      np.load(root / _IMAGES, mmap_mode='r'),
      [np.array(x, np.float32) for x in table['spans']],
      np.array(table['faces'], np.int32),
      np.array(table['writers'], np.int64),
      table['skipped'],
    )


def _draw_all(writing: Writing, seed: int, rows: range, folder: Path) -> None:
  """Draws all examples into a folder."""
  found = drawn_words(writing, seed, rows)
  np.save(folder / _IMAGES, found.images)
  table = {
    'texts': found.texts,
    'spans': [np.round(x, 2).tolist() for x in found.spans],
    'faces': found.faces.tolist(),
    'writers': found.writers.tolist(),
    'skipped': found.skipped,
  }
  (folder / _TABLE).write_text(json.dumps(table))


def name_of(writing: Writing, seed: int, rows: range) -> str:
  """A name derived from all that determines the drawings, with the contents of font files, not their paths."""
  words = writing.words
  numbers = [*writing.canvas, writing.hands, writing.variety, writing.longest, writing.num_writers]
  numbers += [writing.first_writer, seed, rows.start, rows.stop, rows.step, _VERSION]
  allowed = None if writing.charset is None else sorted(writing.charset)
  counts = b'' if words.counts is None else np.asarray(words.counts, np.float64).tobytes()
  faces = [digests.of_file(Path(face.path)) for face in writing.faces]
  text = json.dumps([numbers, allowed, words.words])
  return digests.name([text.encode(), counts, *faces])
