"""What the folder of a run, or an exported file, says of itself, where it is not what it should be too."""

import json

import pytest
from helpers import quiet, train

from jaxgen import config as configs
from jaxgen import saved_configs
from jaxgen.errors import CheckpointError, ConfigError
from jaxgen.exchange import weight_files
from jaxgen.run import inference, loading, workdir


def saved(system='comvae', **values):
  """The JSON of a config with some top-level keys replaced; None removes one."""
  of = system if system == 'handwriting' else 'comvae'
  config = {**configs.to_json(configs.load(of)), 'system': system, **values}
  return json.dumps({key: value for key, value in config.items() if value is not None})


@pytest.mark.parametrize(
  ('text', 'words'),
  [
    ('{"seed": 0,', 'Expecting'),
    ('\x00', 'Expecting'),
    ('[]', 'of type list, not a config'),
    ('"comvae"', 'of type str, not a config'),
    ('3', 'of type int, not a config'),
    ('null', 'of type NoneType, not a config'),
    ('{}', 'config.system is missing'),
    (saved(system=None), 'config.system is missing'),
    (saved(system='comvea'), "config.system = 'comvea' is not one of comvae, mmgan"),
    (saved(system=['comvae']), 'config.system'),
    (saved(data=3), 'config.data = 3 must be a group of keys: data.name'),
    (saved(eval={}), 'config.eval.batch_size is missing: a whole number above 0'),
    (saved(loss=[1]), 'config.loss = [1] must be a group of keys: loss.reweighting'),
    (saved(seed='a'), "config.seed = 'a' must be a whole number"),
    (saved(batch_size=float('nan')), 'config.batch_size = nan must be a whole number'),
    (saved(extra=1), 'config.extra is not a key of comvae'),
    (saved(**{'a.b': 1}), 'a.b'),
    (saved(lock=1), 'lock'),
    (saved('handwriting', data=3), 'config.data = 3 must be a group of keys: data.name'),
    (saved('handwriting', eval={}), 'config.eval.batch_size is missing: a whole number above 0'),
  ],
)
def test_a_config_json_that_is_not_one_is_told_in_one_line(tmp_path, text, words):
  path = tmp_path / 'config.json'
  path.write_text(text)
  with pytest.raises(CheckpointError) as caught:
    workdir.saved_config(tmp_path)
  said = str(caught.value)
  assert said.startswith(f'{path} is damaged or of another version of jaxgen (')
  assert words in said and '\n' not in said


def test_a_config_json_that_is_no_text_is_told(tmp_path):
  (tmp_path / 'config.json').write_bytes(b'\xff\xfe\x00')
  with pytest.raises(CheckpointError, match=r'config\.json is damaged'):
    workdir.saved_config(tmp_path)


def test_the_saved_config_is_the_one_that_was_written(tmp_path):
  config = configs.load('srsenet')
  workdir.write_config(tmp_path, config)
  assert saved_configs.differing(workdir.saved_config(tmp_path), config, free=()) == []


def test_evaluate_and_sample_take_an_exported_file(toy, tmp_path):
  run, file = tmp_path / 'run', tmp_path / 'of.run.safetensors'
  train(toy(num_steps=4), run)
  weight_files.save_weights(file, loading.load(run))
  expected = {**inference.evaluate(run, reporter=quiet()), 'train_last_epoch': None}
  assert inference.evaluate(file, reporter=quiet()) == expected
  drawn = inference.sample(run, reporter=quiet())
  results = tmp_path / 'of.run_results'
  assert inference.sample(file, reporter=quiet()) == [results / 'samples' / x.name for x in drawn]
  assert json.loads((results / 'evaluation.json').read_text()) == expected
  given = inference.with_overrides(file, ['eval.batch_size=4'])
  assert given.eval.batch_size == 4 != loading.load(file).config.eval.batch_size
  old = loading.load(file)
  with old.config.unlocked():
    del old.config.seed
  with pytest.raises(CheckpointError, match=r'of another version .*config\.seed is missing'):
    inference.evaluate(weight_files.save_weights(file, old), reporter=quiet())


def test_facts_that_a_run_does_not_have_are_younger_and_others_must_agree(tmp_path):
  saved = {'words': ['a', 'b'], 'size': 2}
  workdir.same_facts(
    saved, {'words': ('a', 'b'), 'size': 2, 'trained_on': {'whole': ['c']}}, tmp_path
  )
  with pytest.raises(ConfigError, match=r'trained on other data. Differing facts: size: 2 -> None'):
    workdir.same_facts(saved, {'words': ('a', 'b')}, tmp_path)


def test_what_is_evaluated_may_depend_on_the_facts_of_the_run(toy, tmp_path, monkeypatch):
  run, given = tmp_path / 'run', []
  train(toy(num_steps=4), run)
  system = configs.system_module(loading.load(run).config)

  def make(config, facts):
    given.append(facts)
    return system.make_data(config)

  monkeypatch.setattr(system, 'make_evaluation_data', make, raising=False)
  inference.evaluate(run, reporter=quiet())
  assert given == [loading.load(run).facts]
