"""Where files are looked for and where prepared ones are kept."""

import os
from pathlib import Path

from jaxgen.errors import DataError


def cache_folder() -> Path:
  """Return the folder of everything derived: `$JAXGEN_CACHE`, else `~/.cache/jaxgen`."""
  return Path(os.environ.get('JAXGEN_CACHE') or '~/.cache/jaxgen').expanduser()


def default_folder(name: str) -> Path | None:
  """`$JAXGEN_DATA/<name>`, or None where the variable is not set."""
  root = os.environ.get('JAXGEN_DATA')
  return Path(root).expanduser() / name if root else None


def data_folder(name: str, directory: str = '', contents: str = 'its files') -> Path:
  """Find the folder that holds a set's files.

  Args:
    name: of the data set.
    directory: the folder itself; empty means `$JAXGEN_DATA/<name>`.
    contents: what belongs into the folder, for the error.

  Returns:
    An existing folder.

  Raises:
    DataError: the folder does not exist; names both places and what belongs there.
  """
  default = default_folder(name)
  folder = Path(directory).expanduser() if directory else default
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
