"""Browser previews of pictures, whatever their file format."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Maximum side in pixels; larger pictures are shown downscaled, and downloaded in full.
LONGEST = 4096
_QUALITY = 95


def before_and_after(before: Path, after: Path, folder: Path) -> tuple[str, str] | None:
  """Two JPEG files of the same size for a slider: the first is enlarged bicubically to match the second.

  Args:
    before: an image file.
    after: a larger version of it.
    folder: for the previews.

  Returns:
    Their paths; None if Pillow cannot show one of the two.
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
    OSError, ValueError: Pillow cannot show it; or Pillow's DecompressionBombError.
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
