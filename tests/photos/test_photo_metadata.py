"""What image files say besides their pixels stays with them."""

import struct
import warnings

import numpy as np
import png
import pytest
import tifffile
from photo_cases import (
  HIGH,
  ORIENTATION,
  SRGB,
  WIDE,
  again,
  check,
  noise,
  save_deep,
  smooth,
  write_png16,
  write_tiff,
)
from PIL import ExifTags, Image, IptcImagePlugin, PngImagePlugin

from jaxgen.photos import read_photo, read_size


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.webp', 'a.tif', 'deep.png', 'deep.tif'])
def test_the_colour_profile_stays(tmp_path, name):
  path = tmp_path / name
  if name.startswith('deep'):
    save_deep(path, noise(6, 7, 3, np.uint16), icc_profile=SRGB)
  else:
    Image.fromarray(noise(6, 7, 3)).save(path, icc_profile=SRGB)
  with Image.open(again(path)) as new:
    assert new.info['icc_profile'] == SRGB


NAMES = ['a.png', 'a.jpg', 'a.webp', 'a.tif', 'deep.png', 'deep.tif', 'apart.tif']
UPRIGHT = {  # of the pixels as they are stored
  1: lambda x: x,
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  4: lambda x: x[::-1],
  5: lambda x: x.swapaxes(0, 1),
  6: lambda x: x.swapaxes(0, 1)[:, ::-1],
  7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
  8: lambda x: x.swapaxes(0, 1)[::-1],
  9: lambda x: x,  # without a meaning
}


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('name', NAMES)
def test_pixels_are_upright_and_the_other_exif_tags_stay(tmp_path, name, orientation):
  deep = name[0] != 'a' or name == 'apart.tif'
  pixels = noise(16, 24, 3, np.uint16) if deep else smooth(16, 24, 3)
  exif = Image.Exif()
  exif[ORIENTATION], exif[271] = orientation, 'Maker'
  exif.get_ifd(ExifTags.IFD.Exif)[WIDE] = 24
  exif.get_ifd(ExifTags.IFD.Exif)[HIGH] = 16
  path = tmp_path / name
  if name == 'apart.tif':
    tags = [(ORIENTATION, 'H', 1, orientation, True), (271, 's', 0, 'Maker', True)]
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    write_tiff(path, planes, photometric='rgb', planarconfig='separate', extratags=tags)
  elif deep:
    save_deep(path, pixels, exif=exif)
  else:
    options = {'quality': 97, 'lossless': True} if name.endswith('webp') else {'quality': 97}
    Image.fromarray(pixels).save(path, exif=exif.tobytes(), **options)
  wanted = UPRIGHT[orientation](pixels)
  size, photo = read_size(path), read_photo(path)
  assert (size.height, size.width) == photo.pixels.shape[:2] == wanted.shape[:2]
  if name == 'a.jpg':
    assert np.abs(photo.pixels.astype(int) - wanted).mean() < 3
  else:
    np.testing.assert_array_equal(photo.pixels, wanted)
  new = again(path, factor=2)
  with Image.open(new) as image:
    tags = image.getexif()
    assert ORIENTATION not in tags
    assert tags[271] == 'Maker'
    if name != 'apart.tif':  # it had none
      details = tags.get_ifd(ExifTags.IFD.Exif)
      assert (details[HIGH], details[WIDE]) == (2 * wanted.shape[0], 2 * wanted.shape[1])
  big = wanted.repeat(2, 0).repeat(2, 1)
  found = read_photo(new).pixels
  assert found.shape == big.shape
  assert np.abs(found.astype(int) - big).mean() < (5 if name == 'a.jpg' else 1e-9)


@pytest.mark.parametrize('stated', [b'"6"', b"'6'", b' = "6"'])
def test_the_orientation_that_xmp_tells_is_followed_once(tmp_path, stated):
  equal = b'' if b'=' in stated else b'='
  xmp = b'<x:xmpmeta><rdf tiff:Orientation%s%s xmp:Rating="3"/></x:xmpmeta>' % (equal, stated)
  pixels = noise(6, 7, 3)
  Image.fromarray(pixels).save(tmp_path / 'a.jpg', xmp=xmp, quality=95)
  text = PngImagePlugin.PngInfo()
  text.add_itxt('XML:com.adobe.xmp', xmp.decode())
  Image.fromarray(pixels).save(tmp_path / 'a.png', pnginfo=text)
  for name in ('a.jpg', 'a.png'):
    size = read_size(tmp_path / name)
    assert (size.height, size.width) == (7, 6)
    assert read_photo(tmp_path / name).pixels.shape == (7, 6, 3)
    new = again(tmp_path / name)
    assert read_photo(new).pixels.shape == (7, 6, 3)
    assert b'xmp:Rating="3"' in new.read_bytes()


def test_exif_after_the_pixels_of_a_png_is_found_without_decoding(tmp_path, monkeypatch):
  exif = Image.Exif()
  exif[ORIENTATION] = 6
  Image.fromarray(noise(6, 7, 3)).save(tmp_path / 'a.png', exif=exif)
  chunks = list(png.Reader(filename=str(tmp_path / 'a.png')).chunks())
  chunks.sort(key=lambda c: (c[0] == b'IEND', c[0] == b'eXIf'))
  with (tmp_path / 'a.png').open('wb') as file:
    png.write_chunks(file, chunks)
  assert read_photo(tmp_path / 'a.png').pixels.shape == (7, 6, 3)

  def no_decoding(*args, **kwargs):
    raise AssertionError('decoded')

  monkeypatch.setattr(PngImagePlugin.PngImageFile, 'load', no_decoding)
  assert read_size(tmp_path / 'a.png')[:2] == (7, 6)


@pytest.mark.parametrize(
  'exif', [b'Exif\x00\x00garbage', b'Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff\x01']
)
def test_damaged_exif_costs_the_exif_and_not_the_picture(tmp_path, exif):
  Image.fromarray(smooth(6, 7, 3)).save(tmp_path / 'a.jpg', exif=exif)
  assert exif in (tmp_path / 'a.jpg').read_bytes()
  photo = check(tmp_path / 'a.jpg', 3, 8, 'JPEG')
  assert photo.notes == ('its EXIF is damaged and is left out',)
  assert read_photo(again(tmp_path / 'a.jpg')).pixels.shape == (6, 7, 3)


def test_what_a_png_says_of_itself_stays(tmp_path):
  text = PngImagePlugin.PngInfo()
  text.add_text('Author', 'A. Person')
  text.add_text('Note', 'packed', zip=True)
  text.add_itxt('Title', 'Straße 東京', 'de', 'Titel')
  text.add(b'gAMA', struct.pack('>I', 45455))
  text.add(b'cHRM', struct.pack('>8I', *range(1, 9)))
  text.add(b'tIME', b'\x07\xd0\x01\x01\x00\x00\x00')
  path = tmp_path / 'a.png'
  Image.fromarray(noise(6, 7, 3)).save(path, pnginfo=text, dpi=(300, 300))
  with Image.open(again(path)) as new:
    new.load()
    assert new.text == {'Author': 'A. Person', 'Note': 'packed', 'Title': 'Straße 東京'}
    assert new.text['Title'].lang == 'de'
    assert new.info['dpi'] == pytest.approx((300, 300), rel=1e-3)
    assert new.info['gamma'] == pytest.approx(0.45455)
    assert new.info['chromaticity'][0] == pytest.approx(1e-5)


def test_a_deep_png_says_the_same_of_itself(tmp_path):
  path = tmp_path / 'a.png'
  write_png16(path, noise(6, 7, 4, np.uint16))
  chunks = list(png.Reader(filename=str(path)).chunks())
  more = [(b'gAMA', struct.pack('>I', 45455)), (b'tEXt', b'Author\x00A. Person')]
  with path.open('wb') as file:
    png.write_chunks(file, [chunks[0], *more, *chunks[1:]])
  with Image.open(again(path)) as new:
    new.load()
    assert new.text == {'Author': 'A. Person'}
    assert new.info['gamma'] == pytest.approx(0.45455)


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.tif', 'a.bmp', 'deep.png', 'deep.tif'])
def test_the_resolution_stays(tmp_path, name):
  if name.startswith('deep'):
    save_deep(tmp_path / name, noise(6, 7, 3, np.uint16), dpi=(300, 300))
  else:
    Image.fromarray(noise(6, 7, 3)).save(tmp_path / name, dpi=(300, 300))
  with Image.open(again(tmp_path / name)) as new:
    assert new.info['dpi'] == pytest.approx((300, 300), rel=1e-3)


def test_a_place_on_earth_stays(tmp_path):
  exif = Image.Exif()
  place = {1: 'N', 2: (52.0, 31.0, 12.0), 3: 'E', 4: (13.0, 24.0, 18.0)}
  exif.get_ifd(ExifTags.IFD.GPSInfo).update(place)
  for name in ('a.jpg', 'a.png', 'a.webp', 'a.tif'):
    Image.fromarray(noise(6, 7, 3)).save(tmp_path / name, exif=exif.tobytes())
    with Image.open(again(tmp_path / name)) as new:
      assert new.getexif().get_ifd(ExifTags.IFD.GPSInfo) == place


@pytest.mark.parametrize(
  'options',
  [
    {'compression': 'zlib', 'predictor': True},
    {'tile': (16, 16)},
    {'planarconfig': 'separate', 'compression': 'zlib'},
    {'byteorder': '>', 'rowsperstrip': 2},
  ],
)
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_how_a_tiff_was_stored_does_not_spoil_the_new_one(tmp_path, options, dtype):
  pixels = noise(20, 18, 3, dtype)
  planes = np.moveaxis(pixels, -1, 0) if 'planarconfig' in options else pixels
  path = tmp_path / 'a.tif'
  about = {'description': 'mine', 'software': 'soft', 'extratags': [(315, 's', 0, 'Artist', True)]}
  write_tiff(path, np.ascontiguousarray(planes), photometric='rgb', **about, **options)
  new = again(path, factor=2)
  np.testing.assert_array_equal(tifffile.imread(new), pixels.repeat(2, 0).repeat(2, 1))
  with warnings.catch_warnings():
    warnings.simplefilter('error')  # Pillow's, of contradicting tags
    with Image.open(new) as image:
      image.load()
      assert image.size == (36, 40)
      assert image.tag_v2[270] == 'mine'
      assert image.tag_v2[305] == 'soft'
      assert image.tag_v2[315] == 'Artist'


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.webp', 'a.tif', 'deep.tif'])
def test_texts_of_exif_keep_their_bytes(tmp_path, name):
  artist, path = 'Zoë © 2020'.encode(), tmp_path / name
  exif = Image.Exif()
  exif[315] = artist
  if name == 'deep.tif':
    write_tiff(path, noise(6, 7, 2, np.uint16), extratags=[(315, 's', 0, artist, True)])
  else:
    Image.fromarray(noise(6, 7, 3)).save(path, exif=exif if name == 'a.tif' else exif.tobytes())
  assert artist in again(path, 2).read_bytes()


def test_xmp_in_a_plain_text_of_png_stays(tmp_path):
  text = PngImagePlugin.PngInfo()
  text.add_text('XML:com.adobe.xmp', "<x tiff:Orientation='6' a='1'/>")
  Image.fromarray(noise(6, 7, 3)).save(tmp_path / 'a.png', pnginfo=text)
  with Image.open(again(tmp_path / 'a.png')) as new:
    assert new.text['XML:com.adobe.xmp'] == "<x  a='1'/>"


@pytest.mark.parametrize('channels', [2, 3])
def test_a_resolution_that_is_no_number_is_left_out(tmp_path, channels):
  none = [(code, 2, 1, (0, 0), True) for code in (282, 283)]
  dtype = np.uint16 if channels == 2 else np.uint8
  pixels = noise(6, 7, channels, dtype)
  write_tiff(tmp_path / 'a.tif', pixels)
  with tifffile.TiffFile(tmp_path / 'a.tif', mode='r+') as tiff:
    for code, *_ in none:
      tiff.pages[0].tags[code].overwrite((0, 0))
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.tif')).pixels, pixels)


def test_captions_of_a_jpeg_stay(tmp_path):
  record = b'\x1c\x02\x78\x00\x07caption'
  segment = (
    b'Photoshop 3.0\x008BIM\x04\x04\x00\x00'
    + struct.pack('>I', len(record))
    + record
    + b'\x00' * (len(record) % 2)
  )
  extra = b'\xff\xed' + struct.pack('>H', len(segment) + 2) + segment
  Image.fromarray(noise(6, 7, 3)).save(tmp_path / 'a.jpg', extra=extra, icc_profile=SRGB)
  with Image.open(again(tmp_path / 'a.jpg', 2)) as new:
    assert IptcImagePlugin.getiptcinfo(new) == {(2, 120): b'caption'}
    assert new.info['icc_profile'] == SRGB


@pytest.mark.parametrize('name', ['a.tif', 'deep.tif', 'a.avif'])
def test_xmp_does_not_turn_what_another_statement_tells_how_to_hold(tmp_path, name):
  xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
  path, pixels = tmp_path / name, smooth(6, 7, 3)
  if name == 'a.avif':
    Image.fromarray(pixels).save(path, xmp=xmp, quality=95)
  else:
    pixels = pixels.astype(np.uint16) if name.startswith('deep') else pixels
    save_deep(path, pixels, xmp=xmp)
  size = read_size(path)
  assert (size.height, size.width) == (6, 7)
  assert read_photo(path).pixels.shape == (6, 7, 3)
  with Image.open(again(path)) as image:
    assert b'Orientation' not in image.info['xmp']
