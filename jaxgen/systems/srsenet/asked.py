"""Checks the options of an upscaling request. Imports nothing heavy."""

from pathlib import Path

from jaxgen.data.image_files import check_folder_name
from jaxgen.errors import ConfigError

TILINGS = ('auto', 'whole', 'exact', 'sampled')


def check_asked(tiling: str, memory: int, quality: int, output: Path | None) -> None:
  """Raises ConfigError for invalid options.

  Args:
    tiling: one of TILINGS.
    memory: MiB for features.
    quality: encoder quality for JPEG, WebP and AVIF.
    output: the output folder; None: beside the images.
  """
  if tiling not in TILINGS:
    raise ConfigError(f'--tiling {tiling}: choose from {", ".join(TILINGS)}')
  if memory < 1 or not 1 <= quality <= 100:
    raise ConfigError('--memory must be above 0 and --quality from 1 to 100')
  if output:
    check_folder_name('--output', output)
