"""Where files are looked for and where prepared ones are kept."""

import os
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxgen.errors import ConfigError, DataError

# The age in seconds at which what another process has left unfinished counts as abandoned.
_ABANDONED = 3600
_VARIABLE = re.compile(r'\$(?:(\w+)|\{(\w+)\})')


def expanded(path: str | Path, otherwise: str = 'name another folder') -> Path:
  """The path that a person means: `$NAME`, `${NAME}` and a leading `~` are replaced.

  Args:
    path: as given; something that is there by this very name is taken as it is.
    otherwise: what else to do than to set a variable, for the error.

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
  # Not Path's, which raises for a home that is not there.
  return Path(os.path.expanduser(os.path.expandvars(given)))  # noqa: PTH111


def listed(names: str) -> list[str]:
  """The parts of a comma-separated list, without blanks around them, empty ones left out."""
  return [part.strip() for part in names.split(',') if part.strip()]


@contextmanager
def new_folder(root: Path) -> Iterator[Path]:
  """A private folder to fill that becomes `root` at the end of the block: complete or not at all.

  Several processes may make the same folder: the first to finish gives its own, and the others' are
  dropped, so what is put there must follow from the folder's name. What killed processes have left beside
  it is removed once nothing in it has changed for an hour.
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
  """By its newest file: a slow process writes to the files, and not to the folder."""
  newest = 0.0
  with suppress(FileNotFoundError):  # its process has finished meanwhile
    for path in (folder, *folder.rglob('*')):
      newest = max(newest, path.stat().st_mtime)
    return time.time() - newest > _ABANDONED
  return False


def cache_folder() -> Path:
  """Return the folder of everything derived: `$JAXGEN_CACHE`, else `~/.cache/jaxgen`."""
  return expanded(os.environ.get('JAXGEN_CACHE') or '~/.cache/jaxgen')


def require_room(folder: Path, needed: int, what: str) -> str:
  """Refuses to begin what does not fit on a disk.

  Args:
    folder: where it is to be kept; may not be there yet.
    needed: bytes.
    what: is to be kept, for the error.

  Returns:
    The size as it is told, as '13.4 GB'.

  Raises:
    DataError: the disk has less room: names both sizes.
  """
  there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
  free = shutil.disk_usage(there).free
  if needed > free:
    raise DataError(
      f'{what} take {_gigabytes(needed)}, and {folder} has room for {_gigabytes(free)}: set JAXGEN_CACHE to a '
      'folder with more'
    )
  return _gigabytes(needed)


def _gigabytes(size: int) -> str:
  return f'{size / 1e9:.1f} GB' if size >= 1e9 else f'{max(size / 1e6, 0.1):.1f} MB'


def default_folder(name: str) -> Path | None:
  """`$JAXGEN_DATA/<name>`, or None where the variable is not set."""
  root = os.environ.get('JAXGEN_DATA')
  return expanded(root) / name if root else None


def data_folder(name: str, directory: str = '', contents: str = 'its files') -> Path:
  """Find the folder that holds a set's files.

  Args:
    name: of the data set.
    directory: the folder itself, see `expanded`; empty means `$JAXGEN_DATA/<name>`.
    contents: what belongs into the folder, for the error.

  Returns:
    An existing folder.

  Raises:
    DataError: the folder does not exist; names both places and what belongs there.
    ConfigError: `directory` begins with a variable that is not set.
  """
  default = default_folder(name)
  folder = expanded(directory) if directory else default
  if folder is not None and folder.is_dir():
    return folder
  given = (
    f'config.data.dir = {directory!r} is no folder' if directory else 'config.data.dir is empty'
  )
  if default is None:
    other = f'$JAXGEN_DATA/{name} is not available (JAXGEN_DATA is not set)'
  else:
    state = '(for an empty config.data.dir) is not looked at' if directory else 'is no folder'
    other = f'$JAXGEN_DATA/{name} = {default} {state}'
  raise DataError(f'{name}: {given} and {other}: put {contents} into either')
