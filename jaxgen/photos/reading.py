"""Reading image files of any kind without losing anything."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from jaxgen.errors import DataError
from jaxgen.photos.chunks import png_chunks
from jaxgen.photos.metadata import read_metadata
from jaxgen.photos.pixels import Photo, Size, as_array, straight, turned
from jaxgen.photos.tiff import read_tiff16, tiff_orientation

# What Pillow writes as it reads it: not icons, whose sizes are fixed, nor maps of one bit.
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
_LEVELS = {'L;2': 3, 'L;4': 15}  # of grey PNG of few bits, by Pillow's name


def read_size(path: Path) -> Size:
  """A file's size from its header, without decoding it.

  Raises:
    DataError: no such file, or not an image that can be kept whole.
  """
  with _told(path), _opened(path) as image:
    if not isinstance(image, Image.Image):
      height, width = image.imagelength, image.imagewidth
      if tiff_orientation(image) >= 5:
        height, width = width, height
      return Size(height, width, image.samplesperpixel, 16, 'TIFF')
    width, height = image.size
    if _orientation(image, path) >= 5:
      width, height = height, width
    mode, depth = _kept(image)
    return Size(height, width, len(mode), depth, _format(image))


def read_photo(path: Path) -> Photo:
  """Reads a whole file.

  Raises:
    DataError: no such file, damaged, or not an image that can be kept whole.
  """
  with _told(path), _opened(path) as image:
    if not isinstance(image, Image.Image):
      return read_tiff16(image)
    mode, depth = _kept(image)
    if depth == 16:
      pixels = _deep_pixels(image, path, len(mode))
    else:
      top, clear = _LEVELS.get(_rawmode(image)), image.info.get('transparency')
      if top and isinstance(clear, int) and clear <= top:  # Pillow spreads the pixels, not this
        image.info['transparency'] = clear * 255 // top
      image.load()
      pixels = as_array(image, mode)
    pixels = turned(pixels, _orientation(image, path))
    return Photo(pixels, _format(image), read_metadata(image, path))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
  """An image that Pillow can decode whole, or the page of a TIFF file that only tifffile can."""
  with path.open('rb') as file:
    head = file.read(4)
  if head in (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+'):
    import tifffile

    with tifffile.TiffFile(path) as tiff:
      page = tiff.pages[0]
      rgb = page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel in (3, 4)
      apart = rgb and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
      grey_alpha = page.photometric in (0, 1) and page.samplesperpixel == 2
      if page.dtype == np.uint16 and (apart or grey_alpha):
        _check_single(len(tiff.pages), path)
        yield page
        return
  # Not by its name: Pillow would map an uncompressed TIFF by the sides that it has when it is turned.
  with path.open('rb') as file, Image.open(file) as image:
    _check_kind(image, path)
    yield image


def _check_single(count: int, path: Path) -> None:
  if count > 1:
    raise DataError(f'{path}: has {count} frames or pages: only single images are read')


def _check_kind(image: Image.Image, path: Path) -> None:
  """Refuses what would lose something without a word."""
  if image.format != 'MPO':  # of the pictures in a phone's JPEG the first is the photo
    _check_single(getattr(image, 'n_frames', 1), path)
  rawmode, better = _rawmode(image), 'save it with 8 or 16 bits a channel'
  if image.mode == 'F' or (image.mode == 'I' and image.format != 'PPM'):
    raise DataError(f'{path}: pixels of 32 bits, or with a sign: {better}')
  if image.format == 'PPM' and image.mode == 'RGB' and image.tile and _is_wide(image.tile[0].args):
    raise DataError(f'{path}: 16 bits of colour in a PPM file: save it as PNG or TIFF')
  if image.mode in ('LAB', 'HSV') or (image.mode == 'CMYK' and ';16' in rawmode):
    raise DataError(f'{path}: {image.mode} of this kind cannot be kept: save it as RGB')
  Image.init()
  if _format(image) not in Image.SAVE or _format(image) not in _KEPT_FORMATS:
    raise DataError(f'{path}: {image.format} can be read but not written: save it as PNG')


def _is_wide(args: Any) -> bool:
  """Whether a decoder of PPM gets a highest level above 255."""
  return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255


def _format(image: Image.Image) -> str:
  return 'JPEG' if image.format == 'MPO' else str(image.format)


def _rawmode(image: Image.Image) -> str:
  """How Pillow's decoder names the pixels in the file."""
  args = image.tile[0].args if image.tile else ''
  return str(args[0] if isinstance(args, tuple) and args else args)


def _kept(image: Image.Image) -> tuple[str, int]:
  """The mode of grey or RGB, with or without alpha, that holds all of an image, and its depth."""
  transparent = 'transparency' in image.info
  if image.mode.startswith('I'):
    return 'LA' if transparent else 'L', 16
  rawmode = _rawmode(image)
  if image.format in ('PNG', 'TIFF') and ';16' in rawmode:
    if rawmode.startswith('LA'):
      return 'LA', 16
    return 'RGBA' if transparent or image.mode == 'RGBA' else 'RGB', 16
  transparent = transparent or bool({'A', 'a'} & set(image.getbands()))
  if image.mode in ('1', 'L', 'LA', 'La'):
    return 'LA' if transparent else 'L', 8
  if image.mode == 'P' and image.palette is not None and image.palette.mode == 'RGBA':
    return 'RGBA', 8
  return 'RGBA' if transparent else 'RGB', 8


def _deep_pixels(image: Image.Image, path: Path, channels: int) -> np.ndarray:
  """16-bit pixels; `image` is loaded afterwards."""
  rawmode = _rawmode(image)
  if image.mode.startswith('I'):
    image.load()
    pixels = as_array(image, image.mode).astype(np.uint16)
    if image.format == 'TIFF' and image.tag_v2.get(262) == 0:  # white is zero
      pixels = 65535 - pixels
  elif rawmode.startswith('LA'):
    bytes_ = _decoded(image, 'RGBA')  # of the same number of bits, taken apart here
    pixels = bytes_[..., ::2].astype(np.uint16) << 8 | bytes_[..., 1::2]
  else:
    name, end = rawmode.replace('RGBa', 'RGBA').split(';16')
    big = end == 'B' or (end == 'N' and sys.byteorder == 'big')
    with path.open('rb') as file, Image.open(file) as again:
      pixels = _decoded(again, f'{name};16{"B" if big else "L"}').astype(np.uint16) << 8
    pixels |= _decoded(image, f'{name};16{"L" if big else "B"}')
    if rawmode.startswith('RGBa'):
      pixels = straight(pixels)
  if 'transparency' in image.info and pixels.shape[-1] < channels:
    seen = (pixels != np.array(image.info['transparency'], np.uint16)).any(-1, keepdims=True)
    pixels = np.concatenate([pixels, np.where(seen, np.uint16(65535), np.uint16(0))], -1)
  return pixels


def _decoded(image: Image.Image, rawmode: str) -> np.ndarray:
  """The pixels of an image that was not loaded yet, unpacked by another name of what is in the file."""
  image.tile = [
    tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
    for tile in image.tile
  ]
  image.load()
  return as_array(image, image.mode)


def _orientation(image: Image.Image, path: Path) -> int:
  """1 to 8; 1 where there is none, where it is damaged, and for TIFF, which Pillow turns by itself."""
  if image.format == 'TIFF':
    return 1
  if image.format == 'PNG' and 'exif' not in image.info:
    exif = dict(png_chunks(path)).get(b'eXIf')  # Pillow would decode all pixels to look for it
    if exif:
      image.info['exif'] = b'Exif\x00\x00' + exif
  try:
    return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
  except Exception:  # Pillow raises many kinds for damaged EXIF; the picture is whole
    return 1


@contextmanager
def _told(path: Path) -> Iterator[None]:
  """What libraries raise for a bad file, as one line that names it; any size may be opened."""
  limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      yield
  except DataError:
    raise
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such file') from error
  except IsADirectoryError as error:
    raise DataError(f'{path}: a folder, not an image') from error
  except PermissionError as error:
    raise DataError(f'{path}: may not be read: permission denied') from error
  except UnidentifiedImageError as error:
    raise DataError(f'{path}: not an image that can be read') from error
  except MemoryError as error:
    raise DataError(f'{path}: too large for the memory of this machine') from error
  except Exception as error:  # Pillow, zlib and tifffile each raise their own kinds
    if 'imagecodecs' in str(error):
      raise DataError(
        f'{path}: its compression needs a package to be read: pip install imagecodecs'
      ) from error
    raise DataError(f'{path}: damaged, or not an image ({_first_line(error)})') from error
  finally:
    Image.MAX_IMAGE_PIXELS = limit


def _first_line(error: Exception) -> str:
  return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
