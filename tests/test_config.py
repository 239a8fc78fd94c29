"""Loading, comparing and resolving configs."""

import pytest
from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.systems import comvae


def test_the_saved_form_of_a_config_is_the_config():
  config = configs.load('comvae:mnist_vanilla')
  saved = configs.from_json(configs.to_json(config))
  assert configs.differing(saved, config, free=()) == []


def test_nested_tuples_are_what_json_makes_of_them():
  given = ConfigDict({'facts': {'shares': ((0.5, 0.5), (1.0, 0.0))}})
  saved = configs.from_json(configs.to_json(given))
  assert configs.differing(saved, given, free=()) == []


def test_differing_keys_are_listed_with_both_values_unless_free():
  a, b = configs.load('comvae'), configs.load('comvae')
  b.seed, b.optim.learning_rate, b.eval.chunk = 3, 0.5, 10
  assert configs.differing(a, b, free=('eval',)) == [
    'optim.learning_rate: 0.001 -> 0.5',
    'seed: 0 -> 3',
  ]


@pytest.mark.parametrize(
  ('num_steps', 'periods', 'expected'),
  [
    (2640, (44, 440, 440, 0), 44),
    (93750, (375, 9375, 9375, 0), 25),
    (128, (128, 128, 128, 0), 64),
    (7, (7, 7, 7, 0), 7),
    (100, (10, 0, 15, 5), 5),
  ],
)
def test_auto_is_the_largest_divisor_of_all_periods_up_to_64(num_steps, periods, expected):
  config = configs.load('comvae')
  config.num_steps = num_steps
  for key, period in zip(configs.PERIODS, periods, strict=True):
    config[key] = period
  assert configs.resolve_steps_per_call(config, on_cpu=True).steps_per_call == expected


def test_a_convolutional_system_takes_single_steps_on_cpu_only(monkeypatch):
  monkeypatch.setattr(comvae, 'CONVOLUTIONAL', True)
  config = configs.load('comvae')
  assert configs.resolve_steps_per_call(config, on_cpu=True).steps_per_call == 1
  assert configs.resolve_steps_per_call(config, on_cpu=False).steps_per_call == 44


def test_resolving_leaves_the_given_config_alone():
  config = configs.load('comvae')
  configs.resolve_steps_per_call(config, on_cpu=True)
  assert config.steps_per_call == 0


def test_a_period_that_is_no_multiple_is_refused_by_name():
  config = configs.load('comvae')
  config.steps_per_call, config.save_every = 44, 100
  with pytest.raises(ConfigError, match=r'config\.save_every = 100 must be .* = 44, as 88 or 132'):
    configs.check(config)


def test_every_variant_of_a_config_file_passes_its_own_check():
  for prefix in ('', 'mnist_', 'emnist_', 'fashion_mnist_'):
    configs.check(configs.load(f'comvae:{prefix}compound_mixture'))


def test_a_config_without_a_system_is_refused():
  config = configs.from_json({'seed': 0})
  with pytest.raises(ConfigError, match=r'config.system is missing.*comvae'):
    configs.check(config)


@pytest.mark.parametrize(
  ('text', 'variant', 'words'),
  [
    ('', '', r'has no get_config\(variant\) function'),
    ('def get_config(): pass', '', 'get_config returns a NoneType, not a ConfigDict'),
    ('def get_config(): return {}', '', 'get_config returns a dict, not a ConfigDict'),
    ('def get_config(): pass', 'small', 'get_config takes no variant'),
    ('def get_config(variant): pass', '', 'get_config takes a variant'),
    (
      'from ml_collections import ConfigDict, config_dict\n'
      "def get_config(): return ConfigDict({'seed': config_dict.required_placeholder(int)})",
      '',
      'a required_placeholder cannot be locked',
    ),
  ],
)
def test_a_file_that_gives_no_config_is_told_in_one_line(tmp_path, text, variant, words):
  path = tmp_path / 'mine.py'
  path.write_text(text)
  with pytest.raises(ConfigError, match=rf'mine\.py:? {words}'):
    configs.load(f'{path}:{variant}')


def test_the_free_keys_are_taken_from_the_given_config_and_no_other():
  saved, given = configs.load('comvae'), configs.load('comvae')
  given.seed, given.eval.chunk, given.data.dir = 3, 10, 'elsewhere'
  given.eval_every = 88  # begins like a free key, and is another
  found = configs.with_free(saved, given, configs.EVALUATE_FREE)
  assert configs.differing(saved, found, free=()) == [
    'data.dir:  -> elsewhere',
    'eval.chunk: 50 -> 10',
  ]


def test_a_free_key_that_the_saved_config_lacks_is_added():
  saved = configs.from_json({'system': 'comvae', 'seed': 0})
  found = configs.with_free(saved, configs.load('comvae'), ('eval.chunk',))
  assert configs.flatten(found) == {'system': 'comvae', 'seed': 0, 'eval.chunk': 50}
