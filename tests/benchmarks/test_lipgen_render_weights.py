"""The renderer that ships, its card, and what they were made of."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import benchmark

from jaxgen.exchange import weight_files
from jaxgen.systems.lipgen.clips import grid
from jaxgen.systems.lipgen.clips.framing import LIPS, Framing

ROOT = Path(__file__).parents[2]
RESULT = ROOT / 'benchmarks' / 'results' / 'lipgen_render_weights_cpu.json'


@pytest.fixture(scope='module')
def made():
  return benchmark('lipgen_render_weights')


@pytest.fixture(scope='module')
def row():
  return json.loads(RESULT.read_text())['rows']['render']


def test_the_card_has_what_the_result_file_says(made, row):
  assert made.card(row) == made.CARD.read_text()
  assert 'SSIM 0.830 and 0.854.' in ' '.join(
    made.card(row).split()
  )  # also where the warp is nearer


def test_the_file_is_small_and_says_what_it_is(made, row):
  assert made.WEIGHTS.stat().st_size == row['bytes'] < 5 * 2**20
  told = weight_files.load_card(made.WEIGHTS)
  assert 'CC BY 4.0' in told['terms'] and json.loads(told['training'])['steps'] == row['steps']
  trained = weight_files.load_weights(made.WEIGHTS)
  assert Framing.from_json(trained.facts['framing']) == LIPS
  assert set(grid.WORDS) < set(trained.facts['words'])
  assert not trained.config.init_from
  assert all(np.isfinite(x).all() for x in _leaves(trained.variables))


def _leaves(tree):
  return (
    [x for value in tree.values() for x in _leaves(value)] if isinstance(tree, dict) else [tree]
  )
