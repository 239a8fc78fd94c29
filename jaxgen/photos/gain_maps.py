"""Further pictures in a file: gain maps of high dynamic range, second views, videos.

The first picture is a whole photo of standard range. What the others are for is told in XMP; where they are
left out, that goes as well, since a viewer would look for them.
"""

import re
from typing import Any

GAIN_MAP = 'its gain map (HDR) is left out: the picture is that of standard range'
_ADOBE, _ISO = b'http://ns.adobe.com/hdr-gain-map/1.0/', b'urn:iso:std:iso:ts:21496:-1'
_APPLE = b'http://ns.apple.com/HDRGainMap/1.0/'
_CONTAINER = b'http://ns.google.com/photos/1.0/container/'
_VIDEO = rb'\w+:(?:MotionPhoto|MicroVideo)\w*'
_OF_GAIN_MAPS = rb'(?:hdrgm|HDRGainMap):\w+'
_PREVIEW = 'Large Thumbnail'


def left_out(image: Any) -> tuple[str, ...]:
  """What is to be noted of an opened JPEG file, Pillow's."""
  xmp = image.info.get('xmp', b'')
  notes = []
  others = _others(image)
  segments = [content for marker, content in getattr(image, 'applist', ()) if marker == 'APP2']
  mapped = _ADOBE in xmp or _APPLE in xmp or any(x.startswith(_ISO) for x in segments)
  if mapped:
    notes.append(GAIN_MAP)
    others -= 1
  if re.search(rb'(?:' + _VIDEO + rb')\s*(?:=\s*["\']1|>\s*1)', xmp):
    notes.append('its video (motion photo) is left out')
  if others > 0:
    notes.append(f'{others} further picture{"s" * (others > 1)} in the file left out')
  return tuple(notes)


def _others(image: Any) -> int:
  """How many pictures beside the first are more than its previews."""
  entries = getattr(image, 'mpinfo', {}).get(0xB002, ()) if image.format == 'MPO' else ()
  kinds = [str(entry['Attribute']['MPType']) for entry in entries[1:]]
  return sum(not kind.startswith(_PREVIEW) for kind in kinds)


def without_further_pictures(xmp: bytes) -> bytes:
  """XMP that names none but the first."""
  names = rb'(?:' + _VIDEO + rb'|' + _OF_GAIN_MAPS + rb')'
  xmp = re.sub(rb'\s' + names + rb'\s*=\s*("[^"]*"|\'[^\']*\')', b'', xmp)
  xmp = re.sub(rb'<(' + names + rb')\b[^>]*?(?:/>|>.*?</\1>)', b'', xmp, flags=re.DOTALL)
  xmp = re.sub(rb'\sxmlns:(?:hdrgm|HDRGainMap)\s*=\s*("[^"]*"|\'[^\']*\')', b'', xmp)
  if _CONTAINER in xmp:
    xmp = re.sub(rb'<(\w+:Directory)\b[^>]*?(?:/>|>.*?</\1>)', b'', xmp, flags=re.DOTALL)
  return xmp
