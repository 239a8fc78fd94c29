"""Checks whether outputs already exist."""

import math
from pathlib import Path

from jaxgen.errors import DataError, UserError
from jaxgen.photos import read_size
from jaxgen.systems.srsenet.plan import FileJob, sheet_path


def output_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
  """Height and width after upscaling, rounded up."""
  height, width = (math.ceil(round(n * scale, 6)) for n in size)
  return height, width


def missing_outputs(job: FileJob, scale: float, sheet: bool, overwrite: bool) -> set[Path]:
  """The outputs of a file that remain to be written: the upscaled image, its sheet, both or none.

  An output exists if there is a file with the header of an image of the expected size; only headers are read.
  Empty files, which a full disk leaves behind, are overwritten.

  Args:
    job: the file.
    scale: of both sides.
    sheet: whether a sheet is requested.
    overwrite: whether to overwrite all outputs.

  Raises:
    UserError: something else is in the place of an output, and is not overwritten by default; or the file
      itself cannot be read.
  """
  wanted = {job.target, sheet_path(job.target)} if sheet else {job.target}
  taken = {path for path in sorted(wanted) if _is_taken(path)}
  if overwrite:
    return wanted
  for path in taken:
    size = output_size(read_size(job.source)[:2], scale) if path == job.target else None
    if fault := _fault(path, size):
      raise UserError(
        f'{path} already exists and is not the output of {job.source} ({fault}): move it away, or use '
        '--overwrite'
      )
  return wanted - taken


def _is_taken(path: Path) -> bool:
  """Whether there is a nonempty file at a path; UserError for anything that is not a file."""
  try:
    status = path.stat()
  except OSError:  # nothing; or too long a name, which is reported when the file is written
    return False
  if path.is_file():
    return status.st_size > 0
  kind = 'a folder' if path.is_dir() else 'not a regular file'
  raise UserError(
    f'{path} is {kind}, but an output belongs there: move it away, or name an --output'
  )


def _fault(path: Path, size: tuple[int, int] | None) -> str:
  """Why a file is not an image of a given size (height, width), '' if it is; None: of any size."""
  try:
    height, width = read_size(path)[:2]
  except DataError:
    return 'it is not an image'
  if size in (None, (height, width)):
    return ''
  return f'it has {width} x {height} pixels'
