"""Configs as they were saved, beside those of now."""

from ml_collections import ConfigDict

from jaxgen import config as configs
from jaxgen import saved_configs


def test_the_saved_form_of_a_config_is_the_config():
  config = configs.load('comvae:mnist_vanilla')
  saved = configs.from_json(configs.to_json(config))
  assert saved_configs.differing(saved, config, free=()) == []


def test_nested_tuples_are_what_json_makes_of_them():
  given = ConfigDict({'facts': {'shares': ((0.5, 0.5), (1.0, 0.0))}})
  saved = configs.from_json(configs.to_json(given))
  assert saved_configs.differing(saved, given, free=()) == []


def test_differing_keys_are_listed_with_both_values_unless_free():
  a, b = configs.load('comvae'), configs.load('comvae')
  b.seed, b.optim.learning_rate, b.eval.chunk = 3, 0.5, 10
  assert saved_configs.differing(a, b, free=('eval',)) == [
    'optim.learning_rate: 0.001 -> 0.5',
    'seed: 0 -> 3',
  ]


def test_the_free_keys_are_taken_from_the_given_config_and_no_other():
  saved, given = configs.load('comvae'), configs.load('comvae')
  given.seed, given.eval.chunk, given.data.dir = 3, 10, 'elsewhere'
  given.eval_every = 88  # begins like a free key, and is another
  found = saved_configs.with_free(saved, given, saved_configs.EVALUATE_FREE)
  assert saved_configs.differing(saved, found, free=()) == [
    'data.dir:  -> elsewhere',
    'eval.chunk: 50 -> 10',
  ]


def test_a_free_key_that_the_saved_config_lacks_is_added():
  saved = configs.from_json({'system': 'comvae', 'seed': 0})
  found = saved_configs.with_free(saved, configs.load('comvae'), ('eval.chunk',))
  assert configs.flatten(found) == {'system': 'comvae', 'seed': 0, 'eval.chunk': 50}
