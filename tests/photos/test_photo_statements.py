"""What files of each format say of themselves: what goes in byte by byte, what comes out."""

import struct
import zlib

import numpy as np
import png
import pytest
from photo_cases import SRGB, again, noise, smooth, write_png16
from PIL import Image

from jaxgen.photos import read_photo, read_size
from jaxgen.photos.heads import HeadWriter

XMP = b"<x:xmpmeta tiff:Orientation='1' exif:PixelXDimension='7' tiff:ImageLength='6' a='1'/>"
NEW_XMP = b"<x:xmpmeta  exif:PixelXDimension='14' tiff:ImageLength='12' a='1'/>"


def segment(marker, content):
  return struct.pack('>BBH', 0xFF, marker, len(content) + 2) + content


def put(path, at, more, replaced=0):
  data = path.read_bytes()
  path.write_bytes(data[:at] + more + data[at + replaced :])


def segments(path):
  data, at, found = path.read_bytes(), 2, []
  while data[at + 1] != 0xDA:
    (length,) = struct.unpack_from('>H', data, at + 2)
    found.append((data[at + 1], data[at + 4 : at + 2 + length]))
    at += 2 + length
  return found


def turned_exif(orientation):
  exif = Image.Exif()
  exif[0x0112] = orientation
  return exif.tobytes()


@pytest.mark.parametrize('orientation', [1, 6])
@pytest.mark.parametrize(
  'density', [(0, 2, 1), (0, 59, 54), (1, 300, 300), (1, 204, 98), (2, 118, 59)]
)
def test_units_and_densities_of_jfif_stay_and_turn_with_the_picture(tmp_path, density, orientation):
  path = tmp_path / 'a.jpg'
  Image.fromarray(smooth(6, 7, 3)).save(path, exif=turned_exif(orientation))
  put(path, 13, struct.pack('>BHH', *density), 5)
  unit, x, y = density
  wanted = (unit, y, x) if orientation == 6 else density
  assert struct.unpack_from('>BHH', again(path).read_bytes(), 13) == wanted


def test_a_jpeg_without_density_gets_none(tmp_path):
  exif = Image.Exif()
  exif[282], exif[283], exif[296] = 350.0, 350.0, 2
  for options in ({}, {'exif': exif}):
    Image.fromarray(smooth(6, 7, 3)).save(tmp_path / 'a.jpg', **options)
    put(tmp_path / 'a.jpg', 2, b'', 18)
    assert struct.unpack_from('>BHH', again(tmp_path / 'a.jpg').read_bytes(), 13) == (0, 1, 1)


def test_segments_of_a_jpeg(tmp_path):
  path, guid = tmp_path / 'a.jpg', b'0123456789ABCDEF0123456789ABCDEF'
  extension = b'http://ns.adobe.com/xmp/extension/\x00' + guid + struct.pack('>II', 90_000, 0)
  caption = b'8BIM\x04\x04\x04name\x00\x00\x00\x00\x03abc\x00'
  small = b'8BIM\x04\x0c\x00\x00\x00\x00\x00\x05\xff\xd8old\x00'
  profile = SRGB + bytes(100_000)
  kept = [
    (0xE1, extension + b'x' * 60_000),
    (0xE1, extension[:-4] + struct.pack('>I', 60_000) + b'y' * 30_000),
    (0xEC, b'Picture info'),
    (0xFE, b'first comment'),
    (0xFE, b'second\x00comment'),
    (0xED, b'Photoshop 3.0\x00' + caption),
    (0xED, b'Adobe_CM\x00 damaged 8BIM'),
  ]
  xmp = XMP[:-2] + b" xmpNote:HasExtendedXMP='" + guid + b"'/>"
  given = kept.copy()
  given[5] = 0xED, b'Photoshop 3.0\x00' + small + caption
  given.insert(0, (0xE1, b'http://ns.adobe.com/xap/1.0/\x00' + xmp))
  gone = [(0xE0, b'JFXX\x00\x10a small picture'), (0xE2, b'MPF\x00broken'), (0xEB, b'JP signature')]
  gone += [(0xEE, b'Adobe\x00d\x00\x00\x00\x00\x01'), (0xE5, b'maker'), (0xE2, b'FPXR\x00\x00')]
  Image.fromarray(smooth(6, 7, 3)).save(path, icc_profile=profile)
  put(path, 20, b''.join(segment(*s) for s in given + gone))
  new = again(path, 2)
  found = segments(new)
  assert [s for s in found if s in kept] == kept
  assert not [s for s in found if s in gone or b'small' in s[1]]
  main = [s for s in found if s[1].startswith(b'http://ns.adobe.com/xap/1.0/\x00')]
  assert main == [(0xE1, b'http://ns.adobe.com/xap/1.0/\x00' + NEW_XMP[:-2] + xmp[len(XMP) - 2 :])]
  with Image.open(new) as image:
    assert image.info['icc_profile'] == profile


def test_xmp_that_fills_its_segment_fits_again(tmp_path):
  xmp = b"<x exif:PixelXDimension='7' a='" + b'-' * (65_504 - 34) + b"'/>"
  Image.fromarray(smooth(6, 7, 3)).save(tmp_path / 'a.jpg', xmp=xmp)
  with Image.open(again(tmp_path / 'a.jpg', 2)) as image:
    assert image.info['xmp'] == xmp


def chunk(name, content):
  return (
    struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
  )


@pytest.mark.parametrize('orientation', [1, 6])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_chunks_of_a_png(tmp_path, dtype, orientation):
  pixels, path = noise(6, 7, 3, dtype), tmp_path / 'a.png'
  write_png16(path, pixels) if dtype == np.uint16 else Image.fromarray(pixels).save(path)
  kept = [
    (b'pHYs', struct.pack('>IIB', 3, 2, 0)),
    (b'tEXt', b'Title\x00caf\xe9'),
    (b'tEXt', b'Title\x00again'),
    (b'zTXt', b'Note\x00\x00' + zlib.compress(b'packed', 1)),
    (b'iTXt', 'Titel\x00\x00\x00de\x00Überschrift\x00Straße 東京'.encode()),
    (b'iTXt', b'Packed\x00\x01\x00en\x00translated\x00' + zlib.compress(b'text', 2)),
    (b'prVt', b'safe to copy'),
  ]
  raw = turned_exif(orientation).hex()
  profile = f'Raw profile type exif\x00\nexif\n {len(raw) // 2}\n{raw}\n'.encode()
  text = b'XML:com.adobe.xmp\x00\x01\x00\x00\x00'
  changed = [(b'tEXt', profile), (b'iTXt', text + zlib.compress(XMP))]
  gone = [
    (b'tIME', b'\x07\xd0\x01\x01\x00\x00\x00'),
    (b'bKGD', bytes(6)),
    (b'sBIT', b'\x05\x06\x05'),
    (b'sPLT', b'p\x00\x08' + bytes(6)),
    (b'oFFs', bytes(9)),
    (b'prVT', b'not safe to copy'),
    (b'caBX', b'a signature of the old picture'),
  ]
  put(path, 33, b''.join(chunk(*c) for c in kept + changed + gone))
  found = list(png.Reader(filename=str(again(path, 2))).chunks())
  if orientation == 6:
    kept[0] = b'pHYs', struct.pack('>IIB', 2, 3, 0)
  assert [c for c in found if c in kept] == kept
  assert not [c for c in found if c in gone or b'Raw profile' in c[1]]
  xmp = next(c for n, c in found if n == b'iTXt' and c.startswith(text))
  sizes = (b'14', b'12') if orientation == 1 else (b'12', b'14')
  wanted = b"<x:xmpmeta  exif:PixelXDimension='%s' tiff:ImageLength='%s' a='1'/>" % sizes
  assert zlib.decompress(xmp[len(text) :]) == wanted
  assert (orientation == 6) == (read_photo(path).pixels.shape == (7, 6, 3))


def test_blocks_of_a_gif(tmp_path):
  path = tmp_path / 'a.gif'
  Image.fromarray(noise(6, 7, 3)).quantize(4).save(path)
  magic = b'\x01' + bytes(range(255, -1, -1)) + b'\x00'
  kept = [
    b'!\xfe\x05first\x00',
    b'!\xfe\x02tw\x02o!\x00',
    b'!\xff\x0bXMP DataXMP' + XMP + magic,
    b'!\xfe\x04last\x00',
  ]
  gone = [b'!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00', b'!\x01\x0c' + bytes(12) + b'\x03old\x00']
  start = 13 + 3 * 2 ** ((path.read_bytes()[10] & 7) + 1)
  put(path, start, b''.join(kept[:3] + gone))
  put(path, len(path.read_bytes()) - 1, kept[3])
  put(path, 12, b'\x31', 1)
  data = again(path, 2).read_bytes()
  assert data[:6] == b'GIF89a'
  assert data[12] == 0x31
  kept[2] = kept[2].replace(b"='7'", b"='14'").replace(b"='6'", b"='12'")
  assert b''.join(kept) in data
  assert not [block for block in gone if block in data]
  np.testing.assert_array_equal(
    read_photo(tmp_path / 'new' / 'a.gif').pixels, read_photo(path).pixels.repeat(2, 0).repeat(2, 1)
  )


@pytest.mark.parametrize('density', [(0, 0), (3780, 3780), (11811, 2835)])
@pytest.mark.parametrize('name', ['a.bmp', 'a.dib'])
def test_the_resolution_of_a_bmp(tmp_path, name, density):
  Image.fromarray(noise(6, 7, 3)).save(tmp_path / name)
  at, packed = 38 if name == 'a.bmp' else 24, struct.pack('<II', *density)
  put(tmp_path / name, at, packed, 8)
  assert again(tmp_path / name).read_bytes()[at : at + 8] == packed


def test_heads_of_plain_formats(tmp_path):
  colours, grey = Image.fromarray(noise(6, 7, 3)), Image.fromarray(noise(6, 7, 1)[..., 0])
  colours.save(tmp_path / 'a.pcx')
  put(tmp_path / 'a.pcx', 12, struct.pack('<HH', 150, 72), 4)
  assert struct.unpack_from('<HH', again(tmp_path / 'a.pcx').read_bytes(), 12) == (150, 72)
  colours.save(tmp_path / 'a.sgi')
  put(tmp_path / 'a.sgi', 24, b'a name'.ljust(80, b'\x00'), 80)
  assert again(tmp_path / 'a.sgi').read_bytes()[24:104] == b'a name'.ljust(80, b'\x00')
  for name, image in (('a.ppm', colours), ('a.pgm', grey)):
    image.save(tmp_path / name)
    put(tmp_path / name, 3, b'# first\r\n#second\n 7 # third\n6', 3)
    new = again(tmp_path / name).read_bytes()
    assert new[3:31] == b'# first\n#second\n# third\n7 6\n'
    np.testing.assert_array_equal(
      read_photo(tmp_path / 'new' / name).pixels, read_photo(tmp_path / name).pixels
    )


@pytest.mark.parametrize('channels', [3, 4])
def test_head_and_end_of_a_tga(tmp_path, channels):
  path = tmp_path / 'a.tga'
  Image.fromarray(noise(6, 7, channels)).save(path, id_section=b'mine', compression='tga_rle')
  area = bytearray(495)
  struct.pack_into('<H41s324s', area, 0, 495, b'A. Person', b'comment')
  struct.pack_into(
    '<HHHHIII', area, 470, 0, 0, 2, 1, 5, 6, 7
  )  # pixels twice as wide; tables of the old one
  area[494] = 3
  data = path.read_bytes()
  path.write_bytes(data[:-26] + area + struct.pack('<II', len(data) - 26, 0) + data[-18:])
  new = again(path).read_bytes()
  assert new[2] & 8  # as packed as it was
  assert new[18:22] == b'mine'
  (at,) = struct.unpack_from('<I', new, len(new) - 26)
  area[482:494], area[494] = bytes(12), 3 * (channels == 4)
  assert new[at:-26] == area
  np.testing.assert_array_equal(
    read_photo(tmp_path / 'new' / 'a.tga').pixels, read_photo(path).pixels
  )


def box(name, content):
  return struct.pack('>I', len(content) + 8) + name + content


@pytest.mark.parametrize('stated', ['', 'EXIF', 'XMP', 'place'])
def test_boxes_of_a_jpeg_2000(tmp_path, stated):
  path, turned = tmp_path / 'a.jp2', stated in ('EXIF', 'XMP')
  Image.fromarray(noise(6, 7, 3)).save(path, comment=b'a comment')
  exif = Image.Exif()
  exif[271] = 'Maker'
  exif.update({0x0112: 6} if stated == 'EXIF' else {})
  xmp = XMP if stated != 'XMP' else XMP.replace(b"Orientation='1'", b"Orientation='6'")
  boxes = [
    box(b'xml ', b'<any/>'),
    box(b'uuid', bytes.fromhex('BE7ACFCB97A942E89C71999491E3AFAC') + xmp),
    box(b'uuid', b'JpgTiffExif->JP2' + exif.tobytes()[6:]),
  ]
  place = b'II*\0geo' if stated == 'place' else b'unknown'
  kind = bytes.fromhex('B14BF8BD083D4B43A5AE8CD7D5A6CE03') if stated == 'place' else bytes(16)
  resolution = box(b'res ', box(b'resc', struct.pack('>HHHHBB', 3000, 254, 1500, 254, 2, 1)))
  put(path, 77, resolution)
  put(path, 32, struct.pack('>I', 45 + len(resolution)), 4)
  with path.open('ab') as file:
    file.write(b''.join(boxes) + box(b'uuid', kind + place))
  photo, new = read_photo(path), again(path, 2)
  assert [note[:20] for note in photo.notes] == ['its place on the map'] * (stated == 'place')
  data = new.read_bytes()
  if turned:
    resolution = box(b'res ', box(b'resc', struct.pack('>HHHHBB', 1500, 254, 3000, 254, 1, 2)))
  assert resolution in data
  assert boxes[0] in data
  wide, high = (b"'12'", b"'14'") if turned else (b"'14'", b"'12'")
  named = XMP.replace(b"tiff:Orientation='1'", b'').replace(b"'7'", wide).replace(b"'6'", high)
  assert named in data
  with Image.open(new) as image:
    assert image.info['comment'] == b'a comment'
  kept = Image.Exif()
  kept.load(data[data.index(b'->JP2') + 5 :])
  assert dict(kept) == {271: 'Maker'}
  with Image.open(path) as old:
    pixels = np.asarray(old)
  pixels = pixels.swapaxes(0, 1)[:, ::-1] if turned else pixels
  size = read_size(path)
  assert (size.height, size.width) == pixels.shape[:2]
  np.testing.assert_array_equal(read_photo(new).pixels, pixels.repeat(2, 0).repeat(2, 1))


def test_a_codestream_of_jpeg_2000_stays_one(tmp_path):
  Image.fromarray(noise(6, 7, 3)).save(tmp_path / 'a.j2k', comment=b'a comment')
  new = again(tmp_path / 'a.j2k').read_bytes()
  assert new[:4] == (tmp_path / 'a.j2k').read_bytes()[:4] == b'\xff\x4f\xff\x51'
  assert b'a comment' in new


@pytest.mark.parametrize('name', ['a.webp', 'a.avif'])
def test_xmp_and_profile_of_other_formats(tmp_path, name):
  Image.fromarray(smooth(6, 7, 3)).save(tmp_path / name, xmp=XMP, icc_profile=SRGB)
  with Image.open(again(tmp_path / name, 2)) as image:
    assert image.info['xmp'] == NEW_XMP
    assert image.info['icc_profile'] == SRGB


def test_small_pictures_in_xmp_go(tmp_path):
  small = b'<a><xmp:Thumbnails><rdf:Alt>/9j/4AAQ</rdf:Alt></xmp:Thumbnails><b/></a>'
  Image.fromarray(smooth(6, 7, 3)).save(tmp_path / 'a.webp', xmp=small)
  with Image.open(again(tmp_path / 'a.webp')) as image:
    assert image.info['xmp'] == b'<a><b/></a>'


def test_what_is_written_in_small_pieces_is_changed_at_its_beginning(tmp_path):
  for length in (4, 100):
    with HeadWriter(tmp_path / 'a', length, lambda head: head[::-1]) as file:
      for part in (b'ab', b'', b'cdef', np.frombuffer(b'gh', np.uint8)):
        file.write(part)
      assert file.tell() == 8
    wanted = b'dcbaefgh' if length == 4 else b'hgfedcba'
    assert (tmp_path / 'a').read_bytes() == wanted
  with pytest.raises(OSError, match='full'), HeadWriter(tmp_path / 'a', 9, lambda h: h[9]) as file:
    file.write(b'half')
    raise OSError('full')


def test_the_comment_of_a_jpeg_2000_stays_wherever_its_codestream_lies(tmp_path):
  path = tmp_path / 'a.jp2'
  Image.fromarray(noise(6, 7, 3)).save(path, comment=b'a comment')
  data = path.read_bytes()
  at = data.index(b'jp2c') - 4
  path.write_bytes(data[:at] + box(b'xml ', b'<a/>') + data[at:])
  new = again(path)
  with Image.open(new) as image:
    assert image.info['comment'] == b'a comment'
  assert box(b'xml ', b'<a/>') in new.read_bytes()
