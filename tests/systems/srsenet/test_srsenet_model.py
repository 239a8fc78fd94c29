"""SrSENet's layers: the numbers of the specification, and independent forms of the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from srsenet_cases import applied, luminance, make_net

from jaxgen import config as configs
from jaxgen.command import summary
from jaxgen.nn.transposed import bilinear_kernel
from jaxgen.systems.srsenet.model import Block, SrSENet

pytestmark = pytest.mark.usefixtures('quick_compilation')

COUNTS = {
  'x2': 661_168,
  'x3': 698_041,
  'x4': 857_824,
  'x8': 1_644_448,
  'author_code_x2': 142_560,
  'author_code_x4': 339_216,
  'author_code_x8': 1_125_840,
  'figure2_x2': 661_168,
}


@pytest.mark.parametrize('variant', COUNTS)
def test_variants_have_the_papers_number_of_parameters(variant, monkeypatch):
  def checked(task, state):
    """In place of tracing a step for its FLOPs."""
    rows, height, width, _ = task.batch['low'].shape
    assert task.batch['high'].shape == (rows, config.scale * height, config.scale * width, 1)
    return {}

  config = configs.load(f'srsenet:{variant}')
  monkeypatch.setattr(summary, '_cost', checked)
  assert summary.summarize(config).total == COUNTS[variant]


@pytest.mark.parametrize(
  ('scale', 'options', 'count'),
  [
    *(
      (s, {'se_width': 16}, n)
      for s, n in ((2, 673_552), (3, 710_425), (4, 870_208), (8, 1_656_832))
    ),
    (3, {'se_width': 16, 'share_weights': True}, 179_433),
    (2, {'activation_after_input': True, 'se_after_skip': True}, 661_168),
  ],
)
def test_options_have_the_specified_number_of_parameters(scale, options, count):
  net = SrSENet(scale=scale, **options)
  shapes = jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  assert sum(x.size for x in jax.tree.leaves(shapes)) == count


def plain_net(net, params, y):
  """The paper's net with library layers, written down once more."""

  def conv(x, kernel):
    layer = nn.Conv(kernel.shape[-1], (3, 3), padding='SAME', use_bias=False)
    return layer.apply({'params': {'kernel': kernel}}, x)

  def enlarge(x, kernel):
    k, s = kernel.shape[0], net.scale
    layer = nn.ConvTranspose(kernel.shape[-1], (k, k), (s, s), 'SAME', use_bias=False)
    return layer.apply({'params': {'kernel': kernel[::-1, ::-1]}}, x)

  def leaky(x):
    return jnp.where(x > 0, x, 0.2 * x)

  x = conv(y, params['input']['kernel'])
  x = leaky(x) if net.activation_after_input else x
  for i in range(net.num_blocks):
    p = params['blocks_0' if net.share_weights else f'blocks_{i}']
    f = conv(leaky(conv(x, p['conv1']['kernel'])), p['conv2']['kernel'])
    f = leaky(f) if net.activation_after_conv2 else f
    f = x + f if net.se_after_skip else f
    reduce, expand = p['se']['reduce'], p['se']['expand']
    hidden = leaky(f.mean((1, 2)) @ reduce['kernel'] + reduce['bias'][None])
    gates = jax.nn.sigmoid(hidden @ expand['kernel'] + expand['bias'][None])
    x = f * gates[:, None, None] if net.se_after_skip else x + f * gates[:, None, None]
  residual = conv(leaky(enlarge(x, params['upsample'])), params['output'])
  return enlarge(y, params['image']) + residual


@pytest.mark.parametrize(
  'options',
  [
    {},
    {'scale': 4},
    {'share_weights': True},
    {'activation_after_input': True},
    {'activation_after_conv2': True},
    {'se_after_skip': True},
  ],
)
def test_the_net_equals_the_papers_layers_one_by_one(options):
  net, variables = make_net(**options)
  y = jnp.asarray(luminance((9, 7)))[None, ..., None]
  expected = jax.jit(plain_net, static_argnums=0)(net, variables['params'], y)
  np.testing.assert_allclose(jax.jit(net.apply)(variables, y), expected, rtol=1e-4, atol=1e-5)
  assert np.asarray(expected).std() > 0.01


def test_a_shared_block_is_used_as_often_as_separate_ones():
  net, variables = make_net(share_weights=True, num_blocks=3)
  separate, _ = make_net(num_blocks=3)
  params = variables['params']
  assert [k for k in params if k.startswith('blocks')] == ['blocks_0']
  copies = {**params, **{f'blocks_{i}': params['blocks_0'] for i in range(3)}}
  y = luminance((6, 6))[None, ..., None]
  found = jax.jit(net.apply)(variables, y)
  expected = jax.jit(separate.apply)({'params': copies}, y)
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_what_a_mask_leaves_out_does_not_matter():
  net, variables = make_net()
  block = Block(features=4, se_width=2)
  params = variables['params']
  own = params['blocks_0']
  rng = np.random.default_rng(0)
  x = rng.standard_normal((1, 9, 9, 4)).astype(np.float32)
  mask = np.pad(np.ones((1, 5, 5, 1), np.float32), ((0, 0), (2, 2), (2, 2), (0, 0)))
  inside = (slice(None), slice(2, 7), slice(2, 7))
  found = applied(block, 'excited', own, x * mask, mask)
  alone = applied(block, 'excited', own, x[inside], None)
  np.testing.assert_allclose(found[inside], alone, atol=1e-6)
  assert (np.asarray(found)[np.asarray(mask[..., 0]) == 0] == 0).all()
  y = rng.random((1, 9, 9, 1), np.float32) * mask
  found = applied(net, 'leave', params, x * mask, y, mask)
  alone = applied(net, 'leave', params, x[inside], y[inside], None)
  np.testing.assert_allclose(found[:, 4:14, 4:14], alone, atol=1e-5)


def test_orthogonal_kernels_and_a_bilinear_image_branch_at_the_start():
  net = SrSENet(scale=2, features=8, num_blocks=1)
  params = jax.jit(net.init)(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))['params']
  flat = np.asarray(params['blocks_0']['conv1']['kernel']).reshape(-1, 8)
  np.testing.assert_allclose(flat.T @ flat, np.eye(8), atol=1e-5)
  rows = np.asarray(params['upsample']).transpose(2, 0, 1, 3).reshape(8, -1)
  np.testing.assert_allclose(rows @ rows.T, np.eye(8), atol=1e-5)
  np.testing.assert_array_equal(params['image'], bilinear_kernel(2))


def test_bfloat16_computes_near_float32_and_keeps_float32_parameters():
  net, variables = make_net()
  low, _ = make_net(dtype=jnp.bfloat16)
  y = luminance((8, 8))[None, ..., None]
  exact, found = (jax.jit(x.apply)(variables, y) for x in (net, low))
  assert found.dtype == jnp.float32
  assert {x.dtype for x in jax.tree.leaves(jax.eval_shape(low.init, jax.random.key(0), y))} == {
    jnp.dtype('float32')
  }
  error = np.abs(np.asarray(found) - np.asarray(exact)).max()
  assert 0 < error < 0.05
