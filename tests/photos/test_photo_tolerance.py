"""Files that are not quite whole: read where the picture is there, and refused where a part of it is not."""

import re
import struct
import zlib

import numpy as np
import png
import pytest
import tag_cases
from photo_cases import SRGB, again, noise, smooth, write_png16
from PIL import Image, PngImagePlugin

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size

END = b'\x00\x00\x00\x00IEND\xaeB`\x82'


def chunk(name, content, wrong=False):
  total = zlib.crc32(name + content) ^ wrong
  return struct.pack('>I', len(content)) + name + content + struct.pack('>I', total)


def write_parts(path, pixels, more=b'', behind=b'', end=END):
  """A PNG file with its pixels in several chunks, and others before and behind them."""
  write_png16(path, pixels) if pixels.itemsize == 2 else Image.fromarray(pixels).save(path)
  every = list(png.Reader(filename=str(path)).chunks())
  drawn = b''.join(content for name, content in every if name == b'IDAT')
  parts = [chunk(b'IDAT', drawn[i : i + 100]) for i in range(0, len(drawn), 100)]
  start = path.read_bytes()[:33]
  path.write_bytes(start + more + b''.join(parts) + behind + end)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize(
  ('more', 'behind', 'end', 'note'),
  [
    (
      chunk(b'tEXt', b'Author\x00me', True),
      b'',
      END,
      r'its chunk tEXt \(Author\) has a bad checksum',
    ),
    (
      chunk(b'zTXt', b'A\x00\x00' + b'?', True),
      b'',
      END,
      r'its chunk zTXt \(A\) has a bad checksum',
    ),
    (b'', chunk(b'iTXt', b'B\x00\x00\x00\x00\x00c', True), END, r'its chunk iTXt \(B\) has a bad'),
    (b'', chunk(b'eXIf', b'II*\x00', True), END, 'its chunk eXIf has a bad checksum'),
    (chunk(b'gAMA', b'\x00\x00\xb1\x8f', True), b'', END, 'its chunk gAMA has a bad checksum'),
    (chunk(b'iCCP', b'p\x00\x00nothing', True), b'', END, 'its chunk iCCP has a bad checksum'),
    (chunk(b'abCd', b'private', True), b'', END, 'its chunk abCd has a bad checksum'),
    (b'', b'', b'', r'its end mark \(IEND\) is missing'),
    (b'', b'', END[:9], r'its end mark|^$'),
    (b'', b'\x7f\xff\xff\xfftEXtcut off', b'', r'its end mark \(IEND\) is missing'),
    (b'', b'\x00\x00\x00\x05!?!?', b'', r'its end mark \(IEND\) is missing'),
    (b'', b'', END + b'more', '4 bytes after its end are left out'),
  ],
)
def test_what_is_wrong_beside_the_pixels_of_a_png_is_told(tmp_path, more, behind, end, note, dtype):
  pixels, path = noise(9, 8, 3, dtype), tmp_path / 'a.png'
  write_parts(path, pixels, more, behind, end)
  assert read_size(path)[:4] == (9, 8, 3, 8 * pixels.itemsize)
  photo = read_photo(path)
  np.testing.assert_array_equal(photo.pixels, pixels)
  assert len(photo.notes) == 1 or end == END[:9]
  assert re.search(note, ''.join(photo.notes))
  assert read_photo(again(path)).notes == ()  # what is wrong is not copied


def test_a_damaged_palette_counts_where_the_pixels_are_drawn_by_it(tmp_path):
  path, pixels = tmp_path / 'a.png', noise(9, 8, 3)
  write_parts(path, pixels, chunk(b'PLTE', bytes(6), True))
  photo = read_photo(path)
  np.testing.assert_array_equal(photo.pixels, pixels)
  assert photo.notes == ('its chunk PLTE has a bad checksum and is left out',)
  Image.fromarray(pixels).quantize(4).save(path)
  data = bytearray(path.read_bytes())
  data[data.index(b'PLTE') + 4] ^= 1
  path.write_bytes(data)
  with pytest.raises(DataError, match='its PLTE chunk has a bad checksum'):
    read_photo(path)


def test_what_is_wrong_with_the_pixels_of_a_png_is_refused(tmp_path):
  pixels, path = noise(9, 8, 3), tmp_path / 'a.png'
  write_parts(path, pixels)
  data = path.read_bytes()
  where = {'IHDR': 20, 'IDAT': 60}
  for name, at in where.items():
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(DataError, match=rf'a\.png: damaged: its {name} chunk has a bad checksum'):
      read_photo(path)
  write_parts(path, pixels, chunk(b'tRNS', bytes(6), True))
  with pytest.raises(DataError, match='its tRNS chunk has a bad checksum'):
    read_photo(path)
  last = data.rindex(b'IDAT') - 4
  for cut in (data[:last], data[:last] + END, data[: last + 10]):
    path.write_bytes(cut)
    with pytest.raises(DataError, match=r'a\.png: damaged'):
      read_photo(path)


def test_texts_of_a_png_up_to_64_mb_stay(tmp_path):
  text, path = b'workflow\x00' + b'{"a": 1}' * 200_000, tmp_path / 'a.png'
  xmp = b'XML:com.adobe.xmp\x00\x01\x00\x00\x00' + zlib.compress(
    b'<x tiff:Orientation="6"/>' * 99_000
  )
  limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
  write_parts(path, noise(9, 8, 3), chunk(b'tEXt', text), chunk(b'iTXt', xmp))
  assert read_size(path)[:2] == (8, 9)
  new = dict(png.Reader(filename=str(again(path))).chunks())
  assert new[b'tEXt'] == text
  assert zlib.decompress(new[b'iTXt'][22:]) == b'<x />' * 99_000
  # Not written in full: a file with a hole.
  with path.open('r+b') as file:
    file.seek(33)
    file.write(struct.pack('>I4s', 65 * 2**20, b'tEXt'))
    file.seek(33 + 65 * 2**20)
    file.write(END)
  for read in (read_size, read_photo):
    with pytest.raises(DataError, match=r'a\.png: its text chunks exceed 64 MB'):
      read(path)
  assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


@pytest.mark.parametrize(
  ('name', 'options'),
  [('a.jp2', {}), ('a.j2k', {}), ('a.jp2', {'tile_size': (32, 32)}), ('a.gif', {})],
)
def test_other_formats_with_an_end_mark_may_lack_it(tmp_path, name, options):
  path = tmp_path / name
  Image.fromarray(noise(41, 37, 3)).save(path, **options)
  data, whole = path.read_bytes(), read_photo(path)
  assert whole.notes == ()
  for cut in (1, 2):
    path.write_bytes(data[:-cut])
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, whole.pixels)
    assert photo.notes == ('its end mark is missing',)
  lacks = [data[:-3], data[:-30]]
  if options:
    last = data[: data.rindex(b'\xff\x90\x00\x0a')]
    lacks += [last, last + b'\xff\xd9']  # the last tile
  for cut in lacks:
    path.write_bytes(cut)
    with pytest.raises(DataError, match=rf'{name}: damaged'):
      read_photo(path)


def test_smaller_copies_behind_the_first_page_of_a_tiff_are_none_of_its_pictures(tmp_path):
  pixels, path = noise(32, 24, 3), tmp_path / 'a.tif'
  half, eighth, other = noise(16, 12, 3), noise(4, 3, 3), noise(32, 20, 3)
  for order in '<>':
    for deep in (pixels, noise(32, 24, 2, np.uint16)):
      for pages, notes in (
        ([(half, {254: (4, [1])}), (eighth, {254: (4, [1])})], 0),
        ([(half, {255: (3, [2])})], 0),
        ([(eighth, {})], 1),
      ):
        path.write_bytes(tag_cases.tiff(order, deep, {270: (2, b'main\x00')}, pages=pages))
        assert read_size(path)[:2] == (32, 24)
        photo = read_photo(path)
        np.testing.assert_array_equal(photo.pixels, deep)
        assert len(photo.notes) == notes
  for pages in (
    [(half, {})],
    [(other, {})],
    [(eighth, {}), (pixels, {})],
    [(pixels, {254: (4, [4])})],
  ):
    path.write_bytes(tag_cases.tiff('<', pixels, {}, pages=pages))
    with pytest.raises(DataError, match=r'a\.tif: has 2 frames or pages: only single'):
      read_photo(path)


@pytest.mark.parametrize('order', '<>')
def test_slices_behind_one_another_in_one_directory_of_a_tiff_are_pictures(tmp_path, order):
  path, pixels = tmp_path / 'a.tif', noise(9, 8, 1)
  of_imagej = b'ImageJ=1.53t\nimages=%d\nslices=3\n\0'
  for tags, count in (
    ({32997: (4, [16])}, 16),
    ({33629: (5, [1, 1] * 3 * 5)}, 15),
    ({270: (2, of_imagej % 3)}, 3),
    ({32997: (3, [1]), 270: (2, of_imagej % 1)}, 1),
    ({270: (2, b'the words images=3 of a person\0')}, 1),
  ):
    path.write_bytes(tag_cases.tiff(order, pixels, tags))
    if count == 1:
      np.testing.assert_array_equal(read_photo(path).pixels, pixels)
    else:
      with pytest.raises(DataError, match=rf'a\.tif: has {count} frames or pages: only single'):
        read_size(path)


def test_the_thumbnail_of_a_tiff_is_not_taken_for_the_picture(tmp_path):
  path = tmp_path / 'a.tif'
  pages = [(noise(32, 24, 3), {})]
  path.write_bytes(tag_cases.tiff('<', noise(4, 3, 3), {254: (4, [1])}, pages=pages))
  below = {254: (4, [1]), 330: (4, [8])}
  for data in (path.read_bytes(), tag_cases.tiff('<', noise(4, 3, 3), below)):
    path.write_bytes(data)
    with pytest.raises(DataError, match=r'a\.tif: its first picture is the thumbnail of another'):
      read_size(path)


def test_a_small_picture_in_a_directory_below_is_left_out(tmp_path):
  pixels, path = noise(32, 24, 3), tmp_path / 'a.tif'
  path.write_bytes(
    tag_cases.tiff('<', pixels, {330: tag_cases.page_tags(noise(4, 3, 3), {254: (4, [1])}, 8)})
  )
  photo = read_photo(path)
  np.testing.assert_array_equal(photo.pixels, pixels)
  assert photo.notes == ()
  assert ('first', 330) not in tag_cases.take_apart(again(path).read_bytes())


@pytest.mark.parametrize(
  ('text', 'stays'),
  [
    (b'{"shape": [9, 8, 3]}', False),
    (b'<?xml version="1.0"?><OME xmlns="o"><Image><Pixels SizeX="8"/></Image></OME>', False),
    (b'A shape. {"shape": [9', True),
    (b'<OMEGA>', True),
  ],
)
def test_a_description_that_states_the_old_size_is_left_out(tmp_path, text, stays):
  path = tmp_path / 'a.tif'
  path.write_bytes(tag_cases.tiff('>', noise(9, 8, 3), {270: (2, text + b'\0')}))
  photo = read_photo(path)
  assert [('ImageDescription' in note) for note in photo.notes] == [True] * (not stays)
  assert (('first', 270) in tag_cases.take_apart(again(path).read_bytes())) == stays


def test_a_place_on_the_map_is_told_to_be_left_out(tmp_path):
  scale = {33550: (12, [10.0, 10.0, 0.0])}
  (tmp_path / 'a.tif').write_bytes(tag_cases.tiff('<', noise(9, 8, 3), scale))
  photo = read_photo(tmp_path / 'a.tif')
  assert len(photo.notes) == 1
  assert 'GeoTIFF' in photo.notes[0]


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_profile_of_over_a_megabyte_stays(tmp_path, dtype):
  path, pixels = tmp_path / 'a.png', noise(6, 7, 3, dtype)
  profile = SRGB + np.random.default_rng(0).bytes(2**20)
  write_parts(path, pixels, chunk(b'iCCP', b'large\0\0' + zlib.compress(profile)))
  assert read_photo(path).info['icc_profile'] == profile
  new = read_photo(again(path))
  assert new.info['icc_profile'] == profile
  np.testing.assert_array_equal(new.pixels, pixels)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_what_is_malformed_beside_the_pixels_of_a_png_costs_that_alone(tmp_path, dtype):
  path, pixels = tmp_path / 'a.png', noise(6, 7, 3, dtype)
  short = [(name, b'\0') for name in (b'gAMA', b'cHRM', b'cICP', b'pHYs', b'mDCV', b'tIME')]
  broken = (b'iCCP', b'p\0\0' + zlib.compress(SRGB)[:-30])
  every = [*short, broken, (b'tEXt', b'Title\0a cat')]
  write_parts(path, pixels, b''.join(chunk(*one) for one in every))
  photo = read_photo(path)
  assert photo.notes == ('its colour profile is damaged and is left out',)
  assert photo.info == {'more': [(b'tEXt', b'Title\0a cat')]}
  np.testing.assert_array_equal(read_photo(again(path)).pixels, pixels)


def test_a_damaged_tag_of_a_tiff_is_not_told_by_a_library(tmp_path, caplog):
  path, pixels = tmp_path / 'a.tif', noise(6, 7, 3)
  path.write_bytes(tag_cases.tiff('<', pixels, {34665: (4, [999_999]), 34853: (4, [5])}))
  np.testing.assert_array_equal(read_photo(path).pixels, pixels)
  assert not caplog.records


def test_a_profile_of_jpeg_that_lacks_a_part_is_told_of(tmp_path):
  path = tmp_path / 'a.jpg'
  Image.fromarray(smooth(6, 7, 3)).save(path, icc_profile=SRGB)
  content = bytearray(path.read_bytes())
  content[content.index(b'ICC_PROFILE\0') + 13] = 2  # the only one of two
  path.write_bytes(content)
  photo = read_photo(path)
  assert photo.notes == ('its colour profile is damaged and is left out',)
  assert 'icc_profile' not in photo.info


@pytest.mark.parametrize('lossless', [False, True])
@pytest.mark.parametrize('channels', [3, 4])
def test_a_webp_that_is_cut_off_behind_its_pixels_is_read(tmp_path, lossless, channels):
  path, xmp = tmp_path / 'a.webp', b'<x:xmpmeta>a cat</x:xmpmeta>'
  Image.fromarray(smooth(6, 7, channels)).save(
    path, xmp=xmp, icc_profile=SRGB, lossless=lossless, quality=90
  )
  whole, content = read_photo(path), path.read_bytes()
  for cut in (1, 12, 30):
    path.write_bytes(content[:-cut])
    photo = read_photo(path)
    assert photo.notes == ('its end is missing, and metadata with it',)
    assert photo.info == {k: v for k, v in whole.info.items() if k != 'xmp'}
    np.testing.assert_array_equal(photo.pixels, whole.pixels)
  path.write_bytes(content[: content.index(b'XMP ') - 9])
  with pytest.raises(DataError, match='damaged'):
    read_photo(path)
