"""Reading a person's image files."""

import numpy as np
import png
import pytest
import tifffile
from byte_cases import packed, tiff
from PIL import Image, PngImagePlugin

from jaxgen.errors import DataError
from jaxgen.photos.images import read_grey


def test_pixels_of_the_right_size_are_read_as_they_are(tmp_path):
  pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  np.testing.assert_allclose(read_grey(tmp_path / 'a.png', 8, 8), pixels / 255.0, atol=1e-7)


def test_sixteen_bits_keep_their_depth(tmp_path):
  pixels = np.full((8, 8), 300, np.uint16)
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  np.testing.assert_allclose(read_grey(tmp_path / 'a.png', 8, 8), 300 / 65535, rtol=1e-6)


def test_twelve_bits_are_brought_to_the_full_range(tmp_path):
  levels = np.array([[0, 1000], [2048, 4095]])
  tiff(tmp_path / 'a.tif', 2, 2, [12], 1, packed(levels, 12))
  np.testing.assert_allclose(read_grey(tmp_path / 'a.tif', 2, 2), levels / 4095, atol=1e-5)


def test_deep_tiffs_have_white_last_and_the_full_range(tmp_path):
  levels = np.array([[0, 65535], [1000, 30000]], np.uint16)
  tifffile.imwrite(tmp_path / 'a.tif', levels, photometric='miniswhite')
  np.testing.assert_allclose(read_grey(tmp_path / 'a.tif', 2, 2), 1 - levels / 65535, atol=1e-5)
  levels = np.array([[0, 4095], [1000, 3000]], np.uint16)
  tifffile.imwrite(tmp_path / 'b.tif', levels, extratags=[(281, 'H', 1, 4095, True)])
  np.testing.assert_allclose(read_grey(tmp_path / 'b.tif', 2, 2), levels / 4095, atol=1e-5)


def test_a_larger_image_is_averaged_down(tmp_path):
  pixels = np.zeros((16, 16), np.uint8)
  pixels[::2] = 255
  Image.fromarray(pixels).save(tmp_path / 'a.png')
  np.testing.assert_allclose(read_grey(tmp_path / 'a.png', 8, 8), 0.5, atol=1e-6)


def test_transparency_is_paper(tmp_path):
  Image.new('RGBA', (8, 8), (10, 20, 30, 0)).save(tmp_path / 'a.png')
  assert read_grey(tmp_path / 'a.png', 8, 8).max() == 0.0
  assert read_grey(tmp_path / 'a.png', 8, 8, invert=True).max() == 0.0


def test_one_transparent_grey_of_sixteen_bits_is_paper(tmp_path):
  pixels = np.array([[0, 30_000, 65_535]], np.uint16)
  with (tmp_path / 'a.png').open('wb') as file:
    png.Writer(3, 1, greyscale=True, bitdepth=16, transparent=65_535).write(file, pixels)
  found = read_grey(tmp_path / 'a.png', 1, 3)
  np.testing.assert_allclose(found, [[0, 30_000 / 65_535, 0]], atol=0.5 / 255)


def test_an_uncompressed_tiff_is_turned_upright(tmp_path):
  pixels = np.arange(42, dtype=np.uint8).reshape(6, 7)
  tifffile.imwrite(tmp_path / 'a.tif', pixels, extratags=[(274, 3, 1, 6, True)], metadata=None)
  np.testing.assert_array_equal(read_grey(tmp_path / 'a.tif', 7, 6) * 255, np.rot90(pixels, 3))


def test_orientation_is_applied(tmp_path):
  pixels = np.zeros((8, 8), np.uint8)
  pixels[0] = 255
  exif = Image.Exif()
  exif[0x0112] = 3  # upside down
  Image.fromarray(pixels).save(tmp_path / 'a.png', exif=exif)
  assert read_grey(tmp_path / 'a.png', 8, 8)[-1].min() == 1.0


@pytest.mark.parametrize('content', [b'', b'text', b'\x89PNG\r\n\x1a\n' + b'\0' * 20])
def test_what_is_no_image_is_named(tmp_path, content):
  (tmp_path / 'a.png').write_bytes(content)
  with pytest.raises(DataError, match=r'^[^ ]*a\.png: not an? (readable )?image[^/]*$'):
    read_grey(tmp_path / 'a.png', 8, 8)


def test_a_folder_is_told_how_to_name_its_files(tmp_path):
  with pytest.raises(DataError, match=r'a folder, not an image; name its files'):
    read_grey(tmp_path, 8, 8)


@pytest.mark.parametrize('invert', [False, True])
def test_another_aspect_ratio_is_fitted_on_paper(tmp_path, invert):
  ink = 0 if invert else 255
  Image.new('L', (32, 16), ink).save(tmp_path / 'a.png')
  pixels = read_grey(tmp_path / 'a.png', 8, 8, invert)
  np.testing.assert_allclose(pixels[2:6], 1.0)
  assert pixels[:2].max() == pixels[6:].max() == 0.0


def test_a_truncated_image_is_named(tmp_path):
  noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
  Image.fromarray(noise).save(tmp_path / 'a.png')
  content = (tmp_path / 'a.png').read_bytes()
  (tmp_path / 'a.png').write_bytes(content[: len(content) // 2])
  with pytest.raises(DataError, match=r'a\.png: not a readable image'):
    read_grey(tmp_path / 'a.png', 8, 8)


def test_what_is_wrong_beside_the_pixels_keeps_no_image_from_being_read(tmp_path):
  pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
  text = PngImagePlugin.PngInfo()
  text.add_text('workflow', 'x' * 2_000_000)
  Image.fromarray(pixels).save(tmp_path / 'a.png', pnginfo=text)
  content = (tmp_path / 'a.png').read_bytes()
  (tmp_path / 'a.png').write_bytes(content.replace(b'xxxx', b'xxxy', 1)[:-12])
  np.testing.assert_allclose(read_grey(tmp_path / 'a.png', 8, 8), pixels / 255.0, atol=1e-7)
  noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
  Image.fromarray(noise).save(tmp_path / 'a.jpg')
  content = (tmp_path / 'a.jpg').read_bytes()
  whole = read_grey(tmp_path / 'a.jpg', 8, 8)
  (tmp_path / 'a.jpg').write_bytes(content[:-2])
  np.testing.assert_array_equal(read_grey(tmp_path / 'a.jpg', 8, 8), whole)
  (tmp_path / 'a.jpg').write_bytes(content[:-20])
  with pytest.raises(DataError, match=r'a\.jpg: damaged: its end is missing'):
    read_grey(tmp_path / 'a.jpg', 8, 8)
