"""phi, the paper's generator and the discriminators."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from handwriting_cases import KEY, NORM, shapes_of, variables_of

from jaxgen.systems.handwriting.networks.blocks import SelfAttention
from jaxgen.systems.handwriting.networks.discriminator import (
  Discriminator,
  paper_discriminator,
  small_discriminator,
)
from jaxgen.systems.handwriting.networks.generator import Generator, filters_for
from jaxgen.systems.handwriting.networks.letters import LetterGenerator
from jaxgen.systems.handwriting.networks.recogniser import make_recogniser
from jaxgen.systems.handwriting.networks.text_encoder import TextEncoder

INTS = functools.partial(jnp.zeros, dtype=jnp.int32)


def num_params(module, *args):
  return sum(x.size for x in jax.tree.leaves(shapes_of(module, *args)['params']))


def generator(shape=(128, 512), **options):
  return Generator(NORM, filters_for(shape), spectral_norm=True, **options)


@pytest.mark.parametrize(
  ('module', 'args', 'expected'),
  [
    (TextEncoder(86), (INTS((1, 3)), INTS(1)), 1_457_024),
    (generator(), (jnp.zeros((1, 128)), jnp.zeros((1, 256))), 5_650_818),
    (generator(attention_after=0), (jnp.zeros((1, 128)), jnp.zeros((1, 256))), 5_645_697),
    (generator(first_linear=True), (jnp.zeros((1, 128)), jnp.zeros((1, 256))), 2_514_306),
    (paper_discriminator((128, 512), NORM), (jnp.zeros((1, 128, 512, 1)),), 2_707_090),
    (paper_discriminator((128, 512), NORM, False), (jnp.zeros((1, 128, 512, 1)),), 2_705_809),
    (make_recogniser('gated', 86), (jnp.zeros((1, 128, 512, 1)),), 726_151),
    (LetterGenerator(26, 8, NORM), (jnp.zeros((1, 64)), INTS((1, 8)), INTS(1)), 380_737),
    (small_discriminator(), (jnp.zeros((1, 32, 128, 1)),), 152_561),
  ],
)
def test_parameters_are_those_of_the_paper(module, args, expected):
  assert num_params(module, *args) == expected


@pytest.mark.parametrize('shape', [(128, 512), (64, 256), (32, 128)])
def test_every_size_has_its_images_noise_and_attention(shape):
  gen, disc = generator(shape), paper_discriminator(shape, NORM)
  assert gen.num_latents == 16 * (shape[0].bit_length())
  z, text, image = jnp.zeros((2, gen.num_latents)), jnp.zeros((2, 256)), jnp.zeros((2, *shape, 1))

  def outputs(module, *args):
    variables = module.init(KEY, *args)
    options = {'capture_intermediates': True, 'mutable': ['intermediates']}
    made, kept = module.apply(variables, *args, **options)
    return made, kept['intermediates']

  made, inner = jax.eval_shape(lambda: outputs(gen, z, text))
  assert made.shape == image.shape
  assert inner['attention']['__call__'][0].shape == (2, 16, 64, 64)
  made, inner = jax.eval_shape(lambda: outputs(disc, image))
  assert made.shape == (2,)
  assert inner['attention']['__call__'][0].shape == (2, 16, 64, 32)
  assert inner['last']['__call__'][0].shape == (2, 1, 4, 256)


def test_other_sizes_are_refused():
  for shape in ((32, 64), (256, 1024), (48, 192)):
    with pytest.raises(ValueError, match=f'not {shape[0]}x{shape[1]}'):
      filters_for(shape)
    with pytest.raises(ValueError, match=f'not {shape[0]}x{shape[1]}'):
      paper_discriminator(shape, NORM)


@pytest.mark.parametrize('pooling', ['last', 'mean'])
def test_padding_never_changes_the_embedding_of_a_text(pooling):
  phi = TextEncoder(5, 4, 3, 2, pooling)
  labels, lengths = jnp.array([[1, 2, 2], [4, 0, 0]]), jnp.array([3, 1])
  variables = variables_of(phi, labels, lengths)
  found = jax.jit(phi.apply)(variables, labels, lengths)
  assert found.shape == (2, 6)
  more = jnp.concatenate([labels, jnp.full((2, 2), 5)], axis=1)  # not even if it is no padding
  np.testing.assert_allclose(jax.jit(phi.apply)(variables, more, lengths), found, rtol=1e-5)
  assert not np.allclose(found[0], found[1])


def test_phi_joins_the_last_forward_and_the_first_backward_state():
  phi = TextEncoder(5, 4, 3, 1)
  labels = np.array([[3, 1, 5, 0]])
  params = variables_of(phi, labels, jnp.array([3]))['params']

  def states(cell, inputs):
    h = c = np.zeros(3)
    for x in inputs:
      i, f, g, o = (
        x @ cell[f'i{n}']['kernel'] + h @ cell[f'h{n}']['kernel'] + cell[f'h{n}']['bias']
        for n in 'ifgo'
      )
      i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
      c = f * c + i * np.tanh(g)
      h = o * np.tanh(c)
    return h

  both = params['layer1']['both']
  inputs = np.asarray(params['embedding']['embedding'])[labels[0, :3]]
  expected = [
    *states(both['forward_rnn']['cell'], inputs),
    *states(both['backward_rnn']['cell'], inputs[::-1]),
  ]
  found = jax.jit(phi.apply)({'params': params}, labels, jnp.array([3]))
  np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_self_attention_starts_as_the_identity_and_is_what_it_says():
  layer, x = SelfAttention(), jax.random.normal(KEY, (2, 2, 4, 8))
  variables = layer.init(KEY, x, False)
  np.testing.assert_array_equal(layer.apply(variables, x, False), x)
  params = {**variables['params'], 'gamma': jnp.asarray(0.5)}
  kernels = {name: np.asarray(params[name]['kernel'])[0, 0] for name in params if name != 'gamma'}
  query, key, value = (np.asarray(x) @ kernels[name] for name in ('query', 'key', 'value'))

  def pooled(a):
    return a.reshape(2, 1, 2, 2, 2, -1).max((2, 4)).reshape(2, 2, -1)

  scores = np.einsum('bqc,bkc->bqk', query.reshape(2, 8, -1), pooled(key))
  weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
  found = (weights @ pooled(value)).reshape(2, 2, 4, 4) @ kernels['out']
  np.testing.assert_allclose(layer.apply({'params': params}, x, False), x + 0.5 * found, atol=1e-5)
  assert num_params(layer, jnp.zeros((1, 16, 64, 64)), False) == 5_121
  assert num_params(layer, jnp.zeros((1, 16, 64, 32)), False) == 1_281


@pytest.fixture(scope='module')
def tiny():
  """A generator of two blocks, a noise, texts, variables whose averages were moved, and a compiled apply."""
  gen = Generator(NORM, (8, 8), chunk=2, hidden=4, attention_after=1, spectral_norm=True)
  keys = jax.random.split(KEY)
  z, text = jax.random.normal(keys[0], (3, 6)), jax.random.normal(keys[1], (3, 5))
  variables = variables_of(gen, z, text)
  apply = jax.jit(
    functools.partial(
      gen.apply, mutable=['batch_stats', 'intermediates'], capture_intermediates=True
    ),
    static_argnums=(3, 4),
  )
  return z, text, variables, apply


def test_an_image_of_a_word_does_not_depend_on_its_neighbours_at_inference(tiny):
  z, text, variables, apply = tiny
  _, moved = apply(variables, z, text, True, True)
  variables = {**variables, 'batch_stats': moved['batch_stats']}
  found, kept = apply(variables, z, text, False, False)
  assert found.shape == (3, 4, 16, 1) and np.abs(found).max() <= 1
  jax.tree.map(np.testing.assert_array_equal, kept['batch_stats'], variables['batch_stats'])
  others, _ = apply(variables, z.at[1:].add(1), text.at[1:].add(1), False, False)
  np.testing.assert_allclose(others[0], found[0], rtol=1e-5, atol=1e-6)
  assert not np.allclose(others[1], found[1], atol=1e-3)


def test_a_chunk_of_noise_moves_its_block_and_what_follows(tiny):
  z, text, variables, apply = tiny

  def stages(z, text):
    inner = apply(variables, z, text, False, False)[1]['intermediates']
    return [np.asarray(inner[name]['__call__'][0]) for name in ('first', 'block1', 'block2')]

  before = stages(z, text)
  for chunk in range(3):
    after = stages(z.at[:, 2 * chunk].add(1), text)
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert same == [i < chunk for i in range(3)]
  same = [np.array_equal(a, b) for a, b in zip(before, stages(z, text + 1), strict=True)]
  assert same == [True, False, False]


def test_spectral_norm_is_on_every_kernel_and_moves_only_when_asked_to(tiny):
  z, text, variables, apply = tiny

  def spectral(stats):
    flat = jax.tree_util.tree_leaves_with_path(stats)
    return {jax.tree_util.keystr(p): x for p, x in flat if '_spectral' in str(p)}

  kernels = [x for x in jax.tree.leaves(variables['params']) if x.ndim > 1]
  before = spectral(variables['batch_stats'])
  assert len(before) == 2 * len(kernels)  # u and sigma
  stats = apply(variables, z, text, True, False)[1]['batch_stats']
  jax.tree.map(np.testing.assert_array_equal, spectral(stats), before)
  assert not np.array_equal(
    stats['out_norm']['stats']['mean'], variables['batch_stats']['out_norm']['stats']['mean']
  )
  moved = spectral(apply(variables, z, text, True, True)[1]['batch_stats'])
  one_wide = {name for name in before if before[name].shape == (1, 1)}  # its u is 1 or -1
  still = [name for name in before if np.array_equal(moved[name], before[name])]
  assert set(still) <= one_wide


def test_a_generator_whose_first_layer_takes_everything():
  gen = Generator(NORM, (8, 8), chunk=2, attention_after=0, first_linear=True)
  z, text = jnp.ones((2, 6)), jnp.ones((2, 5))
  params = jax.eval_shape(lambda: gen.init(KEY, z, text))['params']
  assert params['first']['kernel'].shape == (11, 32)
  assert params['block1']['norm1']['stats']['scale'].shape == (8,)


@pytest.mark.parametrize('norm', [NORM, None])
def test_a_discriminator_starts_at_the_convolution_and_ends_without_norm(norm):
  disc, x = Discriminator((4, 8), norm), jax.random.normal(KEY, (2, 8, 16, 1))
  variables = variables_of(disc, x)
  names = set(variables['params']['block1']) - {'conv1', 'conv2', 'shortcut'}
  assert names == ({'norm2'} if norm else set())
  assert 'shortcut' not in variables['params']['last']
  run = jax.jit(
    lambda x: disc.apply(variables, x, capture_intermediates=True, mutable=['intermediates'])
  )
  logits, kept = run(x)
  inner = kept['intermediates']
  negative = run(-x)[1]['intermediates']  # nothing but a convolution has been there
  first, opposite = (np.asarray(a['block1']['conv1']['__call__'][0]) for a in (inner, negative))
  bias = np.broadcast_to(variables['params']['block1']['conv1']['bias'], first.shape)
  np.testing.assert_allclose((first + opposite) / 2, bias, atol=1e-5)
  last = np.asarray(inner['last']['__call__'][0])
  total = np.where(last > 0, last, 0.2 * last).sum((1, 2))
  dense = variables['params']['logit']
  np.testing.assert_allclose(logits, total @ dense['kernel'][:, 0] + dense['bias'], rtol=1e-4)


def test_networks_compute_in_their_type_and_hand_over_float32():
  half = {'dtype': jnp.bfloat16}
  gen = Generator(NORM, (8, 8), chunk=2, hidden=4, attention_after=1, spectral_norm=True, **half)
  disc = Discriminator((8,), NORM, attention_after=1, spectral_norm=True, **half)

  def run():
    phi = TextEncoder(3, 4, 3, 1, **half)
    text, _ = phi.init_with_output(KEY, jnp.ones((2, 3), jnp.int32), jnp.array([1, 3]))
    z = jnp.ones((2, 6))
    image, variables = gen.init_with_output(KEY, z, text)
    inner = gen.apply(variables, z, text, capture_intermediates=True, mutable=['intermediates'])[1]
    return image, variables, inner, disc.init_with_output(KEY, image)

  image, variables, inner, (logits, of_disc) = jax.eval_shape(run)
  assert image.dtype == logits.dtype == jnp.float32
  assert {x.dtype for x in jax.tree.leaves((variables, of_disc))} == {jnp.dtype('float32')}
  assert inner['intermediates']['block1']['__call__'][0].dtype == jnp.bfloat16
