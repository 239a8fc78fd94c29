"""Networks: parameter counts of the paper's sizes, shapes of every option, spectral norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mmgan_cases import tiny

from jaxgen import config as configs
from jaxgen.command.summary import summarize
from jaxgen.systems.mmgan import model
from jaxgen.systems.mmgan.task import make_model

pytestmark = pytest.mark.usefixtures('quick_compilation')

PLAYERS = {
  'A': {'gen': 1_143_905, 'disc': 661_442, 'cls': 590_851},
  'B': {'gen': 1_147_745, 'disc': 663_747, 'cls': 591_879},
}


@pytest.mark.parametrize('case', PLAYERS)
def test_parameter_counts_of_the_paper_s_size(case):
  summary = summarize(configs.load(f'mmgan:mnist_{case}_fixed'))
  assert summary.players == PLAYERS[case]
  trunk = sum(x.size for x in summary.layers if x.name.startswith('trunk'))
  heads = {x.name.split('/')[0] for x in summary.layers if x.name.startswith('head')}
  assert trunk == 656_832
  assert (summary.players['disc'] - trunk) / len(heads) == 2_305


def test_a_learned_mixture_is_a_player():
  players = summarize(configs.load('mmgan:mnist_B_learned')).players
  assert players == {**PLAYERS['B'], 'mix': 21}


@pytest.mark.parametrize('architecture', ['venn', 'dcgan'])
@pytest.mark.parametrize('shape', [(28, 28, 1), (32, 32, 3), (64, 64, 1)])
def test_every_size_and_architecture_has_the_stated_shapes(architecture, shape):
  config = tiny(model__architecture=architecture)
  nets = make_model(config, {'image_shape': shape})
  z, component = jnp.zeros((6, 4)), jnp.arange(6) % 3

  def both(key):
    images, gen = nets.gen.init_with_output(key, z, component, train=True)
    (features, logits), disc = nets.disc.init_with_output(key, images, train=True)
    return images, features, logits, gen, disc

  images, features, logits, gen, disc = jax.eval_shape(both, jax.random.key(0))
  assert images.shape == (6, *shape)
  assert features.shape[1:3] == ((3, 3) if shape[0] == 28 else (4, 4))
  assert logits.shape == (6, 2)
  assert ('conv2_norm' in disc['params']['trunk']) == (architecture == 'dcgan')
  assert gen['params']['conv1_norm']['scale'].shape == (3, 8)


def test_a_dcgan_starts_and_is_built_as_its_paper_has_it():
  # Radford et al., section 3 and 4: weights at N(0, .02), batch norm but in G's last and D's first layer.
  widths = {'gen_widths': (32, 16, 16, 8), 'disc_widths': (16, 32, 32), 'classifier_width': 32}
  config = tiny(
    model__architecture='dcgan', **{f'model__{key}': value for key, value in widths.items()}
  )
  nets = make_model(config, {'image_shape': (28, 28, 1)})

  @jax.jit
  def init(key):
    return (
      nets.gen.init(key, jnp.zeros((2, 4)), jnp.zeros(2, jnp.int32))['params'],
      nets.disc.init(key, jnp.zeros((2, 28, 28, 1))),
      nets.cls.init(key, jnp.zeros((2, 3, 3, 32))),
    )

  gen, disc, cls = jax.tree.map(np.asarray, init(jax.random.key(0)))
  layers = {name: x['kernel'] for name, x in gen.items() if 'kernel' in x}
  assert {name: kernel.shape for name, kernel in layers.items()} == {
    'conv1': (4, 4, 4, 32),
    'conv2': (4, 4, 32, 16),
    'conv3': (4, 4, 16, 16),
    'conv_out': (4, 4, 16, 1),
  }
  for x in jax.tree.leaves((gen, disc['params'], cls)):
    if x.ndim > 1 and x.shape[0] != 3:  # no [K, C] scales
      np.testing.assert_allclose(np.std(x), 0.02, rtol=0.15)
  trunk = disc['params']['trunk']
  assert set(trunk) == {'conv1', 'conv2', 'conv2_norm', 'conv3', 'conv3_norm'}
  scales = np.concatenate([trunk[f'conv{i}_norm']['scale'] for i in (2, 3)])
  np.testing.assert_allclose(np.std(scales), 0.02, rtol=0.4)
  assert not any('spectral' in str(path) for path, _ in jax.tree.leaves_with_path(disc))


def test_components_have_scales_of_their_own_and_shared_statistics():
  config = tiny()
  gen = make_model(config, {'image_shape': (28, 28, 1)}).gen
  z = jax.random.normal(jax.random.key(1), (6, 4))
  component = jnp.arange(6) % 3
  variables = gen.init(jax.random.key(0), z, component, train=True)
  scale = variables['params']['conv1_norm']['scale']
  assert np.all(np.std(scale, axis=0) > 0)
  np.testing.assert_allclose(np.mean(scale), 1, atol=0.02)
  stats = variables['batch_stats']['conv1_norm']['norm']['stats']
  assert {k: v.shape for k, v in stats.items()} == {'mean': (8,), 'var': (8,)}


def test_a_generator_has_tangents():
  gen = make_model(tiny(), {'image_shape': (28, 28, 1)}).gen
  random = np.random.default_rng(0)
  z, towards = random.normal(size=(2, 3, 4)).astype(np.float32)
  component = np.arange(3)
  shapes = jax.eval_shape(gen.init, jax.random.key(0), z, component)
  variables = jax.tree.map(lambda x: np.float32(random.uniform(0.1, 0.5, x.shape)), shapes)

  @jax.jit
  def both(z):
    images, change = jax.jvp(lambda z: gen.apply(variables, z, component), (z,), (towards,))
    return images, change, gen.apply(variables, z + 1e-3 * towards, component)

  images, change, ahead = both(z)
  assert abs(change).max() > 1e-3
  np.testing.assert_allclose((ahead - images) / 1e-3, change, atol=0.02 * abs(change).max())


def test_spectral_norm_is_exact_after_some_updates_and_moves_only_when_asked_to():
  trunk = model.Trunk((4, 4, 8))
  x = jax.random.normal(jax.random.key(0), (2, 28, 28, 1))
  variables = trunk.init(jax.random.key(1), x)
  apply = jax.jit(
    lambda v, update: trunk.apply(v, x, update=update, mutable=['batch_stats'])[1],
    static_argnums=1,
  )
  still = apply(variables, False)
  jax.tree.map(np.testing.assert_array_equal, still['batch_stats'], variables['batch_stats'])
  for _ in range(30):
    variables = {**variables, **apply(variables, True)}
  for layer in ('conv1', 'conv2', 'conv3'):
    kernel = np.asarray(variables['params'][layer]['kernel'])
    largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
    sigma = variables['batch_stats'][f'{layer}_spectral'][f'{layer}/kernel/sigma']
    np.testing.assert_allclose(sigma, largest, rtol=1e-3)


def test_the_classifier_s_dense_layers_have_no_spectral_norm():
  config = tiny()
  nets = make_model(config, {'image_shape': (28, 28, 1)})
  variables = jax.eval_shape(nets.cls.init, jax.random.key(0), jnp.zeros((2, 3, 3, 8)))
  assert set(variables) == {'params'}
  disc = jax.eval_shape(nets.disc.init, jax.random.key(0), jnp.zeros((2, 28, 28, 1)))
  assert {'head1_spectral', 'head2_spectral', 'trunk'} == set(disc['batch_stats'])
  off = make_model(tiny(model__spectral_norm=False), {'image_shape': (28, 28, 1)}).disc
  assert set(jax.eval_shape(off.init, jax.random.key(0), jnp.zeros((2, 28, 28, 1)))) == {'params'}
