"""What the boxes of JPEG 2000 files say of channels and palettes, which its decoder passes over."""

import struct

import numpy as np
import pytest
from byte_cases import box, jp2
from photo_cases import again, check, noise
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.images import load_image

SRGB, GREY, SYCC = (box(b'colr', b'\1\0\0' + struct.pack('>I', n)) for n in (16, 17, 18))
ORDERS = {  # kind and colour of each channel, and where each is in the picture
  'plain': ([(0, 1), (0, 2), (0, 3)], [0, 1, 2]),
  'BGR': ([(0, 3), (0, 2), (0, 1)], [2, 1, 0]),
  'ARGB': ([(1, 0), (0, 1), (0, 2), (0, 3)], [1, 2, 3, 0]),
  'BGRA': ([(0, 3), (0, 2), (0, 1), (1, 0)], [2, 1, 0, 3]),
  'alpha, grey': ([(1, 0), (0, 1)], [1, 0]),
  'grey of all colours': ([(0, 0), (1, 0)], [0, 1]),
}
UNKNOWN = {
  'twice': ([(0, 1), (0, 1), (0, 2)], SRGB),
  'alpha of red': ([(0, 1), (0, 2), (0, 3), (1, 1)], SRGB),
  'two colours': ([(0, 1), (0, 2), (1, 0)], SRGB),
  'CrCbY': ([(0, 3), (0, 2), (0, 1)], SYCC),
}


def kinds(channels):
  rows = b''.join(struct.pack('>3H', i, *channel) for i, channel in enumerate(channels))
  return box(b'cdef', struct.pack('>H', len(channels)) + rows)


def refused(path, words):
  for read in (read_size, read_photo):
    with pytest.raises(
      DataError, match=rf'a\.jp2: JPEG 2000 of {words} cannot be kept: save it as'
    ):
      read(path)


@pytest.mark.parametrize('name', ORDERS)
def test_channels_come_in_the_order_that_a_file_states(tmp_path, name):
  (channels, places), path = ORDERS[name], tmp_path / 'a.jp2'
  pixels = noise(6, 7, len(channels))
  jp2(path, Image.fromarray(pixels), (GREY if len(channels) == 2 else SRGB) + kinds(channels))
  photo = check(path, len(channels), 8, 'JPEG2000')
  np.testing.assert_array_equal(photo.pixels, pixels[..., places])
  np.testing.assert_array_equal(read_photo(again(path)).pixels, photo.pixels)
  if len(channels) == 3:
    np.testing.assert_array_equal(load_image(path, np.asarray), photo.pixels)


@pytest.mark.parametrize('name', UNKNOWN)
def test_channels_whose_order_is_not_known_are_refused(tmp_path, name):
  channels, colour = UNKNOWN[name]
  jp2(tmp_path / 'a.jp2', Image.fromarray(noise(6, 7, len(channels))), colour + kinds(channels))
  refused(tmp_path / 'a.jp2', 'channels in an unusual order')


def palette(colours, bits=8, columns=None):
  channels = len(colours[0])
  table = struct.pack('>HB', len(colours), channels) + bytes([bits - 1] * channels)
  columns = range(channels) if columns is None else columns
  mapping = b''.join(struct.pack('>HBB', 0, 1, i) for i in columns)
  return box(b'pclr', table + bytes(np.ravel(colours).tolist())) + box(b'cmap', mapping)


@pytest.mark.parametrize(('channels', 'bits'), [(3, 8), (3, 4), (4, 8)])
def test_a_palette_of_equal_colours_and_of_any_depth(tmp_path, channels, bits):
  colours = noise(1, 9, channels)[0] >> (8 - bits)
  colours[3] = colours[1]
  indices = (np.arange(42).reshape(6, 7) % 9).astype(np.uint8)
  more = kinds([(0, 3), (0, 2), (0, 1), (1, 0)][:channels])
  jp2(tmp_path / 'a.jp2', Image.fromarray(indices), SRGB + palette(colours, bits) + more)
  wanted = np.round(colours * (255 / (2**bits - 1)))[indices][..., [2, 1, 0, 3][:channels]]
  pixels = check(tmp_path / 'a.jp2', channels, 8, 'JPEG2000').pixels
  np.testing.assert_array_equal(pixels, wanted)
  flat = load_image(tmp_path / 'a.jp2', lambda image: np.asarray(image.convert('RGB')))
  on_black = wanted[..., :3] * (wanted[..., 3:] / 255 if channels == 4 else 1)
  assert np.abs(flat - on_black).max() <= 1


@pytest.mark.parametrize(('header', 'words'), [
  (SRGB + palette([[0, 1, 2]] * 2, columns=[2, 1, 0]), 'a palette with indices stored in this way'),
  (GREY + palette([[9], [3]]), 'a palette of 1 channels of this kind'),
  (SYCC + palette([[9, 8, 7], [3, 2, 1]]), 'a palette of 3 channels of this kind'),
])  # fmt: skip
def test_palettes_that_would_come_out_wrong_are_refused(tmp_path, header, words):
  jp2(tmp_path / 'a.jp2', Image.fromarray(noise(6, 7, 1)[..., 0] & 1), header)
  refused(tmp_path / 'a.jp2', words)
