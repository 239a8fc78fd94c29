"""Files that are not quite whole: read where the picture is there, and refused where a part of it is not."""

import contextlib
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
from jaxgen.photos import read_photo, read_size, tolerance
from jaxgen.photos.images import read_grey

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
    (b'', b'', END + b'more', '4 bytes behind its end are left out'),
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
    with pytest.raises(DataError, match=r'a\.png: its texts are longer than 64 MB'):
      read(path)
  assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


KINDS = {
  'grey': {},
  'fine': {'quality': 100, 'subsampling': 0},
  'progressive': {'progressive': True},
  'restarts': {'restart_marker_blocks': 2},
}


@pytest.mark.parametrize('name', KINDS)
def test_a_jpeg_may_lack_its_end_mark_and_nothing_more(tmp_path, name):
  pixels = noise(41, 37, 1 if name == 'grey' else 3)
  path = tmp_path / 'a.jpg'
  Image.fromarray(pixels.squeeze()).save(path, **KINDS[name])
  data, whole = path.read_bytes(), read_photo(path)
  assert whole.notes == ()
  for cut in (1, 2):
    path.write_bytes(data[:-cut])
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, whole.pixels)
    assert photo.notes == ('its end mark is missing',)
  assert read_photo(again(path)).notes == ()
  for cut in (3, 4):  # what is missing may lie outside of the picture, or be too faint to be seen
    path.write_bytes(data[:-cut])
    with contextlib.suppress(DataError):
      np.testing.assert_array_equal(read_photo(path).pixels, whole.pixels)
  for cut in (20, 100, 400):
    path.write_bytes(data[:-cut])
    with pytest.raises(DataError, match=r'a\.jpg: damaged: .* a part of the picture with it$'):
      read_photo(path)


def test_a_jpeg_cut_where_a_scan_or_an_interval_ends_lacks_a_part(tmp_path):
  path = tmp_path / 'a.jpg'
  for mark, options in (
    (b'\xff\xda', {'progressive': True}),
    (b'\xff\xd0', {'restart_marker_blocks': 1}),
  ):
    Image.fromarray(noise(41, 37, 3)).save(path, **options)
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(mark)])
    with pytest.raises(DataError, match='a part of the picture with it'):
      read_photo(path)


@pytest.mark.parametrize('name', KINDS)
@pytest.mark.parametrize('end', [b'', b'\xff\xd9'])
def test_a_jpeg_of_half_its_pixels_is_refused_with_an_end_mark_and_filled_with_zeros(
  tmp_path, name, end
):
  path, pixels = tmp_path / 'a.jpg', noise(64, 48, 1 if name == 'grey' else 3)
  Image.fromarray(pixels.squeeze()).save(path, **KINDS[name])
  data = path.read_bytes()
  start = data.index(b'\xff\xda')
  half = (start + len(data)) // 2
  for filled in (0, 5_000, len(data) - half):
    path.write_bytes(data[:half] + bytes(filled) + end)
    for read in (read_photo, lambda path: read_grey(path, 64, 48)):
      with pytest.raises(DataError, match=r'a\.jpg: damaged: .*a part of the picture'):
        read(path)


def test_a_progressive_jpeg_that_ends_before_its_last_scan_is_told_of(tmp_path):
  path = tmp_path / 'a.jpg'
  Image.fromarray(noise(41, 37, 3)).save(path, progressive=True)
  data = path.read_bytes()
  starts = [found.start() for found in re.finditer(b'\xff\xda', data)]
  path.write_bytes(data[: starts[-1]] + b'\xff\xd9')
  assert read_photo(path).notes == (
    'it has fewer scans than a progressive JPEG of full quality has',
  )
  path.write_bytes(data[: starts[1] - 30] + b'\xff\xd9')
  with pytest.raises(DataError, match='damaged'):
    read_photo(path)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'CMYK'])
@pytest.mark.parametrize('options', [{}, {'optimize': True}, {'progressive': True}])
def test_a_jpeg_that_is_flat_is_whole(tmp_path, mode, options):
  path = tmp_path / 'a.jpg'
  for level in (0, 128):
    Image.new(mode, (401, 300), (level,) * len(mode)).save(path, **options)
    data = path.read_bytes()
    assert 'end' not in ''.join(read_photo(path).notes)
    path.write_bytes(data[:-2])
    assert 'its end mark is missing' in read_photo(path).notes


def test_what_lies_behind_the_end_of_a_jpeg_is_told(tmp_path):
  path, image = tmp_path / 'a.jpg', Image.fromarray(smooth(24, 20, 3))
  image.save(path)
  data = path.read_bytes()
  bytes_left = '9 bytes behind its end are left out'
  video = b'\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data\0\0\0\x18ftypmp42'
  for more, notes in (
    (b'', ()),
    (b'\0' * 40 + b'\xff\r\n', ()),
    (b'PK\x03\x04a zip', (bytes_left,)),
    (video, ('its video (motion photo) is left out',)),
  ):
    path.write_bytes(data + more)
    assert read_photo(path).notes == notes
  image.save(path, 'MPO', save_all=True, append_images=[image])
  of_index = read_photo(path).notes
  path.write_bytes(path.read_bytes() + b'something')
  assert read_photo(path).notes == (*of_index, bytes_left)


@pytest.mark.parametrize('name', ['a.gif', 'a.webp'])
def test_what_lies_behind_the_end_of_another_format_is_told(tmp_path, name):
  path = tmp_path / name
  Image.fromarray(smooth(24, 20, 3)).save(path)
  data, whole = path.read_bytes(), read_photo(path)
  for more, notes in (
    (b'\0' * 9, ()),
    (b'PK\3\4 a zip', ('10 bytes behind its end are left out',)),
  ):
    path.write_bytes(data + more)
    photo = read_photo(path)
    assert photo.notes == notes
    np.testing.assert_array_equal(photo.pixels, whole.pixels)


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


def test_a_place_on_the_map_is_told_to_be_left_out(tmp_path):
  scale = {33550: (12, [10.0, 10.0, 0.0])}
  (tmp_path / 'a.tif').write_bytes(tag_cases.tiff('<', noise(9, 8, 3), scale))
  photo = read_photo(tmp_path / 'a.tif')
  assert len(photo.notes) == 1
  assert 'GeoTIFF' in photo.notes[0]


def test_a_jpeg_that_is_whole_is_decoded_once(tmp_path, monkeypatch):
  Image.fromarray(smooth(24, 20, 3)).save(tmp_path / 'a.jpg')

  def no_more(*args):
    raise AssertionError('decoded for the second time')

  monkeypatch.setattr(tolerance, '_is_drawn', no_more)
  assert read_photo(tmp_path / 'a.jpg').pixels.shape == (24, 20, 3)


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
