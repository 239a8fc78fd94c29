"""Further pictures in a file: gain maps for high dynamic range, second views, videos.

The first picture is a complete photo of standard dynamic range. XMP says what the others are for; if they are
dropped, that goes as well, since a viewer would look for them.
"""

import re
from pathlib import Path
from typing import Any

from jaxgen.photos.unended import behind, follow_jpeg, told_behind

GAIN_MAP = 'its gain map (HDR) is left out: the picture is the standard-range one'
_ADOBE, _ISO = b'http://ns.adobe.com/hdr-gain-map/1.0/', b'urn:iso:std:iso:ts:21496:-1'
_APPLE = b'http://ns.apple.com/HDRGainMap/1.0/'
_CONTAINER = b'http://ns.google.com/photos/1.0/container/'
_VIDEO = rb'\w+:(?:MotionPhoto|MicroVideo)\w*'
_OF_GAIN_MAPS = rb'(?:hdrgm|HDRGainMap):\w+'
_PREVIEW = 'Large Thumbnail'
_SAMSUNG = b'MotionPhoto_Data'  # before the video that Samsung's phones append after the end
_VIDEO_LEFT_OUT = 'its video (motion photo) is left out'
_INDEX = re.compile(rb'\xff\xe2..MPF\0', re.DOTALL)  # offsets are relative to its end


def left_out(image: Any, path: Path) -> tuple[str, ...]:
  """Notes on what is dropped from a JPEG file.

  Args:
    image: opened by Pillow.
    path: path of its file.
  """
  xmp = image.info.get('xmp', b'')
  notes = []
  others = _others(image)
  segments = [content for marker, content in getattr(image, 'applist', ()) if marker == 'APP2']
  mapped = _ADOBE in xmp or _APPLE in xmp or any(x.startswith(_ISO) for x in segments)
  if mapped:
    notes.append(GAIN_MAP)
    others -= 1
  if re.search(rb'(?:' + _VIDEO + rb')\s*(?:=\s*["\']1|>\s*1)', xmp):
    notes.append(_VIDEO_LEFT_OUT)
  if others > 0:
    notes.append(f'{others} further picture{"s" * (others > 1)} in the file left out')
  if not mapped and _VIDEO_LEFT_OUT not in notes and _CONTAINER not in xmp:
    notes += _behind(image, path)
  return tuple(notes)


def _behind(image: Any, path: Path) -> tuple[str, ...]:
  """Notes on data after the end marker, and after the pictures listed in the index (MPF)."""
  scans = follow_jpeg(path)
  if not scans or not scans.behind:
    return ()
  more = behind(path, max([scans.behind, *_ends(image, path)]))
  if not more:
    return ()
  return (_VIDEO_LEFT_OUT if _SAMSUNG in more else told_behind(more),)


def _ends(image: Any, path: Path) -> list[int]:
  """The ends of the further pictures listed in the index."""
  index = _INDEX.search(path.read_bytes()) if image.format == 'MPO' else None
  if not index:
    return []
  return [
    index.end() + e['DataOffset'] + e['Size']
    for e in image.mpinfo.get(0xB002, ())
    if e['DataOffset']
  ]


def _others(image: Any) -> int:
  """The number of pictures beside the first one, without its previews."""
  entries = getattr(image, 'mpinfo', {}).get(0xB002, ()) if image.format == 'MPO' else ()
  kinds = [str(entry['Attribute']['MPType']) for entry in entries[1:]]
  return sum(not kind.startswith(_PREVIEW) for kind in kinds)


def without_further_pictures(xmp: bytes) -> bytes:
  """Removes references to all pictures but the first from XMP."""
  names = rb'(?:' + _VIDEO + rb'|' + _OF_GAIN_MAPS + rb')'
  xmp = re.sub(rb'\s' + names + rb'\s*=\s*("[^"]*"|\'[^\']*\')', b'', xmp)
  xmp = re.sub(rb'<(' + names + rb')\b[^>]*?(?:/>|>.*?</\1>)', b'', xmp, flags=re.DOTALL)
  xmp = re.sub(rb'\sxmlns:(?:hdrgm|HDRGainMap)\s*=\s*("[^"]*"|\'[^\']*\')', b'', xmp)
  if _CONTAINER in xmp:
    xmp = re.sub(rb'<(\w+:Directory)\b[^>]*?(?:/>|>.*?</\1>)', b'', xmp, flags=re.DOTALL)
  return xmp
