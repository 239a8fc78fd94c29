"""Clips of video decoded and framed once, and kept in $JAXGEN_CACHE as one memory-mapped file of pixels."""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.config import digest
from jaxgen.data.folders import cache_folder, require_room
from jaxgen.data.keeping import keep, opening
from jaxgen.errors import DataError, first_line
from jaxgen.notes import progress
from jaxgen.systems.lipgen.clips import frames as many
from jaxgen.systems.lipgen.clips.framing import Framing, framed, resized
from jaxgen.systems.lipgen.units import MOUTH, RATE
from jaxgen.systems.lipgen.video.decoding import opened
from jaxgen.systems.lipgen.video.extras import av_module
from jaxgen.words import counted

_VERSION = 1
_INDEX, _PIXELS, _LENGTHS = 'index.json', 'frames.u8', 'lengths.i32'
# Clips of one file: so many are lost at most where the preparation of half a million is stopped.
_PART = 16_384
_SECONDS = 10  # between two lines about progress
_NAMED = 5  # clips that are left out

Say = Callable[[str], None]


class Prepared(NamedTuple):
  """Clips that could be decoded, in the order of their files.

  Attributes:
    frames: [N, T, S, S] uint8, zeros after a clip's last frame; read when asked for.
    lengths: [N] int32.
    rows: [N] int64, which of the files each is.
    left_out: of files that could not be used, why, by their place among the files.
  """

  frames: many.Frames
  lengths: np.ndarray
  rows: np.ndarray
  left_out: dict[int, str]


def prepared(
  paths: Sequence[Path],
  framing: Framing,
  crop: Framing | None = None,
  say: Say = logging.info,
  part: int = _PART,
  frames: int = 0,
) -> Prepared:
  """Decodes clips of video once.

  A file that changes its size or time is decoded again, as all are for another framing.

  Args:
    paths: of videos at 25 frames a second: squares around mouths, or whole frames where `crop` is given.
    framing: what a reader sees of the 96 x 96 of a mouth crop.
    crop: the mouth crop in a whole frame.
    say: told of what is left out: how many and the first few.
    part: clips of one file.
    frames: that a clip has about, to tell what all of them will take and to refuse what the disk has no room
      for; 0: it is not known.

  Returns:
    Frames that are mapped from files.

  Raises:
    DataError: no clip can be used, or the cache cannot be written or has no room.
    ConfigError: PyAV is not installed, which the extra `video` brings.
  """
  parts = [
    (own, _root(own, framing, crop))
    for own in (paths[i : i + part] for i in range(0, len(paths), part))
  ]
  missing = sum(len(own) for own, root in parts if not root.is_dir())
  if missing and frames:
    clips, cache = f'{counted(missing, "clip")} of {frames} frames', cache_folder()
    size = require_room(cache, missing * frames * framing.pixels**2, clips)
    progress(f'{clips} will take {size} of {cache}')
  left_out: dict[int, str] = {}
  opened, first = [], 0
  for own, root in parts:
    _prepare(own, framing, crop, root)
    pixels, lengths, damaged = _open(root, framing.pixels)
    rows = np.setdiff1d(np.arange(len(own)), np.array(list(damaged), np.int64))
    opened.append((pixels, lengths, rows + first))
    left_out |= {first + i: message for i, message in damaged.items()}
    first += len(own)
  _tell(left_out, say)
  usable = [x for x in opened if len(x[1])]
  if not usable:
    raise DataError(f'no clip of {counted(len(paths), "file")} can be used: {_first(left_out)}')
  frames_of, lengths_of, rows_of = zip(*usable, strict=True)
  return Prepared(
    frames_of[0] if len(usable) == 1 else many.joined(frames_of),
    np.concatenate(lengths_of),
    np.concatenate(rows_of),
    left_out,
  )


def _root(paths: Sequence[Path], framing: Framing, crop: Framing | None) -> Path:
  """Where these files are kept, framed."""
  stamps = [(str(path.absolute()), *stamp(path)) for path in paths]
  return cache_folder() / 'lipgen' / 'clips' / digest(_VERSION, stamps, framing, crop)


def _tell(left_out: dict[int, str], say: Say) -> None:
  if left_out:
    say(f'{counted(len(left_out), "clip")} left out: {_first(left_out)}')


def _first(left_out: dict[int, str]) -> str:
  more = f'; and {len(left_out) - _NAMED:,} more' if len(left_out) > _NAMED else ''
  return '; '.join(list(left_out.values())[:_NAMED]) + more


def _open(root: Path, side: int) -> tuple[many.Frames, np.ndarray, dict[int, str]]:
  """What was prepared: frames, lengths [N], and why files were left out by their places."""
  with opening(root):
    index = json.loads((root / _INDEX).read_text())
    lengths = np.fromfile(root / _LENGTHS, np.int32)
    missing = {int(i): str(message) for i, message in index['left_out'].items()}
    if not len(lengths):
      return np.zeros((0, 0, side, side), np.uint8), lengths, missing
    pixels = np.memmap(root / _PIXELS, np.uint8, 'r')
    expected = int(lengths.sum(dtype=np.int64)) * side * side
    if len(pixels) != expected:
      raise ValueError(f'{len(pixels)} pixels, {expected} expected')
  if (lengths == lengths[0]).all():
    return pixels.reshape(len(lengths), -1, side, side), lengths, missing
  return many.Ragged(pixels, lengths, side), lengths, missing


def _prepare(paths: Sequence[Path], framing: Framing, crop: Framing | None, root: Path) -> None:
  """Fills `root` where it is missing; its name says that other processes make the same of the same files."""

  def make(folder: Path) -> None:
    lengths: list[int] = []
    left_out: dict[int, str] = {}
    told = time.monotonic()
    with (folder / _PIXELS).open('wb') as file:
      for i, found in enumerate(decoded(paths, lambda path: clip(path, framing, crop))):
        if isinstance(found, DataError):
          left_out[i] = str(found)
        else:
          file.write(found.tobytes())
          lengths.append(len(found))
        if time.monotonic() - told > _SECONDS:
          told = time.monotonic()
          progress(f'prepared {i + 1:,} of {counted(len(paths), "clip")}')
    np.array(lengths, np.int32).tofile(folder / _LENGTHS)
    (folder / _INDEX).write_text(json.dumps({'left_out': left_out}))

  if not root.is_dir():
    av_module()  # before any folder is made
  keep(root, make, f'preparing {counted(len(paths), "clip")}', named='prepared clips')


def decoded(
  paths: Sequence[Path], decode: Callable[[Path], np.ndarray]
) -> Iterator[np.ndarray | DataError]:
  """What files have, in their order, decoded ahead on threads (PyAV lets go of the interpreter).

  Args:
    paths: of the files.
    decode: what is made of each; the DataError that it raises takes its place.
  """

  def of(path: Path) -> np.ndarray | DataError:
    try:
      return decode(path)
    except DataError as error:
      return error

  workers = os.cpu_count() or 1
  with ThreadPoolExecutor(workers) as pool:
    left = iter(paths)
    waiting = [pool.submit(of, path) for path in islice(left, 4 * workers)]
    while waiting:
      yield waiting.pop(0).result()
      waiting += [pool.submit(of, path) for path in islice(left, 1)]


def clip(path: Path, framing: Framing, crop: Framing | None = None) -> np.ndarray:
  """The frames of one file as a reader sees them, [T, pixels, pixels] uint8.

  Args:
    path: of a video.
    framing: of a mouth crop.
    crop: the mouth crop in a whole frame; without it frames must be square.

  Raises:
    DataError: it cannot be decoded, has no frame, another rate than 25 a second, or is not square.
  """
  frames = grey_frames(path)
  height, width = frames.shape[1:]
  if crop is not None and (height, width) != (MOUTH, MOUTH):
    if min(height, width) < max(crop.top, crop.left) + crop.size:
      raise DataError(
        f'{path}: frames of {width} x {height} are smaller than the square that mouths are cut from: '
        'make crops with `jaxgen mouths`'
      )
    frames = framed(frames, crop)
  elif height != width:
    raise DataError(
      f'{path}: frames of {width} x {height} are no mouth crops: make some with `jaxgen mouths`'
    )
  return framed(resized(frames, MOUTH), framing)


def grey_frames(path: Path) -> np.ndarray:
  """All frames of a video [T, H, W] uint8, full-range grey.

  Raises:
    DataError: it cannot be decoded, has no frame, or another rate than 25 a second.
  """
  av = av_module()
  try:
    with opened(av, path) as container:
      if not container.streams.video:
        raise DataError(f'{path}: no video in it')
      stream = container.streams.video[0]
      # Frames of 96 x 96 cost less to decode than threads do to start; files are decoded side by side.
      stream.thread_type = 'NONE'
      rate = float(stream.average_rate or 0)
      # One for all frames: a frame's own conversion costs three times as much.
      convert = av.video.reformatter.VideoReformatter()
      frames = [
        convert.reformat(frame, format='gray').to_ndarray() for frame in container.decode(stream)
      ]
  except (av.FFmpegError, OSError, ValueError) as error:
    why = getattr(error, 'strerror', None) or first_line(error)
    raise DataError(f'{path}: cannot be decoded ({why})') from error
  if not frames:
    raise DataError(f'{path}: no frame in it')
  if len(frames) > 1 and abs(rate - RATE) > 0.01:
    raise DataError(
      f'{path}: {rate:.4g} frames a second where {RATE} are expected: make crops with `jaxgen mouths`'
    )
  return np.stack(frames)


def stamp(path: Path) -> tuple[int, int]:
  """Size and time of a file, by which a change of it is known."""
  try:
    found = path.stat()
  except OSError:
    return -1, -1  # it is left out where it is read
  return found.st_size, found.st_mtime_ns
