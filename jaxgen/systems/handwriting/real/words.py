"""Loads real words and lines by the name of a set, a folder or a zip file: images and transcripts by split."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.folders import data_folder, expanded
from jaxgen.errors import ConfigError, DataError
from jaxgen.schema import near_matches
from jaxgen.systems.handwriting.frames import frames_needed
from jaxgen.systems.handwriting.real.canvas import Ink, line_widths, padded
from jaxgen.systems.handwriting.real.examples import Settings
from jaxgen.systems.handwriting.real.known_sets import KNOWN, KnownSet
from jaxgen.systems.handwriting.real.report import Report, split_table
from jaxgen.systems.handwriting.real.store import Store
from jaxgen.systems.handwriting.real.writers import SPLITS, SplitRule, share_out
from jaxgen.words import counted

# Minimum pixels per character at height 64.
_NARROWEST = 3


class Wanted(NamedTuple):
  """Which rows of a set are used.

  Attributes:
    charset: symbols that can be encoded; None for all.
    frame_stride: pixels per CTC frame.
    max_length: maximum number of characters; None for any.
    single_words: whether texts with spaces are left out.
    min_length: minimum number of characters.
    own_widths: whether a picture has the frames of its own width, not those of the canvas. With too few for its
      text it is useless for training; in evaluation it counts as read wrongly.
    evaluated: splits whose pictures are kept however few frames they have: their number is reported.
  """

  charset: Collection[str] | None = None
  frame_stride: int = 2
  max_length: int | None = None
  single_words: bool = False
  min_length: int = 1
  own_widths: bool = False
  evaluated: Collection[str] = ('validation', 'test')


ALL = Wanted()


@dataclass(frozen=True)
class Words:
  """Some rows of a set, in its order; pixels are read lazily.

  Attributes:
    texts: N transcripts, NFC, in logical order.
    writers: N names, '' if unknown.
    files: N names of pictures.
    index: [N] int64, row numbers in the original set.
    widths: [N] int32, pixels of each picture without padding.
    height: of all pictures.
    width: of the canvas; None if each keeps its own.
    rtl: whether padding goes on the left.
  """

  texts: tuple[str, ...]
  writers: tuple[str, ...]
  files: tuple[str, ...]
  index: np.ndarray
  widths: np.ndarray
  height: int
  width: int | None
  rtl: bool
  _read: Callable[[np.ndarray], list[np.ndarray]]
  _rows: np.ndarray

  def __len__(self) -> int:
    return len(self.texts)

  def gather(self, rows: np.ndarray, width: int | None = None) -> np.ndarray | list[np.ndarray]:
    """Pictures of some rows.

    Args:
      rows: [n] in [0, len(self)).
      width: of the canvas, instead of `self.width`; lines of one batch share one of `canvas.line_widths`.

    Returns:
      uint8 [n, height, width] padded with white; a list of [height, w] if there is no width.
    """
    images = self._read(self._rows[np.asarray(rows)])
    width = width or self.width
    if width is None:
      return images
    if not images:
      return np.empty((0, self.height, width), np.uint8)
    return np.stack([padded(image, width, self.rtl) for image in images])

  @property
  def images(self) -> np.ndarray | list[np.ndarray]:
    """All pictures, see `gather`; not cached."""
    return self.gather(np.arange(len(self)))

  def take(self, rows: np.ndarray) -> 'Words':
    """The subset of given rows, in the given order."""
    rows = np.asarray(rows, np.int64)
    texts, writers, files = (
      tuple(values[i] for i in rows) for values in (self.texts, self.writers, self.files)
    )
    return replace(
      self,
      texts=texts,
      writers=writers,
      files=files,
      index=self.index[rows],
      widths=self.widths[rows],
      _rows=self._rows[rows],
    )


def load_words(
  name: str,
  directory: str = '',
  *,
  height: int = 64,
  width: int | None = None,
  rtl: bool | None = None,
  seed: int = 0,
  table: str = '',
  columns: Mapping[str, str] | None = None,
  level: str = 'line',
  split: SplitRule | None = None,
  wanted: Wanted = ALL,
  flatten: bool = False,
  invert: bool | None = None,
  crop: bool = False,
) -> tuple[dict[str, Words], Report]:
  """Opens a set of real words or lines; prepared in `$JAXGEN_CACHE` at first use.

  Args:
    name: in `known_sets.KNOWN`, or a folder or zip file: a table with images, or one per split; images with
      text files of their names; ALTO or PAGE files; or lists of names and texts.
    directory: the set's folder; empty means `$JAXGEN_DATA/<name>` for a known set, otherwise the name itself.
    height: of the pictures.
    width: of the canvas: wider pictures are left out, narrower ones padded with white. None: each keeps its
      own, up to the widest of `canvas.line_widths`.
    rtl: whether it is written right to left: padding goes on the left. None: that of the known set, else no.
    seed: of the split. The same for all runs that are compared: not the training seed.
    table: name of the one to read if there are several; '': all, if they are the set's splits.
    columns: names of its columns, see `tables.COLUMNS`.
    level: 'line' or 'word', for pages.
    split: how rows are split; None: that of the known set, else 'auto'.
    wanted: which rows are used. Applied after splitting, so that it moves no writer between splits.
    flatten: see `canvas.flattened`.
    invert: see `canvas.Ink`.
    crop: see `canvas.without_margins`.

  Returns:
    Words by split ('train', 'validation', 'test'; those with rows), and the report of fixed and refused rows.

  Raises:
    DataError: the set is missing, malformed, or has no usable row.
    ConfigError: no such column, level or split rule.
  """
  from jaxgen.systems.handwriting.real.builder import prepare  # imports TFDS

  known = KNOWN.get(name, KnownSet(table, {}, split=SplitRule()))
  rule = (split or known.split)._replace(seed=seed)
  settings = Settings(
    Ink(height, flatten, invert, crop),
    table or known.table,
    columns or known.columns,
    level,
    known.unread,
  )
  prepared = prepare(name, Store(_root(name, directory)), settings)
  report, texts = prepared.report, prepared.texts['text']
  writers, files = prepared.texts['writer'], prepared.texts['file']
  splits = share_out(writers, prepared.texts['group'], prepared.texts['split'], rule)
  kept = _usable(texts, files, prepared.widths, height, width, wanted, report)
  if wanted.own_widths:
    kept &= ~_too_narrow(texts, files, prepared.widths, splits, kept, wanted, report)
  if not kept.any():
    raise report.nothing_left()
  for part in SPLITS:
    if (splits == part).any() and not kept[splits == part].any():
      report.notes.append(f'{part}: no usable row among {(splits == part).sum():,}')
  everything = Words(
    tuple(texts), tuple(writers), tuple(files), prepared.numbers, prepared.widths, height, width,
    known.rtl if rtl is None else rtl, prepared.gather, np.arange(len(texts)),
  )  # fmt: skip
  words = {name: everything.take(np.flatnonzero(kept & (splits == name))) for name in SPLITS}
  words = {name: part for name, part in words.items() if len(part)}
  _describe(words, everything.take(np.flatnonzero(kept)), report)
  return words, report


def _root(name: str, directory: str) -> Path:
  if name in KNOWN:
    return data_folder(name, directory, 'its table and images')
  root = expanded(directory or name)
  if not root.exists():
    near = near_matches(name, KNOWN)
    raise DataError(
      f'{root}: no such folder or zip file, and no set of this name.{near} Known: {", ".join(KNOWN)}'
    )
  return root


def _usable(
  texts: Sequence[str],
  files: Sequence[str],
  widths: np.ndarray,
  height: int,
  width: int | None,
  wanted: Wanted,
  report: Report,
) -> np.ndarray:
  """[N] whether each row is wanted and fits; the report collects the others."""
  if width is not None and width < 1:
    raise ConfigError(f'width = {width} must be at least 1')
  canvases = np.array([width] if width else line_widths(height))
  place = np.minimum(np.searchsorted(canvases, widths), len(canvases) - 1)
  kept = np.ones(len(texts), bool)
  symbols = None if wanted.charset is None else set(wanted.charset)
  for i, text in enumerate(texts):
    canvas = int(canvases[place[i]])
    found = _not_wanted(text, symbols, wanted) or _not_fitting(
      text, int(widths[i]), height, canvas, wanted.frame_stride
    )
    if found:
      report.add(found[0], files[i], found[1])
      kept[i] = False
  return kept


def _too_narrow(
  texts: Sequence[str],
  files: Sequence[str],
  widths: np.ndarray,
  splits: np.ndarray,
  kept: np.ndarray,
  wanted: Wanted,
  report: Report,
) -> np.ndarray:
  """[N] whether each kept row has too few frames for training; the report gets these, by name, and the number
  of such rows in evaluation splits.
  """
  frames = -(-widths // wanted.frame_stride)
  needed = np.array([frames_needed(text) for text in texts])
  narrow = kept & (frames < needed)
  for split in wanted.evaluated:
    count = int((narrow & (splits == split)).sum())
    if count:
      report.notes.append(
        f'{split}: {counted(count, "image")} too narrow for the frames of the text, which no reader with '
        f'{wanted.frame_stride} pixels per frame can read correctly'
      )
  narrow &= ~np.isin(splits, list(wanted.evaluated))
  for i in np.flatnonzero(narrow).tolist():
    report.add(
      'too narrow for the frames',
      files[i],
      f'needs {needed[i]}, has {frames[i]}, for {texts[i][:40]!r}',
    )
  return narrow


def _not_wanted(text: str, symbols: set[str] | None, wanted: Wanted) -> tuple[str, str] | None:
  strange = '' if symbols is None else ''.join(sorted(set(text) - symbols))
  if strange:
    return 'symbol outside the charset', f'{strange!r} in {text[:40]!r}'
  if wanted.single_words and ' ' in text:
    return 'not a single word', repr(text[:40])
  if wanted.max_length is not None and len(text) > wanted.max_length:
    return 'too long', f'{len(text)} in {text[:40]!r}'
  if len(text) < wanted.min_length:
    return 'too short', f'{len(text)} in {text!r}'
  return None


def _not_fitting(
  text: str, width: int, height: int, canvas: int, frame_stride: int
) -> tuple[str, str] | None:
  needed, frames = frames_needed(text), -(-canvas // frame_stride)
  if width > canvas:
    return 'too wide', f'{width}, at most {canvas}'
  if width * 64 < _NARROWEST * len(text) * height:
    return 'narrower than its text', f'{width} pixels for {text[:40]!r}'
  if needed > frames:
    return 'too long for the frames', f'needs {needed}, has {frames}, for {text[:40]!r}'
  return None


def _describe(words: Mapping[str, Words], kept: Words, report: Report) -> None:
  """Adds Table I of the splits and of all rows, and notes on the splits, to the report."""
  for name, part in [*words.items(), ('all', kept)]:
    report.tables.append(split_table(name, part.texts, part.writers))
  if not any(kept.writers):
    report.notes.append('writers are unknown: a hand may be in several splits')
  if 'train' not in words:
    return
  for name in set(words) - {'train'}:
    shared = set(words[name].writers) & set(words['train'].writers) - {''}
    if shared:
      report.notes.append(f'{name}: {counted(len(shared), "writer")} also in train')
  if 'test' in words:
    seen = set(words['train'].texts)
    unseen = sum(text not in seen for text in words['test'].texts)
    report.notes.append(
      f'test: the text of {unseen:,} of {counted(len(words["test"]), "image")} is not in train'
    )
