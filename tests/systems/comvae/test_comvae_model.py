import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from comvae_cases import FACTS, NUM_PIXELS, images, noise, quick_jit, task_of, tiny
from flax import linen as nn

from jaxgen import config as configs
from jaxgen.axis import example_keys
from jaxgen.systems.comvae import model
from jaxgen.systems.comvae.config import ENCODER_LAYERS
from jaxgen.systems.comvae.task import make_model, make_task

# --- Parameters at the paper's size ---


def shapes(variant, **values):
  config = configs.load(f'comvae:{variant}')
  with config.unlocked():
    config.update_from_flattened_dict({k.replace('__', '.'): v for k, v in values.items()})
  task = make_task(config, config.inspect.facts.to_dict())
  return jax.eval_shape(task.init, jax.random.key(0)).params['model']


def count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def split_norm(tree, inside=False):
  """(parameters of batch norm, all others)."""
  if not isinstance(tree, dict):
    return (tree.size, 0) if inside else (0, tree.size)
  parts = [split_norm(x, inside or name.endswith('_norm')) for name, x in tree.items()]
  return tuple(map(sum, zip(*parts, strict=True)))


PER_HIDDEN, PER_HEAD, PER_H = 314_000, 2_020, 200


@pytest.mark.parametrize(
  ('variant', 'norm', 'others'),
  [
    ('mnist_vanilla', 0, 159_294),
    ('mnist_simplified_single', 0, 238_804),
    ('mnist_simplified_mixture', 0, 238_804),
    ('mnist_compound_single', PER_HIDDEN + 2 * PER_HEAD + PER_H, 123_369_784),
    ('mnist_compound_mixture', PER_HIDDEN + 2 * PER_HEAD + PER_H, 123_369_784),
    ('mnist_no_latent_dbnn', PER_HIDDEN + PER_H, 123_168_794),
    ('mnist_no_reweighting', PER_HIDDEN + 2 * PER_HEAD + PER_H, 123_369_784),
    ('mnist_no_batch_norm', 0, 123_369_784),
  ],
)
def test_parameter_counts(variant, norm, others):
  assert split_norm(shapes(variant)) == (norm, others)


@pytest.mark.parametrize('variant', ['mnist_vanilla', 'mnist_simplified_mixture'])
def test_batch_norm_of_plain_and_bayesian_layers_is_on_h_only(variant):
  bare, normed = shapes(variant, model__norm='none'), shapes(variant, model__norm='batch')
  assert count(normed) - count(bare) == PER_H
  assert set(normed['encoder']) - set(bare['encoder']) == {'hidden_layer_norm'}


def test_parameters_of_each_dynamic_layer():
  encoder = shapes('mnist_compound_mixture')['encoder']
  assert split_norm(encoder['hidden_layer']) == (PER_HIDDEN, 123_088_000)
  for head in ('mu_head', 'sigma_head'):
    assert split_norm(encoder[head]) == (PER_HEAD, 101_000)
  assert count(encoder['hidden_layer_norm']) == PER_H


def test_the_decoder_is_plain_and_the_same_in_all_models():
  decoders = [shapes(v)['decoder'] for v in ('mnist_vanilla', 'mnist_compound_mixture')]
  assert decoders[0] == decoders[1] and count(decoders[0]) == 5 * 100 + 100 + 100 * 784 + 784


# --- The dynamic layer ---


def dynamic_posterior(x, features=4):
  layer = model.DynamicDense(features, norm=None)
  options = {'train': False, 'mask': None, 'method': 'posterior'}
  variables = quick_jit(functools.partial(layer.init, **options))(jax.random.key(3), x)
  return quick_jit(lambda x: layer.apply(variables, x, **options))


def test_at_zero_without_batch_norm_h_is_noise_of_deviation_ln_2():
  n = 20_000
  posterior = dynamic_posterior(jnp.zeros((n, 3)))(jnp.zeros((n, 3)))
  for sampling in ('weights', 'local'):
    layer = quick_jit(model.SampledLayer('single', sampling))
    h, _ = layer(jnp.zeros((n, 3)), posterior, noise(n))
    size = h.size
    assert abs(h.mean()) < 4 * np.log(2) / size**0.5
    assert abs(h.var() / np.log(2) ** 2 - 1) < 4 * (2 / size) ** 0.5


def test_mean_weights_times_x_are_homogeneous_of_degree_two():
  x = jnp.asarray(images(3, 5))
  posterior = dynamic_posterior(x)

  def product(x):
    return jnp.einsum('bi,bio->bo', x, posterior(x).w_mean)

  np.testing.assert_allclose(product(3 * x), 9 * product(x), rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(product(-x), product(x), rtol=1e-6)
  np.testing.assert_allclose(posterior(3 * x).b_mean, 3 * posterior(x).b_mean, rtol=1e-5)


def test_batch_norm_sets_the_scale_of_the_weights_at_the_start():
  norm = functools.partial(nn.BatchNorm, momentum=0.9)
  layer = model.DynamicDense(20, norm=norm)
  x = jnp.asarray(images(64, 16))

  @quick_jit
  def start(key):
    return layer.init_with_output(key, x, train=True, mask=None, method='posterior')[0]

  posterior = start(jax.random.key(0))
  assert abs(posterior.w_mean.std() * 4 - 1) < 0.02  # fan_in^-1/2 = 1/4
  assert abs(posterior.b_mean.std() * 4 - 1) < 0.02
  rho = np.log(np.expm1(posterior.w_std))
  assert abs(rho.mean() + 3) < 0.01 and abs(rho.std() - 0.1) < 0.005


def test_without_batch_norm_projections_start_with_the_same_scale():
  x = jnp.asarray(np.random.default_rng(0).uniform(0, 0.5, size=(16, 64)), jnp.float32)
  posterior = dynamic_posterior(x, features=30)(x)
  rms = float(jnp.sqrt((x**2).mean()))
  assert abs(posterior.w_mean.std() * 8 / rms - 1) < 0.05  # fan_in^-1/2 = 1/8
  rho = np.log(np.expm1(posterior.w_std))
  assert abs(rho.mean() + 3) < 0.3 and rho.std() < 0.3


@pytest.mark.parametrize('sampling', ['weights', 'local'])
def test_extreme_rho_keeps_values_and_gradients_finite(sampling):
  @quick_jit
  @jax.value_and_grad
  def loss(rho, x):
    std = model.positive_std(jnp.broadcast_to(rho, (3, 2)))
    posterior = model.WeightPosterior(jnp.zeros((3, 2)), std, jnp.zeros(2), std[0])
    h, kl = model.SampledLayer('mixture', sampling)(x, posterior, noise(4))
    return (h**2).sum() + kl

  for rho in (-1e4, -100.0, -60.0, 100.0):
    for x in (jnp.zeros((4, 3)), jnp.ones((4, 3))):
      value, gradient = loss(jnp.float32(rho), x)
      assert np.isfinite(value) and np.isfinite(gradient)
  np.testing.assert_allclose(model.positive_std(jnp.float32(-30)), np.exp(-30), rtol=1e-5)


# --- Sampling ---


def weight_posterior(num_inputs=3, features=2, seed=0):
  rng = np.random.default_rng(seed)
  shape = (num_inputs, features)
  return model.WeightPosterior(
    w_mean=jnp.asarray(rng.normal(size=shape), jnp.float32),
    w_std=jnp.asarray(rng.uniform(0.1, 1, size=shape), jnp.float32),
    b_mean=jnp.asarray(rng.normal(size=features), jnp.float32),
    b_std=jnp.asarray(rng.uniform(0.1, 1, size=features), jnp.float32),
  )


@functools.cache
def draws(owner, sampling, weight_kl, n=20_000):
  """n draws of (h [n, out], KL [n]) at one x, from one posterior that is shared or per example."""
  x = jnp.asarray([[0.5, -1.0, 2.0]])
  posterior = weight_posterior()
  layer = model.SampledLayer('single', sampling, weight_kl)
  if owner == 'example':
    each = jax.tree.map(lambda v: jnp.broadcast_to(v, (n, *v.shape)), posterior)
    return quick_jit(layer)(jnp.broadcast_to(x, (n, 3)), each, noise(n, seed=1))

  def one(key):
    return layer(x, posterior, model.Noise(key, example_keys(key, 1)))

  h, kl = quick_jit(jax.vmap(one))(example_keys(jax.random.key(1), n))
  return h[:, 0], kl


@pytest.mark.parametrize('owner', ['shared', 'example'])
@pytest.mark.parametrize('sampling', ['weights', 'local'])
def test_both_samplings_have_the_exact_moments(owner, sampling):
  h, _ = draws(owner, sampling, 'sample')
  mean, std = weight_posterior().moments(jnp.asarray([[0.5, -1.0, 2.0]]))
  n = len(h)
  assert (np.abs(h.mean(0) - mean[0]) < 4 * std[0] / n**0.5).all()
  assert (np.abs(h.var(0) / std[0] ** 2 - 1) < 4 * (2 / n) ** 0.5).all()
  # Outputs have weights of their own.
  assert abs(np.corrcoef(h.T)[0, 1]) < 4 / n**0.5


@pytest.mark.parametrize('owner', ['shared', 'example'])
@pytest.mark.parametrize('sampling', ['weights', 'local'])
def test_sampled_weight_kl_averages_to_the_closed_form(owner, sampling):
  _, sampled = draws(owner, sampling, 'sample')
  exact = draws(owner, sampling, 'closed_form')[1]
  np.testing.assert_allclose(exact, exact[0], rtol=1e-6)
  assert abs(sampled.mean() - exact[0]) < 4 * sampled.std() / len(sampled) ** 0.5
  posterior = weight_posterior()
  by_hand = sum(
    0.5 * (std**2 + mean**2 - 1 - 2 * np.log(std)).sum()
    for mean, std in [(posterior.w_mean, posterior.w_std), (posterior.b_mean, posterior.b_std)]
  )
  np.testing.assert_allclose(exact[0], by_hand, rtol=1e-5)


def test_moments_match_the_spec():
  x = np.float32([[0.5, -1.0, 2.0]])
  posterior = weight_posterior()
  _, std = posterior.moments(jnp.asarray(x))
  variance = (x[0, :, None] ** 2 * posterior.w_std**2).sum(0) + posterior.b_std**2
  np.testing.assert_allclose(std[0] ** 2, variance, rtol=1e-5)


def test_a_shared_sample_is_one_for_the_batch_and_a_local_one_is_not():
  x = jnp.ones((5, 3))
  h, kl = model.SampledLayer('single', 'weights')(x, weight_posterior(), noise(5))
  np.testing.assert_array_equal(h, jnp.broadcast_to(h[:1], h.shape))
  assert kl.shape == ()
  h, kl = model.SampledLayer('single', 'local')(x, weight_posterior(), noise(5))
  assert len(np.unique(h[:, 0])) == 5 and kl.shape == ()


def test_the_closed_form_is_refused_for_the_mixture():
  with pytest.raises(ValueError, match='single prior'):
    model.SampledLayer('mixture', 'weights', 'closed_form')


def test_layers_have_noise_of_their_own():
  named = [noise(4).named(name) for name in ENCODER_LAYERS]
  keys = np.concatenate(
    [jax.random.key_data(jnp.concatenate([n.shared[None], n.example])) for n in named]
  )
  assert len(np.unique(keys, axis=0)) == 15


def test_mean_weights_are_what_samples_average_to():
  x = jnp.asarray([[0.5, -1.0, 2.0]])
  posterior = weight_posterior()
  h, _ = model.SampledLayer('single', 'mean')(x, posterior, noise(1))
  other, _ = model.SampledLayer('single', 'mean')(x, posterior, noise(1, seed=5))
  np.testing.assert_array_equal(h, other)
  np.testing.assert_allclose(h, x @ posterior.w_mean + posterior.b_mean[None], rtol=1e-6)


# --- The whole network, batch norm, masks, precision ---


@functools.cache
def network(row='compound_mixture', **values):
  """(jitted apply(x, noise seed, train, mask), variables)."""
  net = make_model(tiny(row, **values), FACTS)
  task = task_of(row, **values)
  variables = task.export(quick_jit(task.init)(jax.random.key(0)))

  @functools.partial(quick_jit, static_argnames='train')
  def apply(variables, x, mask, train):
    keys = noise(len(x))
    z_keys = example_keys(jax.random.key(1), len(x))
    mutable = ['batch_stats'] if train else False
    result = net.apply(variables, x, keys, z_keys, train=train, mask=mask, mutable=mutable)
    return result if train else (result, None)

  return apply, variables


def test_running_statistics_move_by_a_tenth():
  apply, variables = network()
  x = jnp.asarray(images(8))
  _, updates = apply(variables, x, jnp.ones(8), True)
  y = x @ variables['params']['encoder']['hidden_layer']['w_mu']['kernel']
  found = updates['batch_stats']['encoder']['hidden_layer']['w_mu_norm']
  np.testing.assert_allclose(found['mean'], 0.1 * y.mean(0), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(found['var'], 0.9 + 0.1 * y.var(0), rtol=1e-4)
  names = {'w_mu_norm', 'w_rho_norm', 'b_mu_norm', 'b_rho_norm'}
  encoder = updates['batch_stats']['encoder']
  assert set(encoder) == {'hidden_layer', 'hidden_layer_norm', 'mu_head', 'sigma_head'}
  assert all(set(encoder[layer]) == names for layer in ('hidden_layer', 'mu_head', 'sigma_head'))


def test_evaluation_uses_running_statistics_and_rows_are_independent():
  apply, variables = network()
  x = jnp.asarray(images(8))
  _, updates = apply(variables, x, jnp.ones(8), True)
  trained = {**variables, **updates}
  (logits, posterior), _ = apply(trained, x, None, False)
  other = jnp.asarray(images(8, seed=1)).at[2].set(x[2])
  (other_logits, other_posterior), _ = apply(trained, other, None, False)
  np.testing.assert_allclose(other_logits[2], logits[2], rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(other_posterior.weight_kl[2], posterior.weight_kl[2], rtol=1e-6)
  # Batch statistics make rows depend on each other; running ones are what evaluation reads.
  (a, _), _ = apply(trained, x, jnp.ones(8), True)
  (b, _), _ = apply(trained, other, jnp.ones(8), True)
  assert np.abs(a[2] - b[2]).max() > 1e-4
  shifted = jax.tree.map(lambda s: s + 0.5, trained['batch_stats'])
  (c, _), _ = apply({**trained, 'batch_stats': shifted}, x, None, False)
  assert np.abs(c - logits).max() > 1e-4


def test_padding_rows_change_nothing_in_train_mode():
  apply, variables = network()
  x = jnp.asarray(images(8))
  mask = jnp.asarray([1.0] * 5 + [0.0] * 3)
  results = [apply(variables, x.at[5:].set(padding), mask, True) for padding in (0.0, 1.0, -37.5)]
  real = [jax.tree.map(lambda v: v[:5], outputs) for outputs, _ in results]
  for i in (1, 2):
    jax.tree.map(np.testing.assert_array_equal, real[0], real[i])
    jax.tree.map(np.testing.assert_array_equal, results[0][1], results[i][1])
  outputs, updates = apply(variables, x[:5], None, True)
  close = functools.partial(np.testing.assert_allclose, rtol=2e-4, atol=1e-4)
  jax.tree.map(close, real[0], outputs)
  jax.tree.map(close, results[0][1], updates)


def test_without_latent_dbnn_the_heads_are_plain():
  encoder = shapes('no_latent_dbnn')['encoder']
  assert set(encoder['mu_head']) == set(encoder['sigma_head']) == {'dense'}
  assert 'w_rho' in encoder['hidden_layer']


def test_bayesian_layers_start_at_rho_minus_six():
  x = jnp.zeros((2, 4))
  layer = model.BayesDense(3)
  variables = layer.init(jax.random.key(0), 4, method='posterior')
  posterior = layer.apply(variables, 4, method='posterior')
  assert set(variables['params']) == {'w_mu', 'w_rho', 'b_mu', 'b_rho'}
  for std in (posterior.w_std, posterior.b_std):
    np.testing.assert_allclose(std, np.log1p(np.exp(-6)), rtol=1e-6)
  assert (posterior.b_mean == 0).all() and 0 < posterior.w_mean.std() < 1
  sampled = model.SampledLayer('single', 'local', 'closed_form')
  h, kl = layer.apply(variables, x, noise(2), train=True, mask=None, sampled=sampled)
  assert h.shape == (2, 3) and kl.shape == ()


@pytest.mark.parametrize('precision', ['bfloat16', 'float64'])
@pytest.mark.parametrize('row', ['compound_mixture', 'simplified_mixture'])
def test_precisions(row, precision):
  expected = jnp.float64 if precision == 'float64' else jnp.float32
  with jax.enable_x64(precision == 'float64'):
    net = make_model(tiny(row, precision=precision), FACTS)
    x = jnp.asarray(images(4), expected)

    def outputs(key):
      keys = noise(4)
      result, variables = net.init_with_output(key, x, keys, keys.example, train=True)
      return result, variables

    (logits, posterior), variables = jax.eval_shape(outputs, jax.random.key(0))
    assert {v.dtype for v in jax.tree.leaves(variables)} == {np.dtype(expected)}
    assert {v.dtype for v in (logits, *posterior)} == {np.dtype(expected)}
    if precision == 'bfloat16':
      products = str(jax.make_jaxpr(outputs)(jax.random.key(0)))
      assert f'bf16[4,{NUM_PIXELS}]' in products
