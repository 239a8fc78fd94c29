"""Long clips cut into pieces around their words, as every row of a batch is as long as its longest clip."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.clips.frames import Pieces
from jaxgen.systems.lipgen.clips.windows import centres
from jaxgen.systems.lipgen.units import WINDOW

LONGEST = 150  # frames of a piece; clips up to this length stay whole
# Frames on either side of a word's middle: half a window, and a window for what its front-end and jitter see.
_AROUND = WINDOW // 2 + WINDOW


class _Piece(NamedTuple):
  """Frames `first` to `end` of clip `row`, and the words in `columns` of its labels."""

  row: int
  first: int
  end: int
  columns: np.ndarray


def in_pieces(clips: ClipSet) -> ClipSet:
  """Cuts clips longer than `LONGEST` frames into pieces with all frames that their words' windows need.

  Each word is in one piece, which may share frames with the next; stretches without words are left out.
  Pieces have their clip's name: divide a set into parts first. Frames are not read.
  """
  if clips.frames.shape[1] <= LONGEST:
    return clips
  pieces = [piece for row in range(len(clips.lengths)) for piece in _pieces(clips, row)]
  rows, first, end = (
    np.array([getattr(piece, name) for piece in pieces], np.int64) for name in _Piece._fields[:3]
  )
  most = max((len(piece.columns) for piece in pieces), default=0)
  labels = np.full((len(pieces), most), -1, np.int32)
  spans = np.zeros((len(pieces), most, 2), np.float32)
  for i, (row, start, _, columns) in enumerate(pieces):
    labels[i, : len(columns)] = clips.labels[row, columns]
    spans[i, : len(columns)] = clips.spans[row, columns] - start
  lengths = (end - first).astype(np.int32)
  names = [clips.names[row] for row in rows]
  frames = Pieces(clips.frames, rows, first, lengths)
  return clips._replace(frames=frames, lengths=lengths, labels=labels, spans=spans, names=names)


def _pieces(clips: ClipSet, row: int) -> Iterator[_Piece]:
  """The pieces of one clip: as few as hold its words, taken in order of time."""
  length, columns = int(clips.lengths[row]), np.flatnonzero(clips.labels[row] >= 0)
  if length <= LONGEST:
    yield _Piece(row, 0, length, columns)
    return
  middles = centres(clips.spans[row, columns])
  order = np.argsort(middles, kind='stable')
  columns = columns[order]
  first = np.clip(middles[order] - _AROUND, 0, length)
  end = np.clip(middles[order] + _AROUND + 1, 0, length)
  begun = 0
  for k in range(1, len(columns) + 1):
    if k == len(columns) or end[k] - first[begun] > LONGEST:
      yield _Piece(row, int(first[begun]), int(end[k - 1]), columns[begun:k])
      begun = k
