"""Plans a `jaxgen upscale`: the files that a command line selects, and the path of each result."""

import contextlib
import functools
import glob
import os
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from jaxgen.data.image_files import (
  FORMATS,
  Listing,
  has_image_suffix,
  is_named,
  sorted_files,
  visible_folders,
)
from jaxgen.errors import ConfigError
from jaxgen.photos.formats import known_format


class FileJob(NamedTuple):
  """One file to upscale.

  Attributes:
    source: the file.
    target: path of the result.
  """

  source: Path
  target: Path


class Plan(NamedTuple):
  """What a command line selects.

  Attributes:
    jobs: files to upscale.
    beside: what else is in the folders; its list of images is empty.
    outputs: number of files that earlier runs made from other files here.
    missing: arguments that match nothing.
  """

  jobs: list[FileJob]
  beside: Listing
  outputs: int
  missing: list[str]


def make_plan(
  inputs: Sequence[str], output: Path | None, scale: float, sheet: bool = False
) -> Plan:
  """Plans the jobs for files, folders (recursively) and patterns.

  Outputs of earlier runs are not inputs, unless they are given without their originals: a shell expands
  `photos/*` to both.

  Raises:
    ConfigError: two inputs would be written to one output, or share a sheet.
  """
  given, beside, missing = _given(inputs, output)
  files = {x.file.resolve() for x in given}
  jobs: dict[Path, FileJob] = {}
  outputs, by_stem = 0, functools.cache(_by_stem)
  for file, root, named in given:
    original = _original(file, by_stem)
    if original and (not named or original.resolve() in files):
      outputs += 1
      continue
    job = FileJob(file, _target(file, root, output, scale))
    taken = jobs.get(job.target)
    if taken and taken.source.resolve() != job.source.resolve():
      raise ConfigError(
        f'{taken.source} and {job.source} would both be written to {job.target}: upscale them '
        'into different folders'
      )
    jobs[job.target] = job
  # Relevant if the output folder is among the inputs.
  written = {path.resolve() for target in jobs for path in (target, sheet_path(target))}
  kept = [job for job in jobs.values() if job.source.resolve() not in written]
  sheets: dict[Path, FileJob] = {}
  for job in kept if sheet else []:
    other = sheets.setdefault(sheet_path(job.target), job)
    if other is not job:
      raise ConfigError(
        f'{other.source} and {job.source} would share {sheet_path(job.target)}: upscale them one '
        'by one, or into different folders'
      )
  return Plan(kept, beside, outputs + len(jobs) - len(kept), missing)


class _Given(NamedTuple):
  """A file from the command line, either named itself or found in the folder `root`."""

  file: Path
  root: Path
  named: bool


def _given(inputs: Sequence[str], output: Path | None) -> tuple[list[_Given], Listing, list[str]]:
  """The files, what else is in the folders, and the arguments that match nothing."""
  given: list[_Given] = []
  beside, missing = Listing([], [], [], []), []
  for argument in inputs:
    # Not Path's methods: they raise for names that are too long, and for missing home folders.
    known = argument if os.path.exists(argument) else os.path.expanduser(argument)  # noqa: PTH110, PTH111
    named = os.path.exists(known)  # noqa: PTH110
    found = [Path(known)] if named else _matching(known)
    if not found:
      missing.append(argument or "''")
    for item in found:
      if item.is_dir():
        listing = _below(item, output)
        given += [_Given(file, item, False) for file in listing.images]
        for paths, more in zip(beside[1:], listing[1:], strict=True):
          paths += more
      else:
        given.append(_Given(item, item.parent, named))
  return given, beside, missing


def _matching(pattern: str) -> list[Path]:
  """Expands a pattern that no shell has expanded; as in shells, hidden files must be named explicitly."""
  parts = PurePath(pattern).parts
  if '**' not in parts:
    return [Path(p) for p in sorted(glob.glob(pattern))]  # noqa: PTH207
  # glob itself would follow circular links until names are too long.
  at = parts.index('**')
  above, below = Path(*parts[:at]), parts[at + 1 :]
  folders = [p for p in (_matching(str(above)) if at else [above]) if p.is_dir()]
  if not below:
    return folders
  inner = (folder for root in folders for folder in visible_folders(root))
  found = (p for x in inner for p in _matching(str(Path(glob.escape(str(x)), *below))))
  return sorted(set(found))


def _below(folder: Path, output: Path | None) -> Listing:
  """Everything below a folder, except for an output folder inside it."""
  found = sorted_files(folder)
  if not output or folder.resolve() not in output.resolve().parents:
    return found
  inside = output.resolve()
  return Listing(*([p for p in part if inside not in p.resolve().parents] for part in found))


def _by_stem(folder: Path) -> dict[str, list[Path]]:
  """The contents of a folder, grouped by name without suffix."""
  found: dict[str, list[Path]] = {}
  with contextlib.suppress(OSError):
    for path in sorted(folder.iterdir()):
      found.setdefault(path.stem, []).append(path)
  return found


def _original(path: Path, by_stem: Callable[[Path], dict[str, list[Path]]]) -> Path | None:
  """The file from which an earlier run made an output: `cat.png` for `cat_x4.png` beside it."""
  stem, mark, factor = path.stem.removesuffix('_sheet').rpartition('_x')
  if not mark or not factor.replace('.', '', 1).isdigit():
    return None
  same = path.with_name(stem + path.suffix)
  is_sheet = path.stem.endswith('_sheet')
  if not is_sheet and same.is_file():
    return same
  for other in by_stem(path.parent).get(stem, ()):
    suffix = _written_suffix(other)
    known = has_image_suffix(other) or suffix != other.suffix
    if other.is_file() and (known if is_sheet else other != same and suffix == path.suffix):
      return other
  return None


def _written_suffix(path: Path) -> str:
  """The output's suffix for a file: its own, or the correct one if its own belongs to another format."""
  kind = known_format(path)
  return path.suffix if kind is None or is_named(path, kind) else FORMATS[kind][0]


def _target(path: Path, root: Path, output: Path | None, scale: float) -> Path:
  folder = path.parent if output is None else output / path.parent.relative_to(root)
  return folder / f'{path.stem}_x{scale:g}{_written_suffix(path)}'


def sheet_path(target: Path) -> Path:
  """Path of the comparison sheet of an output."""
  return target.with_name(f'{target.stem}_sheet.png')
