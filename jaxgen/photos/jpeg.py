"""Metadata segments of JPEG files, byte for byte."""

import struct

from jaxgen.photos import exif as exifs

_LONGEST = 65_533
_XMP = b'http://ns.adobe.com/xap/1.0/\x00'
LONGEST_XMP = _LONGEST - len(_XMP)  # longest XMP that is not split
_PHOTOSHOP = b'Photoshop 3.0\x00'
_SMALL_PICTURES = (0x0409, 0x040C)  # thumbnails among Photoshop's resources
_MARKERS = {'COM': 0xFE, 'APP1': 0xE1, 'APP12': 0xEC, 'APP13': 0xED}


def kept_segments(found: list[tuple[str, bytes]]) -> list[tuple[int, bytes]]:
  """The segments to copy unchanged: comments, captions (IPTC), and XMP too long for one segment.

  EXIF, XMP, profile and resolution are written separately; what belongs to the encoder, a second picture or a
  signature is invalid in the new file.

  Args:
    found: Pillow's list of an image's segments.

  Returns:
    Markers and contents.
  """
  kept = []
  for name, content in found:
    if name == 'APP1' and not content.startswith(b'http://ns.adobe.com/xmp/extension/\x00'):
      continue
    if name == 'APP13' and content.startswith(_PHOTOSHOP):
      content = _PHOTOSHOP + without_small_pictures(content[len(_PHOTOSHOP) :])
    if name in _MARKERS:
      kept.append((_MARKERS[name], content))
  return kept


def without_small_pictures(resources: bytes) -> bytes:
  """Removes outdated thumbnails from Photoshop's image resources; damaged resources are left unchanged."""
  kept, at = b'', 0
  while at < len(resources):
    if resources[at : at + 4] != b'8BIM' or at + 12 > len(resources):
      return kept + resources[at:]
    code = struct.unpack_from('>H', resources, at + 4)[0]
    named = at + 6 + (resources[at + 6] + 2) // 2 * 2  # a length and a name, padded to an even size
    if named + 4 > len(resources):
      return kept + resources[at:]
    length = struct.unpack_from('>I', resources, named)[0]
    end = named + 4 + length + length % 2
    if code not in _SMALL_PICTURES:
      kept += resources[at:end]
    at = end
  return kept


def segments(exif: bytes, xmp: bytes, kept: list[tuple[int, bytes]]) -> bytes:
  """Serialises EXIF, XMP and kept segments. EXIF of any length: it is split as cameras do."""
  room = _LONGEST - len(exifs.PREFIX)
  parts = [exifs.PREFIX + exif[i : i + room] for i in range(0, len(exif), room)]
  every = [(0xE1, part) for part in parts]
  if xmp:
    every.append((0xE1, _XMP + xmp))
  return b''.join(
    struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content
    for marker, content in every + kept
  )


def with_density(head: bytes, jfif: tuple[int, int, int]) -> bytes:
  """Puts JFIF's unit and densities along x and y into a new file's beginning, of at least 18 bytes."""
  if head[2:4] != b'\xff\xe0' or head[6:11] != b'JFIF\x00':
    return head
  return head[:13] + struct.pack('>BHH', *jfif) + head[18:]
