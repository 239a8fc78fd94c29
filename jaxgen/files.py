"""Files that are written complete or not at all."""

import json
import uuid
from pathlib import Path
from typing import Any


def temporary_beside(path: Path) -> Path:
  """A name in the folder of `path` that no other process uses, on this machine or another."""
  return path.with_name(f'.{uuid.uuid4().hex}.tmp')


def write_bytes(path: Path, content: bytes) -> Path:
  """Writes a file complete or not at all: under a temporary name, then renamed."""
  path.parent.mkdir(parents=True, exist_ok=True)
  temporary = temporary_beside(path)
  try:
    temporary.write_bytes(content)
    temporary.replace(path)
  finally:
    temporary.unlink(missing_ok=True)
  return path


def write_json(path: Path, values: Any) -> Path:
  """Writes indented JSON, complete or not at all."""
  return write_bytes(path, (json.dumps(values, indent=2) + '\n').encode())
