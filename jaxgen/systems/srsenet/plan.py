"""What `jaxgen upscale` is to do: the files that a command line means, and where each result goes."""

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
    target: where the result goes.
  """

  source: Path
  target: Path


class Plan(NamedTuple):
  """What a command line asks for.

  Attributes:
    jobs: files to upscale.
    beside: what else there is in the folders; its images are empty.
    outputs: files that earlier runs have made of other files here.
    missing: arguments that name nothing.
  """

  jobs: list[FileJob]
  beside: Listing
  outputs: int
  missing: list[str]


def make_plan(
  inputs: Sequence[str], output: Path | None, scale: float, sheet: bool = False
) -> Plan:
  """The jobs of files, folders (with all below them) and patterns.

  The outputs of earlier runs are no inputs, unless they are named without what they were made of: a shell
  names both for `photos/*`.

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
  # With an output folder that is named among the inputs.
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
  """A file of the command line: itself, or found in the folder `root`."""

  file: Path
  root: Path
  named: bool


def _given(inputs: Sequence[str], output: Path | None) -> tuple[list[_Given], Listing, list[str]]:
  """The files, what else there is in folders, and the arguments that name nothing."""
  given: list[_Given] = []
  beside, missing = Listing([], [], [], []), []
  for argument in inputs:
    # Not Path's: they raise for names that are too long, and for homes that are not there.
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
  """What a pattern that no shell has expanded stands for; as in shells, hidden files only by name."""
  parts = PurePath(pattern).parts
  if '**' not in parts:
    return [Path(p) for p in sorted(glob.glob(pattern))]  # noqa: PTH207
  # glob itself would follow links that lead in a circle until names are too long.
  at = parts.index('**')
  above, below = Path(*parts[:at]), parts[at + 1 :]
  folders = [p for p in (_matching(str(above)) if at else [above]) if p.is_dir()]
  if not below:
    return folders
  inner = (folder for root in folders for folder in visible_folders(root))
  found = (p for x in inner for p in _matching(str(Path(glob.escape(str(x)), *below))))
  return sorted(set(found))


def _below(folder: Path, output: Path | None) -> Listing:
  """All that a folder holds, but for what is in an output folder inside of it."""
  found = sorted_files(folder)
  if not output or folder.resolve() not in output.resolve().parents:
    return found
  inside = output.resolve()
  return Listing(*([p for p in part if inside not in p.resolve().parents] for part in found))


def _by_stem(folder: Path) -> dict[str, list[Path]]:
  """What is in a folder, by its names without suffixes."""
  found: dict[str, list[Path]] = {}
  with contextlib.suppress(OSError):
    for path in sorted(folder.iterdir()):
      found.setdefault(path.stem, []).append(path)
  return found


def _original(path: Path, by_stem: Callable[[Path], dict[str, list[Path]]]) -> Path | None:
  """What an earlier run made a file of: `cat.png` of `cat_x4.png` beside it."""
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
  """The suffix of what is written for a file: its own, or the right one where that says another format."""
  kind = known_format(path)
  return path.suffix if kind is None or is_named(path, kind) else FORMATS[kind][0]


def _target(path: Path, root: Path, output: Path | None, scale: float) -> Path:
  folder = path.parent if output is None else output / path.parent.relative_to(root)
  return folder / f'{path.stem}_x{scale:g}{_written_suffix(path)}'


def sheet_path(target: Path) -> Path:
  """Where the comparison of an output is."""
  return target.with_name(f'{target.stem}_sheet.png')
