"""XMP of a picture that was turned upright and made larger."""

import re

# Of elements and of attributes.
_ORIENTATION = re.compile(
  rb'tiff:Orientation\s*=\s*(["\'])\s*\d\s*\1|<tiff:Orientation>\s*\d\s*</tiff:Orientation>'
)
_THUMBNAILS = re.compile(rb'<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails>', re.DOTALL)
_SIZES = {
  'width': re.compile(rb'((?:tiff:ImageWidth|exif:PixelXDimension)(?:\s*=\s*["\']|>))\d+'),
  'height': re.compile(rb'((?:tiff:ImageLength|exif:PixelYDimension)(?:\s*=\s*["\']|>))\d+'),
}


def orientation(xmp: bytes) -> int:
  """EXIF's number of how the picture lies; 0 where none is stated."""
  found = _ORIENTATION.search(xmp)
  digit = re.search(rb'\d', found[0]) if found else None
  return int(digit[0]) if digit else 0


def upright(xmp: bytes) -> bytes:
  """Without the orientation, and without small pictures, which would be those of before."""
  return _THUMBNAILS.sub(b'', _ORIENTATION.sub(b'', xmp))


def resized(xmp: bytes, height: int, width: int) -> bytes:
  """With the new size where it said the old one."""
  for side, value in (('width', width), ('height', height)):
    xmp = _SIZES[side].sub(rb'\g<1>%d' % value, xmp)
  return xmp
