"""Depths other than 8 and 16 bits: over the full range, or refused with the reason."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from byte_cases import box, jp2, packed, patched, png_with, tiff
from photo_cases import again, check, noise, smooth, write_tiff
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.depth import full_range

KINDS = {1: 1, 2: 1, 3: 2, 4: 2}  # TIFF's colours by channels


def levels_of(bits, channels, seed=0):
  """With black and white in each channel."""
  levels = np.random.default_rng(seed).integers(0, 2**bits, (6, 7, channels)).astype(np.uint16)
  levels[0, 0], levels[5, 6] = 0, 2**bits - 1
  return levels


def at_full_range(levels, bits):
  top = 255 if bits <= 8 else 65535
  return np.round(levels * (top / (2**bits - 1))).astype(int)


def refused(path, words):
  for read in (read_size, read_photo):
    with pytest.raises(DataError, match=rf'^[^\n]*{path.name}: [^\n]*{words}[^\n]*$'):
      read(path)


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('bits', [3, 6, 9, 10, 11, 12, 13, 14, 15])
def test_any_depth_of_tiff_is_brought_to_the_full_range(tmp_path, bits, channels):
  levels = levels_of(bits, channels)
  alpha = [(338, 3, [2])] if channels in (2, 4) else []
  for order in '<>':
    path = tmp_path / 'a.tif'
    data = packed(levels.reshape(6, -1), bits)
    tiff(path, 7, 6, [bits] * channels, KINDS[channels], data, order, alpha)
    photo = check(path, channels, 8 if bits < 8 else 16, 'TIFF')
    np.testing.assert_array_equal(photo.pixels, at_full_range(levels, bits))
    np.testing.assert_array_equal(read_photo(again(path)).pixels, photo.pixels)


@pytest.mark.parametrize(
  'how', ['words', 'zlib', 'white', 'apart', 'low bits first', 'strips', 'times']
)
@pytest.mark.parametrize('order', '<>')
def test_twelve_bits_of_tiff_however_they_lie(tmp_path, order, how):
  channels = 3 if how == 'apart' else 2 if how == 'times' else 1
  levels, path = levels_of(12, channels), tmp_path / 'a.tif'
  wanted, tags, kind = at_full_range(levels, 12), [], KINDS[channels]
  data = packed(levels.reshape(6, -1), 12)
  if how == 'words':
    data = levels.astype(order + 'u2').tobytes()
  elif how == 'zlib':
    data, tags = zlib.compress(data), [(259, 3, [8])]
  elif how == 'white':
    wanted, kind = 65535 - wanted, 0
  elif how == 'apart':
    data, tags = [packed(levels[..., i], 12) for i in range(3)], [(284, 3, [2])]
  elif how == 'strips':
    data, tags = [packed(levels[i : i + 2, :, 0], 12) for i in (0, 2, 4)], [(278, 3, [2])]
  elif how == 'low bits first':
    data = np.packbits(np.unpackbits(np.frombuffer(data, np.uint8)), bitorder='little').tobytes()
    tags = [(266, 3, [2])]
  elif how == 'times':  # alpha
    levels[..., 1] = 4095
    data, tags = packed(levels.reshape(6, -1), 12), [(338, 3, [1])]
    wanted = at_full_range(levels, 12)
  tiff(path, 7, 6, [12] * channels, kind, data, order, tags)
  np.testing.assert_array_equal(check(path, channels, 16, 'TIFF').pixels, wanted)


@pytest.mark.parametrize('tag', [281, 341])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_sixteen_bits_that_tags_say_are_fewer(tmp_path, channels, tag):
  levels, path = levels_of(12, channels), tmp_path / 'a.tif'
  write_tiff(path, levels, extratags=[(tag, 'H', channels, (4095,) * channels, True)])
  photo = check(path, channels, 16, 'TIFF')
  np.testing.assert_array_equal(photo.pixels, at_full_range(levels, 12))
  assert photo.notes == ('its pixels hold 12 bits in 16: scaled to the full range',)
  assert read_photo(again(path)).notes == ()
  levels[2, 2] = 4096  # as a statistic the tag means nothing
  write_tiff(path, levels, extratags=[(tag, 'H', channels, (4095,) * channels, True)])
  photo = read_photo(path)
  np.testing.assert_array_equal(photo.pixels, levels)
  assert photo.notes == ()


@pytest.mark.parametrize(('dtype', 'words'), [
  ('i1', 'pixels of 8 bits with a sign'),
  ('i2', 'pixels of 16 bits with a sign'),
  ('u4', 'pixels of 32 bits'),
  ('f2', 'pixels of 16 bits in floating point'),
  ('f8', 'pixels of 64 bits in floating point'),
])  # fmt: skip
@pytest.mark.parametrize('channels', [1, 3])
def test_numbers_of_other_kinds_are_refused(tmp_path, dtype, words, channels):
  write_tiff(tmp_path / 'a.tif', noise(6, 7, channels).astype(dtype))
  refused(tmp_path / 'a.tif', words + ': save it with 8 or 16 bits a channel')


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize('bits', [8, 12, 16])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_numbers_of_an_undefined_kind_are_unsigned(tmp_path, channels, bits, order):
  levels = levels_of(bits, channels)
  data = packed(levels.reshape(6, -1), bits)
  if bits == 16:
    data = levels.astype(order + 'u2').tobytes()
  tags = [(339, 3, [4] * channels), (338, 3, [2])][: 1 + (channels == 4)]
  tiff(tmp_path / 'a.tif', 7, 6, [bits] * channels, KINDS[channels], data, order, tags)
  photo = check(tmp_path / 'a.tif', channels, 8 if bits == 8 else 16, 'TIFF')
  np.testing.assert_array_equal(photo.pixels, at_full_range(levels, bits))


@pytest.mark.parametrize(('bits', 'kind', 'tags', 'words'), [
  ([5, 6, 5], 2, [], r'different depths \(5, 6, 5\)'),
  ([24], 1, [], 'pixels of 24 bits'),
  ([16] * 4, 5, [], 'CMYK of 16 bits cannot be kept: save it as RGB'),
  ([8] * 4, 5, [(332, 3, [2])], 'inks other than CMYK cannot be kept'),
  ([8] * 5, 5, [(338, 3, [2])], 'CMYK with alpha cannot be kept'),
  ([8] * 3, 9999, [], 'a TIFF file of colours of kind 9999 cannot be kept'),
  ([8] * 3, 8, [], 'CIELab cannot be kept'),
  ([16] * 3, 8, [], 'CIELab cannot be kept'),
  ([16] * 3, 32845, [], r'LogLuv \(high dynamic range\) cannot be kept'),
  ([8] * 3, 6, [(530, 3, [2, 2])], 'uncompressed YCbCr of this kind'),
  ([8] * 3, 6, [(530, 3, [1, 1]), (532, 5, [(16, 1), (235, 1)] + [(128, 1), (240, 1)] * 2)], 'YCbCr'),
  ([8] * 3, 2, [(532, 5, [(16, 1), (235, 1)] * 3)], 'black and white levels'),
  ([16], 32803, [], 'a raw camera photo: develop it'),
  ([8] * 3, 2, [(50706, 1, [1, 4, 0, 0])], 'a raw camera photo: develop it'),
  ([12], 1, [(301, 3, [0] * 4096)], 'a transfer function for 12 bits'),
])  # fmt: skip
def test_tiff_files_that_would_come_out_wrong_are_refused(tmp_path, bits, kind, tags, words):
  tiff(tmp_path / 'a.tif', 8, 6, bits, kind, bytes(8 * 6 * sum(bits) // 8), tags=tags)
  refused(tmp_path / 'a.tif', words)


def test_channels_that_are_no_transparency_are_left_out_with_a_note(tmp_path):
  for dtype in (np.uint8, np.uint16):
    for channels in (2, 4):
      pixels = noise(6, 7, channels, dtype)
      write_tiff(tmp_path / 'a.tif', pixels, extrasamples=('unspecified',))
      photo = check(tmp_path / 'a.tif', channels - 1, 8 * pixels.itemsize, 'TIFF')
      np.testing.assert_array_equal(photo.pixels, pixels[..., :-1])
      assert photo.notes == ('1 further channel (no transparency) left out',)


@pytest.mark.parametrize('flag', [(0x40, 10), (0x20, 12)])
def test_avif_of_more_than_eight_bits_is_refused(tmp_path, flag):
  Image.fromarray(smooth(16, 16, 3)).save(tmp_path / 'a.avif')
  assert read_size(tmp_path / 'a.avif').depth == 8
  content = (tmp_path / 'a.avif').read_bytes()
  at = content.index(b'av1C') + 6
  (tmp_path / 'a.avif').write_bytes(
    content[:at] + bytes([content[at] | flag[0]]) + content[at + 1 :]
  )
  patched(
    tmp_path / 'a.avif', b'pixi\0\0\0\0\3\x08\x08\x08', b'pixi\0\0\0\0\3' + bytes([flag[1]] * 3)
  )
  refused(
    tmp_path / 'a.avif', f'AVIF of {flag[1]} bits a channel, of which 8 can be written: save it as'
  )


@pytest.mark.parametrize('bits', [4, 12, 16])
def test_grey_jpeg_2000_of_any_depth_is_at_the_full_range(tmp_path, bits):
  levels, size = levels_of(bits, 1)[..., 0], 8 if bits < 9 else 16
  # The codestream's numbers are less the middle of the depth that it names.
  shifted = levels + np.uint16(2 ** (size - 1) - 2 ** (bits - 1))
  path = tmp_path / 'a.jp2'
  Image.fromarray(shifted.astype(f'u{size // 8}')).save(path)
  patched(path, bytes((0, 1, size - 1, 7)), bytes((0, 1, bits - 1, 7)))
  content = path.read_bytes()
  at = content.index(b'\xff\x51') + 40
  assert content[at] == size - 1
  path.write_bytes(content[:at] + bytes([bits - 1]) + content[at + 1 :])
  photo = check(path, 1, size, 'JPEG2000')
  np.testing.assert_array_equal(photo.pixels[..., 0], at_full_range(levels, bits))
  np.testing.assert_array_equal(read_photo(again(path)).pixels, photo.pixels)


@pytest.mark.parametrize('channels', [2, 3, 4])
def test_jpeg_2000_in_colour_of_sixteen_bits_is_refused(tmp_path, channels):
  pixels = noise(6, 7, channels)
  Image.fromarray(pixels).save(tmp_path / 'a.jp2')
  content = bytearray((tmp_path / 'a.jp2').read_bytes())
  at = content.index(b'\xff\x51') + 40
  for i in range(channels):
    assert content[at + 3 * i] == 7
    content[at + 3 * i] = 15
  (tmp_path / 'a.jp2').write_bytes(content)
  refused(tmp_path / 'a.jp2', 'JPEG 2000 in colour or with alpha of 16 bits a channel')
  (tmp_path / 'a.j2k').write_bytes(content[content.index(b'\xff\x4f\xff\x51') :])
  refused(tmp_path / 'a.j2k', 'JPEG 2000 in colour or with alpha of 16 bits a channel')


def test_a_codestream_of_jpeg_2000_stays_one(tmp_path):
  pixels = noise(6, 7, 3)
  Image.fromarray(pixels).save(tmp_path / 'a.j2k')
  np.testing.assert_array_equal(check(tmp_path / 'a.j2k', 3, 8, 'JPEG2000').pixels, pixels)
  new = again(tmp_path / 'a.j2k')
  assert new.read_bytes()[:4] == b'\xff\x4f\xff\x51'
  np.testing.assert_array_equal(read_photo(new).pixels, pixels)


def test_a_palette_of_jpeg_2000_is_read_or_refused_by_its_depth(tmp_path):
  indices = (np.arange(42).reshape(6, 7) % 3).astype(np.uint8)
  for bits, colours in ((8, [0, 128, 255]), (16, [0, 30000, 65535])):
    form = 'B' if bits == 8 else 'H'
    table = struct.pack('>HB3B', 3, 3, *[bits - 1] * 3)
    table += b''.join(struct.pack('>3' + form, x, x, 0) for x in colours)
    mapping = b''.join(struct.pack('>HBB', 0, 1, i) for i in range(3))
    colour = box(b'colr', b'\1\0\0' + struct.pack('>I', 16))
    header = colour + box(b'pclr', table) + box(b'cmap', mapping)
    jp2(tmp_path / 'a.jp2', Image.fromarray(indices), header)
    if bits == 8:
      photo = check(tmp_path / 'a.jp2', 3, 8, 'JPEG2000')
      np.testing.assert_array_equal(photo.pixels[..., 0], np.array(colours)[indices])
    else:
      refused(tmp_path / 'a.jp2', 'of 16 bits a channel')


@pytest.mark.parametrize('packing', [0, 1])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_sgi_of_sixteen_bits_is_refused(tmp_path, channels, packing):
  head = struct.pack('>HBBHHHH', 474, packing, 2, 2 if channels == 1 else 3, 7, 6, channels)
  (tmp_path / 'a.sgi').write_bytes(head.ljust(512, b'\0') + bytes(4096))
  refused(tmp_path / 'a.sgi', 'SGI of 16 bits a channel, of which 8 can be written')


@pytest.mark.parametrize(
  ('top', 'depth'), [(1, 8), (100, 8), (256, 16), (1023, 16), (4095, 16), (65534, 16)]
)
@pytest.mark.parametrize('plain', [False, True])
def test_any_highest_level_of_a_grey_map_is_white(tmp_path, top, depth, plain):
  levels = np.random.default_rng(0).integers(0, top, (6, 7), endpoint=True)
  levels[0, 0], levels[5, 6] = 0, top
  data = levels.astype('>u2' if top > 255 else 'u1').tobytes()
  if plain:
    data = ' '.join(map(str, levels.ravel())).encode()
  (tmp_path / 'a.pgm').write_bytes(b'P%d 7 6 %d\n' % (2 if plain else 5, top) + data)
  photo = check(tmp_path / 'a.pgm', 1, depth, 'PPM')
  np.testing.assert_array_equal(photo.pixels[..., 0], np.round(levels / top * (2**depth - 1)))
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.pgm')).pixels, photo.pixels)


def test_significant_bits_of_png_change_nothing(tmp_path):
  levels = full_range(noise(6, 7, 3) >> 3, 5)
  png_with(tmp_path / 'a.png', levels, [(b'sBIT', b'\5\5\5')])
  np.testing.assert_array_equal(check(tmp_path / 'a.png', 3, 8, 'PNG').pixels, levels)


def test_twelve_bits_of_jpeg_and_other_kinds_are_named(tmp_path):
  Image.fromarray(smooth(16, 16, 3)).save(tmp_path / 'a.jpg')
  content = (tmp_path / 'a.jpg').read_bytes()
  at = content.index(b'\xff\xc0\0\x11\x08')
  for marker, bits, words in (
    (
      0xC1,
      12,
      'JPEG of 12 bits a channel, which is not read here: save it as PNG or TIFF of 16 bits',
    ),
    (0xC3, 8, 'lossless JPEG, which is not read here'),
    (0xF7, 8, 'JPEG-LS, which is not read here'),
    (0xC5, 8, 'hierarchical JPEG, which is not read here'),
  ):
    changed = content[: at + 1] + bytes([marker, 0, 0x11, bits]) + content[at + 5 :]
    (tmp_path / 'a.jpg').write_bytes(changed)
    refused(tmp_path / 'a.jpg', words)


def test_pixels_of_a_depth_that_are_cut_off_are_told(tmp_path):
  tiff(tmp_path / 'a.tif', 7, 6, [12], 1, bytes(40), '>', [(279, 4, [66])])
  with pytest.raises(
    DataError, match=r'a\.tif: damaged, or not an image \(26 bytes of pixels are missing'
  ):
    read_photo(tmp_path / 'a.tif')


def test_tiles_of_any_depth_are_put_together(tmp_path):
  levels = np.random.default_rng(0).integers(0, 1024, (32, 48)).astype(np.uint16)
  tiles = [levels[r : r + 16, c : c + 16] for r in (0, 16) for c in (0, 16, 32)]
  data = [packed(x, 10) for x in tiles]
  tiff(tmp_path / 'a.tif', 40, 30, [10], 1, data, '>', [(322, 3, [16]), (323, 3, [16])])
  with tifffile.TiffFile(tmp_path / 'a.tif') as opened:
    assert opened.pages[0].is_tiled
  photo = check(tmp_path / 'a.tif', 1, 16, 'TIFF', (30, 40))
  np.testing.assert_array_equal(photo.pixels[..., 0], at_full_range(levels[:30, :40], 10))
