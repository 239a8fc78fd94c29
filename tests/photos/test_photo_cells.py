"""Every kind of metadata in every format and mode that Pillow writes it with: it stays."""

import numpy as np
import pytest
from photo_cases import SRGB, again, smooth
from PIL import Image

from jaxgen.photos import read_photo

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf>Zo\xc3\xab</rdf></x:xmpmeta>'
EXIF = Image.Exif()
EXIF[0x013B], EXIF[0x0110] = 'Zoe', 'model'
EXIF.get_ifd(0x8769)[0x829A] = (1, 250)
EXIF.get_ifd(0x8825)[1] = 'N'
GIVEN = {
  'icc_profile': SRGB,
  'exif': EXIF,
  'xmp': XMP,
  'dpi': (300, 300),
  'comment': b'by Zoe',
}
MODES = {
  'PNG': ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'),
  'JPEG': ('L', 'RGB', 'CMYK'),
  'TIFF': ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'I;16'),
  'WEBP': ('RGB', 'RGBA'),
  'AVIF': ('L', 'LA', 'RGB', 'RGBA'),
  'JPEG2000': ('L', 'LA', 'RGB', 'RGBA', 'I;16'),
  'GIF': ('1', 'L', 'P'),
  'BMP': ('1', 'L', 'P', 'RGB', 'RGBA'),
}
WRITTEN = {
  'PNG': ('icc_profile', 'exif', 'dpi'),
  'JPEG': ('icc_profile', 'exif', 'xmp', 'dpi', 'comment'),
  'TIFF': ('icc_profile', 'exif', 'dpi'),
  'WEBP': ('icc_profile', 'exif', 'xmp'),
  'AVIF': ('icc_profile', 'exif', 'xmp'),
  'JPEG2000': ('comment',),
  'GIF': ('comment',),
  'BMP': ('dpi',),
}
CELLS = [
  (kind, mode, given) for kind, modes in MODES.items() for mode in modes for given in WRITTEN[kind]
]


def picture(mode):
  if mode == 'I;16':
    return Image.fromarray(smooth(24, 20, 1)[..., 0].astype(np.uint16) * 257)
  if mode in ('LA', 'RGBA'):
    return Image.fromarray(smooth(24, 20, len(mode)))
  return Image.fromarray(smooth(24, 20, 3)).convert(mode)


def found(path, name):
  with Image.open(path) as image:
    image.load()
    if name != 'exif':
      return image.info.get(name)
    exif = image.getexif()
    parts = {place: dict(exif.get_ifd(place)) for place in (0x8769, 0x8825)}
    return {tag: exif.get(tag) for tag in (0x013B, 0x0110)}, parts


@pytest.mark.parametrize(('kind', 'mode', 'name'), CELLS)
def test_metadata_stays_in_every_format_and_mode(tmp_path, kind, mode, name):
  path = tmp_path / 'a'
  picture(mode).save(path, kind, **{name: GIVEN[name]})
  old = found(path, name)
  assert old
  photo, new = read_photo(path), again(path, 2)
  written = read_photo(new)
  assert written.pixels.dtype == (np.uint16 if mode == 'I;16' else np.uint8)
  if kind != 'GIF':  # whose palette may be one of colours
    assert written.pixels.shape == (48, 40, photo.pixels.shape[-1])
  if kind in ('PNG', 'TIFF', 'BMP'):
    np.testing.assert_array_equal(written.pixels, photo.pixels.repeat(2, 0).repeat(2, 1))
  # Inks become RGB, which is told, and with them their profile, which this one is not.
  assert (photo.notes == ()) == (mode != 'CMYK')
  assert found(new, name) == (None if (mode, name) == ('CMYK', 'icc_profile') else old)
