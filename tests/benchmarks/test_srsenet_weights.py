"""The shipped nets, their model card and the documentation say what the result file says."""

import json
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from jaxgen import config as configs

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


def test_the_papers_comparison_stands_beside_ours(script):
  lines = script.beside_the_paper(ROWS).splitlines()
  assert '| LapSRN | 14, 27, 25 | 31.54 / .885 | 28.19 / .772 | 27.32 / .728 |' in ' '.join(lines)
  psnr = ROWS['x4']['sets']['set5']['psnr']
  ours = [line for line in lines if line.startswith('| SrSENet, here | 20 |')]
  assert len(ours) == 3 and f'| {psnr:.2f} / ' in ours[1] and ours[1].count('not measured') == 2


def test_the_card_tells_what_a_net_went_on_from_and_what_a_photo_net_learned(script):
  row = {**ROWS['x4'], 'begins_with': [['srsenet_x2', None], ['srsenet_x4', 9544]], 'steps': 5000}
  changed = {'init_from': 'srsenet_x4.safetensors', 'optim.schedule': 'cosine', 'data.crop': 96}
  row['config'] = {**row['config'], **changed}
  photo = json.loads(json.dumps(configs.flatten(configs.load('srsenet:photo_x2'))))
  text = script.card({'x4': row, 'photo_x2': {**row, 'scale': 2, 'config': photo}})
  assert '| x4 | srsenet_x2, then srsenet_x4 (9,544) | 5,000 (' in text and '| 16 | 96 |' in text
  assert '--config.init_from=jaxgen/weights/srsenet_x4.safetensors' in text
  assert '--config.num_steps=5000' in text and 'compressed (JPEG of quality 60 to 95, 60%)' in text
  assert 'photo' not in script.beside_the_paper({'x4': row, 'photo_x2': row})
  assert 'after srsenet_x2, then srsenet_x4 (9,544)' in script.beside_the_paper({'x4': row})


def test_what_a_net_began_with_is_read_from_its_file(script, tmp_path):
  weights = ROOT / 'jaxgen' / 'weights'
  steps = {name: ROWS[name]['steps'] for name in ('x2', 'x4')}
  assert script.chain(weights / 'srsenet_x2.safetensors')[-1] == ['srsenet_x2', steps['x2']]
  assert script.chain(tmp_path / 'gone.safetensors') == [['gone', None]]


def test_the_step_that_is_best_on_held_out_images_is_taken(script, tmp_path):
  for step in (20, 30, 40):
    (tmp_path / 'checkpoints' / str(step)).mkdir(parents=True)
  assert script.nets.best_step(tmp_path) == 40
  values = {10: 32.0, 20: 30.0, 30: 31.0, 40: 30.5}  # the first one is not kept
  lines = [json.dumps({'step': step, 'eval/psnr': x}) for step, x in values.items()]
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
  assert script.nets.best_step(tmp_path) == 30


def test_a_config_of_before_a_key_is_completed_with_what_it_did(script):
  config = configs.to_json(configs.load('srsenet:x4'))
  del config['degradation'], config['eval']['jpeg_quality']
  found = script.nets.complete(configs.from_json(config))
  configs.check(found)
  assert found.scale == 4 and found.eval.jpeg_quality == 0 and not script.nets.is_photo(found)
  assert script.nets.is_photo(configs.load('srsenet:photo_x4'))
