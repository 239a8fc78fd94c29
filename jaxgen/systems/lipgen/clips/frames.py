"""Frames of many clips as one array: in memory or memory-mapped, from one set or several, in any order."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np


class Frames(Protocol):
  """Frames of clips: an array [N, T, S, S] uint8, or an object that is indexed like one."""

  @property
  def shape(self) -> tuple[int, ...]:
    """(N, T, S, S)."""

  def __getitem__(self, rows: Any) -> np.ndarray:
    """Clips [b, T, S, S] by row indices [b] or a slice; one clip [T, S, S] by an integer."""


class Chosen:
  """Rows of several arrays of clips, read lazily; shorter clips are zero-padded.

  Args:
    parts: each [N_p, T_p, S, S] uint8.
    part: [N] index of each row's part.
    row: [N] its index there.
  """

  def __init__(self, parts: Sequence[Frames], part: np.ndarray, row: np.ndarray):
    self._parts = tuple(parts)
    self._part = np.asarray(part, np.int32)
    self._row = np.asarray(row, np.int64)
    longest = max(x.shape[1] for x in self._parts)
    self.shape = (len(self._row), longest, *self._parts[0].shape[2:])
    self.dtype = np.dtype(np.uint8)

  def stretch(self, row: int, first: int, count: int) -> np.ndarray:
    """`count` frames [count, S, S] of one clip, from `first` on."""
    return stretch(self._parts[self._part[row]], int(self._row[row]), first, count)

  def __len__(self) -> int:
    return len(self._row)

  def __getitem__(self, rows: Any) -> np.ndarray:
    if isinstance(rows, int | np.integer):
      return self[np.array([rows])][0]
    part, row = self._part[rows], self._row[rows]
    found = np.zeros((len(row), *self.shape[1:]), np.uint8)
    for i in np.unique(part):
      own = part == i
      clips = np.asarray(self._parts[i][row[own]])
      found[own, : clips.shape[1]] = clips
    return found

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    del copy
    found = self[np.arange(len(self))]
    return found if dtype is None else found.astype(dtype)


class _OneByOne:
  """Clips of different lengths, read one by one, as one zero-padded array.

  Args:
    lengths: [N] frames of each.
    side: S.
  """

  def __init__(self, lengths: np.ndarray, side: int):
    self._lengths = np.asarray(lengths, np.int64)
    self.shape = (len(self._lengths), int(self._lengths.max(initial=0)), side, side)
    self.dtype = np.dtype(np.uint8)

  def stretch(self, row: int, first: int, count: int) -> np.ndarray:
    """`count` frames [count, S, S] of one clip, from `first` on."""
    raise NotImplementedError

  def __len__(self) -> int:
    return len(self._lengths)

  def __getitem__(self, rows: Any) -> np.ndarray:
    if isinstance(rows, int | np.integer):
      return self[np.array([rows])][0]
    rows = np.arange(len(self))[rows]
    found = np.zeros((len(rows), *self.shape[1:]), np.uint8)
    for k, row in enumerate(rows):
      n = self._lengths[row]
      found[k, :n] = self.stretch(row, 0, n)
    return found

  def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
    del copy
    found = self[np.arange(len(self))]
    return found if dtype is None else found.astype(dtype)


class Ragged(_OneByOne):
  """Clips of different lengths, stored back to back in a buffer, as one zero-padded array.

  Args:
    pixels: [P] uint8, in memory or memory-mapped.
    lengths: [N] frames of each.
    side: S.
  """

  def __init__(self, pixels: np.ndarray, lengths: np.ndarray, side: int):
    super().__init__(lengths, side)
    self._pixels = pixels.reshape(-1, side, side)
    self._first = np.cumsum(self._lengths) - self._lengths

  def stretch(self, row: int, first: int, count: int) -> np.ndarray:
    """`count` frames [count, S, S] of one clip, from `first` on."""
    start = self._first[row] + first
    return self._pixels[start : start + count]


class Pieces(_OneByOne):
  """Pieces of clips, read without the rest of the clips, as one zero-padded array.

  Args:
    frames: of the clips.
    rows: [N] the clip of each piece.
    first: [N] its first frame there.
    lengths: [N] frames of each.
  """

  def __init__(self, frames: Frames, rows: np.ndarray, first: np.ndarray, lengths: np.ndarray):
    super().__init__(lengths, frames.shape[-1])
    self._frames, self._rows, self._first = frames, rows, first

  def stretch(self, row: int, first: int, count: int) -> np.ndarray:
    """`count` frames [count, S, S] of one clip, from `first` on."""
    return stretch(self._frames, int(self._rows[row]), int(self._first[row]) + first, count)


def stretch(frames: Frames, row: int, first: int, count: int) -> np.ndarray:
  """`count` frames [count, S, S] of one clip, from `first` on; others are not read."""
  if isinstance(frames, Chosen | _OneByOne):
    return frames.stretch(row, first, count)
  return frames[row][first : first + count]


def chosen(frames: Frames, rows: np.ndarray) -> Frames:
  """The clips of the given rows, in that order, without reading them."""
  return Chosen([frames], np.zeros(len(rows), np.int32), rows)


def joined(parts: Sequence[Frames]) -> Frames:
  """The clips of several arrays concatenated, without reading them."""
  sizes = [x.shape[0] for x in parts]
  part = np.repeat(np.arange(len(parts)), sizes)
  return Chosen(parts, part, np.concatenate([np.arange(n) for n in sizes]))
