"""`jaxgen upscale` on files and folders: what is read, written, skipped and refused."""

import os
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers import comvae
from PIL import Image
from upscale_cases import SCALE, far, levels, never, open_, save, smooth, tree

import jaxgen
from jaxgen.command import cli
from jaxgen.errors import CheckpointError, ConfigError, DataError
from jaxgen.exchange import weight_files
from jaxgen.notes import UserNote
from jaxgen.run import inference
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.colors import upscale_image
from jaxgen.task import Trained

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_a_file_is_written_beside_itself(upscale, tmp_path, capsys):
  path = save(tmp_path / 'cat.png', smooth(9, 7))
  assert upscale(path) == 0
  assert tree(tmp_path) == ['cat.png', 'cat_x4.png']
  assert open_(tmp_path / 'cat_x4.png').shape == (36, 28, 3)
  out = capsys.readouterr().out
  assert f'wrote {tmp_path}/cat_x4.png (7 x 9 at x4' in out
  assert '1 image upscaled' in out


def test_the_whole_command_without_stand_ins(weights, net, tmp_path):
  path = save(tmp_path / 'cat.png', smooth(9, 7))
  assert cli.main(['upscale', str(path), '--weights', str(weights)]) == 0
  y = apply.make_upscaler(net, 1024, lambda items, *_: items)
  wanted = levels(upscale_image(y, SCALE, smooth(9, 7) / 255))
  assert far(open_(tmp_path / 'cat_x4.png'), wanted) <= 1


def test_the_function_enlarges_files_images_and_arrays_as_the_command_does(
  upscale, weights, net, tmp_path
):
  path = save(tmp_path / 'cat.png', smooth(9, 7))
  assert upscale(path) == 0
  wanted = open_(tmp_path / 'cat_x4.png')
  options = {'weights': weights, 'tiling': 'whole'}
  found = jaxgen.upscale(str(path), output=tmp_path / 'out', **options)
  assert found == str(tmp_path / 'out' / 'cat_x4.png')
  written = Path(found)
  assert far(open_(written), wanted) <= 1
  array = jaxgen.upscale(smooth(9, 7), **options)
  assert array.dtype == np.uint8 and np.array_equal(array, open_(written))
  image = jaxgen.upscale(Image.open(path), weights=net)
  assert image.mode == 'RGB' and np.array_equal(np.asarray(image), array)
  grey = jaxgen.upscale(smooth(9, 7, 1)[..., 0].astype(np.uint16) * 257, 2, **options)
  assert grey.shape == (18, 14) and grey.dtype == np.uint16
  # Told of as it goes on, and ended by what is raised: nothing is left of it.
  for tiling in ('whole', 'exact', 'sampled'):
    told = []
    kinds = {**options, 'tiling': tiling}
    jaxgen.upscale(smooth(9, 7), **kinds, progress=lambda *x: told.append(x))  # noqa: B023
    assert told == sorted(told) and len(set(told)) > 2 and told[-1][0] == told[-1][1]

  def stop(done, total):
    if done > total / 2:
      raise InterruptedError

  with pytest.raises(InterruptedError):
    jaxgen.upscale(path, output=tmp_path / 'no', **options, progress=stop)
  assert not tree(tmp_path / 'no')
  # What is there stays, unless it is asked for anew.
  written.write_bytes(save(tmp_path / 'other.png', smooth(36, 28)).read_bytes())
  with pytest.warns(UserNote, match='already exists: nothing was written'):
    assert jaxgen.upscale(path, output=tmp_path / 'out', **options) == written
  assert np.array_equal(open_(written), smooth(36, 28))
  for wrong, message in (
    (np.zeros((4, 4)), 'expected uint8 or uint16'),
    (np.zeros((4, 4, 5), np.uint8), r'shape \[4, 4, 5\]'),
    (Image.new('CMYK', (4, 4)), r"mode CMYK: convert it first, as image.convert\('RGB'\)"),
    (tmp_path / 'none.png', 'no such file'),
  ):
    with pytest.raises(DataError, match=message):
      jaxgen.upscale(wrong, **options)
  for wrong, message in (
    ({'tiling': 'none'}, '--tiling none: choose from auto, whole, exact, sampled'),
    ({'quality': 0}, '--quality from 1 to 100'),
    ({'output': tmp_path / 'a.jpg'}, 'must name a folder, but this is the name of an image'),
  ):
    with pytest.raises(ConfigError, match=message):
      jaxgen.upscale(path, **{**options, **wrong})
  with pytest.raises(CheckpointError, match=r'is a folder: pass jaxgen.load'):
    jaxgen.upscale(array, weights=tmp_path)
  with pytest.raises(ConfigError, match='--tiling tiled: choose from auto, whole'):
    jaxgen.upscale(array, tiling='tiled')


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
  assert '3 images upscaled' in told.out
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
  'name',
  [
    *('a.jpg', 'a.JPEG', 'a.jpe', 'a.webp', 'a.bmp', 'a.gif', 'a.tif', 'a.png', 'a.pgm', 'a.ppm'),
    *('a.pbm', 'a.tga', 'a.jp2', 'a.pcx', 'a.sgi', 'a.dib'),
  ],
)
def test_a_file_stays_of_its_kind(upscale, tmp_path, capsys, name):
  path = save(tmp_path / name, smooth(12, 9, 1 if name in ('a.pgm', 'a.pbm') else 3))
  assert upscale(path) == 0
  new = path.with_stem('a_x4')
  with Image.open(path) as before, Image.open(new) as after:
    assert after.format == before.format
    assert after.size == (36, 48)
  near = np.abs(open_(new)[2::4, 2::4].astype(int) - open_(path)).mean()
  assert near < 25
  assert upscale(path) == 0
  assert '1 was there already' in capsys.readouterr().out


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
  named = f'{tmp_path}/bad.png, {tmp_path}/cut.jpg'
  assert err[2] == f'error: 2 of 4 images could not be upscaled: {named}'


def test_what_is_to_be_noted_of_a_file_is_told_with_its_name(
  upscale, weights, tmp_path, monkeypatch, capsys
):
  save(tmp_path / 'a.png', smooth(12, 10))
  read = apply.read_photo
  noted = ('the gain map is left out',)
  monkeypatch.setattr(apply, 'read_photo', lambda path: read(path)._replace(notes=noted))
  assert upscale(tmp_path / 'a.png') == 0
  assert f'warning: {tmp_path}/a.png: {noted[0]}' in capsys.readouterr().err.replace('\n', '')
  assert (tmp_path / 'a_x4.png').exists()
  told = []
  jaxgen.upscale(tmp_path / 'a.png', weights=weights, overwrite=True, warn=told.append)
  assert told == [f'{tmp_path}/a.png: {noted[0]}']


def test_what_is_named_and_is_no_image_or_nothing_has_failed(upscale, tmp_path, capsys):
  save(tmp_path / 'a.png', smooth(6, 5))
  (tmp_path / 'notes.txt').write_text('no image')
  inputs = [tmp_path / 'notes.txt', tmp_path / 'none.png', f'{tmp_path}/*.none', tmp_path / 'a.png']
  assert upscale(*inputs) == 1
  assert tree(tmp_path) == ['a.png', 'a_x4.png', 'notes.txt']
  err = capsys.readouterr().err
  assert f'{tmp_path}/none.png: no such file or folder\n' in err
  assert f'{tmp_path}/*.none: no such file or folder, and nothing matches it as a pattern' in err
  assert f'{tmp_path}/notes.txt: ' in err
  assert '3 of 4 images could not be upscaled: ' in err


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
  capsys.readouterr()
  assert upscale(*inputs()) == 0
  assert tree(tmp_path) == first
  assert '0 images upscaled' in capsys.readouterr().out
  assert upscale(*inputs(), '--scale', 2) == 0
  new = set(tree(tmp_path)) - set(first)
  assert new == {'a_x2.png', 'b_x2.jpg', 'my_x2_x2.png'}
  if by == 'names':  # without what it was made of an output is an image like others
    assert upscale(tmp_path / 'a_x2.png') == 0
    assert (tmp_path / 'a_x2_x4.png').is_file()


def test_an_output_folder_inside_the_input_folder_is_no_input(upscale, tmp_path):
  save(tmp_path / 'a.png', smooth(6, 5))
  for _ in range(2):
    assert upscale(tmp_path, '--output', tmp_path / 'large') == 0
  assert tree(tmp_path) == ['a.png', 'large/a_x4.png']


def test_the_output_folder_may_be_above_the_input(upscale, tmp_path):
  save(tmp_path / 'in' / 'a.png', smooth(6, 5))
  assert upscale(tmp_path / 'in', '--output', tmp_path) == 0
  assert tree(tmp_path) == ['a_x4.png', 'in/a.png']


def test_odd_names_stop_nothing(upscale, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  for name in ('~none.png', 'caf\udce9.png', f'{"n" * 250}.png', 'z.png'):
    save(tmp_path / name, smooth(6, 5))
  assert upscale('~none.png', tmp_path / 'caf\udce9.png', f'{"n" * 250}.png', '~/z.png', '') == 1
  err = capsys.readouterr().err
  assert (
    'File name too long' in err
    and "'': no such file" in err
    and '2 of 5 images could not be' in err
  )
  made = {p.name for p in tmp_path.glob('*_x4.png')}
  assert made == {'~none_x4.png', 'caf\udce9_x4.png', 'z_x4.png'}


def test_a_home_is_found_after_an_equals_sign(upscale, tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  assert upscale(save(tmp_path / 'a.png', smooth(6, 5)), '--output=~/out') == 0
  assert tree(tmp_path) == ['a.png', 'out/a_x4.png']


def test_weights_that_are_not_finite_are_refused(upscale, net, tmp_path, capsys):
  broken = net._replace(variables=jax.tree.map(lambda x: x * np.nan, net.variables))
  weights = weight_files.save_weights(tmp_path / 'nan.safetensors', broken)
  assert upscale(save(tmp_path / 'a.png', smooth(6, 5)), '--weights', weights) == 2
  assert 'has weights that are not finite' in capsys.readouterr().err


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


def test_without_a_scale_the_net_s_own_is_meant(weights, upscale, tmp_path):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert upscale(path, '--weights', weights) == 0
  assert tree(tmp_path) == ['a.png', 'a_x4.png']


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
  assert f' {tmp_path}/file is a file: name a folder' in err
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


def test_a_shipped_net_goes_by_its_name(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(apply, 'WEIGHTS', tmp_path)
  for name in ('x2', 'x8'):
    (tmp_path / f'srsenet_{name}.safetensors').write_bytes(b'')
  with pytest.raises(
    ConfigError, match=r'--net photo: this version ships no such net.*Available: clean at x2, x8$'
  ):
    apply.shipped_weights(2, 'photo')
  for name in ('photo_x2', 'photo_x4'):
    (tmp_path / f'srsenet_{name}.safetensors').write_bytes(b'')
  assert apply.shipped_scales() == [2, 8] and apply.shipped_scales('photo') == [2, 4]
  assert apply.shipped_weights(3, 'photo').name == 'srsenet_photo_x4.safetensors'
  assert apply.shipped_weights(3).name == 'srsenet_x8.safetensors'
  with pytest.raises(ConfigError, match='at most that of a photo net: x2, x4; for more'):
    apply.shipped_weights(8, 'photo')
  nets = {scale: apply.default_net(scale) for scale in (1.5, 2, 4, 6, 8, 9)}
  assert nets == {1.5: 'photo', 2: 'photo', 4: 'photo', 6: 'clean', 8: 'clean', 9: 'clean'}
  (tmp_path / 'srsenet_x3.safetensors').write_bytes(b'')
  assert apply.default_net(3) == 'clean'
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert cli.main(['upscale', str(path), '--net=photo', f'--weights={tmp_path}']) == 2
  assert '--net selects a shipped net: leave it out' in capsys.readouterr().err


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
    'photo.png': 'photo.png is neither the folder of a run nor a .safetensors file',
    'empty': 'empty',
    'none': 'none',
  }


def test_the_step_of_a_trained_run_is_taken(upscale, net, weights, tmp_path, monkeypatch, capsys):
  asked = []

  def load(path, step=None):
    asked.append((path, step))
    return net

  monkeypatch.setattr(inference, 'load', load)
  workdir, path = tmp_path / 'run', save(tmp_path / 'a.png', smooth(6, 5))
  workdir.mkdir()
  assert upscale(path, '--weights', workdir, '--step=3') == 0
  assert upscale(path, '--weights', workdir, '--step=best') == 0
  assert asked == [(workdir, 3), (workdir, 'best')]
  for flags in (['--weights', weights], []):
    assert cli.main(['upscale', str(path), '--step=3', *map(str, flags)]) == 2
    assert (
      '--step applies to a trained run: name its folder with --weights' in capsys.readouterr().err
    )


def test_weights_of_a_wrong_file_are_told_in_one_line(upscale, tmp_path, capsys):
  path = save(tmp_path / 'in' / 'a.png', smooth(6, 5))
  for name, words in wrong_files(tmp_path).items():
    assert upscale(path, '--weights', tmp_path / name) in (1, 2)
    err = capsys.readouterr().err
    assert words in err
    assert err.count('\n') == 1, err
  assert tree(tmp_path / 'in') == ['a.png']
