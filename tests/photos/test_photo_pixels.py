"""Pixels of image files of every kind come back as they were."""

import struct

import numpy as np
import png
import pytest
import tifffile
from photo_cases import SRGB, again, check, noise, read_png16, smooth, write_png16, write_tiff
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.pixels import turned


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_eight_bits_of_every_kind_come_back_as_they_were(tmp_path, channels, suffix):
  pixels = noise(6, 7, channels)
  path = tmp_path / f'a.{suffix}'
  Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(path)
  photo = check(path, channels, 8, 'PNG' if suffix == 'png' else 'TIFF')
  np.testing.assert_array_equal(photo.pixels, pixels)
  with Image.open(again(path)) as image:
    assert image.mode == {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}[channels]
    np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('interlaced', [False, True])
def test_sixteen_bits_of_png_keep_every_level(tmp_path, channels, interlaced):
  pixels = noise(6, 7, channels, np.uint16)
  path = tmp_path / 'a.png'
  if interlaced:
    writer = png.Writer(
      7, 6, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4), interlace=True
    )
    with path.open('wb') as file:
      writer.write_array(file, pixels.ravel().tolist())
  else:
    write_png16(path, pixels)
  np.testing.assert_array_equal(check(path, channels, 16, 'PNG').pixels, pixels)
  np.testing.assert_array_equal(read_png16(again(path)), pixels)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('byteorder', ['<', '>'])
@pytest.mark.parametrize('compression', [None, 'zlib'])
def test_sixteen_bits_of_tiff_keep_every_level(tmp_path, channels, byteorder, compression):
  pixels = noise(6, 7, channels, np.uint16)
  path = tmp_path / 'a.tif'
  write_tiff(path, pixels, byteorder=byteorder, compression=compression)
  np.testing.assert_array_equal(check(path, channels, 16, 'TIFF').pixels, pixels)
  new = tifffile.imread(again(path))
  assert new.dtype == np.uint16
  np.testing.assert_array_equal(new.reshape(pixels.shape), pixels)


@pytest.mark.parametrize('channels', [3, 4])
def test_planes_stored_apart_are_put_together(tmp_path, channels):
  pixels = noise(6, 7, channels, np.uint16)
  planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
  write_tiff(tmp_path / 'a.tif', planes, planarconfig='separate', photometric='rgb')
  if channels == 4:
    write_tiff(
      tmp_path / 'a.tif',
      planes,
      planarconfig='separate',
      photometric='rgb',
      extrasamples=('unassalpha',),
    )
  np.testing.assert_array_equal(check(tmp_path / 'a.tif', channels, 16, 'TIFF').pixels, pixels)


def test_a_tiff_compressed_by_lzw_keeps_sixteen_bits(tmp_path):
  # What photo editors write by default; tifffile reads it with a further package only. Pillow writes LZW of
  # grey pixels, and their bytes are those of colours a third as wide.
  pixels = noise(6, 7, 3, np.uint16)
  grey = Image.fromarray(np.ascontiguousarray(pixels.reshape(6, 21)))
  grey.save(tmp_path / 'grey.tif', compression='tiff_lzw')
  with tifffile.TiffFile(tmp_path / 'grey.tif', mode='r+') as tiff:
    page = tiff.pages[0]
    start, length = page.dataoffsets[0], page.databytecounts[0]
    tiff.filehandle.seek(start)
    data = tiff.filehandle.read(length)
  entries = [
    (256, 4, 1, 7),
    (257, 4, 1, 6),
    (258, 3, 3, 8 + 2 + 12 * 9 + 4),
    (259, 3, 1, 5),
    (262, 3, 1, 2),
    (273, 4, 1, 8 + 2 + 12 * 9 + 4 + 6),
    (277, 3, 1, 3),
    (278, 4, 1, 6),
    (279, 4, 1, length),
  ]
  packed = b''.join(struct.pack('<HHII', *entry) for entry in entries)
  head = struct.pack('<2sHIH', b'II', 42, 8, 9) + packed + struct.pack('<I3H', 0, 16, 16, 16)
  (tmp_path / 'a.tif').write_bytes(head + data)
  np.testing.assert_array_equal(check(tmp_path / 'a.tif', 3, 16, 'TIFF').pixels, pixels)


def test_grey_whose_zero_is_white_is_not_inverted(tmp_path):
  for dtype in (np.uint8, np.uint16):
    pixels = noise(6, 7, 1, dtype)
    top = np.iinfo(dtype).max
    write_tiff(tmp_path / 'a.tif', pixels, photometric='miniswhite')
    photo = read_photo(tmp_path / 'a.tif')
    np.testing.assert_array_equal(photo.pixels, top - pixels)
    np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.tif')).pixels, photo.pixels)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_colours_stored_multiplied_by_alpha_are_straightened(tmp_path, dtype):
  pixels = noise(6, 7, 4, dtype)
  top = np.iinfo(dtype).max
  pixels[..., 3] = np.maximum(pixels[..., 3], top // 2)
  stored = pixels.astype(np.float64)
  stored[..., :3] *= stored[..., 3:] / top
  write_tiff(tmp_path / 'a.tif', np.round(stored).astype(dtype), extrasamples=('assocalpha',))
  found = read_photo(tmp_path / 'a.tif').pixels.astype(int)
  assert np.abs(found - pixels).max() <= 2


def test_a_palette_becomes_its_colours(tmp_path):
  colours = noise(1, 9, 3)[0]
  indices = np.arange(42).reshape(6, 7) % 9
  image = Image.fromarray(indices.astype(np.uint8)).convert('P')
  image.putpalette(colours.tobytes())
  for name, kind in (('a.png', 'PNG'), ('a.gif', 'GIF'), ('a.bmp', 'BMP'), ('a.tif', 'TIFF')):
    image.save(tmp_path / name)
    photo = check(tmp_path / name, 3, 8, kind)
    np.testing.assert_array_equal(photo.pixels, colours[indices])
    np.testing.assert_array_equal(read_photo(again(tmp_path / name)).pixels, colours[indices])


def test_a_palette_with_transparency_becomes_its_colours_and_alpha(tmp_path):
  colours, alphas = noise(1, 9, 3)[0], np.array([0, 30, 60, 90, 120, 150, 180, 210, 255], np.uint8)
  indices = np.arange(42).reshape(6, 7) % 9
  image = Image.fromarray(indices.astype(np.uint8)).convert('P')
  image.putpalette(colours.tobytes())
  image.save(tmp_path / 'a.png', transparency=alphas.tobytes())
  photo = check(tmp_path / 'a.png', 4, 8, 'PNG')
  wanted = np.concatenate([colours[indices], alphas[indices][..., None]], -1)
  np.testing.assert_array_equal(photo.pixels, wanted)
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.png')).pixels, wanted)


def test_one_colour_that_stands_for_transparency_becomes_alpha(tmp_path):
  pixels = noise(6, 7, 3)
  pixels[2:4, 3:5] = 10, 20, 30
  Image.fromarray(pixels).save(tmp_path / 'rgb.png', transparency=(10, 20, 30))
  photo = check(tmp_path / 'rgb.png', 4, 8, 'PNG')
  np.testing.assert_array_equal(photo.pixels[..., :3], pixels)
  np.testing.assert_array_equal(photo.pixels[..., 3] == 0, (pixels == (10, 20, 30)).all(-1))
  grey = pixels[..., 0]
  Image.fromarray(grey).save(tmp_path / 'grey.png', transparency=10)
  photo = check(tmp_path / 'grey.png', 2, 8, 'PNG')
  np.testing.assert_array_equal(photo.pixels[..., 1] == 0, grey == 10)


@pytest.mark.parametrize('channels', [1, 3])
def test_one_colour_of_sixteen_bits_becomes_alpha(tmp_path, channels):
  pixels = noise(6, 7, channels, np.uint16)
  hidden = tuple(range(300, 300 + channels))
  pixels[2:4, 3:5] = hidden
  pixels[0, 0] = np.array(hidden) + 1  # of the same high byte, and seen
  write_png16(tmp_path / 'a.png', pixels, transparent=hidden if channels == 3 else hidden[0])
  photo = check(tmp_path / 'a.png', channels + 1, 16, 'PNG')
  np.testing.assert_array_equal(photo.pixels[..., :-1], pixels)
  wanted = np.full((6, 7), 65535)
  wanted[2:4, 3:5] = 0
  np.testing.assert_array_equal(photo.pixels[..., -1], wanted)


@pytest.mark.parametrize(('name', 'kind'), [('a.jpg', 'JPEG'), ('a.webp', 'WEBP')])
@pytest.mark.parametrize('channels', [1, 3])
def test_lossy_formats_stay_what_they_are_and_look_the_same(tmp_path, name, kind, channels):
  pixels = smooth(24, 20, channels)
  image = Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels)
  image.save(tmp_path / name, quality=97)
  # WebP has no grey.
  kept = 3 if kind == 'WEBP' else channels
  photo = check(tmp_path / name, kept, 8, kind, (24, 20))
  assert np.abs(photo.pixels.astype(int) - pixels).mean() < 3
  new = read_photo(again(tmp_path / name))
  assert new.format == kind
  assert new.pixels.shape == photo.pixels.shape
  assert np.abs(new.pixels.astype(int) - photo.pixels).mean() < 2


@pytest.mark.parametrize('channels', [3, 4])
def test_lossless_webp_stays_lossless(tmp_path, channels):
  pixels = noise(6, 7, channels)
  pixels[..., 3:] |= 1  # colours of hidden pixels are not kept
  path = tmp_path / 'a.webp'
  Image.fromarray(pixels).save(path, lossless=True, icc_profile=SRGB)
  np.testing.assert_array_equal(check(path, channels, 8, 'WEBP').pixels, pixels)
  np.testing.assert_array_equal(read_photo(again(path)).pixels, pixels)


def test_lossy_webp_does_not_grow_into_a_lossless_one(tmp_path):
  path = tmp_path / 'a.webp'
  Image.fromarray(smooth(24, 20, 3)).save(path, quality=80)
  assert b'VP8 ' in again(path).read_bytes()


def test_inks_become_colours_and_their_profile_goes(tmp_path):
  image = Image.fromarray(smooth(24, 20, 3)).convert('CMYK')
  image.save(tmp_path / 'a.jpg', quality=97, icc_profile=SRGB)
  photo = check(tmp_path / 'a.jpg', 3, 8, 'JPEG', (24, 20))
  assert np.abs(photo.pixels.astype(int) - smooth(24, 20, 3)).mean() < 4
  with Image.open(again(tmp_path / 'a.jpg')) as new:
    assert new.mode == 'RGB'
    assert 'icc_profile' not in new.info


@pytest.mark.parametrize(
  ('name', 'channels', 'kind'),
  [('a.bmp', 1, 'BMP'), ('a.bmp', 3, 'BMP'), ('a.pgm', 1, 'PPM'), ('a.ppm', 3, 'PPM')],
)
def test_plain_formats_come_back_as_they_were(tmp_path, name, channels, kind):
  pixels = noise(6, 7, channels)
  Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels).save(tmp_path / name)
  np.testing.assert_array_equal(check(tmp_path / name, channels, 8, kind).pixels, pixels)
  new = again(tmp_path / name)
  np.testing.assert_array_equal(read_photo(new).pixels, pixels)
  assert new.read_bytes()[:2] == (tmp_path / name).read_bytes()[:2]


def test_a_grey_map_of_sixteen_bits_keeps_them(tmp_path):
  pixels = noise(6, 7, 1, np.uint16)
  (tmp_path / 'a.pgm').write_bytes(b'P5 7 6 65535\n' + pixels.astype('>u2').tobytes())
  np.testing.assert_array_equal(check(tmp_path / 'a.pgm', 1, 16, 'PPM').pixels, pixels)
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.pgm')).pixels, pixels)


def test_one_bit_becomes_grey(tmp_path):
  pixels = noise(6, 7, 1)[..., 0] > 127
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  photo = check(tmp_path / 'a.png', 1, 8, 'PNG')
  np.testing.assert_array_equal(photo.pixels[..., 0], pixels * np.uint8(255))


def test_a_gif_of_one_frame_keeps_its_transparency(tmp_path):
  image = Image.fromarray((np.arange(42).reshape(6, 7) % 4).astype(np.uint8)).convert('P')
  image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
  image.save(tmp_path / 'a.gif', transparency=2, comment=b'mine')
  photo = check(tmp_path / 'a.gif', 4, 8, 'GIF')
  target = again(tmp_path / 'a.gif')
  new = read_photo(target)
  np.testing.assert_array_equal(new.pixels[..., 3], photo.pixels[..., 3])
  seen = photo.pixels[..., 3] > 0
  np.testing.assert_array_equal(new.pixels[seen], photo.pixels[seen])
  with Image.open(target) as written:
    assert written.info['comment'] == b'mine'


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize(('channels', 'depth'), [(1, 8), (4, 8), (1, 16)])
def test_an_uncompressed_tiff_is_turned_upright(tmp_path, channels, depth, orientation):
  pixels = noise(6, 7, channels, np.uint8 if depth == 8 else np.uint16)
  tag = (274, 3, 1, orientation, True)
  write_tiff(tmp_path / 'a.tif', pixels, extratags=[tag])
  wanted = turned(pixels, orientation)
  photo = check(tmp_path / 'a.tif', channels, depth, 'TIFF', wanted.shape[:2])
  np.testing.assert_array_equal(photo.pixels, wanted)


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_one_grey_of_few_bits_becomes_alpha(tmp_path, bits):
  pixels = (np.arange(42).reshape(6, 7) % 2**bits).astype(np.uint8)
  with (tmp_path / 'a.png').open('wb') as file:
    png.Writer(7, 6, greyscale=True, bitdepth=bits, transparent=1).write(file, pixels)
  photo = check(tmp_path / 'a.png', 2, 8, 'PNG')
  np.testing.assert_array_equal(photo.pixels[..., 0], pixels * (255 // (2**bits - 1)))
  np.testing.assert_array_equal(photo.pixels[..., 1], np.where(pixels == 1, 0, 255))


def test_icons_of_fixed_sizes_are_refused(tmp_path):
  Image.fromarray(noise(48, 48, 3)).save(tmp_path / 'a.ico')
  with pytest.raises(DataError, match='ICO can be read but not written: save it as PNG'):
    read_size(tmp_path / 'a.ico')
