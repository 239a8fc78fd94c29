"""Where data files are looked up and where prepared ones are cached."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxgen.errors import ConfigError, DataError

# The age in seconds at which another process's unfinished folder counts as abandoned.
_ABANDONED = 3600
_VARIABLE = re.compile(r'\$(?:(\w+)|\{(\w+)\})')


def expanded(path: str | Path, otherwise: str = 'name another folder') -> Path:
  """Expands `$NAME`, `${NAME}` and a leading `~` in a user's path.

  Args:
    path: as given; if this exact path exists, it is returned unchanged.
    otherwise: the alternative to setting a variable, for the error message.

  Raises:
    ConfigError: a variable is not set, or empty.
  """
  given = str(path)
  if os.path.lexists(given):
    return Path(given)
  for match in _VARIABLE.finditer(given):
    name = match[1] or match[2]
    if not os.environ.get(name):
      raise ConfigError(f'{given}: {name} is not set. Set it, or {otherwise}')
  # Not Path's method, which raises if there is no home directory.
  return Path(os.path.expanduser(os.path.expandvars(given)))  # noqa: PTH111 (fails for unknown homes)


def listed(names: str) -> list[str]:
  """The parts of a comma-separated list, stripped of whitespace, without empty ones."""
  return [part.strip() for part in names.split(',') if part.strip()]


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
  """A private folder to fill, which atomically becomes `root` at the end of the block.

  Several processes may create the same folder: the first to finish wins, and the others' are discarded, so
  the contents must be determined by the folder's name. Leftovers of killed processes next to it are removed
  once nothing in them has changed for an hour.
  """
  for other in root.parent.glob('*.tmp-*'):
    if _is_abandoned(other):
      shutil.rmtree(other, ignore_errors=True)
  temporary = root.with_name(f'{root.name}.tmp-{uuid.uuid4().hex}')
  try:
    temporary.mkdir(parents=True)
    yield temporary
    try:
      temporary.rename(root)
    except OSError:
      if not root.is_dir():
        raise
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
  """Judged by its newest file: a slow process writes to the files, not to the folder."""
  newest = 0.0
  with suppress(FileNotFoundError):  # its process has finished in the meantime
    for path in (folder, *folder.rglob('*')):
      newest = max(newest, path.stat().st_mtime)
    return time.time() - newest > _ABANDONED
  return False


def cache_folder() -> Path:
  """Return the folder of all derived files: `$JAXGEN_CACHE`, else `~/.cache/jaxgen`."""
  return expanded(os.environ.get('JAXGEN_CACHE') or '~/.cache/jaxgen')


def require_room(folder: Path, needed: int, what: str) -> str:
  """Checks that there is enough disk space before work begins.

  Args:
    folder: where the files will be kept; need not exist yet.
    needed: bytes.
    what: what will be kept, for the error message.

  Returns:
    The size for messages, such as '13.4 GB'.

  Raises:
    DataError: the disk has less free space; gives both sizes.
  """
  there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
  free = shutil.disk_usage(there).free
  if needed > free:
    raise DataError(
      f'{what} need {_gigabytes(needed)}, but {folder} has only {_gigabytes(free)} free: set JAXGEN_CACHE to a '
      'folder with more space'
    )
  return _gigabytes(needed)


def _gigabytes(size: int) -> str:
  return f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{max(size / 1e6, 0.1):.1f} MB'


def default_folder(name: str) -> Path | None:
  """`$JAXGEN_DATA/<name>`, or None if the variable is not set."""
  root = os.environ.get('JAXGEN_DATA')
  return expanded(root) / name if root else None


def data_folder(name: str, directory: str = '', contents: str = 'its files') -> Path:
  """Find the folder that holds a set's files.

  Args:
    name: name of the data set.
    directory: the folder itself, see `expanded`; empty means `$JAXGEN_DATA/<name>`.
    contents: what belongs in the folder, for the error message.

  Returns:
    An existing folder.

  Raises:
    DataError: the folder does not exist; names both locations and what belongs there.
    ConfigError: `directory` contains a variable that is not set.
  """
  default = default_folder(name)
  folder = expanded(directory) if directory else default
  if folder is not None and folder.is_dir():
    return folder
  given = (
    f'config.data.dir = {directory!r} is not a folder' if directory else 'config.data.dir is empty'
  )
  if default is None:
    other = f'$JAXGEN_DATA/{name} is not available (JAXGEN_DATA is not set)'
  else:
    state = 'is used only if config.data.dir is empty' if directory else 'is not a folder'
    other = f'$JAXGEN_DATA/{name} = {default} {state}'
  raise DataError(f'{name}: {given} and {other}: put {contents} into either one')
