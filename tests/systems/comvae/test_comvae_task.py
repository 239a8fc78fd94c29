import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comvae_cases import FACTS, PREFIXES, ROWS, images, quick_jit, task_of, tiny, tree_l2
from helpers import to_numpy

from jaxgen import config as configs
from jaxgen.axis import example_keys
from jaxgen.errors import ConfigError
from jaxgen.metrics import averages, fold
from jaxgen.run import devices as dev
from jaxgen.systems.comvae import losses, model
from jaxgen.systems.comvae.data import make_data
from jaxgen.systems.comvae.task import make_model, make_task
from jaxgen.task import step_rng

pytestmark = pytest.mark.usefixtures('quick_compilation')

M = FACTS['steps_per_epoch']
BATCH = {'image': images(8)}
PLAIN = ('vanilla', 'simplified_single', 'simplified_mixture')  # without a dynamic layer


# --- Variants ---


@pytest.mark.parametrize('variant', [prefix + row for prefix in PREFIXES for row in ROWS])
def test_every_row_of_the_table_is_a_variant(variant):
  config = configs.load(f'comvae:{variant}')
  configs.check(config)
  task = make_task(config, config.inspect.facts.to_dict())
  state = jax.eval_shape(task.init, jax.random.key(0))
  assert task.batch['image'].shape == (32, 64 if variant in ROWS else 784)
  has_norm = 'compound' in variant or variant.endswith(('no_latent_dbnn', 'no_reweighting'))
  assert bool(state.variables['model']) == (has_norm or config.model.norm == 'batch')
  assert config.loss.reweighting == ('none' if 'no_reweighting' in variant else 'blundell')
  if 'single' in variant:
    assert config.model.prior == 'single'
  elif 'vanilla' not in variant:
    assert config.model.prior == 'mixture'
  if variant not in ROWS:
    epochs = config.num_steps / config.inspect.facts.steps_per_epoch
    assert (epochs, config.optim.learning_rate, config.batch_size) == (50, 1e-3, 32)


def test_unknown_variants_are_refused():
  with pytest.raises(ConfigError, match=r"'compound_mixtur'. Did you mean compound_mixture"):
    configs.load('comvae:compound_mixtur')


@pytest.mark.parametrize(
  ('values', 'message'),
  [
    ({'model__weight_kl': 'closed_form'}, 'single prior only'),
    ({'model__layers': ()}, 'layers is empty'),
    ({'model__layers': ('hidden', 'rho')}, 'model.layers'),
    ({'model__prior': 'mixtures'}, 'Did you mean mixture'),
    ({'eval__chunk': 7}, 'must be a multiple of'),
    ({'model__num_latents': 0}, 'must be above 0'),
    ({'model__norm_momentum': 1.0}, r'must be in \[0, 1\)'),
    ({'loss__reweighting': 'sqrt'}, 'blundell, uniform, none'),
    ({'loss__weight_kl_per': 'pixel'}, 'example, batch'),
    ({'eval__gap_samples': 0}, 'must be above 0'),
  ],
)
def test_impossible_values_are_refused(values, message):
  with pytest.raises(ConfigError, match=message):
    tiny(**values)


def test_shared_weights_are_not_paid_for_by_each_example():
  with pytest.raises(ConfigError, match=r"set config.loss.weight_kl_per='batch'"):
    tiny('simplified_single', loss__weight_kl_per='example')


# --- One step ---


def gradient(state):
  """Adam's first moment after the first update is the gradient times 1 - b1."""
  return jax.tree.map(lambda m: m / 0.1, jax.device_get(state.opt_state['model'][0].mu))


def task_by(row, per):
  """A row's task, with one dynamic layer of three, which compiles in half the time, but for one row."""
  one = {} if row in ('compound_single', *PLAIN) else {'model__layers': ('hidden',)}
  return task_of(row, loss__weight_kl_per=per, **one)


@functools.cache
def compiled(row, per='batch'):
  """(key, first step) -> (state before, states after and metrics of two updates, stacked)."""
  task = task_by(row, per)

  def update(state, batch):
    state, metrics = task.train_step(state, batch)
    return state, (state, metrics)

  @quick_jit
  def run(key, step):
    state = task.init(key).replace(step=step)
    batches = jax.tree.map(lambda x: jnp.stack([x, x[::-1]]), BATCH)
    return state, jax.lax.scan(update, state, batches)[1]

  return run


@functools.cache
def stepped(row, step=0, per='batch'):
  """(state before, state after, means of the metrics) of one update at `step`."""
  state, after = compiled(row, per)(jax.random.key(0), jnp.int32(step))
  first = jax.tree.map(lambda x: x[0], to_numpy(after))
  return state, first[0], averages(fold(first[1]))


@functools.cache
def means_of(row, step, per):
  """The means of one update's metrics, where nothing needs its gradients: they are not compiled."""
  task = task_by(row, per)

  @quick_jit
  def run(key, step):
    return task.train_step(task.init(key).replace(step=step), BATCH)[1]

  return averages(fold(run(jax.random.key(0), jnp.int32(step))))


# No test needs another gradient of it.
READING = {'no_reweighting': 'example'}


@pytest.mark.parametrize('row', ROWS)
def test_two_steps_of_every_row_are_finite(row):
  per = READING.get(row, 'batch')
  task = task_by(row, per)
  _, after = compiled(row, per)(jax.random.key(0), jnp.int32(0))
  states, metrics = to_numpy(after)
  state = jax.tree.map(lambda x: x[1], states)
  assert state.step == 2 and state.step.dtype == jnp.int32
  floats = jax.tree.leaves((state.params, state.opt_state, state.variables, metrics))
  assert all(np.isfinite(x).all() for x in floats)
  means = averages(fold(metrics))
  assert set(means) == {'loss', 'negative_elbo', 'reconstruction', 'latent_kl', 'weight_kl'}
  np.testing.assert_allclose(
    means['negative_elbo'], means['reconstruction'] + means['latent_kl'], rtol=1e-6
  )
  if row == 'vanilla':
    assert means['weight_kl'] == 0 and means['loss'] == means['negative_elbo']
  else:
    assert means['weight_kl'] > 10
  exported = task.export(state)
  assert set(exported) == {'params', *state.variables['model']}


@pytest.mark.parametrize(
  ('row', 'per', 'divisor'),
  [
    ('compound_mixture', 'example', 1),
    ('compound_mixture', 'batch', 8),
    ('simplified_mixture', 'batch', 8),
    ('no_reweighting', 'example', 1),
    ('no_reweighting', 'batch', 8),
  ],
)
@pytest.mark.parametrize('step', [0, 7])
def test_share_of_the_weight_kl(row, per, divisor, step):
  alone = (row, per) == ('no_reweighting', 'batch')
  means = means_of(row, step, per) if alone else stepped(row, step, per)[2]
  i = step % M + 1
  share = 1 if row == 'no_reweighting' else 2 ** (M - i) / (2**M - 1)
  expected = means['negative_elbo'] + share / divisor * means['weight_kl']
  np.testing.assert_allclose(means['loss'], expected, rtol=1e-5)


def test_the_gradient_of_the_weight_kl_has_its_coefficient():
  """It is all that changes with the reading, so the gradient is linear in c: the same slope everywhere."""
  per_batch, per_example = (
    gradient(stepped('compound_mixture', 0, p)[1]) for p in ('batch', 'example')
  )
  whole = gradient(stepped('no_reweighting', 0, 'example')[1])  # c = 1
  c = 16 / 31

  def slope(high, low, change):
    return jax.tree.map(lambda a, b: (a - b) / change, high, low)

  found = slope(per_example, per_batch, c - c / 8)
  expected = slope(whole, per_example, 1 - c)
  assert tree_l2(found) > 1
  assert tree_l2(jax.tree.map(np.subtract, found, expected)) < 1e-4 * tree_l2(expected)


def test_the_reading_does_not_touch_a_plain_model():
  found, expected = (stepped('vanilla', 0, per) for per in ('example', 'batch'))
  jax.tree.map(np.testing.assert_array_equal, found[1].params, expected[1].params)
  assert found[2] == expected[2]


def test_a_step_of_the_simplified_model_by_hand():
  """Eq. 5 as written: (pi KL + the sum of the examples' costs) / B, from the pure functions."""
  state, after, means = stepped('simplified_mixture')
  net, x, n = make_model(tiny('simplified_mixture'), FACTS), jnp.asarray(BATCH['image']), 8
  key = step_rng(state, 'weights')
  noise = model.Noise(key, example_keys(key, n))
  z_keys = example_keys(step_rng(state, 'latent'), n)

  @quick_jit
  @functools.partial(jax.value_and_grad, has_aux=True)
  def loss(params):
    logits, posterior = net.apply({'params': params}, x, noise, z_keys, train=True)
    costs = losses.bernoulli_reconstruction(logits, x)
    costs += losses.gaussian_kl(posterior.mean, posterior.log_var)
    kl = posterior.weight_kl[0]
    return (16 / 31 * kl + costs.sum()) / n, (costs.mean(), kl)

  (total, (cost, kl)), expected = loss(state.params['model'])
  np.testing.assert_allclose(means['loss'], total, rtol=1e-5)
  np.testing.assert_allclose(means['negative_elbo'], cost, rtol=1e-5)
  np.testing.assert_allclose(means['weight_kl'], kl, rtol=1e-5)
  found = gradient(after)
  assert tree_l2(jax.tree.map(np.subtract, found, expected)) < 1e-5 * tree_l2(expected)


def test_gradients_of_images_add_up_to_that_of_the_batch():
  """As docs/concepts/state.md takes them, with the draws of each image and the statistics of all."""
  state, after, _ = stepped('no_latent_dbnn')
  config = tiny('no_latent_dbnn', loss__weight_kl_per='batch', model__layers=('hidden',))
  loss = make_task(config, FACTS, axis='rows').losses['model']

  def of_row(row):
    one = jax.tree.map(lambda x: x[None], row)
    return jax.grad(loss, has_aux=True)(state.params['model'], state, one)[0]

  each = quick_jit(jax.vmap(of_row, axis_name='rows'))(BATCH)
  found = jax.tree.map(lambda x: x.sum(0), each)
  expected = gradient(after)
  assert tree_l2(jax.tree.map(np.subtract, found, expected)) < 1e-5 * tree_l2(expected)
  assert all(len(x) == 8 for x in jax.tree.leaves(each))


@pytest.mark.parametrize('row', ['simplified_mixture', 'no_latent_dbnn'])
def test_gradients_match_finite_differences(row):
  """Along random directions in float64, through batch norm and both kinds of weight samples."""
  with jax.enable_x64(True):
    task = make_task(tiny(row, precision='float64'), FACTS)

    @quick_jit
    def one(state):
      after, metrics = task.train_step(state, BATCH)
      return metrics['loss'].total / metrics['loss'].count, after.opt_state['model'][0].mu

    state = quick_jit(task.init)(jax.random.key(0))
    params = jax.device_get(state.params['model'])
    value, mu = jax.device_get(one(state))
    found = jax.tree.map(lambda m: m / 0.1, mu)
    assert value.dtype == jnp.float64
    rng = np.random.default_rng(0)
    for _ in range(3):
      direction = jax.tree.map(lambda p: rng.normal(size=p.shape), params)

      def loss(h, direction=direction):
        moved = jax.tree.map(lambda p, d: p + h * d, params, direction)
        return one(state.replace(params={'model': moved}))[0]

      slope = sum(map(np.vdot, jax.tree.leaves(found), jax.tree.leaves(direction)))
      np.testing.assert_allclose(slope, (loss(1e-6) - loss(-1e-6)) / 2e-6, rtol=1e-6)


def test_shared_weight_kl_counts_once_over_devices():
  config = tiny('simplified_mixture')
  devices = dev.make_devices('pmap', jax.devices()[:4])
  task = make_task(config, FACTS, devices.axis)
  steps = dev.compile_steps(devices, task, lambda arrays, row, key: row, 1, donate=False)
  state = dev.make_state(devices, task.init, 0)
  after, (metrics, _) = steps(state, {}, dev.put_batches(devices, [BATCH]))
  _, alone, means = stepped('simplified_mixture')
  found, expected = gradient(after), gradient(alone)
  assert tree_l2(jax.tree.map(np.subtract, found, expected)) < 1e-5 * tree_l2(expected)
  for name, mean in averages(fold(metrics)).items():
    np.testing.assert_allclose(mean, means[name], rtol=1e-5)


def test_float64_state_keeps_its_types():
  with jax.enable_x64(True):
    task = make_task(tiny(precision='float64'), FACTS)
    state = jax.eval_shape(task.init, jax.random.key(0))
    after, _ = jax.eval_shape(task.train_step, state, BATCH)
    assert jax.tree.map(lambda x: x.dtype, after) == jax.tree.map(lambda x: x.dtype, state)
    assert {x.dtype for x in jax.tree.leaves((after.params, after.variables))} == {
      np.dtype('float64')
    }


# --- Learning ---


def test_vanilla_on_the_digits_beats_the_mean_image():
  config = tiny(
    'vanilla',
    batch_size=64,
    model__num_hidden=40,
    model__num_latents=5,
    eval__batch_size=360,
    optim__learning_rate=3e-3,
  )
  data = make_data(config)
  task = make_task(config, data.facts)
  devices = dev.make_devices('jit', jax.devices()[:1])
  num_calls, steps_per_call = 10, 50
  steps = dev.compile_steps(devices, task, data.example, steps_per_call)
  state = dev.make_state(devices, task.init, config.seed)
  arrays = dev.replicate(devices, data.arrays)
  batches = data.batches(0, slice(0, 64))
  for _ in range(num_calls):
    rows = [next(batches) for _ in range(steps_per_call)]
    state, _ = steps(state, arrays, dev.put_batches(devices, rows))
  test = next(data.splits['test'].batches(slice(0, 360)))
  variables = task.export(state)
  found = averages(fold(quick_jit(task.eval_step)(variables, test, jax.random.key(0))))

  # Baseline: each pixel an independent Bernoulli with its mean over the training set.
  train = np.concatenate(
    [b['image'][b['mask'] > 0] for b in data.splits['train'].batches(slice(0, 360))]
  )
  mean = np.clip(train.mean(0), 1e-3, 1 - 1e-3)
  x = test['image']
  baseline = -(x * np.log(mean) + (1 - x) * np.log1p(-mean)).sum(1).mean()
  assert found['negative_elbo'] < baseline - 1.5
  assert found['latent_kl'] > 1.0
