"""Clips labelled with the words spoken in them, and their division into parts."""

from collections import Counter
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np

from jaxgen import digests
from jaxgen.data.order import generator
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips import frames as many
from jaxgen.systems.lipgen.clips.frames import Frames
from jaxgen.task import Batch

# The class of windows without a word: the last class, if a set has it.
NO_WORD = ''
_LEAST_PAUSE = 4  # frames; shorter pauses do not count


class ClipSet(NamedTuple):
  """Clips of mouths at 25 frames per second, with up to K words each.

  Attributes:
    words: the classes, all different; the last one may be '', no word.
    frames: [N, T, S, S] uint8 grey, zero-padded after a clip's last frame; in memory or memory-mapped.
    lengths: [N] int32 frames of each clip.
    labels: [N, K] int32 classes of its words, -1 where it has fewer than K.
    spans: [N, K, 2] float32 start and end of each word in frames, fractional.
    names: [N] of the clips.
  """

  words: tuple[str, ...]
  frames: Frames
  lengths: np.ndarray
  labels: np.ndarray
  spans: np.ndarray
  names: Sequence[str]

  @property
  def num_words(self) -> int:
    """Number of labels, including the no-word class."""
    return int((self.labels >= 0).sum())


class ClipRows:
  """Random access to clips, for making batches and splits.

  Args:
    clips: the set.
  """

  def __init__(self, clips: ClipSet):
    self._clips = clips

  def __len__(self) -> int:
    return self._clips.frames.shape[0]

  @property
  def nbytes(self) -> int:
    """Size of all frames in bytes."""
    return int(np.prod(self._clips.frames.shape, dtype=np.int64))

  def gather(self, rows: np.ndarray) -> Batch:
    """{'frames' [b, T, S, S] uint8, 'length' [b], 'label' [b, K] int32, 'span' [b, K, 2] float32}."""
    rows = np.asarray(rows)
    return {
      'frames': np.asarray(self._clips.frames[rows]),
      'length': self._clips.lengths[rows],
      'label': self._clips.labels[rows],
      'span': self._clips.spans[rows],
    }

  def arrays(self) -> Batch:
    """All rows."""
    return self.gather(np.arange(len(self)))


def subset(clips: ClipSet, rows: np.ndarray) -> ClipSet:
  """The clips of the given rows, in that order; frames are not read."""
  rows = np.asarray(rows, np.int64)
  return clips._replace(
    frames=many.chosen(clips.frames, rows),
    lengths=clips.lengths[rows],
    labels=clips.labels[rows],
    spans=clips.spans[rows],
    names=[clips.names[int(i)] for i in rows],
  )


def joined(a: ClipSet, b: ClipSet) -> ClipSet:
  """The union of two sets with the same words, such as real and drawn clips; frames are not read.

  One of them may also have the class ''. Shorter clips are padded with zeros, and missing labels are -1.

  Raises:
    DataError: their words or the sizes of their frames differ.
  """
  named = [x.words[:-1] if x.words[-1:] == (NO_WORD,) else x.words for x in (a, b)]
  if named[0] != named[1]:
    other = sorted(set(named[0]) ^ set(named[1]))
    differ = f'{", ".join(other[:5])} in only one of them' if other else 'in another order'
    raise DataError(f'clip sets with different words cannot be joined: {differ}')
  if a.frames.shape[2:] != b.frames.shape[2:]:
    sizes = ' and '.join(' x '.join(map(str, x.frames.shape[2:])) for x in (a, b))
    raise DataError(f'clip sets of {sizes} pixels cannot be joined: use the same framing')
  most = max(a.labels.shape[1], b.labels.shape[1])
  labels = [_wider(x.labels, most, -1) for x in (a, b)]
  spans = [_wider(x.spans, most, 0) for x in (a, b)]
  return ClipSet(
    words=max(a.words, b.words, key=len),
    frames=many.joined([a.frames, b.frames]),
    lengths=np.concatenate([a.lengths, b.lengths]),
    labels=np.concatenate(labels),
    spans=np.concatenate(spans),
    names=[*a.names, *b.names],
  )


def _wider(x: np.ndarray, most: int, value: int) -> np.ndarray:
  """Pads [N, K, ...] to [N, most, ...]."""
  around = [(0, 0), (0, most - x.shape[1])] + [(0, 0)] * (x.ndim - 2)
  return np.pad(x, around, constant_values=value)


def pauses(clips: ClipSet, seed: int | None = None) -> ClipSet:
  """Labels the pauses before, between and after the words of each clip with the class ''.

  For sets whose labels cover everything that is spoken, as GRID's do and LRW's do not. Each pause gets the span
  of a word of the same clip, moved into it (and shortened to it if longer), so that the length of a span does
  not reveal that there is no word.

  Args:
    clips: with or without the class ''.
    seed: draws the word and the place in the pause; None takes the neighbouring word and the pause's middle.

  Returns:
    A set with up to K + 2 labels per clip, and one more for each pause between words of the clip that has most
    of them; -1 where a pause is too short or a clip has no word.
  """
  words = clips.words if clips.words[-1:] == (NO_WORD,) else (*clips.words, NO_WORD)
  n = len(clips.lengths)
  spoken = (clips.labels >= 0) & (clips.labels < len(words) - 1)
  starts = np.where(spoken, clips.spans[..., 0], np.inf)
  ends = np.where(spoken, clips.spans[..., 1], -np.inf)
  durations = np.where(spoken, clips.spans[..., 1] - clips.spans[..., 0], 0)
  # [N, P]: the pauses before and after and those between, and the words whose durations are taken.
  between = _between(starts, ends)
  begin = np.stack([np.zeros(n), ends.max(1)], 1)
  end = np.stack([starts.min(1), clips.lengths.astype(np.float64)], 1)
  neighbours = np.stack([starts.argmin(1), ends.argmax(1)], 1)
  begin, end, neighbours = (
    np.concatenate(x, 1) for x in zip((begin, end, neighbours), between, strict=True)
  )
  if seed is None:
    which, share = neighbours, np.full(begin.shape, 0.5)
  else:
    random = generator(seed, 'pauses')
    sizes = (n, 2), between[0].shape  # those between last: sets without them stay as they are
    draws = [(random.random(size), random.random(size)) for size in sizes]
    drawn, share = (np.concatenate(x, 1) for x in zip(*draws, strict=True))
    order = np.argsort(~spoken, axis=1, kind='stable')  # a clip's words first
    which = np.take_along_axis(order, (drawn * spoken.sum(1, keepdims=True)).astype(np.int64), 1)
  found = spoken.any(1, keepdims=True) & (end - begin >= _LEAST_PAUSE)
  begin, end = np.where(found, begin, 0), np.where(found, end, 0)
  duration = np.minimum(np.take_along_axis(durations, which, 1), end - begin)
  first = begin + share * (end - begin - duration)
  spans = np.stack([first, first + duration], -1).astype(np.float32)
  labels = np.where(found, len(words) - 1, -1).astype(np.int32)
  return clips._replace(
    words=words,
    labels=np.concatenate([clips.labels, labels], 1),
    spans=np.concatenate([clips.spans, spans], 1),
  )


def _between(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The pauses between words: begins, ends, and the word before each, [N, G]; 0 to 0 where there are fewer.

  Args:
    starts: [N, K] of words in frames; infinite where there is none.
    ends: [N, K]; minus infinity where there is none.
  """
  order = np.argsort(starts, axis=1, kind='stable')
  before = order[:, :-1]
  begin = np.maximum.accumulate(np.take_along_axis(ends, order, 1), axis=1)[:, :-1]
  end = np.take_along_axis(starts, order[:, 1:], 1)
  found = np.isfinite(end) & (end - begin >= _LEAST_PAUSE)
  first = np.argsort(~found, axis=1, kind='stable')[:, : found.sum(1).max(initial=0)]
  begin, end = np.where(found, begin, 0), np.where(found, end, 0)
  begin, end, before = (np.take_along_axis(x, first, 1) for x in (begin, end, before))
  return begin, end, before


def held_out(
  names: Sequence[str], share: float, seed: int = 0, always: Sequence[str] = ()
) -> np.ndarray:
  """Which clips are held out; depends on their names only, not on their order.

  Args:
    names: [N], all different.
    share: of the clips, in [0, 1); of two or more clips at least one is held out, and one is left.
    seed: of the choice.
    always: names that are always held out.

  Returns:
    [N] bool.
  """
  fixed = set(always)
  most = max(len(names) - 1, 0)
  count = min(max(round(share * len(names)), 1, len(fixed.intersection(names))), most)
  chosen = set(_ranked(names, seed, fixed)[:count])
  return np.array([name in chosen for name in names], bool)


def _ranked(names: Sequence[str], seed: int = 0, always: Container[str] = frozenset()) -> list[str]:
  """The names in the order in which they are held out."""

  def rank(name: str) -> tuple[bool, str]:
    return name not in always, digests.seal([f'{seed}/{name}'.encode()])

  return sorted(names, key=rank)


def spoken_in_training(clips: ClipSet, out: np.ndarray) -> np.ndarray:
  """The held-out part, minus clips that are the only ones with some word: training needs these to learn it.

  Args:
    clips: the set.
    out: [N] bool, its held-out part, see `held_out`; unchanged if training has all of its words.

  Returns:
    [N] bool, one clip at least.
  """
  order = sorted(np.flatnonzero(out).tolist(), key=lambda i: clips.names[i])
  kept, said = out.copy(), [{*row} - {-1} for row in clips.labels.tolist()]
  known = {word for words, held in zip(said, out, strict=True) if not held for word in words}
  for i in order:
    if said[i] - known:
      kept[i] = False
      known |= said[i]
  if kept.any():
    return kept
  counts = Counter(word for words in said for word in words)
  place = {name: i for i, name in enumerate(clips.names)}
  ranked = [place[name] for name in _ranked(clips.names)]
  spare = [i for i in ranked if all(counts[word] > 1 for word in said[i])]
  kept[(spare or ranked)[0]] = True
  return kept


def divided(clips: ClipSet, out: np.ndarray) -> dict[str, ClipSet]:
  """Splits a set into {'train', 'validation'} by its held-out clips, [N] bool."""
  return {
    'train': subset(clips, np.flatnonzero(~out)),
    'validation': subset(clips, np.flatnonzero(out)),
  }
