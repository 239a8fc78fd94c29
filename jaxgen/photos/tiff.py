"""TIFF files through tifffile: always for writing, and for reading what Pillow cannot."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags

from jaxgen.photos.ifd import Tag
from jaxgen.photos.pixels import Photo, Size, known_orientation, turned
from jaxgen.photos.tiff_pixels import decode_page, depth_and_channels
from jaxgen.photos.tiff_tags import put_tags, read_tags

_TIFF_LIMIT = 2**32


def tiff_orientation(page: Any) -> int:
  """The orientation, 1 to 8, of a tifffile page."""
  tag = page.tags.get(int(ExifTags.Base.Orientation))
  return known_orientation(int(tag.value)) if tag else 1


def page_size(page: Any) -> Size:
  """The size of a tifffile page, from its header."""
  height, width = page.imagelength, page.imagewidth
  if tiff_orientation(page) >= 5:
    height, width = width, height
  depth, channels = depth_and_channels(page)
  return Size(height, width, channels, depth, 'TIFF')


def read_page(page: Any, path: Path) -> Photo:
  """Reads a photo from a tifffile page, the first one of a file."""
  pixels, notes = decode_page(page, path)
  profile = page.tags.get(34675)
  info = {'icc_profile': profile.value if profile else None, 'tags': read_tags(path)}
  return Photo(turned(pixels, tiff_orientation(page)), 'TIFF', info, notes)


def write_tiff(path: Path, pixels: np.ndarray, options: dict[str, Any], tags: list[Tag]) -> None:
  """Writes a TIFF file with tags; Pillow's writer cannot put EXIF into a compressed one."""
  import tifffile

  tifffile.imwrite(
    path,
    pixels if pixels.shape[-1] > 1 else pixels[..., 0],
    photometric='rgb' if pixels.shape[-1] > 2 else 'minisblack',
    planarconfig='contig' if pixels.shape[-1] > 1 else None,
    extrasamples=('unassalpha',) if pixels.shape[-1] in (2, 4) else None,
    compression='zlib',
    predictor=True,
    byteorder='<',
    bigtiff=pixels.nbytes > _TIFF_LIMIT * 3 // 4,
    iccprofile=options.get('icc_profile'),
    metadata=None,
    software=False,
  )
  put_tags(path, tags)
