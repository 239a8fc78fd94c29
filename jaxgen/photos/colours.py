"""What a file says of its colours beyond Pillow's `icc_profile`: read, and stated again in the one written."""

from pathlib import Path
from typing import Any

from PIL import Image

from jaxgen.photos.avif import PLAIN_PRIMARIES, PLAIN_TRANSFER, avif_facts, restate_avif
from jaxgen.photos.bmp import bmp_colour
from jaxgen.photos.chunks import insert_chunks, png_chunks
from jaxgen.photos.gain_maps import GAIN_MAP, left_out
from jaxgen.photos.jpeg2000 import jpeg2000_facts, restate_jpeg2000
from jaxgen.photos.tiff_pixels import extra_notes

# Of a mastering display and of the brightest light, in the standard's spelling and that of its draft: Pillow
# does not write them.
_LIGHT_CHUNKS = (b'mDCV', b'cLLI', b'mDCv', b'cLLi')
_TGA_END, _TGA_MULTIPLIED = b'TRUEVISION-XFILE.\0', 4


def read_colours(image: Any, path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
  """Statements to be written again, by name, and what is to be noted.

  `nclx` (AVIF), `no_jp2` and `icc_profile` (JPEG 2000: a codestream; a profile that Pillow does not read),
  `bmp_colour`, `light_chunks` (PNG).

  Args:
    image: opened by Pillow, whether loaded or not.
    path: of its file.
  """
  kind = image.format
  info: dict[str, Any] = {}
  notes: tuple[str, ...] = ()
  if kind == 'AVIF':
    facts = avif_facts(path)
    if facts.nclx and (facts.nclx[0] not in PLAIN_PRIMARIES or facts.nclx[1] not in PLAIN_TRANSFER):
      info['nclx'] = facts.nclx
    if facts.gain_map:
      notes += (GAIN_MAP,)
    if facts.light:
      notes += ('its levels of the mastering display and of the brightest light are left out',)
  elif kind == 'JPEG2000':
    found = jpeg2000_facts(path)
    info['no_jp2'] = found.codestream
    if found.profile:
      info['icc_profile'] = found.profile
  elif kind in ('BMP', 'DIB'):
    info['bmp_colour'] = bmp_colour(path)
  elif kind == 'TIFF':
    notes += extra_notes(_tiff_extras(image))
  elif kind in ('JPEG', 'MPO'):
    notes += left_out(image)
  elif kind == 'PNG':
    chunks = png_chunks(path)
    info['light_chunks'] = [x for x in chunks if x[0] in _LIGHT_CHUNKS]
    if any(name in (b'gmAP', b'gDAT') for name, _ in chunks):
      notes += (GAIN_MAP,)
  return info, notes


def _tiff_extras(image: Any) -> int:
  """How many channels of a TIFF file are neither colours nor transparency."""
  extra = image.tag_v2.get(338, ())
  return sum(kind not in (1, 2, 999) for kind in extra)


def is_multiplied(image: Image.Image, path: Path) -> bool:
  """Whether colours are stored multiplied by alpha, in formats whose decoder does not know."""
  if image.format == 'JPEG2000':
    return jpeg2000_facts(path).multiplied
  if image.format == 'TGA':
    with path.open('rb') as file:
      size = file.seek(0, 2)
      file.seek(max(0, size - 26))
      end = file.read()
      if end[8:] == _TGA_END and (start := int.from_bytes(end[:4], 'little')):
        file.seek(start + 494)
        return file.read(1) == bytes([_TGA_MULTIPLIED])
  return False


def restate(path: Path, kind: str, info: dict[str, Any]) -> None:
  """Puts the statements of a photo into a file that was written of it.

  Raises:
    ValueError: the file cannot hold them.
  """
  if kind == 'AVIF' and 'nclx' in info:
    restate_avif(path, info['nclx'])
  elif kind == 'JPEG2000' and info.get('icc_profile') and not info.get('no_jp2'):
    restate_jpeg2000(path, info['icc_profile'])
  elif kind == 'PNG' and info.get('light_chunks'):
    insert_chunks(path, info['light_chunks'])
