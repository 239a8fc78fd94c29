"""Metadata of a photo, and how to write it again."""

from pathlib import Path
from typing import Any, cast

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from jaxgen.photos import exif as exifs
from jaxgen.photos import gif, heads, jpeg, jpeg2000, png, tga, tiff_tags
from jaxgen.photos import xmp as xmps
from jaxgen.photos.checks import file_format
from jaxgen.photos.pixels import Photo
from jaxgen.photos.positions import Frame, Growth
from jaxgen.photos.webp import is_lossless_webp

_FINE = 95  # from this quality on chroma is not subsampled


def read_metadata(image: Image.Image, path: Path, frame: Frame) -> dict[str, Any]:
  """The metadata of a loaded image that is to be written again.

  Args:
    image: as read by Pillow.
    path: path of its file.
    frame: how it is stored in the file.
  """
  kind = file_format(image)
  info = {'icc_profile': image.info['icc_profile']} if image.info.get('icc_profile') else {}
  if image.mode == 'CMYK':  # the profile is for CMYK, while the pixels become RGB
    info.pop('icc_profile', None)
  if kind == 'TIFF':
    return info | {'tags': tiff_tags.read_tags(path)}
  if kind == 'PNG':
    return info | {'more': png.kept(image.info['chunks'], frame)}
  if kind == 'GIF':
    aspect, blocks = gif.read_blocks(path)
    return info | {'aspect': aspect, 'blocks': blocks}
  if kind == 'WEBP':
    info['lossless'] = is_lossless_webp(path)
  elif kind == 'JPEG':
    info['segments'] = jpeg.kept_segments(cast(JpegImageFile, image).applist)
    x, y = image.info.get('jfif_density', (0, 0))
    if x and y:
      info['jfif'] = (image.info['jfif_unit'], *((y, x) if frame.turned else (x, y)))
  elif kind in ('BMP', 'DIB'):
    info['dpi'] = image.info.get('dpi', (0, 0))
  elif kind == 'JPEG2000':
    info['comment'] = jpeg2000.read_comment(path)
    info['resolution'], info['boxes'] = jpeg2000.read_boxes(path, frame)
  elif kind == 'TGA':
    info |= {k: image.info[k] for k in ('id_section', 'compression') if k in image.info}
    info['extension'] = tga.read_extension(path)
  if kind in ('JPEG', 'WEBP', 'AVIF'):
    xmp, exif = image.info.get('xmp', b''), exifs.upright(_raw_exif(image), frame)
    info |= {'xmp': xmps.upright(xmp, frame)} if xmp else {}
    info |= {'exif': exif} if exif else {}
  return info | heads.read_head(kind, path, frame.turned)


def _raw_exif(image: Image.Image) -> bytes:
  """EXIF as stored in the file: for AVIF, Pillow re-encodes it if the container turns the picture."""
  decoder = getattr(image, '_decoder', None)
  if image.format == 'AVIF' and decoder is not None:
    return decoder.get_info()[-3] or b''
  return image.info.get('exif', b'')


def save_options(like: Photo, size: tuple[int, int], quality: int) -> dict[str, Any]:
  """Pillow's options for saving an image of `size` (height, width) with a photo's format and metadata.

  `file_parts` has what Pillow has no options for.
  """
  info, kind = like.info, like.format
  names = ('icc_profile', 'dpi', 'comment', 'no_jp2', 'id_section', 'compression')
  options: dict[str, Any] = {name: info[name] for name in names if info.get(name)}
  by = _growth(like, size)
  exif = exifs.resized(info.get('exif', b''), *size, by)
  xmp = xmps.resized(info.get('xmp', b''), *size, by)
  if kind == 'JPEG':
    options |= {'quality': quality, 'subsampling': 0 if quality >= _FINE else -1}
    if len(xmp) > jpeg.LONGEST_XMP:  # because the new size has more digits
      xmp = info['xmp']
    options['extra'] = jpeg.segments(exif, xmp, info.get('segments', []))
  elif kind in ('WEBP', 'AVIF'):
    options |= {'lossless': True} if info.get('lossless') else {'quality': quality}
    coloured = like.pixels.shape[-1] > 1  # with this option grey would be stored as colour
    if kind == 'AVIF' and coloured and quality >= _FINE:
      options['subsampling'] = '4:4:4'
    options |= {name: value for name, value in (('exif', exif), ('xmp', xmp)) if value}
  elif kind in ('BMP', 'DIB'):
    options.setdefault('dpi', (0, 0))  # Pillow would write 96
  return options


def file_parts(like: Photo, size: tuple[int, int]) -> dict[str, Any]:
  """The parts of a photo's metadata, for an image of `size`, that are written beside Pillow's options."""
  info, by = dict(like.info), _growth(like, size)
  if 'more' in info:
    info['more'] = png.resized(info['more'], *size, by)
  if 'tags' in info:
    info['tags'] = tiff_tags.resized(info['tags'], *size, by)
  if 'boxes' in info:
    info['boxes'] = jpeg2000.resized_boxes(info['boxes'], *size, by)
  if 'blocks' in info:
    info['blocks'] = gif.resized(info['blocks'], *size, by)
  return info


def _growth(like: Photo, size: tuple[int, int]) -> Growth:
  height, width = like.pixels.shape[:2]
  return Growth(size[0] / height, size[1] / width)
