"""The reader's networks against the same in NumPy: what follows what, and what is added to what."""

import jax
import numpy as np
import plain_layers as plain
import pytest
from lipgen_cases import drawn

from jaxgen.systems.lipgen.networks.bigru import BidirectionalGRU
from jaxgen.systems.lipgen.networks.dense_tcn import DenseTCN
from jaxgen.systems.lipgen.networks.front_end import FrontEnd
from jaxgen.systems.lipgen.networks.ms_tcn import MultiScaleTCN

pytestmark = pytest.mark.usefixtures('quick_compilation')


def assert_same(net, x, made, *args):
  """What random variables make of x is what `made` makes of parameters, statistics and x."""
  variables = drawn(
    jax.eval_shape(lambda key: net.init(key, x, None, False, *args), jax.random.key(0))
  )
  found = jax.jit(lambda v: net.apply(v, x, None, False, *args))(variables)
  expected = made(variables['params'], variables.get('batch_stats'), x.astype(np.float64))
  assert np.abs(expected).max() > 0.1
  np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def features(*shape):
  return np.random.default_rng(1).standard_normal(shape, np.float32)


def branches(p, kept, x, dilation):
  found = []
  for size in (3, 5):
    seen = plain.excited(p[f'se{size}'], x) if f'se{size}' in p else x
    seen = plain.over_time(p[f'conv{size}'], seen, dilation)
    found.append(plain.swish(plain.batch_norm(p[f'norm{size}'], kept[f'norm{size}'], seen)))
  return np.concatenate(found, -1)


def transition(p, kept, x, prelu):
  x = plain.batch_norm(p['norm'], kept['norm'], x @ p['conv']['kernel'])
  return np.where(x < 0, p['slope'] * x, x) if prelu else plain.swish(x)


def test_a_block_of_an_ms_tcn_is_two_rounds_of_dilated_branches_beside_a_residual():
  def made(p, kept, x):
    x = transition(p['transition'], kept['transition'], x, True)
    h = x
    for name in ('block1_branches0', 'block1_branches1'):
      h = branches(p[name], kept[name], h, dilation=3)
    return plain.swish(h + plain.dense(p['block1_residual'], x))

  net = MultiScaleTCN(widths=(2, 3), kernels=(3, 5), dilations=(3,), transition=5)
  assert_same(net, features(2, 9, 4), made, None)


def test_layers_of_a_dc_tcn_stand_beside_what_they_see():
  def made(p, kept, x):
    for i in range(2):
      name = f'transition{i}'
      x = transition(p[name], kept[name], x, i == 0)
      of, its = p[f'block{i + 1}_layer1'], kept[f'block{i + 1}_layer1']
      assert 'se3' in of['branches0'] and 'se3' not in of['branches1']
      h = x
      for k in ('branches0', 'branches1'):
        h = branches(of[k], its[k], h, dilation=3)
      x = np.concatenate([x, plain.swish(h + plain.dense(of['residual'], x))], -1)
    return plain.batch_norm(p['norm'], kept['norm'], x)

  net = DenseTCN(blocks=2, growth=4, dilations=(3,), width=6, kernels=(3, 5), squeeze=2)
  assert_same(net, features(2, 9, 5), made, None)


def test_layers_of_gru_see_both_directions_the_forward_one_first():
  def unit(p, x):
    """Reset gates, update gates and new states."""
    state, states = np.zeros((len(x), 3)), []
    for now in x.swapaxes(0, 1):
      of_x, of_h = (
        np.split(plain.dense(p['input'], now), 3, -1),
        np.split(state @ p['kernel'], 3, -1),
      )
      reset, update = (plain.sigmoid(of_x[i] + of_h[i]) for i in (0, 1))
      new = np.tanh(of_x[2] + reset * (of_h[2] + p['bias']))
      state = (1 - update) * new + update * state
      states.append(state)
    return np.stack(states, 1)

  def made(p, kept, x):
    for layer in ('layer1', 'layer2'):
      backward = unit(p[f'{layer}_backward'], x[:, ::-1])[:, ::-1]
      x = np.concatenate([unit(p[f'{layer}_forward'], x), backward], -1)
    return x

  assert_same(BidirectionalGRU(hidden=3, layers=2), features(2, 4, 5), made, None)


def shifted(x, n):
  """The first n channels of the frame after, as many of the one before."""
  found = x.copy()
  found[..., : 2 * n] = 0
  found[:, :-1, ..., :n] = x[:, 1:, ..., :n]
  found[:, 1:, ..., n : 2 * n] = x[:, :-1, ..., n : 2 * n]
  return found


def test_a_trunk_shifts_what_is_convolved_and_scales_what_is_added():
  def made(p, kept, x):
    def normed(of, its, i, x, stride=1):
      return plain.batch_norm(
        of[f'norm{i}'], its[f'norm{i}'], plain.over_pixels(of[f'conv{i}'], x, stride)
      )

    around = np.pad(x, ((0, 0), (2, 2), (0, 0), (0, 0), (0, 0)))
    x = sum(
      plain.over_pixels({'kernel': tap}, around[:, i : i + x.shape[1]], 2)
      for i, tap in enumerate(p['stem']['kernel'])
    )
    x = plain.swish(plain.batch_norm(p['stem_norm'], kept['stem_norm'], x))
    x = np.max(plain.taps(x, 3, 2, -np.inf), (0, 1))
    for block, stride, n in (('stage1_block0', 2, 1), ('stage1_block1', 1, 1)):
      of, its = p[block], kept[block]
      h = plain.swish(normed(of, its, '1', shifted(x, n), stride))
      h = normed(of, its, '2', h)
      h = plain.excited(of['se'], h.reshape(-1, *h.shape[2:])).reshape(h.shape)
      x = plain.swish(h + (normed(of, its, '_shortcut', x, stride) if stride == 2 else x))
    of, its = p['stage2_block0'], kept['stage2_block0']
    x = plain.swish(normed(of, its, '1', shifted(x, 2)))
    return x.mean((2, 3))

  net = FrontEnd(
    stem=4, widths=(4, 4), blocks=(2, 0), strides=(2, 1), shift_div=(4, 2), squeeze=2
  )  # fmt: skip
  assert_same(net, features(2, 4, 12, 10, 1), made)
