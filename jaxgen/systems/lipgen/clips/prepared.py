"""Video clips decoded and framed once, and cached in $JAXGEN_CACHE as memory-mapped files of pixels."""

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
# Clips per file, and so the most that are lost if the preparation of half a million is stopped.
_PART = 16_384
_SECONDS = 10  # between progress messages
_NAMED = 5  # clips left out that a message names

Say = Callable[[str], None]


class Prepared(NamedTuple):
  """Clips that could be decoded, in the order of their files.

  Attributes:
    frames: [N, T, S, S] uint8, zero-padded after a clip's last frame; read on demand.
    lengths: [N] int32.
    rows: [N] int64, index of each clip's file.
    left_out: why files could not be used, by file index.
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
  """Decodes video clips once, and caches them.

  A part with a file whose size or modification time changes is decoded again, as all are for another framing.

  Args:
    paths: of videos at 25 frames per second: squares around mouths, or whole frames if `crop` is given.
    framing: what a reader sees of a 96 x 96 mouth crop.
    crop: the mouth crop in a whole frame.
    say: called with a message about clips left out: how many, and the first few.
    part: clips per cache file.
    frames: approximate frames per clip, to announce the space needed and to refuse what does not fit on the
      disk; 0: unknown.

  Returns:
    Memory-mapped clips.

  Raises:
    DataError: no clip can be used, or the cache cannot be written or has no room.
    ConfigError: PyAV (extra `video`) is not installed.
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
    raise DataError(
      f'none of {counted(len(paths), "file")} can be used as a clip: {_first(left_out)}'
    )
  frames_of, lengths_of, rows_of = zip(*usable, strict=True)
  return Prepared(
    frames_of[0] if len(usable) == 1 else many.joined(frames_of),
    np.concatenate(lengths_of),
    np.concatenate(rows_of),
    left_out,
  )


def _root(paths: Sequence[Path], framing: Framing, crop: Framing | None) -> Path:
  """The cache folder of these files with this framing."""
  stamps = [(str(path.absolute()), *stamp(path)) for path in paths]
  return cache_folder() / 'lipgen' / 'clips' / digest(_VERSION, stamps, framing, crop)


def _tell(left_out: dict[int, str], say: Say) -> None:
  if left_out:
    say(f'{counted(len(left_out), "clip")} left out: {_first(left_out)}')


def _first(left_out: dict[int, str]) -> str:
  more = f'; and {len(left_out) - _NAMED:,} more' if len(left_out) > _NAMED else ''
  return '; '.join(list(left_out.values())[:_NAMED]) + more


def _open(root: Path, side: int) -> tuple[many.Frames, np.ndarray, dict[int, str]]:
  """Opens prepared clips: frames, lengths [N], and why files were left out, by file index."""
  with opening(root):
    index = json.loads((root / _INDEX).read_text())
    lengths = np.fromfile(root / _LENGTHS, np.int32)
    missing = {int(i): str(message) for i, message in index['left_out'].items()}
    if not len(lengths):
      return np.zeros((0, 0, side, side), np.uint8), lengths, missing
    pixels = np.memmap(root / _PIXELS, np.uint8, 'r')
    expected = int(lengths.sum(dtype=np.int64)) * side * side
    if len(pixels) != expected:
      raise ValueError(f'expected {expected} pixels, got {len(pixels)}')
  if (lengths == lengths[0]).all():
    return pixels.reshape(len(lengths), -1, side, side), lengths, missing
  return many.Ragged(pixels, lengths, side), lengths, missing


def _prepare(paths: Sequence[Path], framing: Framing, crop: Framing | None, root: Path) -> None:
  """Fills `root` if it is missing; its name is a digest of the inputs, so concurrent processes agree on it."""

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
  """Decodes files in order, ahead of time on threads (PyAV releases the GIL).

  Args:
    paths: of the files.
    decode: applied to each; a DataError that it raises is yielded in place of the result.
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
    DataError: it cannot be decoded, has no frame, is not at 25 frames per second, or is not square.
  """
  frames = grey_frames(path)
  height, width = frames.shape[1:]
  if crop is not None and (height, width) != (MOUTH, MOUTH):
    if min(height, width) < max(crop.top, crop.left) + crop.size:
      raise DataError(
        f'{path}: frames of {width} x {height} are smaller than the square to crop: make crops with '
        '`jaxgen mouths`'
      )
    frames = framed(frames, crop)
  elif height != width:
    raise DataError(
      f'{path}: frames of {width} x {height} are not mouth crops: make them with `jaxgen mouths`'
    )
  return framed(resized(frames, MOUTH), framing)


def grey_frames(path: Path) -> np.ndarray:
  """All frames of a video [T, H, W] uint8, full-range grey.

  Raises:
    DataError: it cannot be decoded, has no frame, or is not at 25 frames per second.
  """
  av = av_module()
  try:
    with opened(av, path) as container:
      if not container.streams.video:
        raise DataError(f'{path}: no video stream')
      stream = container.streams.video[0]
      # Decoding 96 x 96 frames costs less than starting threads; files are decoded in parallel.
      stream.thread_type = 'NONE'
      rate = float(stream.average_rate or 0)
      # Shared by all frames: a frame's own conversion costs three times as much.
      convert = av.video.reformatter.VideoReformatter()
      frames = [
        convert.reformat(frame, format='gray').to_ndarray() for frame in container.decode(stream)
      ]
  except (av.FFmpegError, OSError, ValueError) as error:
    why = getattr(error, 'strerror', None) or first_line(error)
    raise DataError(f'{path}: cannot be decoded ({why})') from error
  if not frames:
    raise DataError(f'{path}: no frames')
  if len(frames) > 1 and abs(rate - RATE) > 0.01:
    raise DataError(
      f'{path}: expected {RATE} frames per second, got {rate:.4g}: make crops with `jaxgen mouths`'
    )
  return np.stack(frames)


def stamp(path: Path) -> tuple[int, int]:
  """Size and modification time of a file, to detect changes."""
  try:
    found = path.stat()
  except OSError:
    return -1, -1  # will be left out when it is read
  return found.st_size, found.st_mtime_ns
