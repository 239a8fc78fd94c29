"""The shipped nets, their model card and the documentation say what the result file says."""

import json
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]
ROWS = json.loads((ROOT / 'benchmarks' / 'results' / 'srsenet_weights_cpu.json').read_text())[
  'rows'
]


@pytest.fixture(scope='module')
def script():
  sys.path.insert(0, str(ROOT / 'benchmarks'))
  try:
    import srsenet_weights
  finally:
    sys.path.pop(0)
  return srsenet_weights


@pytest.mark.parametrize('name', ROWS)
def test_a_net_names_the_training_of_its_row(name):
  with safe_open(ROOT / 'jaxgen' / 'weights' / f'srsenet_{name}.safetensors', 'numpy') as file:
    training = json.loads(file.metadata()['training'])
  assert training == {key: x for key, x in ROWS[name].items() if key != 'sets'}


def test_the_model_card_and_the_documentation_have_the_measured_scores(script):
  assert script.card(ROWS) == (script.WEIGHTS / 'README.md').read_text()
  assert script.beside_the_paper(ROWS) == script.SCORES.read_text()
  psnr = ROWS['x4']['sets']['set5']['psnr']
  assert f'| set5 | 4 | {psnr:.2f} ' in script.SCORES.read_text()
