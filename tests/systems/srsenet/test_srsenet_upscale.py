"""`jaxgen upscale` on a person's files, with a net too small to be any good."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import png
import pytest
import tifffile
from conftest import override
from helpers import comvae, environment
from PIL import Image

from jaxgen import cli, weight_files
from jaxgen import config as configs
from jaxgen.data.imresize import imresize
from jaxgen.photos import Size, read_photo
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.bands import PhotoBands
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.systems.srsenet.task import make_model
from jaxgen.systems.srsenet.tiling import MIB, Sides, Upscaler
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')
SCALE = 4
SIDES = Sides(block=48, trunk=48, leave=12, samples=8)


def tiny(scale, num_blocks=1):
  """A net that does more than interpolate, and stays near [0, 1]."""
  config = override(
    configs.load(f'srsenet:x{scale}'),
    {'model__features': 4, 'model__num_blocks': num_blocks, 'model__se_width': 2},
  )
  variables = jax.jit(make_model(config).init)(jax.random.key(1), jnp.zeros((1, 8, 8, 1)))
  variables = jax.tree.map(np.array, variables)
  variables['params']['output'] *= 0.1
  return Trained(config, {}, variables, 3)


@pytest.fixture(scope='module')
def net():
  return tiny(SCALE)


@pytest.fixture(scope='module')
def weights(net, tmp_path_factory):
  return weight_files.save_weights(tmp_path_factory.mktemp('net') / 'net.safetensors', net)


@pytest.fixture(scope='module')
def upscaler(net):
  """Compiled once, with tiles so small that test images have several."""
  return Upscaler(make_model(net.config), net.variables, sides=SIDES)


@pytest.fixture
def upscale(weights, upscaler, monkeypatch):
  """A function that runs the command, with the compiled net in place of one to be compiled anew."""

  def make(trained, memory_mb, progress):
    upscaler.memory, upscaler.progress = memory_mb * MIB, progress
    return upscaler

  monkeypatch.setattr(apply, 'make_upscaler', make)

  def run(*args):
    given = [str(arg) for arg in args]
    return cli.main(
      ['upscale', *given, *([] if '--weights' in given else ['--weights', str(weights)])]
    )

  yield run
  upscaler.progress = lambda items, description: items


def smooth(height, width, channels=3, dtype=np.uint8, seed=0):
  """A picture with edges and slopes; none of its levels is where clipping would hide differences."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:height, :width] / max(height, width, 2)
  planes = [
    np.sin(9 * x + 5 * k * y + k + seed) + ((x + y * k) % 0.5 > 0.3) for k in range(channels)
  ]
  values = 0.5 + 0.1 * (np.stack(planes, -1) + 0.2 * rng.standard_normal((height, width, channels)))
  return (np.clip(values, 0.2, 0.8) * np.iinfo(dtype).max).astype(dtype)


def save(path, pixels):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path)
  return path


def save16(path, pixels):
  height, width, channels = pixels.shape
  with path.open('wb') as file:
    png.Writer(width, height, bitdepth=16, greyscale=channels < 3, alpha=channels in (2, 4)).write(
      file, pixels.reshape(height, -1)
    )
  return path


def open_(path):
  return read_photo(path).pixels


def tree(folder):
  return sorted(str(p.relative_to(folder)) for p in folder.rglob('*') if p.is_file())


def far(a, b):
  """The largest difference of levels."""
  return np.abs(a.astype(np.int64) - b.astype(np.int64)).max()


def levels(image, dtype=np.uint8):
  return np.floor(np.clip(image, 0, 1) * np.iinfo(dtype).max + 0.5).astype(dtype)


def test_a_file_is_written_beside_itself(upscale, tmp_path, capsys):
  path = save(tmp_path / 'cat.png', smooth(9, 7))
  assert upscale(path) == 0
  assert tree(tmp_path) == ['cat.png', 'cat_x4.png']
  assert open_(tmp_path / 'cat_x4.png').shape == (36, 28, 3)
  out = capsys.readouterr().out
  assert f'wrote {tmp_path}/cat_x4.png (7 x 9 at x4' in out
  assert '1 upscaled' in out


def test_the_whole_command_without_stand_ins(weights, net, tmp_path):
  path = save(tmp_path / 'cat.png', smooth(9, 7))
  assert cli.main(['upscale', str(path), '--weights', str(weights)]) == 0
  y = Upscaler(make_model(net.config), net.variables)
  wanted = levels(upscale_image(y, SCALE, smooth(9, 7) / 255))
  assert far(open_(tmp_path / 'cat_x4.png'), wanted) <= 1


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


def test_a_folder_keeps_its_tree(upscale, tmp_path, capsys):
  source, out = tmp_path / 'in', tmp_path / 'out'
  save(source / 'a.png', smooth(6, 5))
  save(source / 'deep' / 'er' / 'b.PNG', smooth(6, 5))
  save(source / 'deep' / 'c.jpg', smooth(6, 5))
  (source / 'deep' / 'notes.txt').write_text('mine')
  (source / 'LICENSE').write_text('mine')
  save(source / '.thumbnails' / 'a.png', smooth(6, 5))
  (source / '._a.png').write_bytes(b'of another system')
  (source / '.jaxgen.12.part.png').write_bytes(b'of a killed run')
  assert upscale(source, '--output', out) == 0
  assert tree(out) == ['a_x4.png', 'deep/c_x4.jpg', 'deep/er/b_x4.PNG']
  told = capsys.readouterr()
  assert '3 upscaled' in told.out
  assert '5 other files skipped' in told.out
  assert told.err == ''


def test_a_pattern_that_no_shell_expanded_is_expanded(upscale, tmp_path, monkeypatch):
  save(tmp_path / 'one' / 'a.png', smooth(6, 5))
  save(tmp_path / 'one' / 'b.jpg', smooth(6, 5))
  save(tmp_path / 'one' / 'more' / 'c.png', smooth(6, 5))
  assert upscale(f'{tmp_path}/one/*.png', '--output', tmp_path / 'flat') == 0
  assert tree(tmp_path / 'flat') == ['a_x4.png']
  monkeypatch.chdir(tmp_path / 'one')
  assert upscale('**/*.png', '--output', tmp_path / 'all') == 0
  assert tree(tmp_path / 'all') == ['a_x4.png', 'c_x4.png']
  assert upscale('../one/?.jpg', '--output', tmp_path / 'up') == 0
  assert tree(tmp_path / 'up') == ['b_x4.jpg']


def test_a_name_with_the_signs_of_patterns_is_that_file(upscale, tmp_path):
  path = save(tmp_path / 'cat [1].png', smooth(6, 5))
  assert upscale(path) == 0
  assert tree(tmp_path) == ['cat [1].png', 'cat [1]_x4.png']


@pytest.mark.parametrize(
  'name', ['a.jpg', 'a.JPEG', 'a.webp', 'a.bmp', 'a.gif', 'a.tif', 'a.png', 'a.pgm', 'a.ppm']
)
def test_a_file_stays_of_its_kind(upscale, tmp_path, name):
  path = save(tmp_path / name, smooth(12, 9, 1 if name == 'a.pgm' else 3))
  assert upscale(path) == 0
  new = path.with_stem('a_x4')
  with Image.open(path) as before, Image.open(new) as after:
    assert after.format == before.format
    assert after.size == (36, 48)
  near = np.abs(open_(new)[2::4, 2::4].astype(int) - open_(path)).mean()
  assert near < 25


def test_a_bad_image_of_a_folder_is_named_and_the_rest_goes_on(upscale, tmp_path, capsys):
  for name in 'az':
    save(tmp_path / f'{name}.png', smooth(6, 5))
  (tmp_path / 'bad.png').write_text('no image')
  save(tmp_path / 'cut.jpg', smooth(60, 50))
  (tmp_path / 'cut.jpg').write_bytes((tmp_path / 'cut.jpg').read_bytes()[:900])
  assert upscale(tmp_path, '--output', tmp_path / 'out') == 1
  assert tree(tmp_path / 'out') == ['a_x4.png', 'z_x4.png']
  err = capsys.readouterr().err.splitlines()
  assert len(err) == 3
  assert err[0].startswith(f'error: {tmp_path}/bad.png: ')
  assert err[1].startswith(f'error: {tmp_path}/cut.jpg: ')
  assert err[2] == 'error: 2 of 4 failed'


def test_what_is_named_and_is_no_image_or_nothing_has_failed(upscale, tmp_path, capsys):
  save(tmp_path / 'a.png', smooth(6, 5))
  (tmp_path / 'notes.txt').write_text('no image')
  inputs = [tmp_path / 'notes.txt', tmp_path / 'none.png', f'{tmp_path}/*.none', tmp_path / 'a.png']
  assert upscale(*inputs) == 1
  assert tree(tmp_path) == ['a.png', 'a_x4.png', 'notes.txt']
  err = capsys.readouterr().err
  assert f'{tmp_path}/none.png: no such file or folder' in err
  assert f'{tmp_path}/*.none: no such file or folder' in err
  assert f'{tmp_path}/notes.txt: ' in err
  assert '3 of 4 failed' in err


def test_existing_outputs_are_skipped_unless_they_are_to_be_overwritten(upscale, tmp_path, capsys):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  (tmp_path / 'a_x4.png').write_text('mine')
  assert upscale(path) == 0
  assert (tmp_path / 'a_x4.png').read_text() == 'mine'
  assert '0 upscaled' in (out := capsys.readouterr().out)
  assert '1 were there already (--overwrite' in out
  assert upscale(path, '--overwrite') == 0
  assert open_(tmp_path / 'a_x4.png').shape == (24, 20, 3)


@pytest.mark.parametrize('by', ['folder', 'pattern', 'names'])
def test_outputs_beside_their_inputs_are_not_upscaled_again(upscale, tmp_path, capsys, by):
  save(tmp_path / 'a.png', smooth(6, 5))
  save(tmp_path / 'b.jpg', smooth(6, 5))
  save(tmp_path / 'my_x2.png', smooth(6, 5))  # no output: there is no my.png

  def inputs():
    files = sorted(tmp_path.iterdir())
    return {'folder': [tmp_path], 'pattern': [f'{tmp_path}/*'], 'names': files}[by]

  assert upscale(*inputs(), '--sheet') == 0
  first = tree(tmp_path)
  assert [n for n in first if not n.endswith('_sheet.png')] == [
    'a.png', 'a_x4.png', 'b.jpg', 'b_x4.jpg', 'my_x2.png', 'my_x2_x4.png'
  ]  # fmt: skip
  if by == 'names':  # a sheet that is named itself is an image like others
    for path in tmp_path.glob('*_sheet.png'):
      path.unlink()
    first = tree(tmp_path)
  capsys.readouterr()
  assert upscale(*inputs()) == 0
  assert tree(tmp_path) == first
  assert '0 upscaled' in capsys.readouterr().out
  if by != 'names':
    assert upscale(*inputs(), '--scale', 2) == 0
    new = set(tree(tmp_path)) - set(first)
    assert new == {'a_x2.png', 'b_x2.jpg', 'my_x2_x2.png'}


def test_an_output_folder_inside_the_input_folder_is_no_input(upscale, tmp_path):
  save(tmp_path / 'a.png', smooth(6, 5))
  for _ in range(2):
    assert upscale(tmp_path, '--output', tmp_path / 'large') == 0
  assert tree(tmp_path) == ['a.png', 'large/a_x4.png']


def test_the_input_folder_may_be_named_as_the_output_folder(upscale, tmp_path):
  save(tmp_path / 'in' / 'a.png', smooth(6, 5))
  for _ in range(2):
    assert upscale(tmp_path, '--output', tmp_path, '--overwrite') == 0
  assert tree(tmp_path) == ['in/a.png', 'in/a_x4.png']


@pytest.mark.parametrize('tiling', ['exact', 'sampled'])
def test_an_interrupted_run_leaves_nothing_half_and_a_repeat_completes_it(
  upscale, tmp_path, monkeypatch, tiling
):
  for name in 'abc':
    save(tmp_path / 'in' / f'{name}.png', smooth(70, 61))
  features = tmp_path / 'features'
  features.mkdir()
  read, count = apply.read_photo, []

  def interrupted(path):
    count.append(path)
    if len(count) == 2:
      os.kill(os.getpid(), signal.SIGINT)
    return read(path)

  monkeypatch.setattr(apply, 'read_photo', interrupted)
  arguments = tmp_path / 'in', '--output', tmp_path / 'out', '--tiling', tiling
  assert upscale(*arguments) == 128 + signal.SIGINT
  assert tree(tmp_path / 'out') == ['a_x4.png']
  before = (tmp_path / 'out' / 'a_x4.png').stat().st_mtime_ns
  monkeypatch.setattr(apply, 'read_photo', read)
  assert upscale(*arguments) == 0
  assert tree(tmp_path / 'out') == ['a_x4.png', 'b_x4.png', 'c_x4.png']
  assert (tmp_path / 'out' / 'a_x4.png').stat().st_mtime_ns == before


def test_a_hard_interrupt_while_writing_leaves_nothing_half(upscale, tmp_path, monkeypatch):
  path = save(tmp_path / 'a.png', smooth(6, 5))

  def killed(self, file, *args, **kwargs):
    file.write_bytes(b'half')
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(Image.Image, 'save', killed)
    assert upscale(path) == 130
  assert tree(tmp_path) == ['a.png']
  assert upscale(path) == 0


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


def test_without_a_scale_the_net_s_own_is_meant(weights, upscale, tmp_path):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert upscale(path, '--weights', weights) == 0
  assert tree(tmp_path) == ['a.png', 'a_x4.png']


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
def test_a_sheet_compares_with_bicubic(upscale, tmp_path, name, channels):
  path = save(tmp_path / name, smooth(30, 24, channels))
  assert upscale(path, '--sheet') == 0
  with Image.open(tmp_path / 'a_x4_sheet.png') as sheet:
    assert sheet.format == 'PNG'
    assert sheet.width > 3 * 200
    assert np.asarray(sheet).std() > 10


def test_a_missing_sheet_is_made_of_the_output_that_is_there(upscale, tmp_path):
  path = save(tmp_path / 'a.png', smooth(30, 24, 4))
  assert upscale(path) == 0
  before = (tmp_path / 'a_x4.png').stat().st_mtime_ns
  assert upscale(path, '--sheet') == 0
  assert tree(tmp_path) == ['a.png', 'a_x4.png', 'a_x4_sheet.png']
  assert (tmp_path / 'a_x4.png').stat().st_mtime_ns == before


def test_a_sheet_at_a_broken_scale_is_refused_before_any_work(upscale, tmp_path, capsys):
  path = save(tmp_path / 'a.png', smooth(30, 24))
  assert upscale(path, '--sheet', '--scale', 2.5) == 2
  assert '--sheet needs a whole --scale' in capsys.readouterr().err
  assert tree(tmp_path) == ['a.png']


def test_two_inputs_of_one_output_are_refused(upscale, tmp_path, capsys):
  one = save(tmp_path / 'one' / 'a.png', smooth(6, 5))
  two = save(tmp_path / 'two' / 'a.png', smooth(6, 5))
  assert upscale(one, two, '--output', tmp_path / 'out') == 2
  err = capsys.readouterr().err
  assert str(one) in err
  assert str(two) in err
  assert not (tmp_path / 'out').exists()
  # The same file twice is no clash.
  assert upscale(one, one.parent, '--output', tmp_path / 'out') == 0


def never(*args, **kwargs):
  raise AssertionError('work was begun')


@pytest.mark.parametrize('output', ['file', 'file/below'])
def test_an_output_folder_that_cannot_be_is_told_before_any_work(
  upscale, tmp_path, capsys, monkeypatch, output
):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  (tmp_path / 'file').write_text('mine')
  monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path, '--output', tmp_path / output) == 1
  err = capsys.readouterr().err
  assert err.startswith(f'error: cannot write to {tmp_path}/{output}: ')
  assert err.count('\n') == 1


def test_an_input_s_folder_that_cannot_be_written_to_is_told_before_any_work(
  upscale, tmp_path, capsys, monkeypatch
):
  # The tests may run as root, whom no permission stops.
  path = save(tmp_path / 'a.png', smooth(6, 5))
  write = Path.write_bytes

  def denied(self, content):
    if self.parent == tmp_path:
      raise PermissionError(13, 'Permission denied', str(self))
    return write(self, content)

  monkeypatch.setattr(Path, 'write_bytes', denied)
  monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path) == 1
  assert f'cannot write to {tmp_path}: Permission denied' in capsys.readouterr().err
  assert tree(tmp_path) == ['a.png']


@pytest.mark.parametrize('scale', ['1', '0', '-2', '4.01', 'inf', 'nan'])
def test_a_scale_that_the_net_does_not_reach_is_refused(upscale, tmp_path, capsys, scale):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert upscale(path, f'--scale={scale}') == 2
  err = capsys.readouterr().err
  assert f'--scale {float(scale):g} must be above 1 and at most the x4 of' in err
  assert tree(tmp_path) == ['a.png']


def test_shipped_nets_serve_the_scales_below_them(tmp_path, monkeypatch):
  monkeypatch.setattr(apply, 'WEIGHTS', tmp_path)
  for scale in (2, 4):
    (tmp_path / f'srsenet_x{scale}.safetensors').write_bytes(b'')
  for scale, net in ((1.5, 2), (2, 2), (2.5, 4), (4, 4)):
    assert apply.shipped_weights(scale).name == f'srsenet_x{net}.safetensors'


@pytest.mark.parametrize('scale', ['0', '9', '1'])
def test_a_scale_without_any_net_is_refused(tmp_path, capsys, scale):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert cli.main(['upscale', str(path), '--scale', scale]) == 2
  assert f'--scale {scale} must be above 1 and at most' in capsys.readouterr().err


def wrong_files(folder):
  (folder / 'text.safetensors').write_text('no weights')
  save(folder / 'photo.png', smooth(6, 5))
  (folder / 'empty').mkdir()
  weight_files.save_weights(folder / 'comvae.safetensors', Trained(comvae(), {}, {}, 0))
  return {
    'text.safetensors': 'text.safetensors is damaged, or not a safetensors file',
    'none.safetensors': 'none.safetensors: no such file',
    'comvae.safetensors': 'comvae.safetensors is a comvae, not an srsenet',
    'photo.png': 'photo.png',
    'empty': 'empty',
    'none': 'none',
  }


def test_weights_of_a_wrong_file_are_told_in_one_line(upscale, tmp_path, capsys):
  path = save(tmp_path / 'in' / 'a.png', smooth(6, 5))
  for name, words in wrong_files(tmp_path).items():
    assert upscale(path, '--weights', tmp_path / name) in (1, 2)
    err = capsys.readouterr().err
    assert words in err
    assert err.count('\n') == 1, err
  assert tree(tmp_path / 'in') == ['a.png']


def test_what_does_not_fit_the_memory_is_refused_before_work_starts(
  upscale, tmp_path, capsys, monkeypatch
):
  small = save(tmp_path / 'small.png', smooth(6, 5))
  path = save(tmp_path / 'a.png', smooth(1500, 1500))
  monkeypatch.setattr(apply, 'available_memory', lambda: 512 * MIB)
  assert upscale(small) == 0
  monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path, '--tiling', 'whole') == 1
  err = capsys.readouterr().err
  assert f'{path}: 1500 x 1500 pixels at x4 need 0.8 GiB of memory, 0.5 GiB are free' in err
  assert '--tiling sampled needs less' in err


def test_a_system_that_tells_no_memory_is_not_refused(upscale, tmp_path, monkeypatch):
  monkeypatch.setattr(apply, 'available_memory', lambda: None)
  assert upscale(save(tmp_path / 'a.png', smooth(6, 5))) == 0


def test_memory_that_runs_out_all_the_same_is_told(upscale, tmp_path, capsys, monkeypatch):
  for name in 'ab':
    save(tmp_path / f'{name}.png', smooth(6, 5))
  writer = apply.PhotoWriter

  def full(path, *args):
    if path.stem.startswith('a'):
      raise MemoryError
    return writer(path, *args)

  monkeypatch.setattr(apply, 'PhotoWriter', full)
  assert upscale(tmp_path) == 1
  assert f'error: {tmp_path}/a.png: out of memory' in capsys.readouterr().err
  assert tree(tmp_path) == ['a.png', 'b.png', 'b_x4.png']


def test_the_need_grows_with_what_is_held(upscaler):
  def need(depth=8, channels=3, kind='PNG', height=3000, **options):
    size = Size(height, 4000, channels, depth, kind)
    return apply.memory_need(size, upscaler, apply.Options(SCALE, **options))[0]

  outputs = 12_000 * 16_000
  assert need(tiling='sampled') > 4 * outputs
  assert need(tiling='sampled', depth=16, channels=4) > 8 * outputs
  assert need(tiling='sampled', kind='WEBP') > need(tiling='sampled') + 8 * outputs
  assert need(tiling='sampled', ensemble=True) > need(tiling='sampled') + 8 * outputs
  assert need(tiling='sampled', sheet=True) > need(tiling='sampled') + 48 * outputs
  assert need(tiling='whole') > need(tiling='exact')
  assert need(tiling='sampled', height=6000) > 1.8 * need(tiling='sampled') - apply.RUNTIME_BYTES


def test_a_temporary_folder_that_is_too_small_is_told_before_work_starts(
  upscale, tmp_path, capsys, monkeypatch
):
  path = save(tmp_path / 'a.png', smooth(70, 61))
  usage = namedtuple('usage', 'total used free')
  monkeypatch.setattr(shutil, 'disk_usage', lambda folder: usage(10**9, 10**9, 10**5))
  with monkeypatch.context() as patch:
    patch.setattr(apply, 'read_photo', never)
    assert upscale(path, '--tiling', 'exact') == 1
    err = capsys.readouterr().err
    assert 'exact tiling of 61 x 70 pixels needs 0.0 GiB in' in err
    assert 'set TMPDIR' in err
  assert upscale(path, '--tiling', 'sampled') == 0


@pytest.mark.parametrize(('name', 'limit'), [('a.jpg', 65_500), ('a.webp', 16_383)])
def test_a_side_that_a_format_cannot_hold_is_told_before_work_starts(
  upscale, tmp_path, capsys, monkeypatch, name, limit
):
  path = save(tmp_path / name, smooth(1, limit // 4 + 1, 3))
  monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path) == 1
  err = capsys.readouterr().err
  assert f'is above the {limit} that' in err
  assert 'save it as PNG or TIFF' in err


# The command in a process of its own, started by one that is small: a child's peak begins at its parent's.
MEASURED = """
import json, resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({'status': status, 'peak': peak * 1024}))
"""


def peak_memory(path, output, *more):
  """Bytes; the file is upscaled by two with sampled tiling by a narrow net."""
  weights = weight_files.save_weights(path.parent / 'x2.safetensors', tiny(2))
  command = [sys.executable, '-m', 'jaxgen.cli', 'upscale', path, '--weights', weights]
  command += ['--tiling', 'sampled', '--output', output, *more]
  found = subprocess.run(
    [sys.executable, '-c', MEASURED, *map(str, command)],
    env=environment(),
    text=True,
    stdout=subprocess.PIPE,
    check=True,
  )
  result = json.loads(found.stdout.splitlines()[-1])
  assert result['status'] == 0
  return result['peak']


def tiled(height, width):
  return np.tile(smooth(375, 500), (height // 375, width // 500, 1))


GB = 10**9
BASE = 0.65 * GB  # Python, JAX and compiled programs; the rest of the 3 GB grows with the pixels


def limit(height, width):
  return BASE + (3 * GB - BASE) * height * width / (9_000 * 12_000)


@pytest.mark.parametrize('name', ['a.png', pytest.param('a.tif', marks=pytest.mark.slow)])
def test_memory_is_bounded(tmp_path, name):
  path = save(tmp_path / name, tiled(2_250, 3_000))
  peak = peak_memory(path, tmp_path / 'out')
  with Image.open(tmp_path / 'out' / f'a_x2{path.suffix}') as image:
    assert image.size == (6_000, 4_500)
  print(f'peak {peak / GB:.2f} GB')
  assert peak <= limit(2_250, 3_000)


@pytest.mark.slow
def test_a_huge_image_takes_three_gigabytes_at_most(tmp_path, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
  path = save(tmp_path / 'a.png', tiled(9_000, 12_000))
  peak = peak_memory(path, tmp_path / 'out')
  with Image.open(tmp_path / 'out' / 'a_x2.png') as image:
    assert image.size == (24_000, 18_000)
  print(f'peak {peak / GB:.2f} GB')
  assert peak <= 3 * GB
