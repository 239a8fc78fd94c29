"""What the documentation says of means and borders is what was measured, of the nets that ship."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import benchmark

from jaxgen.systems.srsenet.apply import border_of

RESULTS = Path(__file__).resolve().parents[2] / 'benchmarks' / 'results'
FOUND = json.loads((RESULTS / 'upscale_means_cpu.json').read_text())
ROWS = json.loads((RESULTS / 'srsenet_weights_cpu.json').read_text())['rows']


@pytest.fixture(scope='module')
def script():
  return benchmark('upscale_means')


def test_the_page_says_what_its_result_file_says(script):
  assert script.page(FOUND) == script.PAGE.read_text()
  assert [name for name, _ in script.shipped()] == list(FOUND['psnr'])


@pytest.mark.parametrize('name', FOUND['psnr'])
def test_the_net_alone_is_as_good_as_its_evaluation_says(name):
  scale, net = name.split()
  row = ROWS[scale if net == 'clean' else f'{net}_{scale}']
  for of, by_way in FOUND['psnr'][name].items():
    assert by_way['plain']['psnr'] == pytest.approx(row['sets'][of]['psnr'], abs=1e-3)


def test_the_prose_beside_the_tables_holds():
  borders, preserved = [], []
  for by_way in (x for sets in FOUND['psnr'].values() for x in sets.values()):
    borders.append(by_way['plain']['all_pixels'] - by_way['borders']['all_pixels'])
    preserved.append(by_way['preserved']['psnr'] - by_way['borders']['psnr'])
  assert max(borders) < 0.06
  assert min(preserved) >= 0.015 and max(preserved) < 0.105
  for name, by_border in FOUND['flat'].items():
    assert by_border[str(border_of(int(name[1])))] < 0.5


def test_the_halftone_has_the_mean_of_what_it_is_made_of(script):
  for level in (0, 64, 128, 255):
    found = script.halftone(np.full((16, 24), level, np.uint8))
    assert set(np.unique(found)) <= {0, 255} and abs(found.mean() - level) <= 2


def test_sprites_have_two_tones_and_mirrored_halves(script):
  art = script.pixel_art(np.random.default_rng(1))
  sprite = art[: script.SPRITE, : script.SPRITE]
  assert art.shape == (script.SIDE, script.SIDE) and len(np.unique(sprite)) == 2
  np.testing.assert_array_equal(sprite, sprite[:, ::-1])
  np.testing.assert_array_equal(script.squares(sprite, 8)[:, 0], script.squares(sprite, 8)[:, 1])
