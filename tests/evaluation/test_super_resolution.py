"""The field's protocols, against published-protocol numbers of bicubic upscaling for every image at hand."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from jaxgen.evaluation.super_resolution import bicubic, compare, measure, rounded
from jaxgen.systems.srsenet.data import read_levels

FIXTURE = Path(__file__).parents[1] / 'data' / 'sr_bicubic_reference.json'
REFERENCE = json.loads(FIXTURE.read_text())['datasets']
CASES = [(name, scale) for name, x in REFERENCE.items() for scale in x['scales']]


def files_of(name):
  folder = Path(os.environ.get('JAXGEN_DATA', '')) / 'sr' / name
  if not os.environ.get('JAXGEN_DATA') or not folder.is_dir():
    pytest.skip(f'$JAXGEN_DATA/sr/{name} is not there')
  return {path.stem: path for path in folder.iterdir()}


def worst(name, scale, every):
  """The largest difference over every n-th image of a set and all protocols of the reference."""
  paths, differences = files_of(name), []
  for image, protocols in list(REFERENCE[name]['scales'][scale]['images'].items())[::every]:
    levels = read_levels(paths[Path(image).stem])
    for key, expected in protocols.items():
      protocol, _, gray = key.partition('__')
      times = int(scale[1:])
      found = measure(levels, times, bicubic(times, protocol), protocol, bool(gray))
      names = (('psnr', 'psnr'), ('ssim', 'ssim_valid'), ('ssim_matlab', 'ssim_matlab'))
      differences += [abs(getattr(found, ours) - expected[theirs]) for ours, theirs in names]
  assert len(differences) >= 3
  return max(differences)


@pytest.mark.parametrize(('name', 'scale'), CASES)
def test_bicubic_equals_the_reference(name, scale):
  assert worst(name, scale, every=20 if name == 'bsd100' else 4) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(('name', 'scale'), CASES)
def test_bicubic_equals_the_reference_on_every_image(name, scale):
  assert worst(name, scale, every=1) < 1e-4


def levels(shape=(37, 41, 3)):
  return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize('protocol', ['y_u8', 'rgb_double', 'rgb_u8'])
def test_a_perfect_method_has_no_error_but_rounding(protocol):
  image = levels()
  kept = image[:36, :40]
  seen = []

  def cheat(low):
    seen.append(low)
    if low.ndim == 2:
      return np.floor((kept @ [65.481, 128.553, 24.966] / 255 + 16) + 0.5) / 255
    return kept / 255.0

  assert measure(image, 4, cheat, protocol).psnr == float('inf')
  assert seen[0].shape[:2] == (9, 10)
  assert (seen[0].ndim == 2) == (protocol == 'y_u8')
  if protocol == 'rgb_u8':
    np.testing.assert_allclose(seen[0] * 255, np.round(seen[0] * 255), atol=1e-9)


def test_grey_is_luminance_itself_unless_it_is_taken_as_rgb():
  grey = levels((40, 40))

  def mean_seen(as_rgb):
    seen = []
    measure(grey, 2, lambda low: seen.append(low) or np.ones((40, 40)), gray_as_rgb=as_rgb)
    return seen[0].mean()

  assert mean_seen(False) == pytest.approx(grey.mean() / 255, abs=1e-3)
  assert mean_seen(True) == pytest.approx((16 + 219 * grey.mean() / 255) / 255, abs=2e-3)


def test_the_border_is_left_out():
  truth = np.full((40, 40), 0.5)
  image = truth.copy()
  image[:2] = image[:, -2:] = 0.9
  assert compare(image, truth, 2).psnr == float('inf')
  assert compare(image, truth, 1).psnr < 40


def test_results_are_clipped_and_rounded_half_up():
  np.testing.assert_allclose(
    rounded(np.array([-1, 2, 0.5 / 255, 0.49 / 255])) * 255, [0, 255, 1, 0]
  )


def test_bad_arguments_are_told():
  with pytest.raises(ValueError, match="'yuv' is not one of y_u8, rgb_double, rgb_u8"):
    measure(levels(), 2, bicubic(2), 'yuv')
  with pytest.raises(ValueError, match='20 x 9 pixels are too few at scale 2: SSIM needs 15'):
    measure(levels((9, 20, 3)), 2, bicubic(2))
