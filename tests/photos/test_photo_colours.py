"""What files say of their colours: it stays, is converted, or is refused with the reason."""

import io
import struct

import numpy as np
import png
import pytest
import tifffile
from byte_cases import bmp, bmp_header, box, ink_profile, jp2, level_of, png_with, tiff
from photo_cases import SRGB, again, check, noise, smooth, write_png16
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.inks import srgb_profile

INKS = ink_profile()


def nclx(path):
  content = path.read_bytes()
  return struct.unpack_from('>HH', content, content.index(b'colrnclx') + 8)


@pytest.mark.parametrize('profile', [None, SRGB])
@pytest.mark.parametrize(
  ('codes', 'name'),
  [
    ((1, 13), 'sRGB'),
    ((12, 13), 'Display P3'),
    ((9, 16), 'BT.2020 PQ'),
    ((9, 18), 'BT.2020 HLG'),
    ((1, 1), 'BT.709'),
    ((9, 14), 'BT.2020'),
  ],
)
def test_the_colours_that_avif_names_by_numbers_stay(tmp_path, codes, name, profile):
  path = tmp_path / 'a.avif'
  Image.fromarray(smooth(16, 16, 3)).save(path, quality=95, icc_profile=profile)
  content = path.read_bytes()
  at = content.index(b'colrnclx') + 8
  path.write_bytes(content[:at] + struct.pack('>HH', *codes) + content[at + 4 :])
  new = again(path)
  if profile is None or codes != (1, 13):
    assert nclx(new) == codes, name
  with Image.open(new) as image:
    assert image.info.get('icc_profile') == profile
  assert np.abs(read_photo(new).pixels.astype(int) - read_photo(path).pixels).mean() < 3


def without_box(path, codes):
  """An AVIF file that names its colours in the AV1 stream alone."""
  content = path.read_bytes().replace(b'colrnclx', b'free\0\0\0\0')
  at = content.index(b'mdat') + 4
  stream, size = int.from_bytes(content[at:], 'big'), 8 * len(content[at:])
  stated = 1 << 24 | 1 << 16 | 13 << 8 | 6  # that it names colours, and those of sRGB
  (shift,) = (i for i in range(size - 25) if stream >> i & 2**25 - 1 == stated)
  stream ^= (stated ^ (1 << 24 | codes[0] << 16 | codes[1] << 8 | codes[2])) << shift
  path.write_bytes(content[:at] + stream.to_bytes(size // 8, 'big'))


@pytest.mark.parametrize('channels', [3, 4])
def test_colours_that_only_the_stream_of_avif_names_stay(tmp_path, channels):
  path = tmp_path / 'a.avif'
  Image.fromarray(smooth(16, 16, channels)).save(path, quality=95)
  without_box(path, (9, 16, 6))
  assert nclx(again(path)) == (9, 16)
  Image.fromarray(smooth(16, 16, channels)).save(path, quality=95)
  without_box(path, (1, 13, 14))
  with pytest.raises(DataError, match=r'a\.avif: AVIF of ICtCp cannot be decoded'):
    read_size(path)


def test_pixels_of_avif_that_are_not_square_are_told_of(tmp_path):
  path = tmp_path / 'a.avif'
  Image.fromarray(smooth(16, 16, 3)).save(path)
  content = path.read_bytes()
  at = content.index(b'pixi')
  for shape, notes in (((2, 1), 1), ((3, 3), 0)):
    path.write_bytes(content[:at] + struct.pack('>4sII', b'pasp', *shape) + content[at + 12 :])
    assert len([note for note in read_photo(path).notes if 'not square' in note]) == notes


@pytest.mark.parametrize(('matrix', 'name'), [(10, 'BT.2020 of constant luminance'), (14, 'ICtCp')])
def test_avif_of_colours_that_are_not_decoded_is_refused(tmp_path, matrix, name):
  path = tmp_path / 'a.avif'
  Image.fromarray(smooth(16, 16, 3)).save(path)
  content = path.read_bytes()
  at = content.index(b'colrnclx') + 12
  path.write_bytes(content[:at] + struct.pack('>H', matrix) + content[at + 2 :])
  with pytest.raises(
    DataError, match=rf'a\.avif: AVIF of {name} cannot be decoded: save it as RGB'
  ):
    read_size(path)


def test_a_gain_map_of_png_is_told_of(tmp_path):
  png_with(tmp_path / 'a.png', noise(6, 7, 3), [(b'gmAP', b'x')])
  assert read_photo(tmp_path / 'a.png').notes == (GAIN,)


def test_a_gain_map_and_light_levels_of_avif_are_told_of(tmp_path):
  path = tmp_path / 'a.avif'
  Image.fromarray(smooth(16, 16, 3)).save(path, quality=95)
  content = path.read_bytes()
  at = content.index(b'colrnclx') + 4  # the property becomes that of light; its length stays
  path.write_bytes(content.replace(b'colrnclx', b'clli\0\0\0\0'))
  assert at
  (note,) = read_photo(path).notes
  assert 'mastering display' in note
  path.write_bytes(content.replace(b'av01Color\0', b'av01tmap-\0'))
  (note,) = read_photo(path).notes
  assert note.startswith('its gain map (HDR) is left out')


@pytest.mark.parametrize('deep', [False, True])
def test_the_chunks_that_tell_the_colours_of_a_png_stay(tmp_path, deep):
  told = [
    (b'cICP', bytes((9, 16, 0, 1))),
    (b'mDCV', bytes(range(24))),
    (b'cLLI', struct.pack('>II', 10_000_000, 4_000_000)),
    (b'gAMA', struct.pack('>I', 45455)),
    (b'cHRM', struct.pack('>8I', 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
    (b'sRGB', b'\0'),
  ]
  path = tmp_path / 'a.png'
  png_with(path, noise(6, 7, 3), told)
  if deep:
    write_png16(path, noise(6, 7, 3, np.uint16))
    content = path.read_bytes()
    plain = io.BytesIO()
    chunks = list(png.Reader(bytes=content).chunks())
    png.write_chunks(plain, [chunks[0], *told, *chunks[1:]])
    path.write_bytes(plain.getvalue())
  chunks = list(png.Reader(filename=str(again(path))).chunks())
  before = chunks[: [name for name, _ in chunks].index(b'IDAT')]
  assert sorted(before[1:]) == sorted(told)


TIFF_TAGS = {
  318: (5, [(3127, 10000), (3290, 10000)]),
  319: (5, [(68, 100), (32, 100), (265, 1000), (69, 100), (15, 100), (6, 100)]),
  301: (3, list(range(0, 65536, 257)) * 3),
}


@pytest.mark.parametrize('kind', ['rgb', 'apart'])
def test_white_primaries_and_transfer_of_tiff_stay(tmp_path, kind):
  data, tags = noise(6, 7, 3).tobytes(), [(code, *value) for code, value in TIFF_TAGS.items()]
  bits = [8] * 3
  if kind == 'apart':
    planes = noise(6, 7, 3, np.uint16)
    data, bits = [planes[..., i].tobytes() for i in range(3)], [16] * 3
    tags = [(284, 3, [2]), *tags[:2], (301, 3, list(range(65536)) * 3)]
  tiff(tmp_path / 'a.tif', 7, 6, bits, 2, data, tags=tags)
  with tifffile.TiffFile(again(tmp_path / 'a.tif')) as new:
    found = new.pages[0].tags
    for code, _, values in tags[-3:]:
      flat = np.ravel(values)
      got = np.ravel(found[code].value)
      if code != 301:
        flat, got = flat[::2] / flat[1::2], got[::2] / got[1::2]
      np.testing.assert_allclose(got, flat, atol=1e-9)


def profile_box(profile=SRGB):
  return box(b'colr', b'\2\0\0' + profile)


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_the_profile_of_jpeg_2000_stays(tmp_path, channels):
  pixels = noise(6, 7, channels)
  profile = SRGB if channels > 1 else SRGB[:16] + b'GRAY' + SRGB[20:]
  image = Image.fromarray(pixels.squeeze(-1) if channels == 1 else pixels)
  kinds = b''.join(struct.pack('>3H', i, int(i == 3), (i + 1) * (i < 3)) for i in range(4))
  more = box(b'cdef', struct.pack('>H', 4) + kinds) if channels == 4 else b''
  jp2(tmp_path / 'a.jp2', image, profile_box(profile) + more)
  photo = check(tmp_path / 'a.jp2', channels, 8, 'JPEG2000')
  np.testing.assert_array_equal(photo.pixels, pixels)
  new = again(tmp_path / 'a.jp2')
  assert profile_box(profile) in new.read_bytes()
  np.testing.assert_array_equal(read_photo(new).pixels, pixels)
  assert read_photo(new).info['icc_profile'] == profile


@pytest.mark.parametrize(
  ('colour', 'name'),
  [
    (14, 'CIELab'),
    (21, 'ROMM-RGB'),
    (24, 'e-sYCC'),
    (99, r'an unknown kind \(99\)'),
    (b'Lab ', 'Lab'),
    (b'CMYK', 'CMYK'),
  ],
)
def test_other_colours_of_jpeg_2000_are_refused(tmp_path, colour, name):
  one = b'\1\0\0' + struct.pack('>I', colour) if isinstance(colour, int) else None
  header = box(b'colr', one or b'\2\0\0' + SRGB[:16] + colour + SRGB[20:])
  jp2(tmp_path / 'a.jp2', Image.fromarray(noise(6, 7, 3)), header)
  for read in (read_size, read_photo):
    with pytest.raises(
      DataError, match=rf'a\.jp2: JPEG 2000 of {name} cannot be kept: save it as PNG'
    ):
      read(tmp_path / 'a.jp2')


def test_sycc_of_jpeg_2000_becomes_rgb(tmp_path):
  rgb = np.full((6, 7, 3), (200, 50, 30), np.uint8)
  ycc = Image.fromarray(np.asarray(Image.fromarray(rgb).convert('YCbCr')).copy())
  jp2(tmp_path / 'a.jp2', ycc, box(b'colr', b'\1\0\0' + struct.pack('>I', 18)))
  photo = check(tmp_path / 'a.jp2', 3, 8, 'JPEG2000')
  assert np.abs(photo.pixels.astype(int) - rgb).max() <= 3
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.jp2')).pixels, photo.pixels)


@pytest.mark.parametrize('apart', [False, True])
@pytest.mark.parametrize('alpha', [False, True])
def test_plain_ycbcr_of_tiff_becomes_rgb(tmp_path, apart, alpha):
  path, ycc = tmp_path / 'a.tif', Image.fromarray(noise(16, 20, 3)).convert('YCbCr')
  stored = np.concatenate([np.asarray(ycc), noise(16, 20, 1)], -1)[..., : 3 + alpha]
  planes = [x.tobytes() for x in np.moveaxis(stored, -1, 0)] if apart else stored.tobytes()
  tags = [(530, 3, [1, 1]), (284, 3, [1 + apart])] + [(338, 3, [2])] * alpha
  tiff(path, 20, 16, [8] * (3 + alpha), 6, planes, tags=tags)
  photo = check(path, 3 + alpha, 8, 'TIFF', (16, 20))
  wanted = np.concatenate([np.asarray(ycc.convert('RGB')), stored[..., 3:]], -1)
  np.testing.assert_array_equal(photo.pixels, wanted)
  if not alpha and not apart:
    ycc.save(path)  # as Pillow writes it
    np.testing.assert_array_equal(read_photo(path).pixels, wanted)


@pytest.mark.parametrize('bits', [8, 24, 32])
@pytest.mark.parametrize('case', ['calibrated', 'embedded', 'sRGB', 'nothing', 'linked'])
def test_the_colours_that_a_bmp_states_stay(tmp_path, case, bits):
  pixels = noise(6, 7, {8: 1, 24: 3, 32: 4}[bits])
  stored = pixels[::-1, :, [2, 1, 0, 3][: pixels.shape[-1]]] if bits > 8 else pixels[::-1]
  data = b''.join(x.tobytes().ljust((7 * bits + 31) // 32 * 4, b'\0') for x in stored)
  palette = b''.join(bytes((i, i, i, 0)) for i in range(256)) if bits == 8 else b''
  masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000) if bits == 32 else ()
  kind = {'embedded': 0x4D424544, 'linked': 0x4C494E4B, 'sRGB': 0x73524742}.get(case, 0)
  endpoints = bytes(range(1, 49)) if case == 'calibrated' else b''
  at = 124 + len(palette) + len(data)
  profile = (at, len(SRGB)) if case == 'embedded' else (0, 0)
  header = bmp_header(124, 7, 6, bits, 3 if masks else 0, masks, kind, endpoints, profile)
  bmp(tmp_path / 'a.bmp', header, data + (SRGB if case == 'embedded' else b''), palette=palette)
  if case == 'linked':
    with pytest.raises(DataError, match=r'a\.bmp: its colour profile is another file: embed it'):
      read_photo(tmp_path / 'a.bmp')
    return
  photo = check(tmp_path / 'a.bmp', pixels.shape[-1], 8, 'BMP')
  np.testing.assert_array_equal(photo.pixels, pixels)
  new = again(tmp_path / 'a.bmp')
  np.testing.assert_array_equal(read_photo(new).pixels, pixels)
  assert (read_photo(new).info['bmp_colour'] or photo.info['bmp_colour']) == photo.info[
    'bmp_colour'
  ] or (
    case == 'nothing' and bits == 32  # the longer header names sRGB
  )
  if case == 'embedded':
    assert new.read_bytes().endswith(SRGB)
  elif case == 'calibrated':
    assert endpoints in new.read_bytes()
  with Image.open(new) as image:
    np.testing.assert_array_equal(np.asarray(image).reshape(pixels.shape), pixels)


def gif_with_profile(path, profile):
  image = Image.fromarray((np.arange(42).reshape(6, 7) % 4).astype(np.uint8)).convert('P')
  image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
  image.save(path, comment=b'mine')
  content = path.read_bytes()
  at = 13 + (3 << (content[10] & 7) + 1)
  parts = [profile[i : i + 200] for i in range(0, len(profile), 200)]
  block = b'\x21\xff\x0bICCRGBG1012' + b''.join(bytes([len(x)]) + x for x in parts) + b'\0'
  end = content.index(b',', at)  # behind the comment, before the picture
  path.write_bytes(content[:end] + block + content[end:])


def test_the_profile_of_a_gif_stays(tmp_path):
  gif_with_profile(tmp_path / 'a.gif', SRGB)
  photo = check(tmp_path / 'a.gif', 3, 8, 'GIF')
  blocks = b''.join(photo.info['blocks'])
  assert b'ICCRGBG1012' in blocks
  assert b'mine' in blocks
  path = again(tmp_path / 'a.gif')
  assert blocks in path.read_bytes()
  np.testing.assert_array_equal(read_photo(path).pixels, photo.pixels)


# Lightness by the table of the profile: black, cyan, both, half of black, paper.
PATCHES = np.array(
  [[0, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128], [0, 0, 0, 0]], np.uint8
)
LIGHT = [25, 50, 12.5, 100 * (1 - 0.75 * 128 / 255), 100]


def inks():
  return Image.fromarray(PATCHES.repeat(8, 0)[None].repeat(8, 0), 'CMYK')


@pytest.mark.parametrize('name', ['a.jpg', 'a.tif'])
def test_inks_go_through_their_profile(tmp_path, name):
  inks().save(tmp_path / name, quality=100, icc_profile=INKS)
  photo = read_photo(tmp_path / name)
  assert read_size(tmp_path / name).channels == 3
  wanted = np.array([level_of(x) for x in LIGHT])
  assert np.abs(photo.pixels[4, 4::8].astype(int) - wanted[:, None]).max() < 2
  assert photo.notes == ()
  with Image.open(again(tmp_path / name)) as new:
    assert new.mode == 'RGB'
    assert new.info['icc_profile'] == srgb_profile()


@pytest.mark.parametrize('name', ['a.jpg', 'a.tif'])
@pytest.mark.parametrize('profile', [None, SRGB, INKS[:200], INKS[:128] + bytes(len(INKS) - 128)])
def test_inks_without_a_whole_profile_are_guessed_with_a_note(tmp_path, name, profile):
  inks().save(tmp_path / name, quality=100, icc_profile=profile)
  photo = read_photo(tmp_path / name)
  plain = np.asarray(inks().convert('RGB'))
  assert np.abs(photo.pixels[4, 4::8].astype(int) - plain[4, 4::8]).max() < 3
  (note,) = photo.notes
  assert ('without a profile' if profile is None else 'its profile is damaged') in note
  with Image.open(again(tmp_path / name)) as new:
    assert 'icc_profile' not in new.info


def test_inks_stored_as_ycck_go_through_their_profile(tmp_path):
  # Adobe's JPEG files hold inks inverted, as Pillow writes them; here C, M and Y as luminance and chroma.
  levels = np.asarray(inks())
  ycc = np.asarray(Image.fromarray(levels[..., :3].copy()).convert('YCbCr'))
  stored = Image.fromarray(np.concatenate([255 - ycc, levels[..., 3:]], -1), 'CMYK')
  stored.save(tmp_path / 'a.jpg', quality=100, subsampling=0, icc_profile=INKS)
  content = bytearray((tmp_path / 'a.jpg').read_bytes())
  content[content.index(b'Adobe') + 11] = 2
  (tmp_path / 'a.jpg').write_bytes(content)
  wanted = np.array([level_of(x) for x in LIGHT])
  found = read_photo(tmp_path / 'a.jpg').pixels[4, 4::8].astype(int)
  assert np.abs(found - wanted[:, None]).max() < 3


def jpeg_with(path, xmp=b'', segment=b'', second=False):
  image = Image.fromarray(smooth(24, 20, 3))
  options = {'quality': 95, 'xmp': xmp} if xmp else {'quality': 95}
  if second:
    image.save(path, 'MPO', save_all=True, append_images=[Image.new('L', (8, 8))], **options)
  else:
    image.save(path, **options)
  if segment:
    content = path.read_bytes()
    path.write_bytes(
      content[:2] + b'\xff\xe2' + struct.pack('>H', len(segment) + 2) + segment + content[2:]
    )


ULTRA = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" xmp:Rating="3"
 xmlns:Container="http://ns.google.com/photos/1.0/container/">
<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="GainMap"
 Item:Length="999"/></rdf:li></rdf:Seq></Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"""
MOTION = b'<x:xmpmeta><rdf GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" xmp:Rating="3"/></x:xmpmeta>'
APPLE = b'<x xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/"><HDRGainMap:V>65536</HDRGainMap:V></x>'
GAIN = 'its gain map (HDR) is left out: the picture is the standard-range one'


@pytest.mark.parametrize(
  ('how', 'notes'),
  [
    ({'xmp': ULTRA, 'second': True}, (GAIN,)),
    ({'segment': b'urn:iso:std:iso:ts:21496:-1\0\0\0\0\0', 'second': True}, (GAIN,)),
    ({'xmp': APPLE, 'second': True}, (GAIN,)),
    ({'xmp': MOTION}, ('its video (motion photo) is left out',)),
    ({'second': True}, ('1 further picture in the file left out',)),
    ({}, ()),
  ],
)
def test_further_pictures_of_a_jpeg_are_left_out_with_a_note(tmp_path, how, notes):
  jpeg_with(tmp_path / 'a.jpg', **how)
  photo = read_photo(tmp_path / 'a.jpg')
  assert photo.notes == notes
  assert photo.pixels.shape == (24, 20, 3)
  new = again(tmp_path / 'a.jpg')
  content = new.read_bytes()
  for name in (
    b'hdrgm:Version',
    b'Directory',
    b'GainMap"',
    b'MotionPhoto',
    b'65536',
    b'21496',
    b'MPF\0',
  ):
    assert name not in content
  if b'Rating' in how.get('xmp', b''):
    assert b'xmp:Rating="3"' in content
  assert read_photo(new).notes == ()


@pytest.mark.parametrize('deep', [False, True])
def test_the_levels_of_light_in_the_spelling_of_the_draft_stay_once(tmp_path, deep):
  path, told = tmp_path / 'a.png', [(b'mDCv', bytes(range(24))), (b'cLLi', bytes(range(8)))]
  png_with(path, noise(6, 7, 1, np.uint16 if deep else np.uint8)[..., 0], told)
  found = [(name, bytes(data)) for name, data in png.Reader(filename=str(again(path))).chunks()]
  assert [x for x in found if x[0] in (b'mDCv', b'cLLi')] == told
