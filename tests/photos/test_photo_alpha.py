"""Alpha of every format that has one comes out as it was enlarged."""

import struct

import numpy as np
import png
import pytest
from byte_cases import bmp, bmp_header, box, jp2, tiff
from photo_cases import again, check, noise, smooth, write_tiff
from PIL import Image

from jaxgen.errors import DataError
from jaxgen.photos import read_photo, read_size
from jaxgen.photos.images import load_image

BGRA, RGBA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)


def with_alpha(channels=4):
  """Clear columns of one pixel, soft edges, and hardly visible pixels."""
  pixels = smooth(24, 20, channels)
  alpha = np.tile(np.linspace(0, 255, 20).round(), (24, 1))
  alpha[:, [3, 10, 17]] = 0
  alpha[5, :] = 255
  pixels[..., -1] = alpha
  return pixels


@pytest.mark.parametrize(
  ('name', 'channels', 'off'),
  [
    ('a.png', 2, 0),
    ('a.png', 4, 0),
    ('a.tif', 2, 0),
    ('a.tif', 4, 0),
    ('a.webp', 4, 0),
    ('a.avif', 4, 3),
    ('a.bmp', 4, 0),
    ('a.dib', 4, 0),
    ('a.tga', 2, 0),
    ('a.tga', 4, 0),
    ('a.jp2', 2, 0),
    ('a.jp2', 4, 0),
    ('a.j2k', 4, 0),
    ('a.sgi', 4, 0),
  ],
)
def test_alpha_comes_out_as_it_was_enlarged(tmp_path, name, channels, off):
  pixels, path = with_alpha(channels), tmp_path / name
  if name in ('a.bmp', 'a.dib'):  # Pillow writes them without the mask
    rows = pixels[::-1, :, [2, 1, 0, 3]].tobytes()
    header = bmp_header(108, 20, 24, 32, 3, BGRA)
    bmp(path, header, rows, file_header=name == 'a.bmp')
  else:
    Image.fromarray(pixels).save(path, quality=100)
  photo = read_photo(path)
  assert read_size(path).channels == photo.pixels.shape[-1] == channels
  assert np.abs(photo.pixels[..., -1].astype(int) - pixels[..., -1]).max() <= off
  new = read_photo(again(path, factor=2))
  assert new.format == photo.format
  enlarged = photo.pixels.repeat(2, 0).repeat(2, 1)
  assert np.abs(new.pixels[..., -1].astype(int) - enlarged[..., -1]).max() <= off
  if name not in ('a.webp', 'a.avif'):
    np.testing.assert_array_equal(photo.pixels, pixels)
    np.testing.assert_array_equal(new.pixels, enlarged)


def test_clear_areas_of_a_gif_are_where_alpha_is_below_half(tmp_path):
  image = Image.fromarray((np.arange(480).reshape(24, 20) % 3).astype(np.uint8)).convert('P')
  image.putpalette([9, 9, 9, 250, 0, 0, 0, 250, 0, 0, 0, 250])
  image.putdata([3 if i % 20 == 7 else i % 3 for i in range(480)])
  image.save(tmp_path / 'a.gif', transparency=3)
  photo = read_photo(tmp_path / 'a.gif')
  assert (photo.pixels[:, 7, 3] == 0).all()
  for pixels in (photo.pixels, with_alpha(4)):
    from jaxgen.photos import PhotoWriter

    writer = PhotoWriter(tmp_path / 'new.gif', photo, 24, 20)
    writer.put(0, pixels)
    writer.save()
    new = read_photo(tmp_path / 'new.gif').pixels
    np.testing.assert_array_equal(new[..., 3], np.where(pixels[..., 3] < 128, 0, 255))
    seen = pixels[..., 3] >= 128
    assert np.abs(new[seen][:, :3].astype(int) - pixels[seen][:, :3]).mean() < 12
  np.testing.assert_array_equal(
    read_photo(again(tmp_path / 'a.gif')).pixels[..., 3], photo.pixels[..., 3]
  )


@pytest.mark.parametrize('mode', ['L', 'P'])
@pytest.mark.parametrize('clear', [None, 2])
def test_a_gif_is_clear_where_its_frame_does_not_reach(tmp_path, mode, clear):
  path, levels = tmp_path / 'a.gif', (np.arange(42).reshape(6, 7) % 5).astype(np.uint8)
  image = Image.fromarray(levels)
  if mode == 'P':
    image = image.convert('P')
    image.putpalette(noise(1, 5, 3)[0].tobytes())
  image.save(path, optimize=False, **({} if clear is None else {'transparency': clear}))
  data = bytearray(path.read_bytes())
  at = data.index(b',' + struct.pack('<4H', 0, 0, 7, 6))
  data[6:10], data[at + 1 : at + 5] = struct.pack('<2H', 12, 9), struct.pack('<2H', 3, 2)
  path.write_bytes(data)
  photo = check(path, 2 if mode == 'L' else 4, 8, 'GIF', (9, 12))
  alpha = np.zeros((9, 12), np.uint8)
  alpha[2:8, 3:10] = 255 if clear is None else np.where(levels == clear, 0, 255)
  np.testing.assert_array_equal(photo.pixels[..., -1], alpha)
  shown = np.asarray(image.convert('RGB'))[..., : photo.pixels.shape[-1] - 1]
  inside = alpha[2:8, 3:10] > 0
  np.testing.assert_array_equal(photo.pixels[2:8, 3:10, :-1][inside], shown[inside])
  np.testing.assert_array_equal(read_photo(again(path, 2)).pixels[::2, ::2, -1], alpha)
  flat = np.asarray(load_image(path, lambda x: x.convert('RGB'), paper='white'))
  assert (flat[alpha == 0] == 255).all()


def test_a_grey_gif_keeps_its_clear_areas(tmp_path):
  grey = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[:20][None], 24, 0)
  Image.fromarray(grey).save(tmp_path / 'a.gif', transparency=90)
  photo = read_photo(tmp_path / 'a.gif')
  assert (photo.pixels[..., -1] == 0).sum() == 24
  new = read_photo(again(tmp_path / 'a.gif', 2)).pixels
  np.testing.assert_array_equal(new[..., -1], photo.pixels[..., -1].repeat(2, 0).repeat(2, 1))


def test_the_gif_of_what_is_seen_everywhere_has_no_clear_colour(tmp_path):
  image = Image.fromarray((np.arange(42).reshape(6, 7) % 4).astype(np.uint8)).convert('P')
  image.putpalette([0, 0, 0, 250, 0, 0, 0, 250, 0, 0, 0, 250])
  image.save(tmp_path / 'a.gif', transparency=9)
  with Image.open(again(tmp_path / 'a.gif')) as new:
    assert np.asarray(new.convert('RGBA'))[..., 3].min() == 255


BMP_CASES = {
  'fields in the header': (56, 32, 3, BGRA, 4),
  'fourth version': (108, 32, 3, BGRA, 4),
  'fifth version': (124, 32, 3, BGRA, 4),
  'red first': (124, 32, 3, RGBA, 4),
  'alpha first': (108, 32, 3, (0xFF00, 0xFF0000, 0xFF000000, 0xFF), 4),
  'masks behind the header': (40, 32, 6, BGRA, 4),
  'without alpha': (40, 32, 3, BGRA[:3], 3),
  'one bit of alpha': (108, 16, 3, (0x7C00, 0x3E0, 0x1F, 0x8000), 4),
  'four bits each': (108, 16, 3, (0xF00, 0xF0, 0xF, 0xF000), 4),
  'sixteen bits without alpha': (40, 16, 3, (0xF800, 0x7E0, 0x1F), 3),
  'plain': (40, 32, 0, (), 3),
}


@pytest.mark.parametrize('case', BMP_CASES)
@pytest.mark.parametrize('downwards', [False, True])
def test_bmp_of_any_masks_keeps_its_alpha(tmp_path, case, downwards):
  size, bits, compression, masks, channels = BMP_CASES[case]
  used = masks or BGRA[:3]
  tops = [mask >> (mask & -mask).bit_length() - 1 for mask in used]
  levels = np.stack([noise(6, 7, 1, seed=i)[..., 0] & top for i, top in enumerate(tops)], -1)
  values = sum(levels[..., i].astype(np.uint32) * (m & -m) for i, m in enumerate(used))
  rows = values.astype(f'<u{bits // 8}')
  data = b''.join(row.tobytes().ljust((7 * bits + 31) // 32 * 4, b'\0') for row in rows)
  if not downwards:
    stride = len(data) // 6
    data = b''.join(data[i * stride : (i + 1) * stride] for i in reversed(range(6)))
  inside, behind = (masks, b'') if size > 40 else ((), struct.pack(f'<{len(masks)}I', *masks))
  header = bmp_header(size, 7, -6 if downwards else 6, bits, compression, inside)
  bmp(tmp_path / 'a.bmp', header, data, behind)
  photo = check(tmp_path / 'a.bmp', channels, 8, 'BMP')
  wanted = np.stack([np.round(levels[..., i] * (255 / top)) for i, top in enumerate(tops)], -1)
  assert np.abs(photo.pixels - wanted[..., :channels]).max() <= (0 if channels == 4 else 1)
  new = again(tmp_path / 'a.bmp')
  np.testing.assert_array_equal(read_photo(new).pixels, photo.pixels)
  if channels == 4:  # another reader sees it too
    with Image.open(new) as image:
      np.testing.assert_array_equal(np.asarray(image), photo.pixels)
      assert image.info['dpi'] == pytest.approx((72, 72), abs=0.1)


def test_bmp_of_ten_bits_is_refused(tmp_path):
  header = bmp_header(108, 7, 6, 32, 3, (0x3FF00000, 0xFFC00, 0x3FF, 0xC0000000))
  bmp(tmp_path / 'a.bmp', header, bytes(4 * 42))
  for read in (read_size, read_photo):
    with pytest.raises(
      DataError, match=r'a\.bmp: BMP of more than 8 bits a channel.*save it as PNG'
    ):
      read(tmp_path / 'a.bmp')


def test_alpha_of_nothing_but_zeros_is_none_in_formats_that_leave_it_so(tmp_path):
  pixels = noise(6, 7, 4)
  pixels[..., 3] = 0
  header = bmp_header(108, 7, 6, 32, 3, BGRA)
  bmp(tmp_path / 'a.bmp', header, pixels[::-1, :, [2, 1, 0, 3]].tobytes())
  for name in ('a.tga', 'a.png'):
    Image.fromarray(pixels).save(tmp_path / name)
  for name in ('a.bmp', 'a.tga'):
    photo = check(tmp_path / name, 4, 8, name[2:].upper())
    np.testing.assert_array_equal(photo.pixels, pixels | np.array([0, 0, 0, 255], np.uint8))
    assert photo.notes[0].startswith('its alpha is 0 everywhere')
  np.testing.assert_array_equal(read_photo(tmp_path / 'a.png').pixels, pixels)


def straightened(stored):
  alpha = np.maximum(stored[..., 3:].astype(float), 1)
  return np.concatenate(
    [np.minimum(np.round(stored[..., :3] * (255 / alpha)), 255), stored[..., 3:]], -1
  )


def test_colours_multiplied_by_alpha_are_straightened_in_any_format(tmp_path):
  stored = with_alpha(4)
  stored[..., :3] = stored[..., :3] * (stored[..., 3:] / 255.0)
  wanted = straightened(stored)
  # TGA says so in its extension, JPEG 2000 in the kinds of its channels.
  Image.fromarray(stored).save(tmp_path / 'a.tga')
  content = (tmp_path / 'a.tga').read_bytes()[:-26]
  extension = struct.pack('<H', 495).ljust(494, b'\0') + b'\4'
  end = struct.pack('<II', len(content), 0) + b'TRUEVISION-XFILE.\0'
  (tmp_path / 'a.tga').write_bytes(content + extension + end)
  kinds = b''.join(struct.pack('>3H', i, 0, i + 1) for i in range(3)) + struct.pack('>3H', 3, 2, 0)
  header = box(b'colr', b'\1\0\0' + struct.pack('>I', 16)) + box(
    b'cdef', struct.pack('>H', 4) + kinds
  )
  jp2(tmp_path / 'a.jp2', Image.fromarray(stored), header)
  for name in ('a.tga', 'a.jp2'):
    photo = read_photo(tmp_path / name)
    np.testing.assert_array_equal(photo.pixels, wanted)
    np.testing.assert_array_equal(read_photo(again(tmp_path / name)).pixels, wanted)


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('apart', [False, True])
def test_alpha_of_tiff_by_which_colours_are_multiplied(tmp_path, channels, dtype, apart):
  top = np.iinfo(dtype).max
  pixels = noise(6, 7, channels, dtype)
  pixels[..., -1] = np.maximum(pixels[..., -1], top // 2)
  stored = pixels.astype(np.float64)
  stored[..., :-1] *= stored[..., -1:] / top
  stored = np.round(stored).astype(dtype)
  planes = np.ascontiguousarray(np.moveaxis(stored, -1, 0)) if apart else stored
  how = {'planarconfig': 'separate', 'photometric': 'minisblack' if channels == 2 else 'rgb'}
  write_tiff(tmp_path / 'a.tif', planes, extrasamples=('assocalpha',), **(how if apart else {}))
  photo = check(tmp_path / 'a.tif', channels, 8 * stored.itemsize, 'TIFF')
  assert np.abs(photo.pixels.astype(int) - pixels).max() <= 2
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.tif')).pixels, photo.pixels)


def test_a_fourth_channel_of_jpeg_2000_that_is_no_alpha_is_refused(tmp_path):
  kinds = b''.join(struct.pack('>3H', i, 0, i + 1) for i in range(3)) + struct.pack(
    '>3H', 3, 65535, 65535
  )
  header = box(b'colr', b'\1\0\0' + struct.pack('>I', 16)) + box(
    b'cdef', struct.pack('>H', 4) + kinds
  )
  jp2(tmp_path / 'a.jp2', Image.fromarray(noise(6, 7, 4)), header)
  with pytest.raises(
    DataError, match=r'a\.jp2: an extra channel that is neither .*: save it as RGB'
  ):
    read_size(tmp_path / 'a.jp2')


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_a_palette_of_any_depth_with_alpha_becomes_its_colours(tmp_path, bits):
  colours = noise(1, min(2**bits, 9), 4)[0]
  indices = (np.arange(42).reshape(6, 7) % len(colours)).astype(np.uint8)
  with (tmp_path / 'a.png').open('wb') as file:
    palette = [tuple(map(int, x)) for x in colours]
    png.Writer(7, 6, palette=palette, bitdepth=bits).write(file, indices)
  photo = check(tmp_path / 'a.png', 4, 8, 'PNG')
  np.testing.assert_array_equal(photo.pixels, colours[indices])
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.png')).pixels, colours[indices])


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('extra', [[0, 2], [2, 0], [0, 0]])
def test_alpha_of_tiff_behind_another_channel(tmp_path, extra, dtype):
  for colours, kind in ((1, 1), (3, 2)):
    path, pixels = tmp_path / 'a.tif', noise(6, 7, colours + 2, dtype)
    tags = [(338, 3, extra)]
    tiff(path, 7, 6, [8 * pixels.itemsize] * (colours + 2), kind, pixels.tobytes(), tags=tags)
    alpha = [colours + extra.index(2)] if 2 in extra else []
    photo = check(path, colours + len(alpha), 8 * pixels.itemsize, 'TIFF')
    assert len(photo.notes) == 1
    np.testing.assert_array_equal(photo.pixels, pixels[..., [*range(colours), *alpha]])


def test_colours_that_are_not_seen_take_no_place_in_the_palette_of_a_gif(tmp_path):
  path = tmp_path / 'a.gif'
  palette = noise(256, 1, 3)[:, 0]
  levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
  image = Image.fromarray(levels, 'P')
  image.putpalette(palette.tobytes())
  image.save(path, transparency=5, optimize=False)
  old, new = read_photo(path).pixels, read_photo(again(path)).pixels
  np.testing.assert_array_equal(new[..., 3], old[..., 3])
  np.testing.assert_array_equal(new[levels != 5], old[levels != 5])


@pytest.mark.parametrize('kind', [0, 1, 2, 3, 4])
@pytest.mark.parametrize('channels', [2, 4])
def test_what_alpha_of_a_tga_is_for_decides_whether_it_is_one(tmp_path, kind, channels):
  path, pixels = tmp_path / 'a.tga', noise(6, 7, channels)
  Image.fromarray(pixels).save(path)
  area, data = bytearray(495), path.read_bytes()
  area[:2], area[494] = struct.pack('<H', 495), kind
  path.write_bytes(data[:-26] + area + struct.pack('<II', len(data) - 26, 0) + data[-18:])
  photo = check(path, channels - (kind < 3), 8, 'TGA')
  if kind != 4:
    np.testing.assert_array_equal(photo.pixels, pixels[..., : photo.pixels.shape[-1]])
  left_out = ('1 further channel (no transparency) left out',)
  assert photo.notes == (left_out if kind in (1, 2) else ())
  assert again(path).read_bytes()[-27] == (3 if kind > 2 else 0)


@pytest.mark.parametrize('bits', [16, 32])
@pytest.mark.parametrize('mapped', [False, True])
@pytest.mark.parametrize('attributes', [0, 1])
def test_alpha_of_a_tga_of_few_bits_and_of_palettes(tmp_path, bits, mapped, attributes):
  levels = noise(1, 42, 4)[0] >> (3 if bits == 16 else 0)
  levels[:, 3] >>= 4 if bits == 16 else 0
  stored = levels[:, [2, 1, 0, 3]].tobytes()
  if bits == 16:
    stored = (levels.astype(np.uint16) @ [1024, 32, 1, 32768]).astype('<u2').tobytes()
  table = (0, 42, bits) if mapped else (0, 0, 0)
  head = struct.pack('<BBBHHB4HBB', 0, mapped, 1 if mapped else 2, *table, 0, 0, 7, 6,
                     8 if mapped else bits, 0x20 | attributes * (8 if bits == 32 else 1))  # fmt: skip
  (tmp_path / 'a.tga').write_bytes(head + stored + bytes(range(42)) * mapped)
  channels = 4 if bits == 32 or attributes else 3  # many writers of 32 bits leave the number out
  wanted = levels
  if bits == 16:
    wanted = np.concatenate([np.floor(levels[:, :3] * (255 / 31)), levels[:, 3:] * 255], -1)
  pixels = check(tmp_path / 'a.tga', channels, 8, 'TGA').pixels
  off = np.abs(pixels.reshape(42, -1) - wanted[:, :channels])
  assert off.max(0).tolist() <= [1, 1, 1, 0]
  np.testing.assert_array_equal(read_photo(again(tmp_path / 'a.tga')).pixels, pixels)
  on_black = np.round(pixels[..., :3] * (pixels[..., 3:] / 255.0)) if channels == 4 else pixels
  flat = load_image(tmp_path / 'a.tga', lambda image: image.convert('RGB'))
  assert np.abs(np.asarray(flat) - on_black).max() <= 1


def test_a_bmp_without_pixels_is_refused(tmp_path):
  path = tmp_path / 'a.bmp'
  bmp(path, bmp_header(56, 0, 6, 32, 3, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), b'')
  with pytest.raises(DataError, match='its header says 0 x 6 pixels'):
    read_size(path)
