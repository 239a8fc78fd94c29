"""Atomic file output: files are written completely or not at all."""

import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jaxgen.errors import ConfigError, UserError

_TEMPORARY = re.compile(r'\.[0-9a-f]{32}\.tmp')


def temporary_beside(path: Path) -> Path:
  """A file name in the folder of `path` that no other process uses, on this machine or another."""
  return path.with_name(f'.{uuid.uuid4().hex}.tmp')


def remove_temporary(folder: Path) -> None:
  """Removes files named by `temporary_beside`, which a killed process leaves.

  Args:
    folder: that they lie in, not below it; nobody else may be writing there.
  """
  for path in folder.glob('.*.tmp'):
    if _TEMPORARY.fullmatch(path.name):
      path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> Path:
  """Writes a file atomically: under a temporary name, then renamed.

  Raises:
    OSError: it cannot be written; its `filename` is `path`, whichever system call failed.
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
  """A temporary folder to fill, which atomically becomes `folder` at the end of the block.

  Raises:
    UserError: a file, or a folder that is not empty, already exists there.
    OSError: it cannot be written; its `filename` is `folder`.
  """
  if why := in_the_way(folder):
    raise UserError(f'{folder}: {why}')
  if folder.is_dir() and any(folder.iterdir()):
    raise UserError(f'{folder} is not empty: name a new or empty folder')
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
  """The complaint about a file that exists where a folder or one of its parents should be; '' if none does."""
  for place in (folder, *folder.parents):
    if os.path.lexists(place):
      return '' if place.is_dir() else f'{place} is a file: name a folder instead'
  return ''


def check_folder(option: str, folder: Path, given: Path | None = None) -> None:
  """Rejects an output, before any work is done, if a file exists where its folder should be.

  Args:
    option: the option's name.
    folder: the folder that must exist or be created.
    given: the option's value, if that is not the folder.

  Raises:
    ConfigError: names the file.
  """
  if why := in_the_way(folder):
    raise ConfigError(f'{option}={given or folder}: {why}')


def check_file(option: str, file: Path, example: str = '') -> None:
  """Rejects an output file that cannot be written, before any work is done.

  Args:
    option: the option's name.
    file: the file to write.
    example: an example of a file name, for the message.

  Raises:
    ConfigError: it is a folder, or a file exists where its folder should be.
  """
  if file.is_dir():
    as_here = f', e.g. {file / example}' if example else ''
    raise ConfigError(f'{option}={file} is a folder: name a file{as_here}')
  check_folder(option, file.parent, file)


def decoded_text(content: bytes) -> str:
  """Decodes UTF-8, or UTF-16 with a byte-order mark, as spreadsheets save tables; else raises UnicodeError."""
  wide = content[:2] in (b'\xff\xfe', b'\xfe\xff')
  return content.decode('utf-16' if wide else 'utf-8').removeprefix('\ufeff')


def is_there(path: Path) -> bool:
  """Whether an output file exists and is not empty."""
  return path.is_file() and path.stat().st_size > 0


def is_pattern(name: str) -> bool:
  """Whether a name contains the wildcards of a glob pattern, as shells expand them."""
  return any(sign in name for sign in '*?[')


def write_json(path: Path, values: Any) -> Path:
  """Writes `plain_json` of the values as indented JSON, atomically."""
  text = json.dumps(plain_json(values), indent=2, allow_nan=False)
  return write_bytes(path, (text + '\n').encode())


def plain_json(values: Any) -> Any:
  """Nested dicts, lists and tuples with null in place of NaN and infinities, which JSON does not have."""
  if isinstance(values, dict):
    return {key: plain_json(x) for key, x in values.items()}
  if isinstance(values, list | tuple):
    return [plain_json(x) for x in values]
  return None if isinstance(values, float) and not math.isfinite(values) else values


def check_name(path: Path) -> None:
  """Rejects a path that Python would encode differently from UTF-8-only libraries such as TensorStore.

  Raises:
    UserError: it contains characters that the locale does not encode as UTF-8 does.
  """
  name = str(path.absolute())
  try:
    same = os.fsencode(name) == name.encode()
  except UnicodeError:
    same = False
  if not same:
    shown = name.encode('ascii', 'backslashreplace').decode()
    raise UserError(
      f'{shown}: the locale cannot encode this folder name as UTF-8, so nothing could be saved to it: set '
      'PYTHONUTF8=1, or use a plain ASCII name'
    )
