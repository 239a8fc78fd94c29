"""`jaxgen upscale` of large images: what cannot fit is refused, and memory stays bounded."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
from helpers import environment
from PIL import Image
from upscale_cases import (
  SCALE,
  never,
  save,
  smooth,
  trained_net,
  tree,
)

from jaxgen.exchange import weight_files
from jaxgen.photos import Size
from jaxgen.systems.srsenet import apply
from jaxgen.systems.srsenet.tiling import MIB

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_what_does_not_fit_the_memory_is_refused_before_work_starts(
  upscale, tmp_path, capsys, monkeypatch
):
  small = save(tmp_path / 'small.png', smooth(6, 5))
  path = save(tmp_path / 'a.png', np.zeros((1500, 1500, 3), np.uint8))
  monkeypatch.setattr(apply, 'available_memory', lambda: 512 * MIB)
  assert upscale(small) == 0
  monkeypatch.setattr(apply, 'read_photo', never)
  assert upscale(path, '--tiling', 'whole') == 1
  err = capsys.readouterr().err
  assert f'{path}: 1500 x 1500 pixels at x4 need 0.9 GiB of memory, 0.5 GiB are free' in err
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
  assert f'exceeds the {limit} that' in err
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
  weights = weight_files.save_weights(path.parent / 'x2.safetensors', trained_net(2))
  command = [sys.executable, '-m', 'jaxgen', 'upscale', path, '--weights', weights]
  command += ['--tiling', 'sampled', '--output', output, *more]
  found = subprocess.run(
    [sys.executable, '-c', MEASURED, *map(str, command)],
    env=environment(XLA_FLAGS=''),  # compiled as for a user: the image is large
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
BASE = 0.60 * GB  # Python, JAX and compiled programs; the rest of the 3 GB grows with the pixels


def limit(height, width):
  return BASE + (3 * GB - BASE) * height * width / (9_000 * 12_000)


@pytest.mark.parametrize(
  ('name', 'height', 'width'),
  [('a.png', 1_500, 2_000), pytest.param('a.tif', 2_250, 3_000, marks=pytest.mark.slow)],
)
def test_memory_is_bounded(tmp_path, name, height, width):
  path = save(tmp_path / name, tiled(height, width))
  peak = peak_memory(path, tmp_path / 'out')
  with Image.open(tmp_path / 'out' / f'a_x2{path.suffix}') as image:
    assert image.size == (2 * width, 2 * height)
  print(f'peak {peak / GB:.2f} GB')
  assert peak <= limit(height, width)


@pytest.mark.slow
def test_a_huge_image_takes_three_gigabytes_at_most(tmp_path, monkeypatch):
  monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', None)
  path = save(tmp_path / 'a.png', tiled(9_000, 12_000))
  peak = peak_memory(path, tmp_path / 'out')
  with Image.open(tmp_path / 'out' / 'a_x2.png') as image:
    assert image.size == (24_000, 18_000)
  print(f'peak {peak / GB:.2f} GB')
  assert peak <= 3 * GB
