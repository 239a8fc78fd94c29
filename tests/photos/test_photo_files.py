"""Image files that are refused, damaged, or cannot be written."""

import os
import socket
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile
from byte_cases import bmp_header
from photo_cases import again, check, noise, save_deep, smooth, write_tiff
from PIL import Image

from jaxgen.errors import DataError, UserError
from jaxgen.photos import LONGEST, Photo, PhotoWriter, read_photo, read_size, reading
from jaxgen.photos.images import read_grey


def test_an_animation_and_pages_are_refused(tmp_path):
  frames = [Image.fromarray(noise(6, 7, 3, seed=i)) for i in range(3)]
  pages = np.stack([noise(6, 7, 3, np.uint16, seed=i) for i in range(3)])
  for name in ('a.gif', 'a.tif', 'a.webp', 'a.png'):
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
  write_tiff(tmp_path / 'deep.tif', pages)
  for name in ('a.gif', 'a.tif', 'a.webp', 'a.png', 'deep.tif'):
    for read in (read_size, read_photo):
      with pytest.raises(DataError, match=rf'{name}: has 3 frames or pages: only single images'):
        read(tmp_path / name)


def test_a_phone_s_photo_with_a_second_picture_is_its_first(tmp_path):
  first, second = Image.fromarray(smooth(24, 20, 3)), Image.new('RGB', (8, 8))
  first.save(tmp_path / 'a.jpg', 'MPO', save_all=True, append_images=[second], quality=97)
  photo = check(tmp_path / 'a.jpg', 3, 8, 'JPEG', (24, 20))
  assert np.abs(photo.pixels.astype(int) - smooth(24, 20, 3)).mean() < 3
  with Image.open(again(tmp_path / 'a.jpg')) as new:
    assert new.format == 'JPEG'


def test_what_would_lose_depth_or_colours_is_refused(tmp_path):
  wide = noise(6, 7, 3, np.uint16)
  (tmp_path / 'a.ppm').write_bytes(b'P6 7 6 65535\n' + wide.astype('>u2').tobytes())
  tifffile.imwrite(tmp_path / 'float.tif', np.zeros((6, 7), np.float32))
  tifffile.imwrite(tmp_path / 'cmyk.tif', noise(6, 7, 4, np.uint16), photometric='separated')
  tifffile.imwrite(tmp_path / 'lab.tif', noise(6, 7, 3), photometric='cielab')
  for name, words in (
    ('a.ppm', 'save it as PNG or TIFF'),
    ('float.tif', 'save it with 8 or 16 bits'),
    ('cmyk.tif', 'save it as RGB'),
    ('lab.tif', 'save it as RGB'),
  ):
    for read in (read_size, read_photo):
      with pytest.raises(DataError, match=rf'^[^\n]*{name}: [^\n]*{words}[^\n]*$'):
        read(tmp_path / name)


@pytest.mark.parametrize(
  'one', [b'P4 9 1\n\xff\x80', b'P5 2 1 255\n\0\1', b'P5 1 1 999\n\0\1', b'P6 1 1 255\nabc']
)
def test_several_maps_in_one_file_are_refused_and_other_bytes_are_told(tmp_path, one):
  path = tmp_path / 'a.pnm'
  for behind, note in ((b'', ()), (b'\n', ()), (b'abc', ('3 bytes after its end are left out',))):
    path.write_bytes(one + behind)
    assert read_photo(path).notes == note
  for between in (b'', b'\n'):
    path.write_bytes(one + between + one)
    with pytest.raises(DataError, match=r'a\.pnm: has several pictures: only single images'):
      read_size(path)


@pytest.mark.parametrize('name', ['a.gif', 'a.webp', 'a.jp2', 'a.avif'])
def test_bytes_behind_the_end_are_told_and_a_second_picture_is_refused(tmp_path, name):
  path = tmp_path / name
  Image.fromarray(noise(7, 5, 3)).save(path)
  assert read_photo(path).notes == ()
  content = path.read_bytes()
  path.write_bytes(content + b'not of it')
  photo = read_photo(path)
  assert photo.notes == ('9 bytes after its end are left out',)
  assert read_photo(again(path)).notes == ()
  if name == 'a.jp2':
    path.write_bytes(content + content[content.index(b'jp2c') - 4 :])
    with pytest.raises(DataError, match=r'a\.jp2: has 2 frames or pages: only single images'):
      read_size(path)


def test_a_format_that_is_only_read_is_refused(tmp_path):
  (tmp_path / 'a.xbm').write_bytes(
    b'#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {\n0xff};\n'
  )
  with pytest.raises(DataError, match=r'a\.xbm: XBM can be read but not written'):
    read_size(tmp_path / 'a.xbm')


PCX = struct.pack('<4B4H', 10, 5, 1, 2, 0, 0, 6, 5).ljust(65, b'\0') + b'\3\4\0'
UNREAD = {
  'a.pcx': (PCX.ljust(300, b'\0'), 'unknown PCX mode'),
  'a.sgi': (
    struct.pack('>HBBHHHH', 474, 0, 1, 3, 7, 6, 2).ljust(612, b'\0'),
    'Unsupported SGI image mode',
  ),
  'two.bmp': (bmp_header(40, 7, 6, 2, 0) + bytes(40), r'Unsupported BMP pixel depth \(2\)'),
  'jump.bmp': (bmp_header(40, 7, 6, 8, 1) + bytes(1024) + b'\0\2\3\2\2\5\0\0\0\1', 'not enough'),
  'end.bmp': (bmp_header(40, 7, 6, 8, 1) + bytes(1024) + b'\2\5\0\3abc\0\0\1', 'not enough'),
  'end4.bmp': (bmp_header(40, 7, 6, 4, 2) + bytes(64) + b'\2\5\0\5abc\0\0\1', 'not enough'),
}


@pytest.mark.parametrize('name', UNREAD)
def test_whole_files_of_a_kind_that_is_not_read_are_not_called_damaged(tmp_path, name):
  content, words = UNREAD[name]
  if name.endswith('bmp'):
    start = 54 + {8: 1024, 4: 64, 2: 16}[content[14]]
    content = struct.pack('<2sIII', b'BM', 14 + len(content), 0, start) + content
  (tmp_path / name).write_bytes(content)
  with pytest.raises(DataError, match=f'{name}: of a kind that cannot be read .{words}.*: save it'):
    read_photo(tmp_path / name)
  if content[30:34] == b'\1\0\0\0':
    (tmp_path / name).write_bytes(content[:-2])  # without the mark of the end
    words = 'of a kind' if name == 'jump.bmp' else 'damaged'
    with pytest.raises(DataError, match=f'{name}: {words}'):
      read_photo(tmp_path / name)


def truncated(path):
  content = path.read_bytes()
  path.write_bytes(content[: len(content) * 2 // 3])


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.webp', 'a.tif', 'deep.png', 'deep.tif'])
def test_a_truncated_file_is_named_in_one_line(tmp_path, name):
  if name.startswith('deep'):
    save_deep(tmp_path / name, noise(60, 70, 3, np.uint16))
  else:
    Image.fromarray(noise(60, 70, 3)).save(tmp_path / name)
  truncated(tmp_path / name)
  with pytest.raises(DataError, match=rf'^[^\n]*/{name}: [^\n]+$'):
    read_photo(tmp_path / name)


@pytest.mark.parametrize(
  'content', [b'', b'text', b'\x89PNG\r\n\x1a\n' + b'\0' * 20, b'II*\0', b'II*\0' + b'\xff' * 40]
)
def test_what_is_no_image_is_named_in_one_line(tmp_path, content):
  (tmp_path / 'a.png').write_bytes(content)
  for read in (read_size, read_photo):
    with pytest.raises(DataError, match=r'^[^\n]*/a\.png: [^\n]*image[^\n]*$'):
      read(tmp_path / 'a.png')


def test_a_folder_and_nothing_at_all_are_told_apart(tmp_path):
  (tmp_path / 'folder.png').mkdir()
  for read in (read_size, read_photo):
    with pytest.raises(DataError, match=r'folder\.png: a folder, not an image$'):
      read(tmp_path / 'folder.png')
    with pytest.raises(DataError, match=r'none\.png: no such file$'):
      read(tmp_path / 'none.png')


def test_a_pipe_a_socket_and_a_device_are_named_and_not_waited_for(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)  # names of sockets are short
  os.mkfifo('a.png')
  Path('link.png').symlink_to('a.png')
  with socket.socket(socket.AF_UNIX) as one:
    one.bind('b.png')
    for name, what in (
      ('a.png', 'a pipe'),
      ('link.png', 'a pipe'),
      ('b.png', 'a socket'),
      ('/dev/null', 'a device'),
    ):
      for read in (read_size, read_photo, lambda path: read_grey(path, 6, 7)):
        with pytest.raises(
          DataError, match=f'{name}: {what}, not a file: save its output to a file'
        ):
          read(Path(name))


def writer(path, kind='PNG', **info):
  pixels = noise(6, 7, 3)
  filled = {'chunks': [], 'text': {}, 'lossless': False, **info}
  out = PhotoWriter(path, Photo(pixels, kind, filled), 6, 7)
  out.put(0, pixels)
  return out


def test_where_nothing_can_be_written_is_told_in_one_line(tmp_path):
  (tmp_path / 'file').write_bytes(b'mine')
  (tmp_path / 'full.png').mkdir()
  for path in (tmp_path / 'file' / 'a.png', tmp_path / 'full.png', tmp_path / ('a' * 300 + '.png')):
    with pytest.raises(UserError, match=r'^[^\n]*\.png cannot be written: [^\n]+$'):
      writer(path).save()
  assert sorted(p.name for p in tmp_path.rglob('*')) == ['file', 'full.png']


@pytest.mark.parametrize('error', [OSError(28, 'No space left on device'), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error):
  path = tmp_path / 'a.png'
  path.write_bytes(b'old')

  def fail(self, file, *args, **kwargs):
    file.write_bytes(b'half')
    raise error

  out = writer(path)
  monkeypatch.setattr(Image.Image, 'save', fail)
  with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt) as caught:
    out.save()
  if isinstance(error, OSError):
    assert str(caught.value) == f'{path} cannot be written: No space left on device'
  assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {'a.png': b'old'}


def test_reading_leaves_the_limit_on_sizes_as_it_was(tmp_path, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
  Image.fromarray(noise(60, 70, 3)).save(tmp_path / 'a.png')
  assert read_photo(tmp_path / 'a.png').pixels.shape == (60, 70, 3)
  assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize('kind', sorted(LONGEST.keys() - {'AVIF'}))
def test_a_side_of_a_format_is_as_long_as_is_said(tmp_path, kind):
  photo = Photo(np.zeros((1, 1, 3), np.uint8), kind, {})
  for width in (LONGEST[kind], LONGEST[kind] + 1):
    writer = PhotoWriter(tmp_path / 'a', photo, 1, width)
    if width == LONGEST[kind]:
      writer.save()
      assert read_size(tmp_path / 'a').width == width
    else:
      with pytest.raises(UserError, match='cannot be written'):
        writer.save()


def test_settings_of_the_process_come_back_when_the_last_thread_has_read(tmp_path):
  before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
  one, other = (reading._told(tmp_path) for _ in range(2))
  one.__enter__()
  other.__enter__()
  one.__exit__(None, None, None)
  assert Image.MAX_IMAGE_PIXELS is None
  other.__exit__(None, None, None)
  assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before and before[0]
