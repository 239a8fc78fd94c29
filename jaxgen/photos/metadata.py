"""What a photo holds besides pixels, and how it is written again."""

import re
import struct
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from jaxgen.photos.chunks import is_lossless_webp, png_chunks
from jaxgen.photos.pixels import Photo

# Chunks of colour that hold for an image of another size, and that Pillow does not write by itself.
_COLOUR_CHUNKS = (b'gAMA', b'cHRM', b'sRGB', b'cICP')
_XMP_TEXT = 'XML:com.adobe.xmp'
_PIXELS_WIDE, _PIXELS_HIGH = 0xA002, 0xA003  # of EXIF
IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Tags of a TIFF file that say nothing of how its pixels are stored: document name to model, resolution, unit,
# software, date, artist, host, white point, primaries, rating, copyright, IPTC, EXIF, GPS, XMP, Windows' own.
KEPT_TAGS = {269, 270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 318, 319, 700, 18246, 33432}
_IPTC = 33723
KEPT_TAGS |= {_IPTC, 34665, 34853, 40091, 40092, 40093, 40094, 40095}


def read_metadata(image: Image.Image, path: Path) -> dict[str, Any]:
  """What is written again, of an image that is loaded."""
  names = ('icc_profile', 'dpi', 'xmp', 'comment')
  info = {name: image.info[name] for name in names if image.info.get(name)}
  if image.mode == 'CMYK':  # the profile is that of inks, the pixels become RGB
    info.pop('icc_profile', None)
  if 'xmp' in info:
    info['xmp'] = _without_orientation(info['xmp'])
  if image.format == 'PNG':
    text = {k: v for k, v in image.text.items() if k != 'Raw profile type exif'}
    if _XMP_TEXT in text:
      text[_XMP_TEXT] = _without_orientation(text[_XMP_TEXT].encode()).decode()
    info['text'] = text
    info['chunks'] = [(k, v) for k, v in png_chunks(path) if k in _COLOUR_CHUNKS]
  elif image.format == 'WEBP':
    info['lossless'] = is_lossless_webp(path)
  elif image.format in ('JPEG', 'MPO'):
    info['app13'] = [content for marker, content in image.applist if marker == 'APP13']
  info['exif'] = _exif(image)
  return info


def _without_orientation(xmp: bytes) -> bytes:
  for pattern in (rb'tiff:Orientation=(["\'])\d\1', rb'<tiff:Orientation>\d</tiff:Orientation>'):
    xmp = re.sub(pattern, b'', xmp)
  return xmp


def _exif(image: Image.Image) -> bytes:
  """EXIF without the orientation; nothing where it is damaged. Of TIFF, the tags that stay."""
  try:
    exif = image.getexif()
    for ifd in IFDS:
      if ifd in exif:
        exif.get_ifd(ifd)
    dropped = {int(ExifTags.Base.Orientation)}
    if image.format == 'TIFF':
      dropped |= set(exif) - KEPT_TAGS
      if 700 in exif and isinstance(exif[700], bytes):
        exif[700] = _without_orientation(exif[700])
      if not isinstance(exif.get(_IPTC, b''), bytes):
        dropped.add(_IPTC)
    for tag in dropped & set(exif):
      del exif[tag]
    return encoded(exif).tobytes() if len(exif) else b''
  except Exception:  # as above
    return b''


def encoded(exif: Image.Exif) -> Image.Exif:
  """EXIF whose texts are bytes where they are not ASCII: Pillow would write ? for what is none."""
  for values in (exif, *(exif.get_ifd(ifd) for ifd in IFDS if ifd in exif)):
    for tag, value in list(values.items()):
      if isinstance(value, str) and not value.isascii():
        values[tag] = value.encode('latin-1', 'replace')  # as Pillow decodes them
  return exif


def _resized_exif(raw: bytes, size: tuple[int, int]) -> Image.Exif:
  exif = Image.Exif()
  exif.load(raw)
  if ExifTags.IFD.Exif in exif:
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for tag, value in ((_PIXELS_WIDE, size[1]), (_PIXELS_HIGH, size[0])):
      if tag in details:
        details[tag] = value
  return exif


def save_options(like: Photo, size: tuple[int, int], quality: int) -> dict[str, Any]:
  """Pillow's options for an image of `size` (height, width) with a photo's format and metadata."""
  info, kind = like.info, like.format
  options: dict[str, Any] = {name: info[name] for name in ('icc_profile', 'dpi') if name in info}
  if 'xmp' in info and kind in ('JPEG', 'WEBP', 'AVIF'):
    options['xmp'] = info['xmp']
  if info.get('exif') and kind in ('PNG', 'JPEG', 'WEBP', 'TIFF', 'AVIF'):
    exif = _resized_exif(info['exif'], size)
    options['exif'] = exif if kind == 'TIFF' else encoded(exif).tobytes()
  if 'comment' in info and kind in ('JPEG', 'GIF'):
    options['comment'] = info['comment']
  if kind == 'JPEG':
    options |= {'quality': quality, 'subsampling': 0 if quality >= 95 else -1}
    # Captions and keywords: IPTC in Photoshop's segments.
    options['extra'] = b''.join(
      b'\xff\xed' + struct.pack('>H', len(content) + 2) + content for content in info['app13']
    )
  elif kind == 'WEBP':
    options |= {'lossless': True} if info['lossless'] else {'quality': quality}
  elif kind == 'AVIF':
    options |= {'quality': quality}
  elif kind == 'TIFF':
    options['colour_tags'] = info.get('colour_tags', [])
  elif kind == 'PNG':
    options['pnginfo'] = _png_info(info)
  return options


def _png_info(info: dict[str, Any]) -> PngImagePlugin.PngInfo:
  """Text and colour chunks."""
  kept = PngImagePlugin.PngInfo()
  for name, data in info['chunks']:
    kept.add(name, data)
  for key, value in info['text'].items():
    if isinstance(value, PngImagePlugin.iTXt):
      kept.add_itxt(key, value, value.lang or '', value.tkey or '')
    elif key == _XMP_TEXT:
      kept.add_itxt(key, value)
    else:
      kept.add_text(key, value)
  return kept
