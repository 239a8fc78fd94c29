"""SHA-256 digests in hexadecimal: short names for what something is made from, and seals of contents."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

# Number of digits in a name.
SHORT = 16


def seal(parts: Iterable[bytes]) -> str:
  """The full digest of some parts, concatenated."""
  found = hashlib.sha256()
  for part in parts:
    found.update(part)
  return found.hexdigest()


def name(parts: Iterable[bytes]) -> str:
  """The leading digits of `seal`: enough to tell folders and files apart."""
  return seal(parts)[:SHORT]


def name_of_file(path: Path) -> str:
  """The leading digits of a file's digest: enough to tell its contents from others."""
  return of_file(path).hex()[:SHORT]


def of_file(path: Path) -> bytes:
  """The 32 bytes of a file's digest, read in chunks."""
  with path.open('rb') as file:
    return hashlib.file_digest(file, 'sha256').digest()
