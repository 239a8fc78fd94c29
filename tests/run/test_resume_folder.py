"""What a resume may change and what not, and folders that are not what they were."""

import json

import pytest
import toy_system
from helpers import (
  assert_same,
  files,
  final_state,
  metric_lines,
  quiet,
  train,
)

from jaxgen import config as configs
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.run import devices as dev
from jaxgen.run import inference, loading
from jaxgen.run.checkpoint import Checkpoints
from jaxgen.run.metrics_log import read_metrics


def test_the_same_command_resumes_and_a_finished_run_does_nothing(toy, tmp_path):
  assert any('4 parameters' in line for line in train(toy(), tmp_path))
  before = files(tmp_path)
  said = train(toy(), tmp_path)
  assert len(said) == 1 and 'finished at step 24: nothing to do' in said[0]
  assert files(tmp_path) == before


def test_more_steps_go_on_from_the_last_and_equal_one_long_run(toy, tmp_path):
  train(toy(num_steps=12), tmp_path / 'a')
  said = train(toy(num_steps=24), tmp_path / 'a')
  assert any('resumed' in line and 'at step 12' in line for line in said)
  train(toy(num_steps=24), tmp_path / 'b')
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  saved = json.loads((tmp_path / 'a' / 'config.json').read_text())
  assert saved['num_steps'] == 24


def test_other_keys_are_refused_by_name_with_both_values(toy, tmp_path):
  train(toy(num_steps=8), tmp_path)
  before = files(tmp_path)
  with pytest.raises(ConfigError, match=r'optim.learning_rate: 0.1 -> 0.2; seed: 0 -> 3') as error:
    train(toy(num_steps=8, seed=3, optim__learning_rate=0.2), tmp_path)
  assert 'num_steps' not in str(error.value) and '\n' not in str(error.value)
  with pytest.raises(ConfigError, match='steps_per_call: 4 -> 2'):
    train(toy(num_steps=8, steps_per_call=2), tmp_path)
  assert files(tmp_path) == before


def test_num_steps_is_refused_where_a_schedule_depends_on_it(toy, tmp_path):
  train(toy(num_steps=8, toy__schedule=True), tmp_path)
  with pytest.raises(ConfigError, match='num_steps: 8 -> 16'):
    train(toy(num_steps=16, toy__schedule=True), tmp_path)


def test_other_data_is_refused_by_the_differing_fact(toy, tmp_path, monkeypatch):
  train(toy(num_steps=8), tmp_path)
  monkeypatch.setattr(toy_system, 'NUM_ROWS', 72)
  with pytest.raises(ConfigError, match='steps_per_epoch: 8 -> 9'):
    train(toy(num_steps=16), tmp_path)


def test_periods_evaluation_checkpoints_and_devices_may_change(toy, tmp_path):
  train(toy(num_steps=8), tmp_path)
  changed = {
    'num_steps': 24,
    'log_every': 8,
    'save_every': 8,
    'eval_every': 12,
    'eval__batch_size': 32,
    'eval__samples': 2,
    'checkpoint__keep': 3,
    'parallel': 'pmap',
    'data__dir': 'elsewhere',
  }
  train(toy(**changed), tmp_path)
  saved = json.loads((tmp_path / 'config.json').read_text())
  assert (saved['parallel'], saved['log_every'], saved['steps_per_call']) == ('pmap', 8, 4)


def test_an_automatic_steps_per_call_is_kept_though_another_would_fit_now(toy, tmp_path):
  train(toy(num_steps=8), tmp_path)
  train(toy(num_steps=16, log_every=8, save_every=8), tmp_path)
  assert json.loads((tmp_path / 'config.json').read_text())['steps_per_call'] == 4
  with pytest.raises(ConfigError, match='log_every = 6 must be a multiple'):
    train(toy(num_steps=16, log_every=6), tmp_path)


def test_lines_past_the_restored_step_and_a_line_cut_short_are_dropped(toy, tmp_path):
  train(toy(num_steps=12), tmp_path)
  log = tmp_path / 'metrics.jsonl'
  whole = metric_lines(tmp_path)
  with log.open('a') as file:
    file.write('{"step": 16, "window": 4, "train/loss": 0.5}\n{"step": 20, "win')
  assert [step for step, _ in metric_lines_of(read_metrics(tmp_path))] == [4, 8, 12, 16]
  train(toy(num_steps=16), tmp_path)
  assert metric_lines(tmp_path)[:3] == whole
  assert [step for step, _ in metric_lines(tmp_path)] == [4, 8, 12, 16]
  assert metric_lines(tmp_path)[3][1]['train/loss'] != 0.5


@pytest.mark.parametrize(
  'damage',
  [
    '{"step": 8, "win',
    '[1, 2]',
    '"text"',
    '{"train/loss": 1}',
    '{"step": 8, "window": "x"}',
    '\x00',
  ],
)
def test_a_damaged_line_in_the_middle_costs_that_line_only(toy, tmp_path, caplog, damage):
  lines = [json.dumps({'step': s, 'window': 4, 'train/loss': 1.0}) for s in (4, 8, 12)]
  lines[1] = damage
  (tmp_path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
  assert [x['step'] for x in read_metrics(tmp_path)] == [4, 12]
  assert 'metrics.jsonl: line 2 is damaged' in caplog.text


@pytest.mark.parametrize('content', ['[24]', '{}', '24', '{"step": null}', '{"st'])
def test_a_damaged_evaluation_is_made_again(toy, tmp_path, content):
  train(toy(num_steps=8), tmp_path)
  whole = (tmp_path / 'evaluation.json').read_text()
  (tmp_path / 'evaluation.json').write_text(content)
  train(toy(num_steps=8), tmp_path)
  assert (tmp_path / 'evaluation.json').read_text() == whole


# A folder that is not what it was.


def test_without_config_json_the_run_goes_on_by_the_config_of_its_newest_checkpoint(
  toy, tmp_path, caplog
):
  train(toy(num_steps=12), tmp_path / 'a')
  (tmp_path / 'a' / 'config.json').unlink()
  with pytest.raises(ConfigError, match=r'optim.learning_rate: 0.1 -> 0.3'):
    train(toy(optim__learning_rate=0.3), tmp_path / 'a')
  assert inference.sample(tmp_path / 'a', reporter=quiet())
  said = train(toy(), tmp_path / 'a')
  assert any('at step 12' in line for line in said)
  assert 'config.json is missing: using the config of checkpoint 12' in caplog.text
  train(toy(), tmp_path / 'b')
  assert_same(final_state(tmp_path / 'a'), final_state(tmp_path / 'b'))
  assert (tmp_path / 'a' / 'config.json').is_file()


def test_a_run_of_before_a_key_goes_on_and_is_loaded_as_it_was(toy, tmp_path, monkeypatch):
  straight, run, file = tmp_path / 'straight', tmp_path / 'run', tmp_path / 'run.safetensors'
  train(toy(num_steps=8), straight)
  train(toy(num_steps=4), run)
  old = configs.to_json(toy(num_steps=4, steps_per_call=4))
  del old['toy']['twice_from']
  for path in (run / 'config.json', *run.glob('checkpoints/*/config/metadata')):
    path.write_text(json.dumps(old))
  with pytest.raises(CheckpointError, match=r'config\.toy\.twice_from is missing'):
    train(toy(num_steps=8), run)
  key = 'toy.twice_from'
  monkeypatch.setitem(toy_system.KEYS, key, toy_system.KEYS[key].added(0))
  trained = loading.load(run)
  assert trained.config.toy.twice_from == 0
  weight_files.save_weights(file, trained._replace(config=configs.from_json(old)))
  assert loading.load(file).config == trained.config
  train(toy(num_steps=8), run)
  assert_same(final_state(run), final_state(straight))


def test_a_save_never_skips_a_step_that_is_not_of_this_training(toy, tmp_path):
  train(toy(num_steps=12), tmp_path)
  config, facts = loading.read_items(tmp_path)[1:]
  own = Checkpoints(tmp_path, config, facts)
  state = own.restore(abstract(config, facts))
  own.save(state, 12)  # restored here: there already
  own.close()
  other = Checkpoints(tmp_path, config, facts)
  with pytest.raises(CheckpointError, match='already has a checkpoint of step 12'):
    other.save(state, 12)
  other.close()


def abstract(config, facts):
  devices = dev.make_devices('jit')
  task = configs.system_module(config).make_task(config, facts)
  return dev.abstract_state(devices, task.init)


def metric_lines_of(lines):
  return [(line['step'], line) for line in lines]


def test_a_damaged_config_json_is_named(toy, tmp_path):
  train(toy(num_steps=8), tmp_path)
  (tmp_path / 'config.json').write_text('{"seed": 0,')
  with pytest.raises(CheckpointError, match=r'config\.json is damaged'):
    train(toy(num_steps=8), tmp_path)
