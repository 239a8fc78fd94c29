import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comvae_cases import FACTS, NUM_PIXELS, data_of, images, quick_jit, task_of, tiny, tools

from jaxgen.errors import DataError
from jaxgen.systems.comvae.figures import Figures
from jaxgen.systems.comvae.task import make_model

TERMS = {'negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl'}
EXPENSIVE = {
  'nll_importance',
  'nll_ais',
  'amortization_gap',
  'approximation_gap',
  'gap_num_examples',
  'active_units',
  'latent_mean_variance',
  'ood_auroc',
}
CHEAP = {*TERMS, 'split', 'train_clean', 'test_train_mode', 'num_examples'}
# 13 test rows leave padding in the second batch of 8.
DATA = data_of(test=images(13), train=images(10, seed=1), ood=1 - images(13, seed=2) ** 4)


@functools.cache
def variables(row='compound_mixture'):
  task = task_of(row)
  return task.export(quick_jit(task.init)(jax.random.key(0)))


@functools.cache
def evaluated(row='compound_mixture', full=True):
  return task_of(row).evaluate(variables(row), DATA, tools(full))


def figures_of(row='compound_mixture', **values):
  config = tiny(row, **values)
  return Figures(make_model(config, FACTS), FACTS, config)


def batch_of(x):
  return {'image': x, 'mask': np.ones(len(x), np.float32)}


# --- evaluation.json ---


@pytest.mark.parametrize('row', ['compound_mixture', 'vanilla'])
def test_every_figure_is_there_and_plain(row):
  found = evaluated(row)
  assert found.keys() >= CHEAP | EXPENSIVE
  assert json.loads(json.dumps(found, allow_nan=False)) == found
  assert found['split'] == 'test' and found['num_examples'] == 13
  for group in (found, found['train_clean'], found['test_train_mode']):
    assert group.keys() >= TERMS and all(type(group[name]) is float for name in TERMS)
    np.testing.assert_allclose(
      group['negative_elbo'], group['reconstruction'] + group['latent_kl'], rtol=1e-6
    )
  assert found['train_clean'].keys() == found['test_train_mode'].keys() == TERMS
  floats = ('nll_importance', 'nll_ais', 'amortization_gap', 'approximation_gap', 'ood_auroc')
  assert all(type(found[name]) is float for name in (*floats, 'latent_mean_variance'))
  assert all(type(found[name]) is int for name in ('gap_num_examples', 'active_units'))
  counts = [found[name] for name in ('gap_num_examples', 'nll_num_examples', 'ais_num_examples')]
  assert counts == [4, 10, 5]
  assert 0 <= found['ood_auroc'] <= 1 and 0 <= found['active_units'] <= 2
  # A bound is a bound: the optimised posterior is no worse than the encoder's.
  assert found['amortization_gap'] > 0
  assert found['nll_importance'] < found['negative_elbo']


def test_a_plain_encoder_has_no_weight_figures():
  found = evaluated('vanilla')
  assert found['weight_kl'] == 0 and found['train_clean']['weight_kl'] == 0
  assert found['latent_mean_variance'] == 0
  assert found['ood_auroc_variance'] is None
  # Without batch norm the two modes differ in noise and in rows only.
  assert found['test_train_mode']['weight_kl'] == 0


def test_random_weights_have_weight_figures():
  found = evaluated()
  assert found['weight_kl'] > 10 and found['latent_mean_variance'] > 0
  assert 0 <= found['ood_auroc_variance'] <= 1


def test_the_end_of_training_computes_the_cheap_figures_only():
  found = evaluated(full=False)
  whole = evaluated()
  assert found.keys() == whole.keys()
  assert {name for name, x in found.items() if x is None} >= EXPENSIVE
  assert {name: found[name] for name in CHEAP} == {name: whole[name] for name in CHEAP}


def test_a_repeated_evaluation_is_bit_equal():
  again = task_of().evaluate(variables(), DATA, tools(full=True))
  assert again == evaluated()


def test_train_mode_figures_use_batch_statistics():
  shifted = dict(variables())
  shifted['batch_stats'] = jax.tree.map(lambda s: 2 * s + 0.3, shifted['batch_stats'])
  found = task_of().evaluate(shifted, DATA, tools(full=False))
  before = evaluated(full=False)
  assert found['test_train_mode'] == before['test_train_mode']
  assert found['reconstruction'] != before['reconstruction']


def test_without_a_whole_batch_there_are_no_train_mode_figures():
  data = data_of(test=images(5), train=images(10))
  found = task_of('vanilla').evaluate(variables('vanilla'), data, tools(full=False))
  assert found['test_train_mode'] is None and found['num_examples'] == 5


def test_missing_out_of_distribution_files_leave_nulls(monkeypatch, caplog):
  from jaxgen.systems.comvae import evaluation

  def missing(rows):
    raise DataError('no such folder')

  data = DATA._replace(splits={**DATA.splits, 'ood': missing})
  for part in ('_likelihood', '_gaps', '_latents'):
    monkeypatch.setattr(evaluation, part, _nothing(part))
  found = task_of('vanilla').evaluate(variables('vanilla'), data, tools(full=True))
  assert found['ood_auroc'] is None and 'no such folder' in caplog.text


def _nothing(name):
  def part(*args):
    return {}

  part.__name__ = name
  return part


# --- Figures one by one ---


def test_padding_rows_do_not_count():
  padded = {'image': np.zeros((8, NUM_PIXELS), np.float32), 'mask': np.zeros(8, np.float32)}
  padded['image'][:3], padded['mask'][:3] = images(3), 1
  other = {**padded, 'image': padded['image'] + 5 * (1 - padded['mask'])[:, None]}
  step = quick_jit(task_of().eval_step)
  first, second = (step(variables(), batch, jax.random.key(0)) for batch in (padded, other))
  assert jax.device_get(first) == jax.device_get(second)
  assert all(mean.count == 3 for mean in first.values())
  terms = quick_jit(figures_of().terms)(variables(), padded, jax.random.key(0))
  np.testing.assert_allclose(first['latent_kl'].total, terms['latent_kl'][:3].sum(), rtol=1e-6)


def test_an_example_is_judged_on_its_own():
  terms = quick_jit(figures_of().terms)
  x = images(8)
  other = images(8, seed=5)
  other[2] = x[2]
  a, b = (terms(variables(), batch_of(v), jax.random.key(0)) for v in (x, other))
  for name in TERMS:
    np.testing.assert_allclose(a[name][2], b[name][2], rtol=1e-5)
    assert a[name][1] != b[name][1]


def constant_decoder(row):
  """Variables of a row whose decoder gives logit 0 whatever z: log p(x) = -P ln 2."""
  found = variables(row)
  zeros = jax.tree.map(jnp.zeros_like, found['params']['decoder'])
  return {**found, 'params': {**found['params'], 'decoder': zeros}}


@pytest.mark.parametrize('row', ['vanilla', 'compound_single'])
def test_importance_bound_has_no_weight_term(row):
  """With random weights too, it converges to log p(x), which the weight KL of many nats would hide."""
  figures = figures_of(row, eval__importance_samples=4000, eval__chunk=500)
  found = quick_jit(figures.importance)(
    constant_decoder(row), batch_of(images(4)), jax.random.key(0)
  )
  np.testing.assert_allclose(found, -NUM_PIXELS * np.log(2), atol=0.15)


def test_importance_memory_does_not_grow_with_the_number_of_samples():
  def memory(samples):
    figures = figures_of(eval__importance_samples=samples, eval__chunk=50)
    bound = quick_jit(figures.importance)
    lowered = bound.lower(variables(), batch_of(images(8)), jax.random.key(0))
    return lowered.compile().memory_analysis().temp_size_in_bytes

  few, many = memory(100), memory(5000)
  assert 0 < many <= 1.01 * few + 1024


def test_ais_of_a_decoder_that_ignores_z():
  figures = figures_of('vanilla')
  found = quick_jit(figures.annealed)(
    constant_decoder('vanilla'), batch_of(images(4)), jax.random.key(0)
  )
  np.testing.assert_allclose(found, -NUM_PIXELS * np.log(2), rtol=1e-5)


# --- Pictures ---


def test_pictures_without_data():
  drawn = task_of('vanilla').pictures(variables('vanilla'), None, tools())
  assert set(drawn) == {'samples', 'traversal'}
  for picture in drawn.values():
    assert picture.dtype == np.uint8 and picture.ndim == 2
  scale = 600 // (10 * 5)
  assert drawn['samples'].shape == (scale * 51, scale * 51)  # 10 x 10 images of 4 pixels and a line
  scale = round(600 / (11 * 5))
  assert drawn['traversal'].shape == (scale * 11, scale * 56)  # 2 latents, 11 values


def test_pictures_with_data():
  data = data_of(test=images(25))
  drawn = task_of('vanilla', eval__batch_size=30).pictures(variables('vanilla'), data, tools())
  assert set(drawn) == {'samples', 'traversal', 'reconstructions'}
  scale = 600 // (10 * 5)
  picture = drawn['reconstructions']
  # 2 rows of 10 images, each over its reconstruction.
  assert picture.shape == (scale * 21, scale * 51)
  first = picture[scale : scale * 5 : scale, scale : scale * 5 : scale]
  np.testing.assert_array_equal(first, np.round(images(25)[0].reshape(4, 4) * 255))
