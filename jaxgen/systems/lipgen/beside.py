"""Synthetic clips added to the real training clips: rendered, turned, or of drawn speakers."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from jaxgen.data.folders import expanded
from jaxgen.data.order import generator
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import lrw, table
from jaxgen.systems.lipgen.clips.clip_set import ClipSet, subset
from jaxgen.systems.lipgen.clips.framing import LIPS, framing_of
from jaxgen.systems.lipgen.clips.origins import Among, Origin, read_origins
from jaxgen.systems.lipgen.clips.pieces import in_pieces
from jaxgen.systems.lipgen.clips.placed import LIKE, check_like, like_of
from jaxgen.systems.lipgen.config import LRW, PROCEDURAL, UNSEEN
from jaxgen.systems.lipgen.procedural.clips import speak
from jaxgen.systems.lipgen.procedural.takes import FRAMES_A_WORD
from jaxgen.systems.lipgen.speech.dictionary import Dictionary
from jaxgen.systems.lipgen.units import WINDOW
from jaxgen.systems.lipgen.video.crops import MOUTHS, Cropping
from jaxgen.words import counted

# Speakers of the synthetic share have a number range of their own, too.
SYNTHETIC = 2 * UNSEEN
# Names of the table in a folder of synthetic clips, from `jaxgen synthesise` and `pose-augment`.
TURNED = 'poses.tsv'
TABLES = 'synthetic.tsv', TURNED
ABOUT = 'synthetic.json'  # of `jaxgen synthesise`


def beside(config: ConfigDict, clips: Mapping[str, ClipSet], dictionary: Dictionary) -> ClipSet:
  """The synthetic clips that config.data.synthetic names; raises as `load_corpus` does."""
  if config.data.synthetic.dir:
    return _rendered(config, clips)
  return drawn_beside(config, clips['train'], dictionary)


def _rendered(config: ConfigDict, clips: Mapping[str, ClipSet]) -> ClipSet:
  """Clips of `jaxgen synthesise` or `pose-augment`, as many as the configured share of words needs.

  If there are more, single-word clips are picked evenly across words; if there are fewer, clips are
  repeated. Clips that were turned from held-out ones are left out.
  """
  folder, real = config.data.synthetic.dir, clips['train']
  found = folder_of_clips(config, expanded(folder), clips)
  lacking = [x for i, x in enumerate(real.words) if not (found.labels == i).any()]
  if lacking:
    raise DataError(
      f'config.data.synthetic.dir = {folder} has no training clip of {", ".join(lacking[:5])}'
    )
  wanted = _words_beside(config, real)
  spoken = (found.labels >= 0).sum(1)
  if spoken.sum() < wanted:
    logging.warning(
      f'{folder} has {counted(int(spoken.sum()), "word")}, but {config.data.synthetic.share:.0%} '
      f'takes {wanted:,}: clips are repeated'
    )
  order = generator(config.seed, 'rendered clips', 0).permutation(np.flatnonzero(spoken))
  if found.labels.shape[1] == 1:
    turn = np.zeros(len(order), np.int64)
    for word in range(len(real.words)):
      own = found.labels[order, 0] == word
      turn[own] = np.arange(own.sum())
    order = order[np.argsort(turn, kind='stable')]
  rounds = np.tile(order, -(-wanted // int(spoken.sum())))
  count = 1 + int(np.searchsorted(np.cumsum(spoken[rounds]), wanted))
  return subset(found, rounds[:count])


def folder_of_clips(config: ConfigDict, folder: Path, clips: Mapping[str, ClipSet]) -> ClipSet:
  """The clips of a folder, by its table of words or in LRW's layout, without turned ones held out in `clips`.

  Raises:
    DataError: there is no such folder, it has no clips, or see `clips.table.load_table`.
  """
  if not folder.is_dir():
    raise DataError(
      f'config.data.synthetic.dir = {folder}: no such folder. Make it with jaxgen synthesise or pose-augment'
    )
  framing, say, words = framing_of(config), logging.warning, clips['train'].words
  like = like_of(config)
  _check_place(config, folder / ABOUT, like)
  check_like(folder, like, f'config.data.synthetic.dir = {folder}')
  for name in TABLES:
    if (path := folder / name).is_file():
      found = table.load_table(path, framing, folder, words, say=say)
      return without_held_out(config, path, found, clips) if name == TURNED else found
  return lrw.load_lrw(str(folder), 'train', framing, words, say)


def without_held_out(
  config: ConfigDict, path: Path, found: ClipSet, clips: Mapping[str, ClipSet]
) -> ClipSet:
  """The turned clips that were not made from held-out clips of this run.

  Raises:
    DataError: all were.
  """
  origins, out = read_origins(path), _held_out(config, clips)
  kept = [i for i, name in enumerate(found.names) if not out(origins[name])]
  left_out = len(found.names) - len(kept)
  if not kept:
    raise DataError(
      f'config.data.synthetic.dir = {path.parent}: all {left_out:,} turned clips come from '
      'held-out ones of this run, so none is left for training: turn clips it is trained on'
    )
  if left_out:
    logging.warning(
      f'{path}: {counted(left_out, "clip")} left out: from held-out clips of this run'
    )
  return subset(found, np.array(kept)) if left_out else found


def _held_out(config: ConfigDict, clips: Mapping[str, ClipSet]) -> Callable[[Origin], bool]:
  """Returns a test of whether a clip was made from a held-out one.

  Drawn speakers are identified by number, LRW's clips by split, as names repeat across splits, and others by
  name.
  """
  if config.data.name == LRW:
    return lambda origin: origin.split in ('val', 'test')
  names = [name for part, one in clips.items() if part != 'train' for name in one.names]
  if config.data.name == PROCEDURAL:
    speakers = {name.rpartition('_')[2] for name in names}
    return lambda origin: origin.speaker in speakers
  judged = Among(names)
  return lambda origin: any(map(judged, origin.names))


def _check_place(config: ConfigDict, about: Path, wanted: Cropping) -> None:
  """Raises DataError if the mouths in synthetic clips are placed otherwise than in those of config.data."""
  if not about.is_file():
    return
  try:
    like = json.loads(about.read_text(encoding='utf-8'))['settings'].get(LIKE)
  except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
    raise DataError(f'{about} is damaged ({error})') from error
  if (like or MOUTHS.name) != wanted.name:
    raise DataError(
      f'config.data.synthetic.dir = {about.parent}: mouths are placed differently than in '
      f'{config.data.name}: make the clips with jaxgen synthesise --like {wanted.name}'
    )


def _words_beside(config: ConfigDict, real: ClipSet) -> int:
  """How many synthetic words make up config.data.synthetic.share of the union with the real ones.

  Raises:
    DataError: not a single one.
  """
  share = config.data.synthetic.share
  wanted = round(real.num_words * share / (1 - share))
  if not wanted:
    raise DataError(
      f'config.data.synthetic.share = {share} of {real.num_words} words is less than one clip'
    )
  return wanted


def drawn_beside(config: ConfigDict, real: ClipSet, dictionary: Dictionary) -> ClipSet:
  """As many drawn clips as make up config.data.synthetic.share of the words of the union.

  Like the real ones, they have a word each, or say the sentences of the real clips. At most
  config.data.num_clips of them are distinct; the rest are repeats.
  """
  real = in_pieces(real)  # sentences as short as a row of a batch
  said = _sentences(real)
  words_a_clip = sum(map(len, said)) / len(said) if said else 1
  count = max(1, round(_words_beside(config, real) / words_a_clip))
  distinct = min(count, max(config.data.num_clips, len(real.words)))
  drawn = speak(
    real.words,
    distinct,
    seed=config.seed,
    first_speaker=SYNTHETIC,
    num_speakers=max(1, distinct // 2),
    look=config.data.synthetic.look,
    dictionary=dictionary,
    sentences=said,
    num_frames=_frames_of_sentences(real) if said else WINDOW,
    **shown_square(config),
  )
  return drawn if distinct == count else subset(drawn, np.arange(count) % distinct)


def _sentences(clips: ClipSet) -> list[tuple[int, ...]]:
  """The word classes of each clip in order of time; empty if clips have a single word each."""
  if clips.labels.shape[1] == 1:
    return []
  order = np.argsort(np.where(clips.labels < 0, np.inf, clips.spans[..., 0]), axis=1)
  labels = np.take_along_axis(clips.labels, order, axis=1)
  return [tuple(row[row >= 0].tolist()) for row in labels if (row >= 0).any()]


def _frames_of_sentences(clips: ClipSet) -> int:
  """Frames of a drawn sentence: as many as the longest real clip has, but no more than its words need."""
  return min(clips.frames.shape[1], round(24 + 2 * FRAMES_A_WORD * clips.labels.shape[1]))


def shown_square(config: ConfigDict) -> dict[str, Any]:
  """What drawn clips show: the same square of a mouth crop as real ones, at the reader's resolution.

  Drawn mouths are placed as in GRID's crops; for LRW, whose mouths are higher up, the square is shifted along.
  """
  top, left, side, pixels = config.data.framing
  if config.data.name == LRW:
    row, column = LIPS.top + LIPS.size // 2, LIPS.left + LIPS.size // 2
    top, left = top + row - lrw.CENTRE[0], left + column - lrw.CENTRE[1]
  return {'square': (top, left, side), 'pixels': pixels}
