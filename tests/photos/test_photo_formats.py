"""Files that are no images that are read here: each is named with what would read it."""

import struct

import numpy as np
import pytest
import tifffile
from photo_cases import again, noise, smooth
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.images import load_image


def brands(*names):
  content = names[0] + b'\0' * 4 + b''.join(names[1:])
  return struct.pack('>I', len(content) + 8) + b'ftyp' + content + bytes(64)


FILES = {
  'HEIC': (brands(b'heic', b'mif1', b'heic'), 'HEIC, which is not read here: .*heif-convert'),
  'HEIC behind': (brands(b'mif1', b'heix'), 'HEIC, which is not read here: .*heif-convert'),
  'HEIF': (brands(b'mif1', b'miaf'), 'HEIF, which is not read here: .*heif-convert'),
  'CR3': (brands(b'crx ', b'isom'), r'a Canon raw photo \(CR3\), .*: develop it to TIFF or PNG'),
  'MP4': (brands(b'isom', b'mp42'), 'a video .*: save the frame that is meant as PNG'),
  'MOV': (brands(b'qt  '), 'a QuickTime video'),
  'JPEG XL stream': (b'\xff\x0a' + bytes(9), 'JPEG XL, .*: convert it to PNG with djxl'),
  'JPEG XL boxes': (
    b'\0\0\0\x0cJXL \r\n\x87\n' + bytes(9),
    'JPEG XL, .*: convert it to PNG with djxl',
  ),
  'JPEG XR': (b'II\xbc\x01' + bytes(9), 'JPEG XR'),
  'CR2': (b'II*\0\x10\0\0\0CR\2\0' + bytes(9), r'a Canon raw photo \(CR2\)'),
  'RW2': (b'IIU\0' + bytes(9), r'a Panasonic raw photo \(RW2\)'),
  'RAF': (b'FUJIFILMCCD-RAW 0201', r'a Fujifilm raw photo \(RAF\)'),
  'PSD': (b'8BPS\0\1' + bytes(22), r'a Photoshop document \(PSD\), .*: export it as PNG or TIFF'),
  'PSB': (
    b'8BPS\0\2' + bytes(22),
    r'a large Photoshop document \(PSB\), .*: export it as PNG or TIFF',
  ),
  'XCF': (b'gimp xcf v011\0', r'a GIMP document \(XCF\)'),
  'EXR': (b'\x76\x2f\x31\x01' + bytes(9), 'OpenEXR'),
  'HDR': (b'#?RADIANCE\n', 'Radiance HDR'),
  'PAM': (b'P7\nWIDTH 1\n', r'a portable arbitrary map \(PAM\)'),
  'PFM': (
    b'PF\n1 1\n-1.0\n' + bytes(12),
    r'a portable float map \(PFM\), .* of 16 bits',
  ),
  'QOI': (b'qoif' + bytes(9), 'QOI, .*: save it as PNG'),
  'FLIF': (b'FLIF' + bytes(9), 'FLIF, .*: save it as PNG'),
  'MNG': (b'\x8aMNG\r\n\x1a\n' + bytes(9), 'an MNG animation, .*: save the frame'),
  'ICNS': (b'icns' + bytes(9), r'an Apple icon \(ICNS\), .*: export it'),
  'XPM': (b'/* XPM */\nstatic', 'XPM, .*: save it as PNG'),
  'FITS': (b'SIMPLE  =                    T', 'FITS, .*: save it as PNG or TIFF of 16 bits'),
  'DICOM': (bytes(128) + b'DICM' + bytes(9), 'DICOM, .*: save it as PNG or TIFF of 16 bits'),
  'EMF': (b'\1\0\0\0' + bytes(36) + b' EMF' + bytes(9), r'a Windows metafile \(EMF\)'),
  'PDF': (b'%PDF-1.7\n', 'PDF, .*pdftoppm'),
  'WebM': (b'\x1a\x45\xdf\xa3' + bytes(9), 'a Matroska or WebM video'),
  'AVI': (b'RIFF\0\0\0\0AVI LIST', 'an AVI video'),
  'SVG': (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="a">', 'SVG, .*inkscape'),
  'bare SVG': (b'\xef\xbb\xbf \n<svg width="9">', 'SVG, .*inkscape'),
  'HTML': (b'<!DOCTYPE html><html>', 'a web page, not an image: download the image itself'),
  'old MOV': (b'\0\0\0\x08mdat' + bytes(9), 'a QuickTime video'),
  'MPEG-TS': (b'G'.ljust(188, b'\0') * 3, 'an MPEG video'),
  'Ogg': (b'OggS' + bytes(9), 'an Ogg video'),
  'tar': (b'a.png'.ljust(257, b'\0') + b'ustar\0', 'a tar archive, .*: unpack it'),
  'bzip2': (b'BZh9' + bytes(9), 'a bzip2 archive, .*: unpack it'),
  'xz': (b'\xfd7zXZ\0' + bytes(9), 'an xz archive, .*: unpack it'),
  'ZIP': (b'PK\3\4' + bytes(9), 'a ZIP archive'),
  'LFS': (b'version https://git-lfs.github.com/spec/v1\n', 'a Git LFS pointer.*git lfs pull'),
  'iPhone PNG': (b'\x89PNG\r\n\x1a\n\0\0\0\4CgBI' + bytes(9), 'a PNG file changed for iPhones'),
  'nothing': (b'', 'not an image but an empty file'),
}


@pytest.mark.filterwarnings('ignore:Corrupt EXIF data')
@pytest.mark.parametrize('kind', FILES)
def test_a_file_of_another_format_is_named_with_its_remedy(tmp_path, kind):
  content, words = FILES[kind]
  (tmp_path / 'a.jpg').write_bytes(content)  # whatever it is called
  for read in (read_size, read_photo, lambda path: load_image(path, lambda image: image)):
    with pytest.raises(DataError, match=rf'^[^\n]*a\.jpg: [^\n]*{words}[^\n]*$'):
      read(tmp_path / 'a.jpg')


def test_a_raw_photo_is_named_by_what_it_holds_or_is_called(tmp_path):
  tifffile.imwrite(tmp_path / 'a.nef', noise(6, 7, 3), photometric='rgb')
  with tifffile.TiffWriter(
    tmp_path / 'inner.tif'
  ) as file:  # a preview, and the sensor's pixels below it
    file.write(noise(6, 7, 3), photometric='rgb', subifds=1)
    file.write(noise(24, 28, 1)[..., 0], photometric='cfa')
  with tifffile.TiffWriter(tmp_path / 'pyramid.tif') as file:
    file.write(noise(6, 7, 3), photometric='rgb', subifds=1)
    file.write(noise(3, 3, 3), photometric='rgb', subfiletype=1)
  for name in ('a.nef', 'inner.tif'):
    with pytest.raises(DataError, match=rf'{name}: a raw camera photo: develop it to TIFF or PNG'):
      read_size(tmp_path / name)
  assert read_size(tmp_path / 'pyramid.tif').channels == 3


def test_a_gif_with_the_marks_of_a_video_among_its_colours_is_read(tmp_path):
  image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16), 'P')
  palette = bytearray(noise(256, 1, 3)[:, 0].tobytes())
  palette[188 - 13] = palette[376 - 13] = ord('G')
  image.putpalette(bytes(palette))
  image.save(tmp_path / 'a.gif', optimize=False)
  assert (tmp_path / 'a.gif').read_bytes()[188:377:188] == b'GG'
  np.testing.assert_array_equal(
    read_photo(tmp_path / 'a.gif').pixels.reshape(-1, 3),
    np.frombuffer(bytes(palette), np.uint8).reshape(-1, 3),
  )


def test_an_avif_file_whose_first_brand_is_that_of_all_is_read(tmp_path):
  Image.fromarray(smooth(16, 16, 3)).save(tmp_path / 'a.avif')
  content = (tmp_path / 'a.avif').read_bytes()
  (tmp_path / 'a.avif').write_bytes(content[:8] + b'mif1' + content[12:])
  assert read_photo(tmp_path / 'a.avif').pixels.shape == (16, 16, 3)


Image.init()
MODES = {'L': 1, 'LA': 2, 'RGB': 3, 'RGBA': 4}
LOSSY = {'JPEG': 4, 'MPO': 4, 'WEBP': 4, 'AVIF': 4, 'GIF': 12}  # mean of the differences


@pytest.mark.parametrize('kind', sorted(Image.SAVE))
def test_every_format_that_pillow_writes_is_kept_or_refused(tmp_path, kind):
  deep = noise(6, 7, 1, np.uint16)[..., 0]
  images = [Image.fromarray(smooth(24, 20, c).squeeze()) for c in MODES.values()]
  for i, image in enumerate([*images, Image.fromarray(deep)]):
    path = tmp_path / f'{i}.bin'
    try:
      image.save(path, kind)
    except Exception:  # not in this mode, or not at all
      continue
    try:
      photo = read_photo(path)
    except DataError as error:
      assert f'{path}: ' in str(error)
      assert '\n' not in str(error)
      continue
    size = read_size(path)
    assert (size.format, size.channels) == (photo.format, photo.pixels.shape[-1])
    new = read_photo(again(path))
    assert new.format == photo.format
    for pixels in (photo.pixels, new.pixels):
      mode = {n: name for name, n in MODES.items()}[pixels.shape[-1]]
      wanted = deep if size.depth == 16 else np.asarray(image.convert(mode))
      off = np.abs(pixels.astype(int) - wanted.reshape(pixels.shape))
      if kind == 'GIF' and mode == 'RGBA':  # Pillow makes alpha all or nothing
        off = off[pixels[..., 3] > 0][:, :3]
      assert off.mean() <= LOSSY.get(kind, 0), image.mode


@pytest.mark.parametrize('kind', ['JPEG', 'AVIF'])
def test_colours_are_as_fine_as_brightness(tmp_path, kind):
  stripes = np.zeros((16, 16, 3), np.uint8)
  stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 200
  path = tmp_path / 'a'
  Image.fromarray(stripes).save(path, kind, quality=100, subsampling='4:4:4')
  off = np.abs(read_photo(again(path)).pixels.astype(int) - stripes)
  assert off.mean() < 4
