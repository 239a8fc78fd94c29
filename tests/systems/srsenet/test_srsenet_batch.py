"""`jaxgen upscale` on many files: what counts as done, what is told, and how a run ends."""

import os
import shutil
import signal
import subprocess
import sys

import pytest
from helpers import ROOT, environment, unread_output
from PIL import Image
from upscale_cases import never, open_, save, smooth, tree

from jaxgen.systems.srsenet import apply
from jaxgen.terminal import reporter

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_existing_outputs_are_skipped_unless_they_are_to_be_overwritten(upscale, tmp_path, capsys):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  before = save(tmp_path / 'a_x4.png', smooth(24, 20, 1)).read_bytes()
  assert upscale(path) == 0
  assert (tmp_path / 'a_x4.png').read_bytes() == before
  assert '0 images upscaled' in (out := capsys.readouterr().out)
  assert '1 was there already (--overwrite' in out
  assert upscale(path, '--overwrite') == 0
  assert open_(tmp_path / 'a_x4.png').shape == (24, 20, 3)


def test_sheets_are_neither_inputs_nor_overwritten_nor_shared(upscale, tmp_path, capsys):
  path, sheet = save(tmp_path / 'a.png', smooth(30, 24)), tmp_path / 'a_x4_sheet.png'
  before = save(sheet, smooth(7, 6)).read_bytes()
  assert upscale(path, '--sheet') == 0
  assert sheet.read_bytes() == before
  assert upscale(path, '--sheet', '--overwrite') == 0
  assert upscale(*tmp_path.glob('*'), '--sheet') == 0
  assert tree(tmp_path) == ['a.png', 'a_x4.png', 'a_x4_sheet.png']
  save(tmp_path / 'a.jpg', smooth(30, 24))
  assert upscale(tmp_path / 'a.jpg', path, '--sheet') == 2
  assert f'would share {sheet}' in capsys.readouterr().err


def test_a_missing_sheet_is_made_of_the_output_that_is_there(upscale, tmp_path):
  path = save(tmp_path / 'a.png', smooth(30, 24, 4))
  assert upscale(path) == 0
  before = (tmp_path / 'a_x4.png').stat().st_mtime_ns
  assert upscale(path, '--sheet') == 0
  assert tree(tmp_path) == ['a.png', 'a_x4.png', 'a_x4_sheet.png']
  assert (tmp_path / 'a_x4.png').stat().st_mtime_ns == before


def fill(kind, path):
  """What may be in the place of an output of 24 x 20 pixels."""
  if kind == 'folder':
    path.mkdir()
  elif kind == 'pipe':
    os.mkfifo(path)
  elif kind == 'other size':
    save(path, smooth(24, 21))
  elif kind == 'lost link':
    path.symlink_to(path.with_name('nowhere'))
  else:
    path.write_text({'empty': '', 'text': 'mine'}[kind])


@pytest.mark.parametrize(
  ('kind', 'fault'),
  [
    ('folder', 'is a folder, but an output belongs there: move it away, or name an --output'),
    ('pipe', 'is not a regular file'),
    (
      'text',
      'already exists and is not the output of {} (it is not an image): move it away, or use --overwrite',
    ),
    ('other size', '(it has 21 x 24 pixels)'),
    ('empty', None),
    ('lost link', None),
  ],
)
def test_an_output_is_there_when_it_is_one(upscale, tmp_path, capsys, monkeypatch, kind, fault):
  path, other = (save(tmp_path / f'{x}.png', smooth(6, 5)) for x in 'ab')
  place = tmp_path / 'a_x4.png'
  fill(kind, place)
  status, told = upscale(path, other), capsys.readouterr()
  if fault is None:
    assert (status, told.err) == (0, '')
    assert open_(place).shape == (24, 20, 3)
  else:
    first, last = told.err.splitlines()
    assert status == 1 and last == f'error: 1 of 2 images could not be upscaled: {path}'
    assert first.startswith(f'error: {place} ') and fault.format(path) in first
    assert kind != 'text' or place.read_text() == 'mine'
  assert open_(tmp_path / 'b_x4.png').shape == (24, 20, 3)
  anyway = kind not in ('folder', 'pipe')
  if not anyway:  # refused before any work
    monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path, '--overwrite') == (0 if anyway else 1)
  assert not anyway or open_(place).shape == (24, 20, 3)


def test_the_size_of_an_output_is_that_of_the_upright_picture(upscale, tmp_path, capsys):
  exif = Image.Exif()
  exif[274] = 6  # a quarter of a turn
  Image.fromarray(smooth(6, 5)).save(tmp_path / 'a.jpg', exif=exif)
  for done in ('1 image upscaled', '1 was there already'):
    assert upscale(tmp_path / 'a.jpg', '--scale', 2.5) == 0
    assert done in capsys.readouterr().out
  with Image.open(tmp_path / 'a_x2.5.jpg') as image:
    assert image.size == (15, 13)


def test_a_sheet_that_is_none_is_told_too(upscale, tmp_path, capsys):
  path = save(tmp_path / 'a.png', smooth(30, 24))
  (tmp_path / 'a_x4_sheet.png').write_text('mine')
  assert upscale(path, '--sheet') == 1
  assert 'a_x4_sheet.png already exists and is not' in capsys.readouterr().err
  (tmp_path / 'a_x4_sheet.png').write_text('')
  assert upscale(path, '--sheet') == 0
  assert open_(tmp_path / 'a_x4_sheet.png').size


def test_outputs_may_keep_the_times_of_their_files(upscale, tmp_path):
  path = save(tmp_path / 'a.png', smooth(30, 24))
  os.utime(path, ns=(10**18, 12 * 10**17 + 7))
  assert upscale(path, '--sheet', '--keep-times') == 0
  for output in ('a_x4.png', 'a_x4_sheet.png'):
    assert (tmp_path / output).stat().st_mtime_ns == 12 * 10**17 + 7
  assert upscale(path, '--overwrite') == 0
  assert (tmp_path / 'a_x4.png').stat().st_mtime_ns > 13 * 10**17


def test_pictures_that_cannot_be_read_are_told_by_kind(upscale, tmp_path, capsys):
  save(tmp_path / 'in' / 'a.jfif', smooth(6, 5))
  for name in ('b.heic', 'c.jxl', 'd.HEIC', 'notes.txt'):
    (tmp_path / 'in' / name).touch()
  assert upscale(tmp_path / 'in', '--output', tmp_path / 'out') == 0
  assert tree(tmp_path / 'out') == ['a_x4.jfif']
  told = capsys.readouterr()
  said = '3 files that cannot be read: 2 .heic, 1 .jxl; convert them to PNG, JPEG or TIFF'
  assert told.err == f'warning: {said}\n'
  assert '1 other file skipped; 3 files that cannot be read skipped' in told.out
  (tmp_path / 'in' / 'a.jfif').unlink()
  assert upscale(tmp_path / 'in') == 1
  assert capsys.readouterr().err.startswith(f'error: no image found (1 other file; {said}). Images')


def test_an_output_that_is_named_as_an_image_is_refused(upscale, tmp_path, capsys):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  assert upscale(path, '--output', tmp_path / 'b.PNG') == 2
  assert 'b.PNG must name a folder, but this is the name of an image' in capsys.readouterr().err
  assert tree(tmp_path) == ['a.png']
  (tmp_path / 'c.png').mkdir()
  assert upscale(path, '--output', tmp_path / 'c.png') == 0


def test_an_empty_folder_is_told(upscale, tmp_path, capsys):
  (tmp_path / 'empty').mkdir()
  assert upscale(tmp_path / 'empty') == 1
  assert 'error: no image found (no file at all). Images are PNG' in capsys.readouterr().err


def test_linked_folders_are_upscaled_once(upscale, tmp_path, monkeypatch):
  save(tmp_path / 'away' / 'a.png', smooth(6, 5))
  (tmp_path / 'in').mkdir()
  for name in ('one', 'two'):
    (tmp_path / 'in' / name).symlink_to(tmp_path / 'away')
  (tmp_path / 'away' / 'round').symlink_to(tmp_path / 'in')
  assert upscale(tmp_path / 'in', '--output', tmp_path / 'out') == 0
  assert tree(tmp_path / 'out') == ['one/a_x4.png']
  monkeypatch.chdir(tmp_path / 'away')
  assert upscale('**/*.png', '--output', tmp_path / 'all') == 0
  assert tree(tmp_path / 'all') == ['a_x4.png']


def test_names_are_said_letter_by_letter_and_bars_name_their_file(
  upscale, tmp_path, capsys, monkeypatch
):
  name = 'a:smile:[b]\t.png'
  monkeypatch.setattr(reporter, 'PLAIN_LINE_SECONDS', -1)
  assert upscale(save(tmp_path / name, smooth(60, 50))) == 0
  out = capsys.readouterr().out
  assert f'wrote {tmp_path}/a:smile:[b]\t_x4.png (' in out
  assert f'blocks of {name}: 0/' in out and f'upscaling of {name}: 0/' in out


def test_a_closed_output_ends_the_batch_with_a_word(upscale, tmp_path, capfd):
  for name in 'abc':
    save(tmp_path / 'in' / f'{name}.png', smooth(6, 5))
  with unread_output():
    assert upscale(tmp_path / 'in', '--output', tmp_path / 'out') == 128 + signal.SIGPIPE
  first, last = capfd.readouterr().err.splitlines()
  assert first == 'standard output was closed by its reader: ending'
  assert last.startswith('stopped by SIGPIPE; ')
  assert tree(tmp_path / 'out') == ['a_x4.png']  # whole, and the next was not begun
  assert open_(tmp_path / 'out' / 'a_x4.png').shape == (24, 20, 3)
  assert upscale(tmp_path / 'in', '--output', tmp_path / 'out') == 0


def test_a_run_with_nothing_to_do_imports_no_jax(weights, tmp_path, capsys, monkeypatch):
  path = save(tmp_path / 'a.png', smooth(6, 5))
  save(tmp_path / 'a_x4.png', smooth(24, 20))
  (tmp_path / 'run').mkdir()
  shutil.copy(weights, tmp_path / 'run' / 'weights.safetensors')
  code = (
    'import sys; from jaxgen.command import cli\n'
    'statuses = [cli.main(["upscale", *line.split()]) for line in sys.argv[1:]]\n'
    'heavy = {"jax", "flax", "optax", "orbax", "chex", "scipy", "skimage", "matplotlib"}\n'
    'print(statuses, heavy & set(sys.modules))'
  )
  shipped = save(tmp_path / 'b.png', smooth(6, 5))
  save(tmp_path / 'b_x2.png', smooth(12, 10))
  lines = (
    f'{path} --weights {weights}',
    f'{shipped}',
    f'{tmp_path}/none.png {path} --scale 4 --weights {weights}',
    f'{tmp_path}/a.png --scale 9',
    f'{tmp_path}/a.png --weights {path}.safetensors',
    f'{tmp_path}/run/weights.safetensors --weights {weights}',
  )
  done = subprocess.run(
    [sys.executable, '-c', code, *lines],
    cwd=ROOT,
    env=environment(),
    capture_output=True,
    text=True,
  )
  assert done.stdout.splitlines()[-1] == '[0, 0, 1, 2, 2, 1] set()', done.stderr


def test_the_net_of_a_folder_is_known_by_its_config(net, tmp_path):
  assert apply.known_config(tmp_path) is None
  (tmp_path / 'config.json').write_text('{')
  assert apply.known_config(tmp_path) is None
  (tmp_path / 'config.json').write_text(net.config.to_json())
  assert apply.known_config(tmp_path).scale == 4
