"""Rejects images that Pillow opens but would decode incorrectly or with losses, giving the reason."""

from pathlib import Path
from typing import Any

from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos.avif import avif_facts
from jaxgen.photos.boxes import outer_boxes
from jaxgen.photos.heads import has_more_maps
from jaxgen.photos.jpeg2000 import jpeg2000_facts

# Formats that Pillow writes as it reads them: not icons, whose sizes are fixed, nor 1-bit maps.
_KEPT_FORMATS = (
  'PNG',
  'JPEG',
  'TIFF',
  'WEBP',
  'AVIF',
  'GIF',
  'BMP',
  'DIB',
  'PPM',
  'TGA',
  'JPEG2000',
  'PCX',
  'SGI',
)
# AVIF matrix coefficients, by ITU-T H.273, that its decoder does not support.
_UNDECODED = {
  10: 'BT.2020 of constant luminance',
  11: "Y'D'zD'x",
  13: 'chroma of constant luminance',
  14: 'ICtCp',
}


def check_kind(image: Any, path: Path) -> None:
  """Rejects images that would silently lose something.

  Raises:
    DataError: names the file, what it is, and the remedy.
  """
  raw, better = rawmode(image), 'save it with 8 or 16 bits a channel'
  if image.mode == 'F' or (image.mode == 'I' and image.format != 'PPM'):
    raise DataError(f'{path}: pixels of 32 bits, or with a sign: {better}')
  if image.format == 'PPM' and image.mode == 'RGB' and image.tile and _is_wide(image.tile[0].args):
    raise DataError(f'{path}: 16 bits of colour in a PPM file: save it as PNG or TIFF')
  if image.mode in ('LAB', 'HSV') or (image.mode == 'CMYK' and ';16' in raw):
    raise DataError(f'{path}: {image.mode} of this kind cannot be kept: save it as RGB')
  Image.init()
  if file_format(image) not in Image.SAVE or file_format(image) not in _KEPT_FORMATS:
    raise DataError(f'{path}: {image.format} can be read but not written: save it as PNG')
  if image.format == 'SGI' and (image.tile[0].codec_name == 'SGI16' or ';16' in raw):
    _refuse_deep(path, 'SGI', 16)
  if image.format == 'PPM' and has_more_maps(image, path):
    raise DataError(f'{path}: has several pictures: only single images are read')
  if image.format == 'AVIF':
    facts = avif_facts(path)
    if facts.depth > 8:
      _refuse_deep(path, 'AVIF', facts.depth)
    if facts.matrix in _UNDECODED:
      raise DataError(
        f'{path}: AVIF of {_UNDECODED[facts.matrix]} cannot be decoded: save it as RGB'
      )
  if image.format == 'JPEG2000':
    _check_jpeg2000(image, path)


def _refuse_deep(path: Path, name: str, depth: int) -> None:
  raise DataError(
    f'{path}: {name} of {depth} bits a channel, of which 8 can be written: save it as PNG or TIFF of 16 bits'
  )


def _check_jpeg2000(image: Any, path: Path) -> None:
  facts = jpeg2000_facts(path)
  pictures = sum(box.name == b'jp2c' for box in outer_boxes(path))
  if pictures > 1:
    raise DataError(f'{path}: has {pictures} frames or pages: only single images are read')
  depth = max(facts.depths)
  if facts.colours:
    raise DataError(f'{path}: JPEG 2000 of {facts.colours} cannot be kept: save it as PNG or TIFF')
  if depth > 8 and (len(facts.depths) > 1 or image.mode == 'P'):
    _refuse_deep(path, 'JPEG 2000 in colour or with alpha', depth)
  if depth > 16:
    raise DataError(f'{path}: JPEG 2000 of {depth} bits: save it with 8 or 16 bits')
  if len(set(facts.depths)) > 1:
    raise DataError(
      f'{path}: its channels have different depths {facts.depths}: save it with 8 bits'
    )
  if facts.opaque:
    raise DataError(
      f'{path}: an extra channel that is neither colour nor transparency: save it as RGB'
    )


def _is_wide(args: Any) -> bool:
  """Whether a PPM decoder is given a maximum level above 255."""
  return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255


def file_format(image: Any) -> str:
  """Pillow's name of the format; one for all JPEG files."""
  return 'JPEG' if image.format == 'MPO' else str(image.format)


def rawmode(image: Any) -> str:
  """The name that Pillow's decoder uses for the pixel layout in the file."""
  args = image.tile[0].args if image.tile else ''
  return str(args[0] if isinstance(args, tuple) and args else args)
