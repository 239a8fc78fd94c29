"""Rules of values, and the table of every system: each key has a rule, each mistake is named by its key."""

import importlib.util
import math
from pathlib import Path

import pytest
import toy_system
from helpers import override
from ml_collections import ConfigDict, config_dict

import jaxgen
from jaxgen import config as configs
from jaxgen import saved_configs, schema
from jaxgen.errors import ConfigError
from jaxgen.run import workdir
from jaxgen.schema import REQUIRED
from jaxgen.systems import SYSTEMS

SHIPPED = Path(jaxgen.__file__).parent / 'weights'
MAY_BE_EMPTY = ('heldout', '_filters', 'eval.faces', 'facts.faces', 'facts.hand_numbers')
# Of a back-end of another kind.
MAY_BE_EMPTY += ('back_end.widths', 'back_end.kernels', 'back_end.dilations')


def variants(system):
  """The names of a config file's variants."""
  spec = importlib.util.spec_from_file_location('variants', configs.config_path(system))
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.VARIANTS


def changed(spec, *without, **values):
  """A config without some keys and with others set, as a person's own file may have it."""
  config = override(configs.load(spec).unlock(), values)
  for key in without:
    *path, leaf = key.split('.')
    node = config
    for name in path:
      node = node[name]
    del node[leaf]
  return config


def rules_of(system):
  """The rule of every key of a system."""
  return configs.rules(configs.system_named(system))


def message(config):
  """What `check` says of a config, in one line."""
  with pytest.raises(ConfigError) as caught:
    configs.check(config)
  assert '\n' not in str(caught.value)
  return str(caught.value)


@pytest.mark.parametrize('system', SYSTEMS)
def test_every_key_of_every_variant_has_a_rule_and_fits_it(system):
  rules = configs.rules(configs.system_module(configs.load(system)))
  for variant in variants(system):
    config = configs.load(f'{system}:{variant}')
    assert set(configs.flatten(config)) == set(rules), variant
    if variant == 'folders':
      override(config, {'data__sets': 'a/,b/'})
    configs.check(config)
    configs.check_keys(configs.from_json(configs.to_json(config)))


@pytest.mark.parametrize('system', SYSTEMS)
def test_every_rule_refuses_other_types_and_numbers_that_are_none(system):
  config = configs.load(system)
  for key, rule in configs.rules(configs.system_module(config)).items():
    value = configs.flatten(config)[key]
    if isinstance(value, str):
      bad = [3, 1.5, True, ['a'], ConfigDict()]
    elif isinstance(value, bool):
      bad = [0, 1, 'true']
    elif isinstance(value, int | float):
      bad = [True, '1', [1], math.nan, math.inf, -math.inf]
      bad += [1.5, 2.0] if isinstance(value, int) else []
    else:
      bad = ['ab', 3, [object()], [[]], *([] if key.endswith(MAY_BE_EMPTY) else [()])]
    for x in bad:
      assert rule.wrong(x), f'{key} takes {x!r}'
    assert rule.what


@pytest.mark.parametrize('system', SYSTEMS)
def test_a_config_without_a_key_is_told_which_and_what_it_is(system):
  config = configs.load(system)
  for key, rule in configs.rules(configs.system_module(config)).items():
    if key != 'system':
      assert message(changed(system, key)) == f'config.{key} is missing: {rule.what}'
  for block in ('data', 'eval', 'checkpoint', 'stop', 'optim', 'inspect'):
    assert f'config.{block}.' in message(changed(system, block))


ADDED = [s for s in SYSTEMS if any(x.before is not REQUIRED for x in rules_of(s).values())]


@pytest.mark.parametrize('system', ADDED)
def test_the_config_of_a_run_of_before_a_key_is_completed_with_what_it_did(system):
  before = {k: x.before for k, x in rules_of(system).items() if x.before is not REQUIRED}
  old = configs.to_json(changed(system, *before))
  found = saved_configs.from_saved(old)
  assert {key: configs.flatten(found)[key] for key in before} == before
  configs.check(found)
  assert message(configs.from_json(old)).startswith(f'config.{next(iter(before))} is missing')
  assert saved_configs.from_saved(configs.to_json(found)) == found


@pytest.mark.parametrize('path', sorted(SHIPPED.glob('*.safetensors')), ids=lambda path: path.stem)
def test_a_net_that_ships_can_be_evaluated_as_those_of_people(path):
  configs.check_keys(workdir.required_config(path))


def test_a_key_that_is_added_leaves_the_name_of_a_config_where_it_changes_nothing(toy, monkeypatch):
  config, key = toy(), 'toy.twice_from'
  names = {saved_configs.identity(config), saved_configs.identity(toy(toy__twice_from=3))}
  assert len(names) == 2
  monkeypatch.setitem(toy_system.KEYS, key, toy_system.KEYS[key].added(0))
  added = {saved_configs.identity(toy()), saved_configs.identity(toy(toy__twice_from=3))}
  old = configs.to_json(config)
  del old['toy']['twice_from']
  monkeypatch.delitem(toy_system.KEYS, key)
  before = saved_configs.identity(configs.from_json(old))
  assert before in added and len(added) == 2


MISTAKES = [
  ('seed', 2**32, 'must be 0 or more and below 2**32'),
  ('seed', -1, 'must be 0 or more'),
  ('seed', 1.0, 'must be a whole number'),
  ('num_steps', 2**31, 'must be above 0 and below 2**31'),
  ('num_steps', 1e3, 'must be a whole number above 0'),
  ('batch_size', 0, 'must be above 0'),
  ('log_every', 0, 'must be above 0'),
  ('save_every', -2, 'must be above 0'),
  ('eval_every', -1, 'must be 0 or more'),
  ('picture_every', -1, 'must be 0 or more'),
  ('steps_per_call', -1, 'must be 0 or more'),
  ('precision', 'float16', "'float16' is not one of float32, bfloat16, float64. Did you mean"),
  ('parallel', 'pjit', 'is not one of jit, pmap'),
  ('eval.batch_size', 0, 'must be above 0'),
  ('checkpoint.keep', 0, 'must be above 0'),
  ('checkpoint.mode', 'MIN', 'is not one of min, max'),
  ('checkpoint.best', 'negative_elbo', 'is not one of eval/negative_elbo, '),
  ('stop.mode', 'least', 'is not one of min, max'),
  ('stop.metric', 'eval/loss', 'is not one of eval/negative_elbo, '),
  ('stop.patience', -1, 'must be above 0'),
  ('optim.learning_rate', math.inf, 'must be above 0 and finite'),
  ('optim.b1', 1.0, 'must be in [0, 1)'),
  ('optim.b2', -0.1, 'must be in [0, 1)'),
  ('optim.b2', math.nan, 'must be in [0, 1)'),
  ('model.norm_momentum', 1, 'must be in [0, 1)'),
  ('model.bayes_rho', math.nan, 'must be finite'),
  ('model.layers', ('hidden', 'rho'), "[1] = 'rho' is not one of hidden, mu, sigma"),
  ('data.name', 'photo_patches', 'has no training images: it is for evaluation only'),
  ('data.name', 'mnst', 'Did you mean mnist'),
  ('data.columns.label', '', "is empty: name it, e.g. 'label'"),
  ('data.num_threads', -1, 'must be 0 or more'),
  ('data.num_validation', -1, 'must be 0 or more'),
  ('data.resident_limit_mb', 0, 'must be above 0'),
  ('eval.gap_max_checks', 0, 'must be above 0'),
  ('eval.ais_chains', 1.5, 'must be a whole number above 0'),
  ('eval.ood', 'minst', 'Did you mean mnist'),
  ('inspect.facts.image_shape', (8, 8), 'has 3 sizes, not 2 as in (8, 8)'),
]
MISTAKES_OF = {
  'mmgan': [
    ('model.norm_momentum', -0.5, 'must be in [0, 1)'),
    ('model.spectral_norm', 1, 'must be True or False'),
    ('model.gen_widths', (8, 4, 4, 0), 'must be widths: [3] = 0 must be above 0'),
    ('optim.mixture_learning_rate', 0.0, 'must be above 0'),
    ('optim.b1', 1.0, 'must be in [0, 1)'),
    ('ema_decay', math.nan, 'must be in [0, 1); 0 is no average'),
    ('eval.num_samples', 0, 'must be above 0'),
    ('data.name', 'photo_patches', 'has no training images'),
    ('loss.classifier', math.inf, 'must be 0 or more and finite'),
    ('data.channels', True, 'must be 1 (grey) or 3 (RGB)'),
  ],
  'handwriting': [
    ('data.ink', 'white', "'white' is not one of auto, dark, light"),
    (
      'data.test_writers',
      ('w1', 'w2'),
      'must be names of the only writers to test on, as a,b',
    ),
    ('data.columns.group', 3, "must be a table's column of what stays together, such as pages"),
  ],
  'mmgan_classifier': [
    ('data.name', 'photo_patches', 'has no training images'),
    ('data.channels', 2, 'must be 1 (grey) or 3 (RGB)'),
    ('data.max_shift', -1, 'must be 0 or more'),
    ('model.widths', (8, 8), 'has 3 widths, not 2'),
  ],
  'srsenet': [
    ('optim.clip_norm', math.nan, 'must be 0 or more and finite; 0 is off'),
    ('optim.drop_at', 0.0, 'must be in (0, 1]'),
    ('ema_decay', 1, 'must be in [0, 1)'),
    ('data.rescale', (), 'is empty: it needs factors'),
    ('data.rescale', (1.0, 0.0), 'must be factors: [1] = 0.0 must be in (0, 1]'),
    ('scale', 2.0, 'must be a whole number between 2 and 8'),
    ('init_from', 3, 'must be a safetensors file, hf://OWNER/NAME, or empty'),
    ('eval.memory_mb', -1, 'must be above 0'),
    ('eval.jpeg_quality', 101, 'must be between 0 and 100'),
    ('eval.noise', -1.0, 'must be in [0, 255]; 0 is off'),
    ('degradation.jpeg', (0, 95), 'must be bounds: [0] = 0 must be between 1 and 100'),
    ('degradation.noise', (1.0,), 'has 2 bounds, not 1'),
    ('degradation.blur_probability', 1.5, 'must be in [0, 1]; 0 is off'),
  ],
}


@pytest.mark.parametrize(
  ('system', 'key', 'value', 'words'),
  [('comvae', *x) for x in MISTAKES]
  + [(system, *x) for system, found in MISTAKES_OF.items() for x in found],
)
def test_a_wrong_value_is_refused_by_its_key(system, key, value, words):
  config = configs.load(system)
  with config.unlocked(), config.ignore_type():
    config.update_from_flattened_dict({key: value})
  said = message(config)
  assert said.startswith(f'config.{key} ')
  assert words in said


def test_a_whole_number_will_do_where_a_number_is_wanted():
  config = configs.load('comvae')
  with config.unlocked(), config.ignore_type():
    config.optim.learning_rate = 1
  configs.check(config)


def test_a_key_that_no_system_knows_is_told_with_near_matches():
  config = changed('comvae')
  config.optim.learnin_rate = 0.1
  expected = (
    'config.optim.learnin_rate is not a key of comvae. Did you mean config.optim.learning_rate?'
  )
  assert message(config) == expected


def test_a_group_in_the_place_of_a_value_and_the_other_way_round_are_told():
  config = changed('comvae', 'data', 'seed')
  config.data, config.seed = 3, ConfigDict({'value': 1})
  assert 'config.data = 3 must be a group of keys: data.name, data.dir' in message(config)
  config = changed('comvae', 'seed')
  config.seed = ConfigDict({'value': 1})
  assert message(config).startswith('config.seed is a group of keys: it must be a whole number')


@pytest.mark.parametrize(
  'unset',
  [
    config_dict.placeholder(int),
    config_dict.required_placeholder(int),
    config_dict.placeholder(int) * 2,
    None,
  ],
)
def test_a_placeholder_that_is_not_set_is_told_as_such(unset):
  config = changed('comvae', 'eval.chunk')
  config.eval.chunk = unset
  expected = (
    'config.eval.chunk is not set: give a whole number above 0, as --config.eval.chunk=VALUE'
  )
  assert message(config) == expected


def test_a_placeholder_for_the_system_is_told():
  config = changed('comvae', 'system')
  config.system = config_dict.required_placeholder(str)
  assert message(config).startswith('config.system is missing: it names the system, one of comvae')


def test_intervals_say_which_ends_belong_to_them():
  taken = {
    closed: [x for x in (0.0, 0.5, 1.0) if not schema.within(0, 1, closed).wrong(x)]
    for closed in ('both', 'left', 'right', 'neither')
  }
  assert taken == {
    'both': [0.0, 0.5, 1.0],
    'left': [0.0, 0.5],
    'right': [0.5, 1.0],
    'neither': [0.5],
  }
  whats = [schema.within(0, 1, closed).what for closed in taken]
  assert whats == [f'a number in {x}' for x in ('[0, 1]', '[0, 1)', '(0, 1]', '(0, 1)')]
