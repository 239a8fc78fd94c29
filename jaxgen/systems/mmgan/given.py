"""Resolves the images given on a command line: files, and folders with everything below them."""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgen.data.image_files import SUFFIXES, kinds, sorted_files
from jaxgen.errors import DataError, UserError
from jaxgen.words import counted

AHEAD = 64  # files to read concurrently


class Group(NamedTuple):
  """Files that belong together.

  Attributes:
    folder: as given; None for individually named files.
    paths: paths of the images.
    skipped: description of the folder's contents that are skipped; '' if nothing is.
  """

  folder: str | None
  paths: list[str]
  skipped: str


def groups(arguments: Sequence[str]) -> list[Group]:
  """Groups the individually named files, if any, and the images of each folder.

  Hidden files and folders are skipped, as in training.

  Raises:
    DataError: a folder contains no image.
  """
  once: dict[Path, str] = {}
  for name in arguments:
    once.setdefault(Path(name), name)
  folders = [name for path, name in once.items() if path.is_dir()]
  files = [name for path, name in once.items() if not path.is_dir()]
  found = [Group(None, files, '')] if files else []
  return found + [_folder(name) for name in folders]


def distinct(found: Sequence[Group]) -> list[str]:
  """The paths of all images without duplicates."""
  return list(dict.fromkeys(path for group in found for path in group.paths))


def _folder(name: str) -> Group:
  root = Path(name)
  images, others, foreign, lost = sorted_files(root)
  hidden = sum(any(part.startswith('.') for part in p.relative_to(root).parts) for p in others)
  counts = ((hidden, 'hidden file'), (len(others) - hidden, 'other file'))
  parts = [counted(n, what) for n, what in counts if n]
  if foreign:
    parts.append(f'{counted(len(foreign), "picture")} that cannot be read ({kinds(foreign)})')
  if lost:
    parts.append(counted(len(lost), 'broken link', 'broken links'))
  skipped = ' and '.join(parts)
  if not images:
    raise DataError(f'{name} holds no image ({", ".join(SUFFIXES)}); {skipped or "no file at all"}')
  return Group(name, [str(path) for path in images], skipped)


def read(
  paths: Sequence[str], read_one: Callable[[Path], np.ndarray], failed: Callable[[str, str], None]
) -> Iterator[tuple[str, np.ndarray]]:
  """Yields path and pixels of each readable file, in order, reading ahead on several threads.

  Args:
    paths: paths of the files.
    read_one: reads a file, or raises UserError.
    failed: called with each unreadable file and the reason.
  """

  def attempt(path: str) -> np.ndarray | UserError:
    try:
      return read_one(Path(path))
    except UserError as error:
      return error

  rest = iter(paths)
  with ThreadPoolExecutor(min(32, 2 * (os.cpu_count() or 1))) as pool:
    while chunk := list(itertools.islice(rest, AHEAD)):
      for path, found in zip(chunk, pool.map(attempt, chunk), strict=True):
        if isinstance(found, UserError):
          failed(path, str(found))
        else:
          yield path, found
