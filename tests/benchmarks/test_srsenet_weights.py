"""The shipped nets, their model card and the documentation say what the result file says."""

import json
from pathlib import Path

import pytest
from helpers import benchmark
from safetensors import safe_open

from jaxgen import config as configs
from jaxgen.run.workdir import required_config
from jaxgen.systems.srsenet.apply import PHOTO_BY_DEFAULT

ROOT = Path(__file__).resolve().parents[2]
ROWS = json.loads((ROOT / 'benchmarks' / 'results' / 'srsenet_weights_cpu.json').read_text())[
  'rows'
]


@pytest.fixture(scope='module')
def script():
  return benchmark('srsenet_weights')


@pytest.fixture(scope='module')
def photo_script():
  return benchmark('srsenet_photo')


@pytest.fixture(scope='module')
def readings_script():
  return benchmark('srsenet_readings')


@pytest.mark.parametrize('name', ROWS)
def test_a_net_names_the_training_of_its_row(name):
  with safe_open(ROOT / 'jaxgen' / 'weights' / f'srsenet_{name}.safetensors', 'numpy') as file:
    training = json.loads(file.metadata()['training'])
  assert training == {key: x for key, x in ROWS[name].items() if key != 'sets'}


@pytest.mark.parametrize('name', ROWS)
def test_commands_take_a_net_as_it_lies_there(name):
  file = ROOT / 'jaxgen' / 'weights' / f'srsenet_{name}.safetensors'
  assert required_config(file).scale == ROWS[name]['scale']


def test_the_model_card_and_the_documentation_have_the_measured_scores(script):
  assert script.card(ROWS) == (script.WEIGHTS / 'SRSENET.md').read_text()
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
  changed['num_steps'] = 6000  # the best step may be an earlier one
  row['config'] = {**row['config'], **changed}
  photo = json.loads(json.dumps(configs.flatten(configs.load('srsenet:photo_x2'))))
  text = script.card({'x4': row, 'photo_x2': {**row, 'scale': 2, 'config': photo}})
  prose = ' '.join(text.split())
  assert '| x4 | srsenet_x2, then srsenet_x4 (9,544) | 5,000 (' in text and '| 16 | 96 |' in text
  assert '--config.init_from=jaxgen/weights/srsenet_x4.safetensors' in text
  assert '--config.num_steps=6000' in text and 'compressed (JPEG of quality 60 to 95, 50%)' in prose
  assert 'crops that were noisy (sigma 0 to 4 of 255, 20%), ' in prose
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


def test_nets_that_learned_from_degraded_crops_are_for_photos(script):
  assert script.nets.is_photo(configs.load('srsenet:photo_x4'))
  assert not script.nets.is_photo(configs.load('srsenet:x4'))


def photo_row(photo, clean, quality):
  return {'qualities': {quality: {'set14': {'photo': photo, 'clean': clean, 'bicubic': 27.0}}}}


def test_photo_may_be_the_default_where_it_is_better_and_hardly_worse_on_clean_images(photo_script):
  may = photo_script.may_be_default
  assert may(photo_row(28.01, 28.0, '75')) and not may(photo_row(27.99, 28.0, '75'))
  assert may(photo_row(27.86, 28.0, '0')) and not may(photo_row(27.84, 28.0, '0'))
  qualities = {str(q): photo_row(28.0, 27.5, '0')['qualities']['0'] for q in photo_script.QUALITIES}
  report = {'machine': {'processor': 'P', 'cores': 2, 'date': '2026-01-02T'}, 'rows': {'x2': {}}}
  report['rows']['x2']['qualities'] = qualities
  text = photo_script.page(report)
  assert '| x2 | set14 | none | 28.00 | 27.50 | 27.00 | +0.50 |' in text


def test_the_photo_page_says_what_its_result_file_says(photo_script):
  path = ROOT / 'benchmarks' / 'results' / 'srsenet_photo_cpu.json'
  found = json.loads(path.read_text())
  assert photo_script.page(found) == photo_script.PAGE.read_text()


def test_what_is_not_measured_anew_stays(photo_script, tmp_path, monkeypatch):
  monkeypatch.setattr(
    photo_script, 'compared', lambda trained, option, sets: {option: {'photo': trained.step}}
  )
  monkeypatch.setattr(photo_script, 'PAGE', tmp_path / 'page.md')
  monkeypatch.setattr(photo_script, 'page', str)
  monkeypatch.setattr(photo_script, 'may_be_default', bool)
  jpeg = {'machine': {'date': 'before'}, 'rows': {'x2': {'steps': 1}}}
  out = tmp_path / 'found.json'
  out.write_text(json.dumps(jpeg))
  monkeypatch.setattr('sys.argv', ['srsenet_photo.py', '--only', 'noise', '--out', str(out)])
  photo_script.main()
  found = json.loads(out.read_text())
  noise = found.pop('noise')
  assert found == jpeg and noise['rows'].keys() == {'x2', 'x4'}
  assert noise['rows']['x2']['sigmas'].keys() == {'2', '4'}
  assert noise['rows']['x2']['sigmas']['2'].keys() == {'eval.noise=2'}


def test_photo_is_the_default_where_it_may_be(photo_script):
  rows = json.loads((ROOT / 'benchmarks/results/srsenet_photo_cpu.json').read_text())['rows']
  may = tuple(int(name[1:]) for name, row in rows.items() if photo_script.may_be_default(row))
  assert may == PHOTO_BY_DEFAULT


def test_readings_are_compared_seed_by_seed(readings_script):
  def runs(*values):
    sets = readings_script.SETS
    return {
      str(i): {of: {'psnr': x, 'ssim_matlab': 0.9} for of in sets} for i, x in enumerate(values)
    }

  found = readings_script.differences(runs(31.0, 32.5), runs(30.0, 31.0, 35.0))
  psnr = found['set5']['psnr']
  assert psnr['mean'] == 1.25 and psnr['n'] == 2
  assert psnr['interval95'] == pytest.approx(12.706 * 0.25, rel=1e-3)
  assert found['bsd100']['ssim_matlab']['interval95'] == 0


def test_the_readings_page_says_what_its_result_file_says(readings_script):
  path = ROOT / 'benchmarks' / 'results' / 'srsenet_readings_cpu.json'
  assert readings_script.page(json.loads(path.read_text())) == readings_script.PAGE.read_text()


def test_a_finished_run_of_before_a_key_is_reused_and_one_of_another_config_refused(
  readings_script, tmp_path
):
  config, _ = readings_script.rows.configured(readings_script.TABLE, 'bundled', 0, ())
  saved = configs.to_json(config)
  del saved['degradation']
  (tmp_path / 'config.json').write_text(json.dumps(saved))
  assert readings_script.finished(tmp_path, config) is None
  sets = {of: {'psnr': 30.0} for of in readings_script.SETS}
  found = {'step': config.num_steps, 'sets': sets}
  (tmp_path / 'evaluation.json').write_text(json.dumps(found))
  assert readings_script.finished(tmp_path, config) == found
  (tmp_path / 'evaluation.json').write_text(json.dumps({**found, 'sets': {'heldout': {}}}))
  assert readings_script.finished(tmp_path, config) is None
  other, _ = readings_script.rows.configured(
    readings_script.TABLE, 'bundled', 0, ('model.se_width=16',)
  )
  with pytest.raises(SystemExit, match=r'another config: model\.se_width: 4 -> 16'):
    readings_script.finished(tmp_path, other)
