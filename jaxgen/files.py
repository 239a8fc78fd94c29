"""Files that are written complete or not at all."""

import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgen.errors import ConfigError, UserError


def temporary_beside(path: Path) -> Path:
  """A name in the folder of `path` that no other process uses, on this machine or another."""
  return path.with_name(f'.{uuid.uuid4().hex}.tmp')


def write_bytes(path: Path, content: bytes) -> Path:
  """Writes a file complete or not at all: under a temporary name, then renamed.

  Raises:
    OSError: it cannot be written; its `filename` is `path`, whatever the system was about to do.
  """
  temporary = temporary_beside(path)
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
      temporary.write_bytes(content)
      temporary.replace(path)
    finally:
      temporary.unlink(missing_ok=True)
  except OSError as error:
    if error.errno is None:
      raise
    raise OSError(error.errno, in_the_way(path.parent) or error.strerror, str(path)) from error
  return path


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
  """A folder to fill that becomes `folder` at the end of the block, complete or not at all.

  Raises:
    UserError: there is a file, or a folder that has something in it.
    OSError: it cannot be written; its `filename` is `folder`.
  """
  if why := in_the_way(folder):
    raise UserError(f'{folder}: {why}')
  if folder.is_dir() and any(folder.iterdir()):
    raise UserError(f'{folder} has other things in it: name a new folder, or an empty one')
  temporary = temporary_beside(folder)
  try:
    temporary.mkdir(parents=True)
    yield temporary
    temporary.replace(folder)
  except OSError as error:
    if error.errno is None:
      raise
    raise OSError(error.errno, error.strerror, str(folder)) from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def in_the_way(folder: Path) -> str:
  """What to say of the file that stands where a folder is to be, or one above it; '' where nothing does."""
  for place in (folder, *folder.parents):
    if os.path.lexists(place):
      return '' if place.is_dir() else f'{place} is a file: name a folder in its place'
  return ''


def check_folder(option: str, folder: Path, given: Path | None = None) -> None:
  """Refuses an output before any work where a file stands in the place of its folder.

  Args:
    option: its name.
    folder: that is to be there, or to be made.
    given: what the option names, where that is not the folder.

  Raises:
    ConfigError: names the file.
  """
  if why := in_the_way(folder):
    raise ConfigError(f'{option}={given or folder}: {why}')


def check_file(option: str, file: Path, example: str = '') -> None:
  """Refuses an output before any work that is to be a file, and cannot.

  Args:
    option: its name.
    file: that is to be written.
    example: the name of a file, for the message.

  Raises:
    ConfigError: there is a folder, or a file in the place of its folder.
  """
  if file.is_dir():
    as_here = f', as {file / example}' if example else ''
    raise ConfigError(f'{option}={file} is a folder: name a file{as_here}')
  check_folder(option, file.parent, file)


def decoded_text(content: bytes) -> str:
  """A text in UTF-8, or in UTF-16 with its mark, as spreadsheets save tables; UnicodeError for another."""
  wide = content[:2] in (b'\xff\xfe', b'\xfe\xff')
  return content.decode('utf-16' if wide else 'utf-8').removeprefix('\ufeff')


def is_there(path: Path) -> bool:
  """Whether an output is there and no empty file."""
  return path.is_file() and path.stat().st_size > 0


def is_pattern(name: str) -> bool:
  """Whether a name has the signs of a pattern, as shells expand them."""
  return any(sign in name for sign in '*?[')


def write_json(path: Path, values: Any) -> Path:
  """Writes indented JSON of `plain_json`, complete or not at all."""
  text = json.dumps(plain_json(values), indent=2, allow_nan=False)
  return write_bytes(path, (text + '\n').encode())


def plain_json(values: Any) -> Any:
  """Values of dicts, lists and tuples with null for NaN and the infinities, which JSON does not have."""
  if isinstance(values, dict):
    return {key: plain_json(x) for key, x in values.items()}
  if isinstance(values, list | tuple):
    return [plain_json(x) for x in values]
  return None if isinstance(values, float) and not math.isfinite(values) else values


def check_name(path: Path) -> None:
  """Refuses a path that Python and libraries that speak UTF-8 alone, as TensorStore, would name differently.

  Raises:
    UserError: it holds letters that the locale cannot encode as UTF-8 does.
  """
  name = str(path.absolute())
  try:
    same = os.fsencode(name) == name.encode()
  except UnicodeError:
    same = False
  if not same:
    shown = name.encode('ascii', 'backslashreplace').decode()
    raise UserError(
      f'{shown}: the locale cannot name this folder in UTF-8, and nothing could be saved to it: set '
      'PYTHONUTF8=1, or use a name of plain letters'
    )
