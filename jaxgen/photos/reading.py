"""Reads image files of any kind without losing anything."""

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from jaxgen.errors import DataError, first_line
from jaxgen.photos import exif as exifs
from jaxgen.photos import xmp as xmps
from jaxgen.photos.bmp import DIB_HEADERS, BmpPixels, bmp_pixels, read_bmp
from jaxgen.photos.checks import check_kind, file_format, rawmode
from jaxgen.photos.colours import is_multiplied, read_colours
from jaxgen.photos.depth import full_range, restored
from jaxgen.photos.formats import foreign, known_format
from jaxgen.photos.gain_maps import without_further_pictures
from jaxgen.photos.gif import clear_outside, with_clear_outside
from jaxgen.photos.inks import from_inks
from jaxgen.photos.jpeg2000 import complete, jpeg2000_facts
from jaxgen.photos.metadata import read_metadata
from jaxgen.photos.pixels import Photo, Size, as_array, known_orientation, straight, turned
from jaxgen.photos.positions import Frame
from jaxgen.photos.tga import tga_alpha
from jaxgen.photos.tiff import page_size, read_page
from jaxgen.photos.tiff_pixels import check_tiff, is_read_here, scaled_by_tags, white_last
from jaxgen.photos.tiff_tags import check_pages
from jaxgen.photos.tolerance import check_drawn, check_pixels, is_unread, opened

_LEVELS = {'L;2': 3, 'L;4': 15}  # grey PNG with few bits, by Pillow's name


def read_size(path: Path) -> Size:
  """A file's size from its header, without decoding it.

  Raises:
    DataError: there is no such file, or it is not an image that can be preserved completely.
  """
  with _told(path), _opened(path, []) as image:
    if isinstance(image, BmpPixels):
      return Size(image.height, image.width, image.channels, 8, image.format)
    if not isinstance(image, Image.Image):
      return page_size(image)
    width, height = image.size
    if _orientation(image) >= 5:
      width, height = height, width
    mode, depth = _kept(image, path)
    return Size(height, width, len(mode), depth, file_format(image))


def read_photo(path: Path) -> Photo:
  """Reads a complete file.

  Raises:
    DataError: there is no such file, it is damaged, or it is not an image that can be preserved completely.
  """
  notes: list[str] = []
  with _told(path), _opened(path, notes) as image:
    if isinstance(image, BmpPixels):
      return _seen(read_bmp(image, path))
    if not isinstance(image, ImageFile.ImageFile):
      photo = read_page(image, path)
      return photo._replace(notes=(*notes, *photo.notes))
    notes += check_pixels(path, file_format(image))
    stated, of_colours = read_colours(image, path)
    pixels, profile, of_pixels = _pixels(image, path)
    check_drawn(path, image)
    orientation = _orientation(image)
    frame = Frame(orientation, image.height, image.width)
    info = {**read_metadata(image, path, frame), **stated}
    if orientation > 1 and xmps.has_places(image.info.get('xmp', b'')):
      notes.append(xmps.PLACES_LEFT_OUT)
    if profile:
      info['icc_profile'] = profile
    if 'xmp' in info:
      info['xmp'] = without_further_pictures(info['xmp'])
    exif = image.info.get('exif')
    damaged = (
      () if not exif or exifs.is_readable(exif) else ('its EXIF is damaged and is left out',)
    )
    told = (*notes, *of_colours, *of_pixels, *damaged)
    return _seen(Photo(turned(pixels, orientation), file_format(image), info, told))


def _seen(photo: Photo) -> Photo:
  """Makes a photo opaque if alpha is 0 everywhere, in formats many of whose writers leave it so."""
  if (
    photo.format not in ('TGA', 'BMP', 'DIB')
    or photo.pixels.shape[-1] != 4
    or photo.pixels[..., 3].any()
  ):
    return photo
  photo.pixels[..., 3] = 255
  note = 'its alpha is 0 everywhere, as writers unaware of alpha leave it: treated as opaque'
  return photo._replace(notes=(*photo.notes, note))


def _pixels(
  image: ImageFile.ImageFile, path: Path
) -> tuple[np.ndarray, bytes | None, tuple[str, ...]]:
  """Pixels as stored, the profile that they were converted to, and notes; loads `image`."""
  mode, depth = _kept(image, path)
  if depth == 16:
    return _at_full_range(_deep_pixels(image, path, len(mode)), image, path)
  top, clear = _LEVELS.get(rawmode(image)), image.info.get('transparency')
  if top and isinstance(clear, int) and clear <= top:  # Pillow scales the pixels, but not this
    image.info['transparency'] = clear * 255 // top
  inverted = image.format == 'TGA' and tga_alpha(image, path).inverted
  place = clear_outside(image)
  image.load()
  whole = with_clear_outside(image, place) if place else image
  if whole.mode == 'CMYK':
    rgb, profile, notes = from_inks(whole, image.info.get('icc_profile'))
    return as_array(rgb, 'RGB'), profile, notes
  pixels = as_array(whole, mode)
  if image.format == 'JPEG2000':
    facts = jpeg2000_facts(path)
    pixels = pixels[..., facts.order] if facts.order else pixels
    pixels = pixels if image.mode == 'P' else restored(pixels, facts.depths[0])
  if inverted and mode == 'RGBA':
    pixels[..., 3] ^= 255
  return straight(pixels) if 'A' in mode and is_multiplied(image, path) else pixels, None, ()


def _at_full_range(
  pixels: np.ndarray, image: Image.Image, path: Path
) -> tuple[np.ndarray, None, tuple[str, ...]]:
  """Rescales 16-bit levels if the file has fewer bits; returns the same as `_pixels`."""
  if image.format == 'JPEG2000':
    return restored(pixels, jpeg2000_facts(path).depths[0]), None, ()
  if image.format == 'TIFF':
    pixels, notes = scaled_by_tags(pixels, cast(TiffImageFile, image).tag_v2)
    return pixels, None, notes
  return pixels, None, ()


@contextmanager
def _opened(path: Path, notes: list[str]) -> Iterator[Any]:
  """Opens an image that Pillow can decode completely, or the page of a TIFF file that only tifffile can.

  Nonfatal defects of the file are added to `notes`.
  """
  if what := foreign(path):
    raise DataError(f'{path}: {what}')
  with path.open('rb') as file:
    head = file.read(4)
  if head[:2] == b'BM' or int.from_bytes(head, 'little') in DIB_HEADERS:
    pixels = bmp_pixels(path)
    if pixels:
      yield pixels
      return
  if head in (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+'):
    import tifffile

    check_pages(path, notes)
    with tifffile.TiffFile(path) as tiff:
      page = tiff.pages[0]
      check_tiff(page, path)
      if is_read_here(page):
        yield page
        return
    if head == b'MM\x00+':
      raise DataError(f'{path}: a big-endian BigTIFF, which cannot be read: save it as TIFF or PNG')
  # Not by its name: Pillow would memory-map an uncompressed TIFF with the sides that it has after turning.
  with _by_pillow(path, notes) as image:
    count = getattr(image, 'n_frames', 1)
    # In a phone's JPEG with several pictures, the first is the photo; TIFF pages were checked before.
    if count > 1 and image.format not in ('MPO', 'TIFF'):
      raise DataError(f'{path}: has {count} frames or pages: only single images are read')
    check_kind(image, path)
    yield image


@contextmanager
def _by_pillow(path: Path, notes: list[str]) -> Iterator[Any]:
  with opened(path, notes) as (file, info), Image.open(file) as image:
    image.info.update(info)
    # TIFF's own tag gives the orientation; Pillow would also follow XMP when decoding.
    if image.format == 'TIFF':
      image.info.pop('xmp', None)
    if image.format == 'JPEG2000':
      complete(image, path)
    yield image


def _kept(image: Image.Image, path: Path) -> tuple[str, int]:
  """The mode of grey or RGB, with or without alpha, that can hold the whole image, and its depth."""
  if image.format == 'TGA' and not tga_alpha(image, path).kept:
    return 'L' if image.mode in ('1', 'L', 'LA') else 'RGB', 8
  transparent = 'transparency' in image.info or clear_outside(image) is not None
  if image.mode.startswith('I'):
    return 'LA' if transparent else 'L', 16
  raw = rawmode(image)
  if image.format in ('PNG', 'TIFF') and ';16' in raw:
    if raw.startswith('LA'):
      return 'LA', 16
    return 'RGBA' if transparent or image.mode == 'RGBA' else 'RGB', 16
  transparent = transparent or bool({'A', 'a'} & set(image.getbands()))
  if image.mode in ('1', 'L', 'LA', 'La'):
    return 'LA' if transparent else 'L', 8
  if image.mode == 'P' and image.palette is not None and image.palette.mode == 'RGBA':
    return 'RGBA', 8
  return 'RGBA' if transparent else 'RGB', 8


def _deep_pixels(image: ImageFile.ImageFile, path: Path, channels: int) -> np.ndarray:
  """16-bit pixels; loads `image`."""
  raw = rawmode(image)
  if image.mode.startswith('I'):
    twelve = raw == 'I;12'
    image.load()
    pixels: np.ndarray = as_array(image, image.mode).astype(np.uint16)
    pixels = full_range(pixels, 12) if twelve else pixels
    if isinstance(image, TiffImageFile):
      pixels = white_last(pixels, image.tag_v2)
  elif raw.startswith('LA'):
    bytes_ = _decoded(image, 'RGBA')  # the same number of bits, split into channels here
    pixels = bytes_[..., ::2].astype(np.uint16) << 8 | bytes_[..., 1::2]
  else:
    name, end = raw.replace('RGBa', 'RGBA').split(';16')
    big = end == 'B' or (end == 'N' and sys.byteorder == 'big')
    with _by_pillow(path, []) as again:
      pixels = _decoded(again, f'{name};16{"B" if big else "L"}').astype(np.uint16) << 8
    pixels |= _decoded(image, f'{name};16{"L" if big else "B"}')
    if raw.startswith('RGBa'):
      pixels = straight(pixels)
  if 'transparency' in image.info and pixels.shape[-1] < channels:
    seen = (pixels != np.array(image.info['transparency'], np.uint16)).any(-1, keepdims=True)
    pixels = np.concatenate([pixels, np.where(seen, np.uint16(65535), np.uint16(0))], -1)
  return pixels


def _decoded(image: ImageFile.ImageFile, rawmode: str) -> np.ndarray:
  """The pixels of an image not yet loaded, unpacked under another name for the file's pixel layout."""
  image.tile = [
    tile._replace(args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode)
    for tile in image.tile
  ]
  image.load()
  return as_array(image, image.mode)


def _orientation(image: Image.Image) -> int:
  """1 to 8; 1 if the orientation is unknown, and for TIFF, which Pillow turns by itself."""
  if image.format == 'TIFF':
    return 1
  try:
    if image.format == 'AVIF':  # only the container's, which Pillow puts into EXIF, not XMP's
      exif = Image.Exif()
      exif.load(image.info.get('exif', b''))
    else:
      exif = Image.Image.getexif(image)
    number = exif.get(ExifTags.Base.Orientation)
    if number is None and image.format != 'AVIF':
      number = xmps.orientation(image.info.get('xmp', b''))
    return known_orientation(int(number or 1))
  except Exception:  # Pillow raises many kinds of errors for damaged EXIF; the picture is intact
    return 1


@contextmanager
def _told(path: Path) -> Iterator[None]:
  """Turns libraries' errors about a bad file into a one-line error that names it; lifts size limits."""
  try:
    with _unbounded:
      yield
  except DataError:
    raise
  except FileNotFoundError as error:
    raise DataError(f'{path}: no such file') from error
  except IsADirectoryError as error:
    raise DataError(f'{path}: a folder, not an image') from error
  except PermissionError as error:
    raise DataError(f'{path}: cannot be read: permission denied') from error
  except UnidentifiedImageError as error:
    kind = known_format(path)
    what = f'damaged, or a kind of {kind} image' if kind else 'not an image'
    raise DataError(f'{path}: {what} that can{"not" * bool(kind)} be read') from error
  except MemoryError as error:
    raise DataError(f'{path}: too large for the memory of this machine') from error
  except Exception as error:  # Pillow, zlib and tifffile each raise their own kinds of errors
    if 'imagecodecs' in str(error):
      raise DataError(
        f'{path}: reading its compression needs a package: pip install imagecodecs'
      ) from error
    if is_unread(path, error):
      raise DataError(
        f'{path}: of a kind that cannot be read ({first_line(error)}): save it as PNG'
      ) from error
    raise DataError(f'{path}: damaged, or not an image ({first_line(error)})') from error


class _Unbounded:
  """While any thread is inside, Pillow opens images of any size, and it and tifffile print no warnings.

  These settings are global to the process: the first thread changes them, the last one restores them.
  """

  def __init__(self) -> None:
    self._lock, self._inside, self._before = threading.Lock(), 0, contextlib.ExitStack()

  def __enter__(self) -> None:
    with self._lock:
      self._inside += 1
      if self._inside == 1:
        log = logging.getLogger('tifffile')  # it reports damaged tags on standard error
        self._before.callback(setattr, Image, 'MAX_IMAGE_PIXELS', Image.MAX_IMAGE_PIXELS)
        self._before.callback(setattr, log, 'disabled', log.disabled)
        self._before.enter_context(warnings.catch_warnings())
        Image.MAX_IMAGE_PIXELS, log.disabled = None, True
        warnings.simplefilter('ignore')

  def __exit__(self, *exc_info: object) -> None:
    with self._lock:
      self._inside -= 1
      if not self._inside:
        self._before.close()


_unbounded = _Unbounded()
