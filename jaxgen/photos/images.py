"""Reads the user's image files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from jaxgen.errors import DataError
from jaxgen.files import is_pattern
from jaxgen.photos import exif as exifs
from jaxgen.photos.checks import rawmode
from jaxgen.photos.depth import full_range
from jaxgen.photos.formats import foreign
from jaxgen.photos.gif import clear_outside, with_clear_outside
from jaxgen.photos.jpeg2000 import complete, jpeg2000_facts
from jaxgen.photos.tga import tga_alpha, with_alpha
from jaxgen.photos.tiff_pixels import scaled_by_tags, white_last
from jaxgen.photos.tiff_tags import check_pages
from jaxgen.photos.tolerance import check_drawn, check_pixels, opened

# An image as the Python API accepts it: a file, a PIL image, or an array uint8 [H, W] or [H, W, 3 or 4].
Given = str | Path | Image.Image | np.ndarray


def load_image(
  path: Given,
  convert: Callable[[Image.Image], Image.Image],
  paper: str = 'black',
  single: bool = False,
) -> Image.Image:
  """Loads an image, upright by its EXIF orientation and composited on `paper`, and applies `convert`.

  Args:
    path: a file, or an image in memory.
    convert: applied to the upright, opaque image.
    paper: background colour for transparent pixels.
    single: reject a file of several frames or pages; otherwise the first one is used.

  Raises:
    DataError: there is no such file, it is not an image, or it contains several.
  """
  if isinstance(path, np.ndarray | Image.Image):
    return convert(_flat(_as_image(path), 'the image', paper))
  if not isinstance(path, str | Path):
    raise DataError(
      f'expected one image (a path, a PIL image or an array), not a {type(path).__name__}'
    )
  path = Path(path)
  try:
    # Not by its name: Pillow would memory-map an uncompressed TIFF with the sides that it has after turning.
    with opened(path, []) as (file, info), Image.open(file) as image:
      image.info.update(info)
      check_pixels(path, str(image.format))
      if single:
        _check_single(image, path)
      return convert(_flat(_as_meant(image, path), path, paper))
  except FileNotFoundError as error:
    more = ' (a pattern that the shell did not expand: nothing matches it, or it is quoted)'
    raise DataError(f'{path}: no such file{more * is_pattern(str(path))}') from error
  except IsADirectoryError as error:
    raise DataError(f'{path}: a folder, not an image; name its files, as {path}/*') from error
  except UnidentifiedImageError as error:
    what = foreign(path) or 'not an image that Pillow knows'
    raise DataError(f'{path}: {what}') from error
  except (DataError, MemoryError):
    raise
  except Exception as error:  # Pillow raises many kinds of errors for damaged files
    what = foreign(path) or f'not a readable image ({error})'
    raise DataError(f'{path}: {what}') from error


def _as_meant(image: Image.Image, path: Path) -> Image.Image:
  """Loads an image upright, correcting levels, channels and transparency that Pillow misreads.

  Raises:
    DataError: some of its pixels are missing.
  """
  twelve = rawmode(image) == 'I;12'
  alpha = tga_alpha(image, path) if image.format == 'TGA' else None
  order: tuple[int, ...] = ()
  if image.format == 'JPEG2000':
    complete(image, path)
    order = jpeg2000_facts(path).order
    if not exifs.is_readable(image.info.get('exif', b'')):
      image.info.pop('exif', None)
  place = clear_outside(image)
  if place:
    image = with_clear_outside(image, place)
  upright = ImageOps.exif_transpose(image)
  check_drawn(path, image)
  if order:
    upright = Image.merge(upright.mode, [upright.getchannel(i) for i in order])
  if upright.mode == 'P' and upright.palette is not None and upright.palette.mode == 'RGBA':
    upright = upright.convert('RGBA')
  if alpha:
    upright = with_alpha(upright, alpha)
  if twelve:  # Pillow leaves levels from 0 to 4095
    upright = Image.fromarray(full_range(np.asarray(upright), 12))
  if isinstance(image, TiffImageFile) and upright.mode.startswith('I;16'):
    levels = white_last(np.asarray(upright), image.tag_v2)
    upright = Image.fromarray(scaled_by_tags(levels, image.tag_v2)[0])
  return upright


def _as_image(given: Image.Image | np.ndarray) -> Image.Image:
  """Converts to a PIL image; raises DataError for an array that is not an image."""
  if isinstance(given, Image.Image):
    return ImageOps.exif_transpose(given)
  shape = list(given.shape)
  if given.dtype != np.uint8 or not (len(shape) == 2 or shape[2:] in ([3], [4])) or not given.size:
    raise DataError(
      f'an image of {given.dtype} {shape}: expected uint8 [H, W], [H, W, 3] or [H, W, 4]'
    )
  return Image.fromarray(given)


def _flat(upright: Image.Image, name: Path | str, paper: str) -> Image.Image:
  """Removes transparency; raises DataError for floating-point pixels."""
  if upright.mode == 'F':
    raise DataError(f'{name}: its pixels are floating point: save it with 8 or 16 bits')
  if upright.mode.startswith('I') and 'transparency' in upright.info:  # Pillow would clip it
    seen = np.asarray(upright) != upright.info['transparency']
    grey = to_eight_bits(upright, 'L')
    upright = Image.merge('LA', (grey, Image.fromarray(seen.astype(np.uint8) * 255)))
  if 'A' in upright.getbands() or 'transparency' in upright.info:
    below = Image.new('RGBA', upright.size, paper)
    upright = Image.alpha_composite(below, upright.convert('RGBA'))
  return upright


def _check_single(image: Image.Image, path: Path) -> None:
  """Rejects a file of several frames or pages, as the choice is ambiguous. Smaller copies do not count."""
  if image.format == 'TIFF':
    check_pages(path, [])
  # In a phone's JPEG with several pictures, the first is the photo.
  elif image.format != 'MPO' and (count := getattr(image, 'n_frames', 1)) > 1:
    raise DataError(f'{path}: has {count} frames or pages: only single images are read')


def to_eight_bits(image: Image.Image, mode: str) -> Image.Image:
  """Converts an image to 'L' or 'RGB'; 16 bits, which Pillow would clip, are scaled to 8."""
  if image.mode.startswith('I'):
    image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
  return image.convert(mode)


def read_grey(path: Given, height: int, width: int, invert: bool = False) -> np.ndarray:
  """Reads an image as grey pixels of a given size.

  EXIF orientation is applied, transparency is composited on black (on white with `invert`), and other sizes are
  resized with an area-like filter; other aspect ratios are fitted inside, centred on the same black or white.

  Args:
    path: any file that Pillow reads, or an image in memory.
    height: output height.
    width: output width.
    invert: set for dark ink on white paper if the model was trained on light ink on black.

  Returns:
    [height, width] float32 in [0, 1].

  Raises:
    DataError: there is no such file, or it is not an image.
  """
  grey = load_image(path, _to_grey, paper='white' if invert else 'black')
  if grey.size != (width, height):
    grey = _fit(grey, height, width, paper=1.0 if invert else 0.0)
  pixels = np.clip(np.asarray(grey, np.float32), 0.0, 1.0)
  return 1.0 - pixels if invert else pixels


def _to_grey(image: Image.Image) -> Image.Image:
  """Converts to mode 'F' in [0, 1]; 16-bit images keep their depth."""
  if image.mode.startswith('I'):
    pixels = np.asarray(image, np.float32) / 65535.0
  else:
    pixels = np.asarray(image.convert('L'), np.float32) / 255.0
  return Image.fromarray(pixels, mode='F')


def _fit(grey: Image.Image, height: int, width: int, paper: float) -> Image.Image:
  """Scales an image to the largest size that fits, centred on `paper`."""
  scale = min(width / grey.width, height / grey.height)
  size = (max(1, round(grey.width * scale)), max(1, round(grey.height * scale)))
  filter_ = Image.Resampling.BOX if scale <= 1 else Image.Resampling.BICUBIC
  fitted = Image.new('F', (width, height), paper)
  fitted.paste(grey.resize(size, filter_), ((width - size[0]) // 2, (height - size[1]) // 2))
  return fitted
