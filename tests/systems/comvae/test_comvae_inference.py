import functools
import json
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comvae_cases import FACTS, NUM_PIXELS, data_of, images, quick_jit, task_of, tiny, tools
from flax.traverse_util import flatten_dict

from jaxgen.errors import DataError
from jaxgen.run import devices as dev
from jaxgen.run.tools import make_tools
from jaxgen.systems.comvae import evaluation
from jaxgen.systems.comvae.inference import Inference
from jaxgen.systems.comvae.task import make_model, make_task
from jaxgen.task import Split
from jaxgen.terminal.reporter import Reporter
from jaxgen.terminal.signals import StopSignals

TERMS = {'negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl'}
EXPENSIVE = {
  'nll_importance',
  'nll_ais',
  'amortization_gap',
  'amortization_gap_mean_weights',
  'amortization_gap_marginal',
  'weight_information',
  'approximation_gap',
  'gap_num_examples',
  'active_units',
  'latent_mean_variance',
  'ood_auroc',
}
CHEAP = {*TERMS, 'split', 'train_clean', 'test_train_mode', 'num_examples'}
# 13 test rows leave padding in the second batch of 8.
IMAGES = {'test': images(13), 'train': images(10, seed=1), 'ood': 1 - images(13, seed=2) ** 4}
DATA = data_of(**IMAGES)


@functools.cache
def variables(row='compound_mixture'):
  task = task_of(row)
  return task.export(quick_jit(task.init)(jax.random.key(0)))


@functools.cache
def evaluated(row='compound_mixture', full=True):
  return task_of(row).evaluate(variables(row), DATA, tools(full))


def inference_of(row='compound_mixture', **values):
  config = tiny(row, **values)
  return Inference(make_model(config, FACTS), FACTS, config)


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


def test_train_mode_statistics_are_the_same_on_devices_that_do_not_divide_the_batch():
  data = data_of(14, test=images(14), train=images(14))
  found = task_of(eval__batch_size=14).evaluate(variables(), data, tools(False, devices=7))
  expected = task_of(eval__batch_size=14).evaluate(variables(), data, tools(False))
  # A row keeps its noise, and padding stays out of the statistics.
  assert found['test_train_mode'].keys() == expected['test_train_mode'].keys()
  for name, value in expected['test_train_mode'].items():
    np.testing.assert_allclose(found['test_train_mode'][name], value, rtol=1e-4)


@pytest.mark.usefixtures('quick_compilation')
@pytest.mark.parametrize(
  ('row', 'full'),
  [
    ('compound_mixture', False),
    pytest.param('simplified_mixture', False, marks=pytest.mark.slow),
    pytest.param('compound_mixture', True, marks=pytest.mark.slow),
  ],
)
def test_figures_are_the_same_on_seven_devices_in_other_batches(row, full):
  """A row draws by its index in the split, whoever computes it beside whatever others."""
  config = tiny(row, eval__batch_size=6)
  devices = dev.make_devices('jit', jax.devices()[:7])
  lent = make_tools(config, devices, Reporter(quiet=True), StopSignals(), None, full)
  lent = lent._replace(rng=tools().rng)
  data = data_of(6, **IMAGES)
  found = flatten_dict(make_task(config, FACTS).evaluate(variables(row), data, lent))
  expected = flatten_dict(evaluated(row, full))
  assert found.keys() == expected.keys()
  for name, value in expected.items():
    close = pytest.approx(value, rel=1e-3, abs=1e-4) if isinstance(value, float) else value
    assert found[name] == close, name


def test_without_a_whole_batch_there_are_no_train_mode_figures():
  data = data_of(test=images(5), train=images(10))
  found = task_of('vanilla').evaluate(variables('vanilla'), data, tools(full=False))
  assert found['test_train_mode'] is None and found['num_examples'] == 5


def test_missing_out_of_distribution_files_leave_nulls(monkeypatch, caplog):
  def missing(rows):
    raise DataError('no such folder')

  data = DATA._replace(splits={**DATA.splits, 'ood': Split(13, missing)})
  ood = [part for part in evaluation.PARTS if 'ood_auroc' in part.keys]
  assert len(ood) == 1
  monkeypatch.setattr(evaluation, 'PARTS', ood)
  found = task_of('vanilla').evaluate(variables('vanilla'), data, tools(full=True))
  assert found['ood_auroc'] is None and found['ood_auroc_variance'] is None
  assert 'no such folder' in caplog.text


def test_the_area_under_the_curve_is_how_often_a_positive_score_is_the_larger():
  rng = np.random.default_rng(0)
  negative, positive = rng.integers(0, 9, 40) / 8, rng.integers(3, 12, 30) / 8  # with ties
  above = positive[:, None] > negative
  expected = (above + 0.5 * (positive[:, None] == negative)).mean()
  assert evaluation.auroc(negative, positive) == pytest.approx(expected, rel=1e-12)
  assert (
    evaluation.auroc(negative, negative + 9) == 1 and evaluation.auroc(positive, positive) == 0.5
  )
  assert np.isnan(evaluation.auroc(np.append(negative, np.nan), positive))


def test_gaps_say_what_random_weights_cost():
  plain, random = evaluated('vanilla'), evaluated()
  assert plain['weight_information'] == 0
  for name in ('amortization_gap_mean_weights', 'amortization_gap_marginal'):
    np.testing.assert_allclose(plain[name], plain['amortization_gap'], rtol=1e-6)
  information = random['weight_information']
  assert 0 < information < np.log(40)
  np.testing.assert_allclose(
    random['amortization_gap'] - random['amortization_gap_marginal'], information, rtol=1e-4
  )
  assert random['amortization_gap_mean_weights'] != random['amortization_gap']


def spied(devices=1):
  """(tools, log): `log` has (name of the function, rows of the batch) of every call."""
  host, log = tools(devices=devices), []

  def compile_(fn):
    compiled = quick_jit(fn)

    def call(*args):
      sizes = [len(arg['mask']) for arg in args if isinstance(arg, dict) and 'mask' in arg]
      log.append((getattr(fn, '__name__', 'partial'), *sizes))
      return compiled(*args)

    return call

  return host._replace(compile=compile_), log


@pytest.mark.parametrize(
  ('devices', 'limit', 'size', 'calls'), [(1, 3, 3, 1), (1, 10, 5, 2), (2, 4, 4, 1), (4, 3, 8, 1)]
)
def test_batches_are_no_larger_than_the_rows_asked_for_where_those_can_be_shared(
  devices, limit, size, calls
):
  host, log = spied(devices)
  run = evaluation.Run(inference_of('vanilla'), variables('vanilla'), DATA, host)
  x = images(13)

  def first_pixels(variables, batch, key):
    return {'first': batch['image'][:, :2]}

  found = evaluation._per_example(run, first_pixels, 'pixels', limit)
  np.testing.assert_array_equal(found['first'], x[:limit, :2])
  assert log == [('first_pixels', size)] * calls


def test_the_importance_bound_is_computed_once(monkeypatch):
  calls = []

  def importance(self, variables, batch, key):
    calls.append(len(batch['image']))
    return batch['image'].sum(-1)

  monkeypatch.setattr(Inference, 'importance', importance)
  run = evaluation.Run(
    inference_of('vanilla', eval__num_examples=3), variables('vanilla'), DATA, tools()
  )
  found = evaluation._bounds(run)
  assert set(calls) == {4}  # for the rows of the gaps, which are more
  assert len(calls) == 1
  assert found['nll_num_examples'] == 3 and found['gap_num_examples'] == 4
  expected = -images(13)[:3].sum(-1).mean()
  np.testing.assert_allclose(found['nll_importance'], expected, rtol=1e-6)


def test_evaluation_streams():
  """A batch is asked for when the one before has been computed, and is not kept."""
  given, most = [], []

  class Pixels(np.ndarray):
    pass

  def watched(split):
    def batches(rows):
      for batch in split.batches(rows):
        image = batch['image'].view(Pixels)
        given.append(weakref.ref(image))
        most.append(sum(ref() is not None for ref in given))
        yield {**batch, 'image': image}
        del image

    return Split(split.size, batches)

  many = data_of(test=images(80), train=images(80))
  data = many._replace(splits={name: watched(split) for name, split in many.splits.items()})
  task_of('vanilla').evaluate(variables('vanilla'), data, tools(full=False))
  assert len(most) > 20 and max(most) <= 3


def test_train_mode_batches_do_not_depend_on_how_many_are_held(monkeypatch):
  run = evaluation.Run(inference_of('vanilla'), variables('vanilla'), DATA, tools())
  rows = np.random.default_rng(0).permutation(13)[:12].reshape(4, 3)
  at_once = np.stack(list(evaluation._picked_batches(run, rows)))
  np.testing.assert_array_equal(at_once, images(13)[rows])
  monkeypatch.setattr(evaluation, 'HELD_MB', 0)  # one batch at a time
  one_by_one = np.stack(list(evaluation._picked_batches(run, rows)))
  np.testing.assert_array_equal(at_once, one_by_one)


# --- Inference, function by function ---


def test_padding_rows_do_not_count():
  padded = {'image': np.zeros((8, NUM_PIXELS), np.float32), 'mask': np.zeros(8, np.float32)}
  padded['image'][:3], padded['mask'][:3] = images(3), 1
  other = {**padded, 'image': padded['image'] + 5 * (1 - padded['mask'])[:, None]}
  step = quick_jit(task_of().eval_step)
  first, second = (step(variables(), batch, jax.random.key(0)) for batch in (padded, other))
  assert jax.device_get(first) == jax.device_get(second)
  assert all(mean.count == 3 for mean in first.values())
  terms = quick_jit(inference_of().terms)(variables(), padded, jax.random.key(0))
  np.testing.assert_allclose(first['latent_kl'].total, terms['latent_kl'][:3].sum(), rtol=1e-6)


def test_an_example_is_judged_on_its_own():
  terms = quick_jit(inference_of().terms)
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
  inference = inference_of(row, eval__importance_samples=4000, eval__chunk=500)
  found = quick_jit(inference.importance)(
    constant_decoder(row), batch_of(images(4)), jax.random.key(0)
  )
  np.testing.assert_allclose(found, -NUM_PIXELS * np.log(2), atol=0.15)


def test_importance_memory_does_not_grow_with_the_number_of_samples():
  def memory(samples):
    inference = inference_of(eval__importance_samples=samples, eval__chunk=50)
    bound = quick_jit(inference.importance)
    lowered = bound.lower(variables(), batch_of(images(8)), jax.random.key(0))
    return lowered.compile().memory_analysis().temp_size_in_bytes

  few, many = memory(100), memory(5000)
  assert 0 < many <= 1.01 * few + 1024


def test_ais_of_a_decoder_that_ignores_z():
  inference = inference_of('vanilla')
  found = quick_jit(inference.annealed)(
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


def test_pictures_where_devices_do_not_divide_the_evaluation_batch():
  data = data_of(test=images(25))
  task = task_of('vanilla', eval__batch_size=14)  # seven processes can share 14 rows, but not 25
  drawn = task.pictures(variables('vanilla'), data, tools(devices=7))
  alone = task.pictures(variables('vanilla'), data, tools())
  np.testing.assert_array_equal(drawn['reconstructions'], alone['reconstructions'])
