"""Writes photos atomically."""

from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from PIL import Image

from jaxgen.errors import UserError
from jaxgen.files import temporary_beside
from jaxgen.photos.avif import restate_avif
from jaxgen.photos.bmp import write_bmp
from jaxgen.photos.gif import gif_image
from jaxgen.photos.heads import HeadWriter, head_change
from jaxgen.photos.jpeg2000 import put_boxes
from jaxgen.photos.metadata import file_parts, save_options
from jaxgen.photos.pixels import Photo
from jaxgen.photos.png import write_png16
from jaxgen.photos.tga import put_extension
from jaxgen.photos.tiff import write_tiff

_MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}
# Maximum length of a side in formats that have a limit.
LONGEST = {'JPEG': 65_500, 'WEBP': 16_383, 'AVIF': 65_536}
LONGEST |= {'GIF': 65_535, 'TGA': 65_535, 'SGI': 65_535, 'PCX': 65_534}


class PhotoWriter:
  """Writes an image from top to bottom; nothing exists at `path` before `save`.

  Args:
    path: path of the file.
    like: the photo whose format and metadata it gets.
    height: height of the new image.
    width: width of the new image.
    quality: encoder quality of lossy formats.
  """

  def __init__(self, path: Path, like: Photo, height: int, width: int, quality: int = 95):
    self.path, self._like, self._quality = path, like, quality
    self._size = height, width
    channels = like.pixels.shape[-1]
    # If Pillow writes the file, only its own memory is filled: a huge image is held once.
    self._image: Image.Image | None = None
    self._pixels = np.empty((0, 0, 0), like.pixels.dtype)
    if like.pixels.dtype == np.uint8 and like.format != 'TIFF':
      self._image = Image.new(_MODES[channels], (width, height))
    else:
      self._pixels = np.empty((height, width, channels), like.pixels.dtype)

  def put(self, top: int, band: np.ndarray) -> None:
    """Sets rows [h, W, C] from row `top` on."""
    if self._image is None:
      self._pixels[top : top + len(band)] = band
    else:
      one = band.shape[-1] == 1
      self._image.paste(Image.fromarray(band[..., 0] if one else band), (0, top))

  def save(self) -> None:
    """Writes the file atomically.

    Raises:
      UserError: it cannot be written.
    """
    part = temporary_beside(self.path)
    try:
      self.path.parent.mkdir(parents=True, exist_ok=True)
      try:
        self._write(part)
        part.replace(self.path)
      finally:
        part.unlink(missing_ok=True)
    except Exception as error:  # Pillow's and tifffile's writers raise many kinds of errors
      reason = error.strerror if isinstance(error, OSError) and error.strerror else error
      raise UserError(f'{self.path} cannot be written: {reason}') from error

  def _write(self, path: Path) -> None:
    like = self._like
    options = save_options(like, self._size, self._quality)
    parts = file_parts(like, self._size)
    if self._image is None and like.format == 'PNG':
      write_png16(path, self._pixels, options.get('icc_profile'), parts.get('more', []))
    elif self._image is None and like.format == 'TIFF':
      write_tiff(path, self._pixels, options, parts.get('tags', []))
    else:
      self._encode(path, self._image or Image.fromarray(self._pixels[..., 0]), options, parts)

  def _encode(
    self, path: Path, image: Image.Image, options: dict[str, Any], parts: dict[str, Any]
  ) -> None:
    """Encodes with Pillow, and adds what it does not write."""
    kind, has_alpha = self._like.format, image.mode in ('LA', 'RGBA')
    colour = parts.get('bmp_colour')
    if kind in ('BMP', 'DIB') and (colour or image.mode == 'RGBA'):
      write_bmp(path, image, options.get('dpi'), colour, file_header=kind == 'BMP')
      return
    if kind == 'GIF' and has_alpha:
      image, clear = gif_image(image)
      options |= {} if clear is None else {'transparency': clear, 'optimize': False}
    change = head_change(kind, parts)
    if change is None:
      image.save(path, format=kind, **options)
    else:
      with HeadWriter(path, *change) as file:
        image.save(cast(IO[bytes], file), format=kind, **options)
    if kind == 'TGA':
      put_extension(path, parts.get('extension', b''), alpha=has_alpha)
    elif kind == 'JPEG2000' and not parts.get('no_jp2'):
      boxes = parts.get('boxes', [])
      put_boxes(path, parts.get('resolution', b''), boxes, parts.get('icc_profile'))
    elif kind == 'AVIF' and 'nclx' in parts:
      restate_avif(path, parts['nclx'])
