"""Loading and resolving configs."""

import pytest

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.systems import comvae


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
  with pytest.raises(
    ConfigError, match=r'config\.save_every = 100 must be .* = 44, e\.g\. 88 or 132'
  ):
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
