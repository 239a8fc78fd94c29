"""Edits the XMP of a picture that was turned upright and upscaled."""

import re
from collections.abc import Callable

from jaxgen.photos.positions import Frame, Growth, grown_area, turned_area

# As elements and as attributes.
_ORIENTATION = re.compile(
  rb'tiff:Orientation\s*=\s*(["\'])\s*\d\s*\1|<tiff:Orientation>\s*\d\s*</tiff:Orientation>'
)
_THUMBNAILS = re.compile(rb'<(xmp|xap):Thumbnails\b.*?</\1:Thumbnails>', re.DOTALL)
_SIZES = {
  'width': re.compile(rb'((?:tiff:ImageWidth|exif:PixelXDimension)(?:\s*=\s*["\']|>))\d+'),
  'height': re.compile(rb'((?:tiff:ImageLength|exif:PixelYDimension)(?:\s*=\s*["\']|>))\d+'),
}
# Positions of EXIF; and of panoramas and regions, where no standard says whether they turn with the picture.
_SUBJECTS = re.compile(rb'<(exif:Subject(?:Area|Location))\b[^>]*>.*?</\1>', re.DOTALL)
_ITEM = re.compile(rb'(<rdf:li>\s*)(\d+)')
_PLACES = re.compile(
  rb'<(mwg-rs:Regions|MP:RegionInfo|Iptc4xmpExt:ImageRegion|acdsee-rs:Regions|GPano:\w+)\b'
  rb'(?:[^>]*/>|[^>]*>.*?</\1>)|\sGPano:\w+\s*=\s*(?:"[^"]*"|\'[^\']*\')',
  re.DOTALL,
)
PLACES_LEFT_OUT = (
  'its XMP has places in the picture (regions, a panorama): left out, since the picture is turned'
)
_NUMBER = rb'(?:\s*=\s*["\']|>)\s*)(\d+(?:\.\d+)?)'
_PANORAMA = rb'GPano:(?:FullPano|CroppedAreaImage|CroppedArea|LargestValidInteriorRect)'
_BLOCKS = (  # elements with lengths in pixels, and the names of horizontal and vertical ones
  (b'', _PANORAMA + rb'(?:Width|Left)(?:Pixels)?', _PANORAMA + rb'(?:Height|Top)(?:Pixels)?'),
  (b'mwg-rs:AppliedToDimensions', b'stDim:w', b'stDim:h'),
  (
    b'Iptc4xmpExt:RegionBoundary',
    b'Iptc4xmpExt:rb(?:X|W|Rx)',
    b'Iptc4xmpExt:rb(?:Y|H)',
  ),
)
_RELATIVE = re.compile(rb'rbUnit(?:\s*=\s*["\']|>)\s*relative')


def orientation(xmp: bytes) -> int:
  """EXIF's orientation number; 0 if none is stated."""
  found = _ORIENTATION.search(xmp)
  digit = re.search(rb'\d', found[0]) if found else None
  return int(digit[0]) if digit else 0


def upright(xmp: bytes, frame: Frame | None = None) -> bytes:
  """Removes the orientation, and thumbnails, which would be outdated.

  Args:
    xmp: XMP of the picture.
    frame: how it is stored, for positions in it; None if its orientation does not change.
  """
  xmp = _THUMBNAILS.sub(b'', _ORIENTATION.sub(b'', xmp))
  if frame and frame.orientation != 1:
    xmp = _PLACES.sub(b'', xmp)
    xmp = _with_subjects(xmp, lambda values: turned_area(values, frame))
  return xmp


def has_places(xmp: bytes) -> bool:
  """Whether it contains positions that are dropped if the picture is turned."""
  return bool(_PLACES.search(xmp))


def resized(xmp: bytes, height: int, width: int, by: Growth | None = None) -> bytes:
  """Updates the size where the old one was stated, and positions in the larger picture."""
  for side, value in (('width', width), ('height', height)):
    xmp = _SIZES[side].sub(rb'\g<1>%d' % value, xmp)
  if by:
    xmp = _with_subjects(xmp, lambda values: grown_area(values, by))
    for name, across, down in _BLOCKS:
      xmp = _with_lengths(xmp, name, ((across, by.across), (down, by.down)))
  return xmp


def _with_lengths(xmp: bytes, block: bytes, lengths: tuple[tuple[bytes, float], ...]) -> bytes:
  """Scales the numbers of some names, within elements of one name; everywhere if that is empty."""

  def grown(found: re.Match[bytes]) -> bytes:
    text = found[0]
    if block and _RELATIVE.search(text):
      return text
    for name, factor in lengths:
      parts = re.split(rb'(\b' + name + _NUMBER, text)  # text in between, names, numbers
      parts[2::3] = [b'%d' % round(float(number) * factor) for number in parts[2::3]]
      text = b''.join(parts)
    return text

  pattern = rb'<(%s)\b(?:[^>]*/>|[^>]*>.*?</\1>)' % block if block else rb'.+'
  return re.sub(pattern, grown, xmp, flags=re.DOTALL)


def _with_subjects(xmp: bytes, change: Callable[[list[int]], list[int]]) -> bytes:
  """Changes the positions of what EXIF calls the subject."""

  def changed(found: re.Match[bytes]) -> bytes:
    values = [int(value) for _, value in _ITEM.findall(found[0])]
    if not 2 <= len(values) <= 4:
      return found[0]
    new = iter(change(values))
    return _ITEM.sub(lambda item: item[1] + b'%d' % next(new), found[0])

  return _SUBJECTS.sub(changed, xmp)
