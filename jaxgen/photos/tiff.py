"""TIFF files by tifffile: written always, read where Pillow cannot."""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from jaxgen.photos.metadata import IFDS, KEPT_TAGS, encoded
from jaxgen.photos.pixels import Photo, Size, turned
from jaxgen.photos.tiff_pixels import colour_tags, decode_page, depth_and_channels

_TIFF_LIMIT = 2**32


def tiff_orientation(page: Any) -> int:
  """1 to 8, of tifffile's page."""
  tag = page.tags.get(int(ExifTags.Base.Orientation))
  return int(tag.value) if tag else 1


def page_size(page: Any) -> Size:
  """What the header says of tifffile's page."""
  height, width = page.imagelength, page.imagewidth
  if tiff_orientation(page) >= 5:
    height, width = width, height
  depth, channels = depth_and_channels(page)
  return Size(height, width, channels, depth, 'TIFF')


def read_page(page: Any, path: Path) -> Photo:
  """A photo of tifffile's page."""
  pixels, notes = decode_page(page, path)
  exif = Image.Exif()
  values = {tag.code: tag.value for tag in page.tags.values()}
  for code in KEPT_TAGS & set(values):
    value = values[code]
    if isinstance(value, str | bytes):
      exif[code] = value if isinstance(value, bytes) else value.encode()
  for code in (282, 283):
    if code in values and values[code][1]:
      exif[code] = values[code][0] / values[code][1]
      exif[296] = int(values.get(296, 2))
  info = {'icc_profile': values.get(34675), 'exif': exif.tobytes() if len(exif) else b''}
  info['colour_tags'] = colour_tags(values)
  return Photo(turned(pixels, tiff_orientation(page)), 'TIFF', info, notes)


def write_tiff(path: Path, pixels: np.ndarray, options: dict[str, Any]) -> None:
  """A TIFF file; Pillow's does not take EXIF into a compressed one."""
  import tifffile

  exif = options.get('exif') or Image.Exif()
  resolution = {}
  pair = tuple(float(exif.get(code, 0)) for code in (282, 283))
  if all(math.isfinite(x) and x > 0 for x in pair):
    resolution['resolution'] = pair
    resolution['resolutionunit'] = int(exif.get(296, 2))
  tags = []
  for code in sorted(set(exif) - {282, 283, 296, *IFDS}):
    value = exif[code]
    if isinstance(value, str):
      tags.append((code, 's', 0, value.encode('latin-1', 'replace'), True))
    elif isinstance(value, bytes):
      tags.append((code, 'B', len(value), value, True))
    elif isinstance(value, int):
      tags.append((code, 'H', 1, value, True))
  stated = options.get('colour_tags', [])
  tags = [tag for tag in tags if tag[0] not in {code for code, *_ in stated}] + stated
  big = pixels.nbytes > _TIFF_LIMIT * 3 // 4
  inner = {} if big else {int(ifd): encoded(exif).get_ifd(ifd) for ifd in IFDS if ifd in exif}
  tifffile.imwrite(
    path,
    pixels if pixels.shape[-1] > 1 else pixels[..., 0],
    photometric='rgb' if pixels.shape[-1] > 2 else 'minisblack',
    planarconfig='contig' if pixels.shape[-1] > 1 else None,
    extrasamples=('unassalpha',) if pixels.shape[-1] in (2, 4) else None,
    compression='zlib',
    predictor=True,
    byteorder='<',
    bigtiff=big,
    iccprofile=options.get('icc_profile'),
    extratags=tags + [(code + 1, 'I', 1, 0, True) for code in inner],
    metadata=None,
    software=False,
    **resolution,
  )
  _append_ifds(path, inner)


def _append_ifds(path: Path, inner: dict[int, dict[int, Any]]) -> None:
  """Puts EXIF and GPS at the end of a little-endian TIFF file.

  tifffile refuses to write their tags: the file holds the next higher ones in their place.
  """
  import tifffile
  from PIL import TiffImagePlugin

  for code, values in inner.items():
    ifd = TiffImagePlugin.ImageFileDirectory_v2(b'II*\x00\x08\x00\x00\x00', group=code)
    for tag, value in values.items():
      ifd[tag] = value
    with path.open('ab') as file:
      file.write(b'\x00' * (file.tell() % 2))
      offset = file.tell()
      file.write(ifd.tobytes(offset))
    with tifffile.TiffFile(path, mode='r+') as tiff:
      tag = tiff.pages[0].tags[code + 1]
      tag.overwrite(offset)
      tiff.filehandle.seek(tag.offset)
      tiff.filehandle.write(struct.pack('<H', code))
