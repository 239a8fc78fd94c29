"""LRW: half a million clips of one word each, in the layout in which it is distributed.

lipread_mp4/WORD/{train,val,test}/WORD_00001.mp4 has 29 frames at 25 per second with the word in the middle, and
the fifth line of WORD_00001.txt beside it gives the word's duration, "Duration: 0.53 seconds".
"""

import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from jaxgen import digests
from jaxgen.data.folders import cache_folder, data_folder
from jaxgen.data.keeping import keep, opening
from jaxgen.errors import DataError
from jaxgen.systems.lipgen.clips.clip_set import ClipSet
from jaxgen.systems.lipgen.clips.framing import WHOLE, Framing
from jaxgen.systems.lipgen.clips.prepared import Say, prepared, stamp
from jaxgen.systems.lipgen.clips.table import Spoken
from jaxgen.systems.lipgen.clips.windows import centred_spans
from jaxgen.systems.lipgen.units import MOUTH, WINDOW
from jaxgen.words import counted

SPLITS = ('train', 'val', 'test')
LAYOUT = 'lipread_mp4/WORD/{train,val,test}/WORD_00001.mp4 and .txt'
# The mouth in LRW's 256 x 256 frames, whose faces are aligned: the crop that is common in the literature, rows
# 115-210 and columns 79-174. Frames of 96 x 96 are already crops, made by `jaxgen mouths`.
CROP = Framing(115, 79, MOUTH, MOUTH)
# Row and column of the mouth's centre in it: in the mean face of 256 pixels it is at x 129.3, y 157.8.
CENTRE = 43, 50
# Largest share of a split's clips that may be damaged or lack a duration; they are left out, more are an error.
MOST_LEFT_OUT = 0.01
_DURATION = re.compile(r'^Duration:\s*(\d*\.?\d+)\s*seconds', re.MULTILINE)
_LONGEST = 2.0  # seconds: in a clip of 1.16, anything longer cannot be the duration of a word
_NAMED = 5


class Clips(Sequence[str]):
  """The names of clips, WORD_00001, stored as two integers each, as there are half a million.

  Args:
    words: by index.
    word: [N] int32 index of each clip's word.
    number: [N] int32.
  """

  def __init__(self, words: Sequence[str], word: np.ndarray, number: np.ndarray):
    self.words, self.word, self.number = tuple(words), word, number

  def __len__(self) -> int:
    return len(self.word)

  @overload
  def __getitem__(self, i: int) -> str: ...
  @overload
  def __getitem__(self, i: slice) -> list[str]: ...
  def __getitem__(self, i: Any) -> Any:
    if isinstance(i, slice):
      return [self[k] for k in range(*i.indices(len(self)))]
    return f'{self.words[self.word[i]]}_{self.number[i]:05d}'

  def chosen(self, rows: np.ndarray) -> 'Clips':
    """The names of the given rows."""
    return Clips(self.words, self.word[rows], self.number[rows])


class Paths(Sequence[Path]):
  """The files of clips.

  Args:
    root: the folder of words.
    split: one of SPLITS.
    clips: their names.
    ending: of the files.
  """

  def __init__(self, root: Path, split: str, clips: Clips, ending: str):
    self._root, self._split, self._clips, self._ending = root, split, clips, ending

  def __len__(self) -> int:
    return len(self._clips)

  @overload
  def __getitem__(self, i: int) -> Path: ...
  @overload
  def __getitem__(self, i: slice) -> list[Path]: ...
  def __getitem__(self, i: Any) -> Any:
    if isinstance(i, slice):
      return [self[k] for k in range(*i.indices(len(self)))]
    word = self._clips.words[self._clips.word[i]]
    return self._root / word / self._split / (self._clips[i] + self._ending)


def load_lrw(
  directory: str = '',
  split: str = 'train',
  framing: Framing = WHOLE,
  words: Sequence[str] | None = None,
  say: Say = logging.info,
) -> ClipSet:
  """Loads one split of LRW, or of the user's own words in its layout.

  Clips whose text is missing or has no duration, and those that cannot be decoded, are left out and counted,
  and the first few named; more than one in a hundred are an error. Frames are decoded once, framed and cached
  in $JAXGEN_CACHE (9,216 bytes per frame at 96 pixels: 144 GB for all of LRW, a quarter of it at 48), and read
  from there on demand. The space needed is announced first, and refused if the disk has less.

  Args:
    directory: the folder of words, or the one that contains lipread_mp4; empty for $JAXGEN_DATA/lrw.
    split: one of SPLITS.
    framing: what is seen of the mouth crops.
    words: the classes, the folders' names in lower case; by default all of them in alphabetical order.
    say: called with messages about clips left out.

  Raises:
    DataError: files are missing or damaged.
  """
  root = root_of(directory)
  clips = _clips(root, split, words)
  durations, silent = _durations(Paths(root, split, clips, '.txt'), say)
  known = np.flatnonzero(durations > 0)
  _check_share(root, split, len(clips), silent)
  own = clips.chosen(known)
  found = prepared(Paths(root, split, own, '.mp4'), framing, CROP, say, frames=WINDOW)
  _check_share(root, split, len(clips), [*silent, *found.left_out.values()])
  own = own.chosen(found.rows)
  return ClipSet(
    words=tuple(word.lower() for word in clips.words),
    frames=found.frames,
    lengths=found.lengths,
    labels=own.word[:, None],
    spans=centred_spans(durations[known][found.rows], found.lengths)[:, None],
    names=own,
  )


def root_of(directory: str = '') -> Path:
  """LRW's folder of words; empty for $JAXGEN_DATA/lrw.

  Raises:
    DataError: there is none.
  """
  return folder_of_words(data_folder('lrw', directory, LAYOUT))


def spoken_in(path: Path) -> Spoken | None:
  """The word of a clip WORD/SPLIT/WORD_00001.mp4, timed by the text beside it; None without a duration."""
  seconds = _duration(path.with_suffix('.txt'))
  if isinstance(seconds, str):
    return None
  start, end = centred_spans(seconds).tolist()
  return Spoken(path.stem, path.parents[1].name.lower(), start, end, 1)


def folder_of_words(folder: Path) -> Path:
  """The folder with one folder per word: `lipread_mp4` in LRW's folder, or that itself."""
  inner = folder / 'lipread_mp4'
  return inner if inner.is_dir() else folder


def classes(folder: Path) -> tuple[str, ...]:
  """The words of LRW's folder in class order.

  Raises:
    DataError: it has no folder.
  """
  return tuple(sorted(_folders(folder_of_words(folder))))


def _folders(root: Path) -> dict[str, str]:
  """Folder names by word."""
  folders = {path.name.lower(): path.name for path in sorted(root.iterdir()) if path.is_dir()}
  if not folders:
    raise DataError(f'{root} has no folders: expected {LAYOUT}')
  return folders


def _clips(root: Path, split: str, words: Sequence[str] | None) -> Clips:
  """The clips of a split by word and number."""
  folders = _folders(root)
  wanted = sorted(folders) if words is None else [word.lower() for word in words]
  if absent := [word for word in wanted if word not in folders]:
    raise DataError(f'{root} has no folder for {_some(absent)}')
  names = [folders[word] for word in wanted]
  numbers = [_numbers(root / name / split, name) for name in names]
  if empty := [name for name, own in zip(names, numbers, strict=True) if not len(own)]:
    raise DataError(
      f'{root}: no clip in WORD/{split} for {counted(len(empty), "word")}, {_some(empty)}: '
      f'expected {LAYOUT}'
    )
  word = np.repeat(np.arange(len(names), dtype=np.int32), [len(own) for own in numbers])
  return Clips(names, word, np.concatenate(numbers))


def _some(names: Sequence[str]) -> str:
  return ', '.join(names[:_NAMED]) + (', ...' if len(names) > _NAMED else '')


def _numbers(folder: Path, word: str) -> np.ndarray:
  """The sorted clip numbers in a folder; empty if there is no folder."""
  pattern = re.compile(re.escape(word) + r'_(\d{5})\.mp4')
  try:
    with os.scandir(folder) as entries:
      matches = (pattern.fullmatch(entry.name) for entry in entries)
      return np.sort(np.array([int(match[1]) for match in matches if match], np.int32))
  except OSError:
    return np.zeros(0, np.int32)


def _durations(paths: Paths, say: Say) -> tuple[np.ndarray, list[str]]:
  """Durations [N] float32 in seconds, 0 if unknown, and why they are; read once and cached in $JAXGEN_CACHE."""
  made_from = digests.name(f'{path} {stamp(path)}\n'.encode() for path in paths)
  root = cache_folder() / 'lipgen' / 'durations' / made_from

  def make(folder: Path) -> None:
    found = [_duration(path) for path in paths]
    seconds = [0.0 if isinstance(x, str) else x for x in found]
    np.array(seconds, np.float32).tofile(folder / 'seconds.f32')
    (folder / 'unknown.json').write_text(json.dumps([x for x in found if isinstance(x, str)]))

  keep(root, make, f'reading the durations of {counted(len(paths), "word")}', named='durations')
  with opening(root):
    durations = np.fromfile(root / 'seconds.f32', np.float32)
    why = json.loads((root / 'unknown.json').read_text())
  if why:
    say(f'{counted(len(why), "clip")} left out: {"; ".join(why[:_NAMED])}')
  return durations, why


def _duration(path: Path) -> float | str:
  """The duration in seconds in a text file, or what is wrong with it."""
  try:
    text = path.read_text(errors='replace')
  except OSError:
    return f'{path} is missing'
  match = _DURATION.search(text)
  if not match:
    return f'{path} has no line "Duration: 0.53 seconds"'
  seconds = float(match[1])
  return seconds if 0 < seconds <= _LONGEST else f'{path}: {seconds:g} seconds cannot be one word'


def _check_share(root: Path, split: str, total: int, left_out: Sequence[str]) -> None:
  """Raises DataError if too much of a split is left out."""
  if len(left_out) > MOST_LEFT_OUT * total:
    raise DataError(
      f'{root}: {len(left_out):,} of {counted(total, "clip")} of {split} cannot be used, more than 1 '
      f'in 100: {"; ".join(left_out[:_NAMED])}'
    )
