"""Pictures as a browser shows them, whatever the format of their files."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Pixels of a side; larger pictures are shown smaller, and downloaded whole.
LONGEST = 4096
_QUALITY = 95


def before_and_after(before: Path, after: Path, folder: Path) -> tuple[str, str] | None:
  """Two JPEG files of one size for a slider: the first enlarged by bicubic interpolation to the second.

  Args:
    before: an image file.
    after: a larger one of the same.
    folder: for what is shown.

  Returns:
    Their paths; None where Pillow cannot show one of the two.
  """
  try:
    large = shown(after)
    small = shown(before).resize(large.size, Image.Resampling.BICUBIC)
  except (OSError, ValueError, Image.DecompressionBombError):
    return None
  paths = folder / 'before.jpg', folder / 'after.jpg'
  for path, image in zip(paths, (small, large), strict=True):
    image.save(path, quality=_QUALITY, subsampling=0, icc_profile=image.info.get('icc_profile'))
  return str(paths[0]), str(paths[1])


def shown(path: Path) -> Image.Image:
  """The first frame of an image file, upright, RGB on white and no larger than `LONGEST`.

  Raises:
    OSError, ValueError: Pillow cannot show it; or a DecompressionBombError of its own.
  """
  with Image.open(path) as file:
    image = ImageOps.exif_transpose(file)
  profile = None if image.mode == 'CMYK' else image.info.get('icc_profile')
  if image.mode.startswith('I;16') or image.mode == 'I':
    image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
  if image.has_transparency_data:
    image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image.convert('RGBA'))
  image = image.convert('RGB')
  image.thumbnail((LONGEST, LONGEST))
  image.info = {} if profile is None else {'icc_profile': profile}
  return image
