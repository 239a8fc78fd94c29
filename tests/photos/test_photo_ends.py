"""Whether a JPEG file holds all of its pixels, and what lies behind the end of a file."""

import contextlib
import re

import numpy as np
import pytest
from photo_cases import again, noise, smooth
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, tolerance
from jaxgen.photos.images import read_grey

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
  assert read_photo(path).notes == ('it has fewer scans than a full-quality progressive JPEG',)
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
  bytes_left = '9 bytes after its end are left out'
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
    (b'PK\3\4 a zip', ('10 bytes after its end are left out',)),
  ):
    path.write_bytes(data + more)
    photo = read_photo(path)
    assert photo.notes == notes
    np.testing.assert_array_equal(photo.pixels, whole.pixels)


def test_a_jpeg_that_is_whole_is_decoded_once(tmp_path, monkeypatch):
  Image.fromarray(smooth(24, 20, 3)).save(tmp_path / 'a.jpg')

  def no_more(*args):
    raise AssertionError('decoded for the second time')

  monkeypatch.setattr(tolerance, '_is_drawn', no_more)
  assert read_photo(tmp_path / 'a.jpg').pixels.shape == (24, 20, 3)
