"""Folders of jaxgen on this machine: the cache, the data, and the shipped weights."""

import os
import shutil
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import jaxgen
from jaxgen.data.folders import cache_folder, expanded
from jaxgen.errors import CheckpointError, UserError, first_line

COUNTING_SECONDS = 1.0
PREFIXES = ('JAX_', 'JAXGEN_', 'XLA_')


def package() -> Path:
  """The folder of jaxgen itself."""
  return Path(jaxgen.__file__).parent


def environment() -> dict[str, str]:
  """The variables that JAX, XLA and jaxgen read, by their prefixes; no others."""
  return {name: text for name, text in sorted(os.environ.items()) if name.startswith(PREFIXES)}


def cache() -> dict[str, Any]:
  """The cache: 'folder', 'there', 'writable', 'bytes', 'counted' (whether all of it), 'free', 'error'."""
  try:
    folder = cache_folder().absolute()
  except UserError as error:
    return {'folder': os.environ['JAXGEN_CACHE'], 'writable': False, 'error': str(error)}
  # Not with pathlib, which raises for paths in a folder without permission.
  there = next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110
  size, counted = _size(folder)
  return {
    'folder': str(folder),
    'there': os.path.isdir(folder),  # noqa: PTH112
    'writable': there.is_dir() and os.access(there, os.W_OK | os.X_OK),
    'bytes': size,
    'counted': counted,
    'free': shutil.disk_usage(there).free,
    'error': '',
  }


def _size(folder: Path) -> tuple[int, bool]:
  """Bytes of a folder's files, and whether COUNTING_SECONDS were enough for all of them."""
  end, size = time.monotonic() + COUNTING_SECONDS, 0
  for root, _, names in os.walk(folder):
    for name in names:
      try:
        size += os.lstat(f'{root}/{name}').st_size
      except OSError:  # it has just been removed
        continue
    if time.monotonic() > end:
      return size, False
  return size, True


def data() -> dict[str, Any]:
  """The folder of data sets: 'folder', None if JAXGEN_DATA is not set; 'sets', names; 'error'."""
  given = os.environ.get('JAXGEN_DATA')
  if not given:
    return {'folder': None, 'sets': [], 'error': ''}
  try:
    folder = expanded(given)
    sets = sorted(x.name for x in folder.iterdir() if x.is_dir() and x.name[0] != '.')
  except UserError as error:
    return {'folder': given, 'sets': [], 'error': str(error)}
  except OSError as error:
    return {'folder': given, 'sets': [], 'error': f'JAXGEN_DATA={given}: {error.strerror}'}
  return {'folder': str(folder), 'sets': sets, 'error': ''}


def weights(folder: Path | None = None) -> dict[str, str]:
  """The weights shipped with jaxgen: name -> '' if the file is intact, else what is wrong with it.

  Args:
    folder: folder of the files; the package's by default.
  """
  folder = folder or package() / 'weights'
  names = {path.name for path in folder.glob('*.safetensors')} | _listed()
  return {name: _fault(folder / name) for name in sorted(names)}


def _listed() -> set[str]:
  """The weights contained in the installed wheel; none in a clone."""
  try:
    files = metadata.files('jaxgen') or ()
  except metadata.PackageNotFoundError:
    return set()
  return {x.name for x in files if x.parent.name == 'weights' and x.suffix == '.safetensors'}


def _fault(path: Path) -> str:
  try:
    from jaxgen.exchange.headers import read_about

    read_about(path)
  except CheckpointError as error:
    return str(error)
  except ImportError as error:  # of the library that reads the files
    return first_line(error)
  return ''
