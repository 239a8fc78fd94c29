"""Resolves the pictures on a command line and the path of each one's video."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxgen.data.image_files import Listing, sorted_files
from jaxgen.errors import ConfigError, DataError
from jaxgen.systems.lipgen.video.jobs import SUFFIXES, TALKED
from jaxgen.systems.lipgen.video.outputs import Table
from jaxgen.words import counted

ENDING = '.mp4'
DEFAULT = Path('talk.mp4')
# Titles of what determines a talking-picture video, see `filming.made_with`.
HOW = 'sound', 'motion', 'render', 'steps', 'seed', 'head', 'longest', 'crop', 'faces_by'
TABLE = Table(TALKED, 'picture', HOW)


class Wanted(NamedTuple):
  """One requested video.

  Attributes:
    source: the picture.
    target: path of its video.
  """

  source: Path
  target: Path

  @property
  def files(self) -> dict[str, Path]:
    """The file to write, the video."""
    return {'output': self.target}


def pictures_of(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
  """The pictures in files and folders, each once, and notes for the user about the folders, a line each.

  Raises:
    DataError: a folder has no pictures.
  """
  found: list[Path] = []
  told: list[str] = []
  for path in inputs:
    if not path.is_dir():
      found.append(path)
      continue
    some = in_folder(path, 'give files, or a folder of PNG, JPEG or TIFF files')
    found += some.images
    told += [f'{path}: {line}' for line in told_of(some)]
  unique = {path.resolve(): path for path in reversed(found)}
  return list(dict.fromkeys(unique[path.resolve()] for path in found)), told


def in_folder(folder: Path, advice: str) -> Listing:
  """Lists the files in a folder, recursively.

  Args:
    folder: folder of pictures.
    advice: end of the error message if there are none.

  Raises:
    DataError: it has no pictures; says what it has instead.
  """
  found = sorted_files(folder)
  if not found.images:
    others = f' ({"; ".join(told)})' if (told := told_of(found)) else ''
    raise DataError(f'{folder} has no pictures{others}: {advice}')
  return found


def told_of(found: Listing) -> list[str]:
  """Notes for the user about files of a folder that are no faces: as in `Listing.told`, and videos.

  Videos with the name of a picture are taken for outputs.
  """
  names = {path.with_suffix('') for path in found.images}
  videos = [
    path
    for path in found.others
    if path.suffix.lower() in SUFFIXES and path.with_suffix('') not in names
  ]
  if not videos:
    return found.told
  left = f'{counted(len(videos), "video")} left out, as {videos[0].name}'
  return [*found.told, f'{left}: a face is a picture, so save one frame of it']


def is_file(output: Path) -> bool:
  """Whether --output names a file rather than a folder.

  Raises:
    ConfigError: a file that is not .mp4.
  """
  if output.is_dir() or not output.suffix:
    return False
  if output.suffix.lower() != ENDING:
    raise ConfigError(
      f'--output={output}: videos are {ENDING} files, as {output.with_suffix(ENDING).name}; or '
      'give an existing folder'
    )
  return True


def targets_of(
  pictures: Sequence[Path], output: Path | None, inputs: Sequence[Path] = ()
) -> list[Path]:
  """The path of each picture's video: a file for a single picture, or NAME.mp4 in a folder.

  Pictures with the same name get their extensions too, as NAME_png.mp4; those below a folder that share both
  keep their subfolders, as anna/NAME.mp4.

  Args:
    pictures: result of `pictures_of`.
    output: --output as given; None: `DEFAULT`, for a single picture.
    inputs: files and folders that the pictures come from.

  Raises:
    ConfigError: one file for several pictures, a file that is not .mp4, or two videos with the same path.
  """
  wanted = output or DEFAULT
  if is_file(wanted):
    if len(pictures) > 1:
      given = f'--output={output} is a file' if output else 'no --output is given'
      raise ConfigError(f'{given}, but there are {len(pictures)} pictures: give a folder')
    return [wanted]
  stems = Counter(path.stem for path in pictures)
  names = [
    path.stem if stems[path.stem] == 1 else f'{path.stem}_{path.suffix[1:]}' for path in pictures
  ]
  shared = Counter(names)
  within = {
    path: folder for folder in inputs if folder.is_dir() for path in sorted_files(folder).images
  }
  names = [
    path.relative_to(within[path]).with_suffix('').as_posix()
    if shared[name] > 1 and path in within
    else name
    for path, name in zip(pictures, names, strict=True)
  ]
  first: dict[str, Path] = {}
  for path, name in zip(pictures, names, strict=True):
    other = first.setdefault(name, path)
    if other is not path:
      raise ConfigError(
        f'{other} and {path} would both be written to {wanted / name}{ENDING}: pass them in two '
        'commands'
      )
  return [wanted / f'{name}{ENDING}' for name in names]
