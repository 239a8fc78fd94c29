"""Writing photos, complete or not at all."""

from pathlib import Path

import numpy as np
from PIL import Image

from jaxgen.errors import UserError
from jaxgen.files import temporary_beside
from jaxgen.photos.bmp import write_bmp
from jaxgen.photos.chunks import write_png16
from jaxgen.photos.colours import restate
from jaxgen.photos.gif import gif_image
from jaxgen.photos.metadata import save_options
from jaxgen.photos.pixels import Photo
from jaxgen.photos.tiff import write_tiff

_MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}
# Where a side cannot be longer in a format.
LONGEST = {'JPEG': 65_500, 'WEBP': 16_383, 'GIF': 65_535}


class PhotoWriter:
  """Writes an image from top to bottom; nothing is at `path` before `save`.

  Args:
    path: of the file.
    like: the photo whose format and metadata it gets.
    height: of the new image.
    width: of the new image.
    quality: of lossy formats.
  """

  def __init__(self, path: Path, like: Photo, height: int, width: int, quality: int = 95):
    self.path, self._like, self._quality = path, like, quality
    self._size = height, width
    channels = like.pixels.shape[-1]
    # Only Pillow's own memory is filled where it writes the file: a huge image is there once.
    self._image, self._pixels = None, None
    if like.pixels.dtype == np.uint8 and like.format != 'TIFF':
      self._image = Image.new(_MODES[channels], (width, height))
    else:
      self._pixels = np.empty((height, width, channels), like.pixels.dtype)

  def put(self, top: int, band: np.ndarray) -> None:
    """Rows [h, W, C] from row `top` on."""
    if self._image is None:
      self._pixels[top : top + len(band)] = band
    else:
      one = band.shape[-1] == 1
      self._image.paste(Image.fromarray(band[..., 0] if one else band), (0, top))

  def save(self) -> None:
    """Writes the file, complete or not at all.

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
    except Exception as error:  # Pillow's and tifffile's writers raise many kinds
      reason = error.strerror if isinstance(error, OSError) and error.strerror else error
      raise UserError(f'{self.path} cannot be written: {reason}') from error

  def _write(self, path: Path) -> None:
    like, channels = self._like, self._like.pixels.shape[-1]
    options = save_options(like, self._size, self._quality)
    if self._image is None and like.format in ('PNG', 'TIFF'):
      write = write_png16 if like.format == 'PNG' else write_tiff
      write(path, self._pixels, options)
      restate(path, like.format, like.info)
      return
    image, colour = (
      self._image or Image.fromarray(self._pixels[..., 0]),
      like.info.get('bmp_colour'),
    )
    if like.format in ('BMP', 'DIB') and (colour or channels == 4):
      write_bmp(path, image, options.get('dpi'), colour, file_header=like.format == 'BMP')
      return
    if like.format == 'GIF' and channels in (2, 4):
      image, clear = gif_image(image)
      options |= {} if clear is None else {'transparency': clear, 'optimize': False}
    elif like.format == 'JPEG2000' and like.info.get('codestream'):
      options['no_jp2'] = True
    image.save(path, format=like.format, **options)
    restate(path, like.format, like.info)
