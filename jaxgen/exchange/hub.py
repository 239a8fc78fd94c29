"""Weights on the Hugging Face Hub, named hf://OWNER/NAME: parsing such names, and downloading the files.

Nothing else is ever downloaded.
"""

import functools
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jaxgen.errors import CheckpointError, ConfigError, first_line

PREFIX = 'hf:/'  # pathlib collapses the two slashes of a name
SUFFIX = '.safetensors'
FILE = f'model{SUFFIX}'  # in a repository, and in a folder to upload as one
_CHECKPOINTS = 'checkpoints'  # marks a run folder
_NAME = re.compile(
  r'hf:/{1,2}(?P<repository>[\w.-]+/[\w.-]+)'
  r'(?:@(?P<revision>refs/\w+/\w+|[^@/]+))?'
  r'(?:/(?P<file>[^@]+))?'
)


class Name(NamedTuple):
  """The parts of hf://OWNER/NAME@REVISION/FILE.

  Attributes:
    repository: OWNER/NAME.
    revision: a branch, tag or commit; '' for the newest.
    file: a file in it.
  """

  repository: str
  revision: str
  file: str

  def __str__(self) -> str:
    revision = f'@{self.revision}' if self.revision else ''
    file = '' if self.file == FILE else f'/{self.file}'
    return f'hf://{self.repository}{revision}{file}'


def is_name(text: str | Path) -> bool:
  """Whether weights are named by a hub name, rather than by a local path."""
  return str(text).startswith(PREFIX) and not os.path.lexists(text)


def parse(text: str | Path) -> Name:
  """Parses a hub name.

  Raises:
    ConfigError: it is not one, or names a file of another type.
  """
  found = _NAME.fullmatch(str(text))
  if found is None or '..' in re.split('[/@]', str(text)):
    raise ConfigError(
      f'{text} does not name weights on the Hugging Face Hub: write hf://OWNER/NAME, or '
      'hf://OWNER/NAME@REVISION/FILE'
    )
  name = Name(found['repository'], found['revision'] or '', found['file'] or FILE)
  if not name.file.endswith(SUFFIX):
    raise ConfigError(f'{text}: {name.file} is not a {SUFFIX} file, and no other kind is read')
  return name


def located(weights: str | Path) -> Path:
  """The local file or folder for the user's weights: for a hub name, the file, downloaded if it is not cached
  yet; for a folder prepared for upload, its file; anything else is returned unchanged.

  Raises:
    ConfigError: see `parse` and `fetched`.
    CheckpointError: see `fetched`.
  """
  if is_name(weights):
    return fetched(parse(weights))
  path = Path(weights)
  if (path / FILE).is_file() and not (path / _CHECKPOINTS).exists():
    return path / FILE
  return path


@functools.cache
def fetched(name: Name) -> Path:
  """A file from the hub, in huggingface_hub's cache; looked up only once while the program runs.

  Raises:
    ConfigError: huggingface_hub is not installed.
    CheckpointError: there is no such repository, revision or file, or the hub cannot be reached.
  """
  try:
    from huggingface_hub import errors, hf_hub_download
  except ImportError as error:
    raise ConfigError(
      f"{name}: huggingface_hub is not installed: pip install 'jaxgen[hub]'"
    ) from error
  page = f'huggingface.co/{name.repository}'
  try:
    with _quiet():
      found = hf_hub_download(name.repository, name.file, revision=name.revision or None)
  except errors.GatedRepoError as error:
    why = f'its owner asks for consent: give it on {page}, then log in with hf auth login'
    raise CheckpointError(f'{name}: {why}') from error
  except errors.RevisionNotFoundError as error:
    raise CheckpointError(f'{name}: {page} has no revision {name.revision}') from error
  except errors.RepositoryNotFoundError as error:
    why = f'there is no {page}, or it is private: check the name, or log in with hf auth login'
    raise CheckpointError(f'{name}: {why}') from error
  except errors.LocalEntryNotFoundError as error:
    why = 'the hub cannot be reached, and no downloaded copy was found: try again when online'
    raise CheckpointError(f'{name}: {why}') from error
  except errors.EntryNotFoundError as error:
    why = (
      f'{page} has no {name.file}: name one of its files, as hf://{name.repository}/FILE{SUFFIX}'
    )
    raise CheckpointError(f'{name}: {why}') from error
  except Exception as error:  # of connections, disks and names, of many types
    raise CheckpointError(f'{name} cannot be fetched: {first_line(error)}') from error
  return Path(found)


@contextmanager
def _quiet() -> Iterator[None]:
  """Silences huggingface_hub's message on each connection attempt: the outcome is reported in one line."""
  logger = logging.getLogger('huggingface_hub')
  before = logger.level
  logger.setLevel(logging.CRITICAL)
  try:
    yield
  finally:
    logger.setLevel(before)
