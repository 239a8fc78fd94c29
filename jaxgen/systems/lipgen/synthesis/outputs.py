"""Which pictures a command line means, and where the video of each goes."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxgen.data.image_files import sorted_files
from jaxgen.errors import ConfigError, DataError

ENDING = '.mp4'
DEFAULT = Path('talk.mp4')


def pictures_of(inputs: Sequence[Path]) -> list[Path]:
  """The pictures of files and folders, each once.

  Raises:
    DataError: a folder without a picture.
  """
  found: list[Path] = []
  for path in inputs:
    some = sorted_files(path).images if path.is_dir() else [path]
    if not some:
      raise DataError(f'{path} has no pictures: name files, or a folder of PNG, JPEG or TIFF files')
    found += some
  unique = {path.resolve(): path for path in reversed(found)}
  return list(dict.fromkeys(unique[path.resolve()] for path in found))


def is_file(output: Path) -> bool:
  """Whether --output means a file.

  Raises:
    ConfigError: one that is not .mp4.
  """
  if output.is_dir() or not output.suffix:
    return False
  if output.suffix.lower() != ENDING:
    raise ConfigError(
      f'--output={output}: videos are written as {ENDING}, as {output.with_suffix(ENDING).name}; or name a '
      'folder that is there'
    )
  return True


def targets_of(pictures: Sequence[Path], output: Path | None) -> list[Path]:
  """Where the video of each picture goes: a file for one, NAME.mp4 in a folder.

  Two pictures of one name have their endings in it too, as NAME_png.mp4.

  Args:
    pictures: of `pictures_of`.
    output: as it was given; None: `DEFAULT`, which is for one.

  Raises:
    ConfigError: a file for several pictures, one that is not .mp4, or two videos would be one file.
  """
  wanted = output or DEFAULT
  if is_file(wanted):
    if len(pictures) > 1:
      given = f'--output={output} is a file' if output else 'no --output is named'
      raise ConfigError(f'{given}, and there are {len(pictures)} pictures: name a folder')
    return [wanted]
  stems = Counter(path.stem for path in pictures)
  names = [
    path.stem if stems[path.stem] == 1 else f'{path.stem}_{path.suffix[1:]}' for path in pictures
  ]
  first: dict[str, Path] = {}
  for path, name in zip(pictures, names, strict=True):
    other = first.setdefault(name, path)
    if other is not path:
      raise ConfigError(
        f'{other} and {path} would both be written to {wanted / name}{ENDING}: name them in two commands'
      )
  return [wanted / f'{name}{ENDING}' for name in names]
