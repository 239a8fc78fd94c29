"""Reading a person's image files whole, and writing them again."""

import io
import os
import struct
import warnings

import numpy as np
import png
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from jaxgen.errors import DataError, UserError
from jaxgen.photos import Photo, PhotoWriter, read_photo, read_size

ORIENTATION, WIDE, HIGH = 0x0112, 0xA002, 0xA003
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def noise(height, width, channels, dtype=np.uint8, seed=0):
  top = np.iinfo(dtype).max
  shape = (height, width, channels)
  return np.random.default_rng(seed).integers(0, top, shape, dtype, endpoint=True)


def smooth(height, width, channels):
  """What lossy formats keep."""
  y, x = np.mgrid[:height, :width] / max(height, width)
  planes = [np.sin(3 * x + 2 * k * y + k) * 90 + 128 for k in range(channels)]
  return np.stack(planes, -1).astype(np.uint8)


def again(path, factor=1):
  """The file written from what was read of it, each pixel `factor` times as wide and high."""
  photo = read_photo(path)
  pixels = photo.pixels.repeat(factor, 0).repeat(factor, 1)
  target = path.parent / 'new' / path.name
  writer = PhotoWriter(target, photo, *pixels.shape[:2])
  writer.put(0, pixels[:3])
  writer.put(3, pixels[3:])
  writer.save()
  return target


def write_png16(path, pixels, **options):
  height, width, channels = pixels.shape
  with path.open('wb') as file:
    png.Writer(
      width, height, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4), **options
    ).write(file, pixels.reshape(height, -1))


def read_png16(path):
  """By another library than the one under test."""
  width, height, rows, meta = png.Reader(filename=str(path)).read()
  assert meta['bitdepth'] == 16
  return np.array([list(row) for row in rows], np.uint16).reshape(height, width, meta['planes'])


def write_tiff(path, pixels, **options):
  grey = pixels.shape[-1] < 3
  defaults = {
    'photometric': 'minisblack' if grey else 'rgb',
    'planarconfig': 'contig' if pixels.shape[-1] > 1 else None,
    'extrasamples': ('unassalpha',) if pixels.shape[-1] in (2, 4) else None,
    'metadata': None,
  }
  pixels = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
  tifffile.imwrite(path, pixels, **{**defaults, **options})


def check(path, channels, depth, kind, shape=(6, 7)):
  """The header says what the pixels are."""
  photo, size = read_photo(path), read_size(path)
  assert photo.pixels.shape == (*shape, channels)
  assert photo.pixels.dtype == (np.uint16 if depth == 16 else np.uint8)
  assert (size.height, size.width, size.channels, size.depth) == (*shape, channels, depth)
  assert size.format == photo.format == kind
  return photo


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
  new = read_photo(again(tmp_path / 'a.gif'))
  np.testing.assert_array_equal(new.pixels[..., 3], photo.pixels[..., 3])
  seen = photo.pixels[..., 3] > 0
  np.testing.assert_array_equal(new.pixels[seen], photo.pixels[seen])
  assert new.info['comment'] == b'mine'


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.webp', 'a.tif', 'deep.png', 'deep.tif'])
def test_the_colour_profile_stays(tmp_path, name):
  path = tmp_path / name
  if name.startswith('deep'):
    save_deep(path, noise(6, 7, 3, np.uint16), icc_profile=SRGB)
  else:
    Image.fromarray(noise(6, 7, 3)).save(path, icc_profile=SRGB)
  with Image.open(again(path)) as new:
    assert new.info['icc_profile'] == SRGB


def save_deep(path, pixels, icc_profile=None, exif=None, dpi=None, xmp=None):
  """16-bit colour with metadata, as photo editors write it; by other means than those under test."""
  if path.suffix == '.png':
    write_png16(path, pixels)
    plain = io.BytesIO()
    options = {'icc_profile': icc_profile, 'exif': exif, 'dpi': dpi}
    options = {k: v for k, v in options.items() if v}
    Image.new('RGB', (1, 1)).save(plain, 'PNG', **options)
    own = list(png.Reader(filename=str(path)).chunks())
    more = [
      c for c in png.Reader(bytes=plain.getvalue()).chunks() if c[0][:1] in b'ip' or c[0] == b'eXIf'
    ]
    more = [c for c in more if c[0] in (b'iCCP', b'pHYs', b'eXIf')]
    with path.open('wb') as file:
      png.write_chunks(file, [own[0], *more, *own[1:]])
    return
  exif = exif or Image.Exif()
  tags = [(ORIENTATION, 'H', 1, exif[ORIENTATION], True)] if ORIENTATION in exif else []
  tags += [(271, 's', 0, exif[271], True)] if 271 in exif else []
  tags += [(700, 'B', len(xmp), xmp, True)] if xmp else []
  inner = dict(exif.get_ifd(ExifTags.IFD.Exif))
  tags += [(34666, 'I', 1, 0, True)] if inner else []  # tifffile refuses 34665
  more = {'resolution': dpi, 'resolutionunit': 'INCH'} if dpi else {}
  write_tiff(path, pixels, iccprofile=icc_profile, extratags=tags, byteorder='<', **more)
  if inner:
    # Two whole numbers of 4 bytes, the only EXIF tags that the tests use.
    with path.open('r+b') as file:
      at = file.seek(0, os.SEEK_END)
      file.write(struct.pack('<H', len(inner)))
      for tag in sorted(inner):
        file.write(struct.pack('<HHII', tag, 4, 1, inner[tag]))
      file.write(struct.pack('<I', 0))
    with tifffile.TiffFile(path, mode='r+') as tiff:
      tag = tiff.pages[0].tags[34666]
      tag.overwrite(at)
      tiff.filehandle.seek(tag.offset)
      tiff.filehandle.write(struct.pack('<H', 34665))


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
}


@pytest.mark.parametrize('orientation', range(1, 9))
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


def test_the_orientation_that_xmp_tells_is_followed_once(tmp_path):
  xmp = b'<x:xmpmeta><rdf tiff:Orientation="6" xmp:Rating="3"/></x:xmpmeta>'
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
  check(tmp_path / 'a.jpg', 3, 8, 'JPEG')
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


def test_a_format_that_is_only_read_is_refused(tmp_path):
  head = b'8BPS' + struct.pack('>H6xHIIHH', 1, 3, 6, 7, 8, 3) + struct.pack('>IIIH', 0, 0, 0, 0)
  (tmp_path / 'a.psd').write_bytes(head + noise(6, 7, 3).tobytes())
  with pytest.raises(DataError, match=r'a\.psd: PSD can be read but not written'):
    read_size(tmp_path / 'a.psd')


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
