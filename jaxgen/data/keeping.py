"""Derived data that is made once and cached, in a folder whose name determines its contents."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from jaxgen.data.folders import new_folder, require_room
from jaxgen.errors import DataError
from jaxgen.notes import progress

_PATIENCE = 10  # seconds between progress lines
_THREADS = 4  # at most
Found = TypeVar('Found')


def keep(
  root: Path,
  make: Callable[[Path], None],
  doing: str,
  *,
  named: str,
  needed: int = 0,
  sized: str = '',
) -> None:
  """Creates a folder atomically if it is missing, see `folders.new_folder`.

  Args:
    root: the folder.
    make: fills the folder that it is given.
    doing: what is being done, such as 'drawing 20 clips'.
    named: what is kept, such as 'drawn clips'.
    needed: bytes that it will take, reported and checked against free disk space; 0: unknown.
    sized: what takes that space, such as '20 clips of 48 x 48 pixels'.

  Raises:
    DataError: the disk has no room for it, or cannot be written.
  """
  if root.is_dir():
    return
  try:
    size = f' ({require_room(root.parent, needed, sized)} in {root.parent})' if needed else ''
    progress(f'{doing}, once{size}')
    with new_folder(root) as folder:
      make(folder)
  except OSError as error:
    raise DataError(
      f'cannot write {named} to {root.parent} (set JAXGEN_CACHE to a folder with room): {error}'
    ) from error


@contextmanager
def opening(root: Path) -> Iterator[None]:
  """Context in which failing to read a folder's files is reported as damage of the folder.

  Raises:
    DataError: names the folder.
  """
  try:
    yield
  except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
    raise DataError(f'{root} is damaged: remove it and start again ({error})') from error


def write_rows(
  path: Path,
  shape: tuple[int, ...],
  row: Callable[[int], tuple[np.ndarray, Found]],
  told: Callable[[int], str],
) -> list[Found]:
  """Writes an array row by row, computed in as many threads as cores: for functions that release the GIL.

  Args:
    path: the .npy file.
    shape: shape of the whole array, uint8.
    row: index -> the row's bytes, of `shape[1:]`, and any further information about it.
    told: number of finished rows -> a progress line, logged every ten seconds.

  Returns:
    The further information about each row.
  """
  found: list[Found] = []
  since = time.monotonic()
  pool = ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1))
  try:
    with path.open('wb') as file:
      header = {'descr': '|u1', 'fortran_order': False, 'shape': shape}
      np.lib.format.write_array_header_1_0(file, header)
      for pixels, more in pool.map(row, range(shape[0])):
        file.write(pixels.tobytes())
        found.append(more)
        if time.monotonic() - since > _PATIENCE:
          since = time.monotonic()
          progress(told(len(found)))
  finally:
    pool.shutdown(cancel_futures=True)  # an interrupt does not wait for the rest
  return found
