"""What `jaxgen upscale` makes of pixels: tilings, alpha, depth, grey, scales between, ensembles, sheets."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from upscale_cases import SCALE, SIDES, far, levels, open_, save, save16, smooth

from jaxgen.data.imresize import imresize
from jaxgen.run import loading
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet import sheet as sheets
from jaxgen.systems.srsenet.bands import PhotoBands
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.means import preserve_means

pytestmark = pytest.mark.usefixtures('quick_compilation')


@pytest.mark.parametrize('tiling', ['auto', 'whole', 'exact', 'sampled'])
@pytest.mark.parametrize('shape', [(70, 61), (13, 90), (5, 4)])
def test_bands_are_the_whole_image_in_every_tiling(upscaler, tiling, shape):
  pixels = smooth(*shape)
  bands = list(PhotoBands(upscaler)(pixels, (shape[0] * SCALE, shape[1] * SCALE), tiling))
  if shape[0] > SIDES.trunk:
    assert len(bands) > 1
  assert [top for top, _ in bands] == list(np.cumsum([0, *(len(x) for _, x in bands)])[:-1])
  wanted = levels(upscale_image(lambda y: upscaler(y, tiling), SCALE, pixels / 255))
  assert far(np.concatenate([band for _, band in bands]), wanted) <= 1


def test_every_tiling_gives_the_same_picture(upscale, tmp_path):
  path = save(tmp_path / 'cat.png', smooth(70, 61))
  for tiling in ('whole', 'exact', 'sampled'):
    assert upscale(path, '--tiling', tiling, '--output', tmp_path / tiling) == 0
  whole, exact, sampled = (
    open_(tmp_path / t / 'cat_x4.png') for t in ('whole', 'exact', 'sampled')
  )
  assert far(whole, exact) <= 1
  # All tiles are sampled, so the gates are those of the image but for what borders of tiles count twice.
  assert far(whole, sampled) <= 4


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
@pytest.mark.parametrize('depth', [8, 16])
def test_one_pixel_becomes_sixteen(upscale, tmp_path, channels, depth):
  dtype = np.uint8 if depth == 8 else np.uint16
  pixels = smooth(1, 1, channels, dtype)
  path = (save if depth == 8 else save16)(tmp_path / 'a.png', pixels)
  for tiling in ('whole', 'exact', 'sampled'):
    assert upscale(path, '--tiling', tiling, '--output', tmp_path / tiling, '--sheet') == 0
    found = open_(tmp_path / tiling / 'a_x4.png')
    assert found.shape == (4, 4, channels)
    assert found.dtype == dtype
  assert upscale(path, '--scale', 1.5) == 0
  assert open_(tmp_path / 'a_x1.5.png').shape == (2, 2, channels)


@pytest.mark.parametrize('channels', [2, 4])
@pytest.mark.parametrize('depth', [8, 16])
def test_colours_of_transparent_pixels_do_not_bleed(upscale, tmp_path, channels, depth):
  dtype, write = (np.uint8, save) if depth == 8 else (np.uint16, save16)
  top = np.iinfo(dtype).max
  one = smooth(20, 18, channels, dtype)
  one[..., -1] = top
  one[5:12, 4:15, -1] = 0
  one[12:14, 4:15, -1] = top // 3
  other = one.copy()
  hidden = one[..., -1] == 0
  one[hidden, :-1], other[hidden, :-1] = 0, top
  write(tmp_path / 'one.png', one)
  write(tmp_path / 'other.png', other)
  assert upscale(tmp_path / 'one.png', tmp_path / 'other.png') == 0
  found = open_(tmp_path / 'one_x4.png')
  np.testing.assert_array_equal(found, open_(tmp_path / 'other_x4.png'))
  # Where it is opaque and no transparent pixel is near, bleeding of either would be seen as dark or light.
  assert found[:8, :, -1].min() == top
  assert found[:8, :, :-1].min() > 0.05 * top


@pytest.mark.parametrize('channels', [2, 4])
def test_opaque_alpha_changes_no_colour(upscale, tmp_path, channels):
  pixels = smooth(20, 18, channels)
  pixels[..., -1] = 255
  save(tmp_path / 'with.png', pixels)
  save(tmp_path / 'without.png', pixels[..., :-1])
  assert upscale(tmp_path / 'with.png', tmp_path / 'without.png') == 0
  found = open_(tmp_path / 'with_x4.png')
  assert found[..., -1].min() == 255
  np.testing.assert_array_equal(found[..., :-1], open_(tmp_path / 'without_x4.png'))


@pytest.mark.parametrize('edge', ['hard', 'soft'])
def test_a_flat_colour_keeps_its_colour_at_the_edge_of_what_is_visible(upscale, tmp_path, edge):
  y, x = np.mgrid[:24, :24]
  inside = np.clip(8.5 - np.hypot(y - 12, x - 12), 0, 1)
  pixels = np.zeros((24, 24, 4), np.uint8)
  pixels[..., 3] = np.round((inside > 0.5 if edge == 'hard' else inside) * 255)
  pixels[pixels[..., 3] > 0, :3] = (255, 60, 20)
  save(tmp_path / 'icon.png', pixels)
  save(tmp_path / 'flat.png', np.broadcast_to(np.uint8([255, 60, 20]), (24, 24, 3)).copy())
  assert upscale(tmp_path / 'icon.png', tmp_path / 'flat.png') == 0
  found, flat = open_(tmp_path / 'icon_x4.png'), open_(tmp_path / 'flat_x4.png')
  seen = found[..., 3] > 0
  assert seen.any() and not seen.all()
  np.testing.assert_array_equal(found[seen][:, :3], flat[seen])


def test_alpha_itself_is_enlarged_bicubically(upscale, tmp_path):
  pixels = smooth(20, 18, 4)
  save(tmp_path / 'a.png', pixels)
  assert upscale(tmp_path / 'a.png') == 0
  wanted = levels(imresize(pixels[..., 3] / 255, scale=SCALE))
  assert far(open_(tmp_path / 'a_x4.png')[..., 3], wanted) <= 1


@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_sixteen_bits_come_out_as_sixteen(upscale, upscaler, tmp_path, name, channels):
  pixels = smooth(20, 18, channels, np.uint16)
  pixels[..., 3:] = 65535
  if name == 'a.png':
    save16(tmp_path / name, pixels)
  else:
    grey = channels < 3
    tifffile.imwrite(
      tmp_path / name,
      pixels if channels > 1 else pixels[..., 0],
      photometric='minisblack' if grey else 'rgb',
      planarconfig='contig' if channels > 1 else None,
      extrasamples=('unassalpha',) if channels in (2, 4) else None,
    )
  assert upscale(tmp_path / name) == 0
  found = open_((tmp_path / name).with_stem('a_x4'))
  assert found.dtype == np.uint16
  assert len(np.unique(found[..., 0])) > 256
  if channels >= 3:
    wanted = levels(upscale_image(upscaler, SCALE, pixels[..., :3] / 65535), np.uint16)
    assert far(found[..., :3], wanted) <= 40  # float32 of luminance, times colours


@pytest.mark.parametrize('name', ['a.png', 'a.jpg', 'a.tif', 'a.pgm'])
def test_grey_stays_grey(upscale, upscaler, tmp_path, name):
  path = save(tmp_path / name, smooth(20, 18, 1))
  assert upscale(path) == 0
  with Image.open(path.with_stem('a_x4')) as image:
    assert image.mode == 'L'
    if name != 'a.jpg':
      wanted = levels(upscaler(np.float32(open_(path)[..., 0] / 255)))
      assert far(np.asarray(image), wanted) <= 1


@pytest.mark.parametrize('scale', [3, 2.5, 1.1])
@pytest.mark.parametrize('tiling', ['whole', 'sampled'])
def test_a_scale_below_the_net_s_is_its_output_resized(upscale, upscaler, tmp_path, scale, tiling):
  pixels = smooth(70, 61)
  path = save(tmp_path / 'a.png', pixels)
  assert upscale(path, '--scale', scale, '--tiling', tiling) == 0
  found = open_(tmp_path / f'a_x{scale}.png')
  size = int(np.ceil(round(scale * 70, 6))), int(np.ceil(round(scale * 61, 6)))
  assert found.shape[:2] == size
  # Not rounded in between: the net's own output is resized.
  native = upscale_image(lambda y: upscaler(y, tiling), SCALE, pixels / 255)
  assert far(found, levels(imresize(native, size=size))) <= 1


def test_an_ensemble_is_the_mean_of_eight_turned_images(upscale, upscaler, tmp_path):
  pixels = smooth(22, 17, 1)
  path = save(tmp_path / 'a.png', pixels)
  assert upscale(path, '--ensemble') == 0
  y, total = pixels[..., 0] / np.float32(255), 0
  for flip in (np.array, np.flipud, np.fliplr, lambda x: x[::-1, ::-1]):
    total = total + flip(upscaler(np.ascontiguousarray(flip(y))))
    total = total + flip(upscaler(np.ascontiguousarray(flip(y).T)).T)
  found = open_(tmp_path / 'a_x4.png')[..., 0]
  assert far(found, levels(total / 8)) <= 1
  assert far(found, levels(upscaler(y))) > 1


@pytest.mark.parametrize('name', ['a.png', 'a.jpg'])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_sheet_compares_with_bicubic(upscale, tmp_path, name, channels, monkeypatch):
  names, draw = [], sheets.comparison_sheet
  monkeypatch.setattr(
    sheets,
    'comparison_sheet',
    lambda images, scale: names.extend(x.name for x in images) or draw(images, scale),
  )
  path = save(tmp_path / name, smooth(30, 24, channels))
  assert upscale(path, '--sheet') == 0
  assert names == ['a']  # beside which it says x4
  with Image.open(tmp_path / 'a_x4_sheet.png') as sheet:
    assert sheet.format == 'PNG'
    assert sheet.width > 3 * 200
    assert np.asarray(sheet).std() > 10


@pytest.fixture(scope='module')
def shipped():
  return apply.make_upscaler(loading.load(apply.shipped_weights(2)), 1024, lambda x, *_: x)


def check_flat(upscaler, scale, levels_):
  for level in levels_:
    pixels = np.full((9, 13, 3), level, np.uint8)
    ((_, found),) = PhotoBands(upscaler)(pixels, (9 * scale, 13 * scale))
    assert found.shape == (9 * scale, 13 * scale, 3)
    assert (found == level).all()
  pixels = np.full((9, 13, 1), 65535, np.uint16)
  ((_, found),) = PhotoBands(upscaler)(pixels, (9 * scale, 13 * scale))
  assert np.ptp(found) <= 257 and found.min() >= 65535 - 257  # a level of 255


def test_flat_pictures_stay_flat_to_their_edge(shipped):
  check_flat(shipped, 2, (*range(0, 256, 17), 253, 254))


@pytest.mark.parametrize(
  ('net', 'scale'),
  [
    ('clean', 4),
    ('photo', 2),
    ('photo', 4),
    pytest.param('clean', 3, marks=pytest.mark.slow),
    pytest.param('clean', 8, marks=pytest.mark.slow),
  ],
)
def test_flat_pictures_of_every_shipped_net_stay_flat(net, scale):
  weights = loading.load(apply.shipped_weights(scale, net))
  check_flat(apply.make_upscaler(weights, 1024, lambda x, *_: x), scale, (0, 60, 128, 255))


def test_preserved_means_are_those_of_the_picture(shipped):
  pixels = np.uint8(255 * (np.indices((24, 20)).sum(0) % 2))[..., None]
  ((_, plain),) = PhotoBands(shipped)(pixels, (48, 40))
  ((_, kept),) = PhotoBands(shipped, preserve_mean=True)(pixels, (48, 40))
  inside = slice(8, -8)
  assert abs(kept[inside, inside].mean() - 127.5) <= 1 < abs(plain[inside, inside].mean() - 127.5)


def test_preserving_means_is_an_option_of_the_command(upscale, upscaler, tmp_path):
  pixels = smooth(20, 18, 1)
  path = save(tmp_path / 'a.png', pixels)
  assert upscale(path, '--preserve-mean') == 0
  small = pixels[..., 0] / np.float32(255)
  wanted = preserve_means(upscaler(small), small, SCALE)
  assert far(open_(tmp_path / 'a_x4.png')[..., 0], levels(wanted)) <= 1
  back = imresize(wanted, scale=1 / SCALE)
  assert (
    np.abs(back - small).max() < np.abs(imresize(upscaler(small), scale=1 / SCALE) - small).max()
  )
