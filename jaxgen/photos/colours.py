"""Colour information of a file beyond Pillow's `icc_profile`, and notes on it."""

from pathlib import Path
from typing import Any

from PIL import Image

from jaxgen.photos.avif import PLAIN_PRIMARIES, PLAIN_TRANSFER, avif_facts
from jaxgen.photos.bmp import bmp_colour
from jaxgen.photos.boxes import boxes_end
from jaxgen.photos.gain_maps import GAIN_MAP, left_out
from jaxgen.photos.gif import gif_end
from jaxgen.photos.heads import netpbm_end
from jaxgen.photos.jpeg2000 import jpeg2000_facts
from jaxgen.photos.jpeg2000 import left_out as places_left_out
from jaxgen.photos.png import DAMAGED_PROFILE, has_gain_map
from jaxgen.photos.tga import is_multiplied_tga, tga_alpha
from jaxgen.photos.tiff_pixels import extra_notes
from jaxgen.photos.unended import behind, told_behind
from jaxgen.photos.webp import webp_end

_PROFILE = b'ICC_PROFILE\0'  # prefix of its segments in JPEG


def read_colours(image: Any, path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
  """Colour statements to write again, by name, and notes for the user.

  `nclx` (AVIF), `no_jp2` and `icc_profile` (JPEG 2000: a bare codestream; a profile that Pillow does not read),
  `bmp_colour`. Those of PNG and TIFF are among their chunks and tags.

  Args:
    image: opened by Pillow, whether loaded or not.
    path: path of its file.
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
      notes += ('its mastering display and content light levels are left out',)
    if facts.oblong:
      notes += ('its pixel aspect ratio (pasp, not square) is left out',)
  elif kind == 'JPEG2000':
    found = jpeg2000_facts(path)
    info['no_jp2'] = found.codestream
    if found.profile:
      info['icc_profile'] = found.profile
    notes += places_left_out(path)
  elif kind in ('BMP', 'DIB'):
    info['bmp_colour'] = bmp_colour(path)
  elif kind == 'TIFF':
    notes += extra_notes(_tiff_extras(image))
  elif kind in ('JPEG', 'MPO'):
    notes += left_out(image, path)
    stated = any(content.startswith(_PROFILE) for _, content in getattr(image, 'applist', ()))
    if stated and not image.info.get('icc_profile'):
      notes += (DAMAGED_PROFILE,)
  elif kind == 'TGA':
    notes += extra_notes(int(tga_alpha(image, path).undefined))
  elif kind == 'PNG':
    notes += (GAIN_MAP,) if has_gain_map(image.info['chunks']) else ()
  end = _end(image, path)
  more = behind(path, end) if end is not None else b''
  return info, (*notes, *([told_behind(more)] if more else []))


def _end(image: Any, path: Path) -> int | None:
  """The end of a file whose decoder stops there; None if unknown, and for PNG and JPEG."""
  if image.format == 'PPM':
    return netpbm_end(image, path)
  if image.format == 'GIF':
    return gif_end(path)
  if image.format == 'WEBP':
    return webp_end(path)
  boxed = image.format == 'AVIF' or (image.format == 'JPEG2000' and image.codec == 'jp2')
  return boxes_end(path) if boxed else None


def _tiff_extras(image: Any) -> int:
  """The number of a TIFF file's channels that are neither colours nor transparency."""
  extra = image.tag_v2.get(338, ())
  return sum(kind not in (1, 2, 999) for kind in extra)


def is_multiplied(image: Image.Image, path: Path) -> bool:
  """Whether colours are premultiplied by alpha, in formats whose decoder ignores this."""
  if image.format == 'JPEG2000':
    return jpeg2000_facts(path).multiplied
  return image.format == 'TGA' and is_multiplied_tga(path)
