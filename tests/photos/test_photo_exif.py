"""EXIF stays byte by byte: types, unknown tags, the notes of camera makers where they were."""

import struct
import zlib

import numpy as np
import pytest
import tag_cases
from photo_cases import again, noise, smooth
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import exif as exifs
from jaxgen.photos import read_photo
from jaxgen.photos.pixels import turned
from jaxgen.photos.positions import Frame, Growth


def put_exif(path, exif):
  """A picture of 24 by 16 with EXIF put into its file byte by byte, where Pillow would change it."""
  image = Image.fromarray(smooth(16, 24, 3))
  if path.suffix in ('.webp', '.avif'):  # Pillow takes it as it is
    image.save(path, exif=exif)
    return
  image.save(path, quality=97)
  data = path.read_bytes()
  if path.suffix == '.jpg':
    segment = struct.pack('>HH', 0xFFE1, len(exif) + 8) + b'Exif\x00\x00' + exif
    path.write_bytes(data[:20] + segment + data[20:])
  else:
    chunk = b'eXIf' + exif
    chunk = struct.pack('>I', len(exif)) + chunk + struct.pack('>I', zlib.crc32(chunk))
    path.write_bytes(data[:33] + chunk + data[33:])


def exif_of(path):
  with Image.open(path) as image:
    image.load()
    return image.info['exif'].removeprefix(b'Exif\x00\x00')


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp', 'a.avif'])
def test_exif_is_the_same_but_for_orientation_sizes_and_small_picture(tmp_path, name, order):
  # Pillow's own writer of AVIF would encode EXIF with an orientation anew.
  old = tag_cases.exif(order, orientation=0 if name == 'a.avif' else 6)
  put_exif(tmp_path / name, old)
  new = exif_of(again(tmp_path / name, 2))
  height, width = (32, 48) if name == 'a.avif' else (48, 32)
  assert tag_cases.take_apart(new) == tag_cases.wanted(old, height, width)
  assert new.index(tag_cases.NOTES) == old.index(tag_cases.NOTES)
  assert tag_cases.SMALL not in new
  assert len(new) < len(old)


def test_a_size_above_a_short_becomes_a_long():
  for order in '<>':
    found = tag_cases.take_apart(exifs.resized(tag_cases.exif(order), 70_000, 65_535))
    assert found['exif', 0xA002] == (3, [65_535])
    assert found['exif', 0xA003] == (4, [70_000])


@pytest.mark.parametrize('order', ['<', '>'])
def test_resolutions_change_places_where_rows_become_columns(order):
  parts = {
    282: (5, [300, 1]),
    283: (5, [150, 1]),
    34665: {0xA20E: (5, [9, 1]), 0xA20F: (5, [5, 2])},
  }
  old = tag_cases.exif(order)[:4] + struct.pack(order + 'I', 8) + tag_cases.table(order, parts, 8)
  assert exifs.upright(old) == old
  assert tag_cases.take_apart(exifs.upright(old, Frame(6, 4, 5))) == {
    ('first', 282): (5, [150, 1]),
    ('first', 283): (5, [300, 1]),
    ('exif', 0xA20E): (5, [5, 2]),
    ('exif', 0xA20F): (5, [9, 1]),
  }


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('name', ['a.jpg', 'a.png', 'a.webp', 'a.tif'])
def test_the_place_of_the_subject_turns_and_grows_with_the_picture(tmp_path, name, orientation):
  mark, path = np.zeros((16, 24, 1), bool), tmp_path / name
  mark[3, 20] = True
  (y, x, _) = np.argwhere(turned(mark, orientation))[0] * 2
  size = [12, 8] if orientation >= 5 else [8, 12]
  details = {0x9214: (3, [20, 3, 4, 6]), 0xA214: (3, [20, 3])}
  if name == 'a.tif':
    tags = {274: (3, [orientation]), 34665: details}
    path.write_bytes(tag_cases.tiff('>', smooth(16, 24, 3), tags))
  else:
    parts = {274: (3, [orientation]), 34665: details}
    put_exif(path, b'MM\0*\0\0\0\x08' + tag_cases.table('>', parts, 8))
  new = again(path, 2)
  found = tag_cases.take_apart(new.read_bytes() if name == 'a.tif' else exif_of(new))
  assert found['exif', 0xA214] == (3, [x, y])
  assert found['exif', 0x9214] == (3, [x, y, *size])


@pytest.mark.parametrize('order', ['<', '>'])
def test_a_place_that_its_type_cannot_hold_is_left_out(order):
  details = {0x9214: (3, [20, 3, 4]), 0xA002: (3, [24]), 0xA214: (3, [20, 3]), 0xA300: (7, b'\1')}
  head = tag_cases.exif(order)[:4] + struct.pack(order + 'I', 8)
  old = head + tag_cases.table(order, {34665: details}, 8)
  for factor, kept in (
    (3000, {(0x9214, (60_000, 9000, 12_000)), (0xA214, (60_000, 9000))}),
    (4000, set()),
  ):
    new = tag_cases.take_apart(exifs.resized(old, 16, 24, Growth(factor, factor)))
    places = {
      (tag, tuple(values)) for (_, tag), (_, values) in new.items() if tag in (0x9214, 0xA214)
    }
    assert places == kept
    assert new['exif', 0xA002] == (3, [24])
    assert new['exif', 0xA300] == (7, b'\1')


def test_a_small_picture_in_the_middle_is_blanked_and_nothing_else_touched():
  old = tag_cases.exif('<') + b'what a maker appended'
  new = exifs.upright(old)
  assert tag_cases.SMALL not in new
  assert len(new) == len(old)
  assert new.endswith(b'what a maker appended')
  # One that is said to lie where the notes are: they stay.
  at = old.index(struct.pack('<HHI', 513, 4, 1)) + 8
  wrong = old[:at] + struct.pack('<I', old.index(tag_cases.NOTES)) + old[at + 4 :]
  assert tag_cases.NOTES in exifs.upright(wrong)


@pytest.mark.parametrize('length', [0, 3, 8, 9, 30, 200, 500])
def test_exif_that_is_cut_off_never_raises(length):
  cut = tag_cases.exif('<')[:length]
  kept = exifs.resized(exifs.upright(cut), 5, 5)
  assert len(kept) in (0, len(cut))
  assert length < 100 or kept[-50:] == cut[-50:]


def test_exif_of_several_segments_stays(tmp_path):
  old = tag_cases.exif('<', small=None) + bytes(100_000)
  put_exif(tmp_path / 'a.png', old)
  image = read_photo(tmp_path / 'a.png')
  assert image.pixels.shape == (24, 16, 3)
  Image.fromarray(smooth(16, 24, 3)).save(tmp_path / 'a.jpg')
  data, parts = (tmp_path / 'a.jpg').read_bytes(), (old[:60_000], old[60_000:])
  both = b''.join(struct.pack('>HH', 0xFFE1, len(p) + 8) + b'Exif\x00\x00' + p for p in parts)
  (tmp_path / 'a.jpg').write_bytes(data[:20] + both + data[20:])
  found = tag_cases.take_apart(exif_of(again(tmp_path / 'a.jpg', 2)))
  assert found == tag_cases.wanted(old, 48, 32)


@pytest.mark.parametrize(('order', 'big'), [('<', False), ('>', False), ('<', True)])
@pytest.mark.parametrize(
  ('channels', 'dtype'), [(1, 'u1'), (3, 'u1'), (2, 'u2'), (3, 'u2'), (4, 'u2')]
)
def test_tags_of_a_tiff_keep_their_types_and_those_of_how_it_is_stored_go(
  tmp_path, channels, dtype, order, big
):
  pixels, path = noise(16, 24, channels, np.dtype(dtype).type), tmp_path / 'a.tif'
  inner = tag_cases.exif(order)
  text, raw = '<x tiff:Orientation="6" a="1"/>', b'8BIM\x04\x04\x00\x00\x00\x00\x00\x02hi'
  first = {
    269: (2, b'name\x00'),
    270: (2, b'a longer description\x00'),
    274: (3, [6]),
    282: (5, [3000, 10]),
    283: (5, [150, 1]),
    296: (3, [3]),
    315: (2, 'Zoë'.encode() + b'\x00'),
    318: (5, [3127, 10_000, 329, 1000]),
    700: (1, text.encode()),
    33723: (4, list(struct.unpack(order + '2I', b'\x1c\x02\x78\x00\x01a\x00\x00'))),
    34377: (7, raw),
    40091: (1, 'title'.encode('utf-16-le')),
    65_000: (2, b'unknown and long\x00'),
    34665: _of_exif(inner, order, 'exif'),
    34853: _of_exif(inner, order, 'gps'),
  }
  path.write_bytes(tag_cases.tiff(order, pixels, first, big))
  old, new = tag_cases.take_apart(path.read_bytes()), again(path, 2)
  found = tag_cases.take_apart(new.read_bytes())
  np.testing.assert_array_equal(
    read_photo(new).pixels, read_photo(path).pixels.repeat(2, 0).repeat(2, 1)
  )
  kept = {k: v for k, v in old.items() if k[0] in ('exif', 'gps', 'interop') or k[1] in first}
  kept |= {
    ('first', 282): (5, [150, 1]),  # turned
    ('first', 283): (5, [3000, 10]),
    ('first', 700): (1, b'<x  a="1"/>'),
    ('first', 33723): (4, list(struct.unpack('<2I', b'\x1c\x02\x78\x00\x01a\x00\x00'))),
    ('exif', 0xA002): (3, [32]),
    ('exif', 0xA003): (4, [48]),
  }
  for gone in (274, 65_000):
    del kept['first', gone]
    assert ('first', gone) not in found
  assert {k: v for k, v in found.items() if k in kept} == kept


def test_a_big_endian_bigtiff_of_the_usual_kinds_is_refused_by_name(tmp_path):
  (tmp_path / 'a.tif').write_bytes(tag_cases.tiff('>', noise(6, 7, 3), {}, big=True))
  with pytest.raises(DataError, match=r'a\.tif: a big-endian BigTIFF, .*: save it as TIFF or PNG$'):
    read_photo(tmp_path / 'a.tif')


def _of_exif(exif, order, name):
  """One of the directories, to be packed again."""
  found = tag_cases.take_apart(exif)
  below = {tag: v for (where, tag), v in found.items() if where == name}
  if name == 'exif':
    below[40965] = _of_exif(exif, order, 'interop')
  return below
