"""The reader's networks: the published sizes, layers against plain ones, and what padding must not change."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from lipgen_cases import BRANCH, PARAMETERS

from jaxgen.axis import AXIS, example_keys
from jaxgen.precision import DTYPES
from jaxgen.systems.lipgen.networks import layers
from jaxgen.systems.lipgen.networks.bigru import Direction
from jaxgen.systems.lipgen.networks.front_end import Stem, max_pooled
from jaxgen.systems.lipgen.networks.pooling import Pooling
from jaxgen.systems.lipgen.networks.reader import make_reader
from jaxgen.systems.lipgen.networks.sizes import paper_sizes, small_sizes
from jaxgen.systems.lipgen.networks.temporal_shift import temporal_shift

pytestmark = pytest.mark.usefixtures('quick_compilation')

NUM_VISEMES = 18
FRONT_END = {
  'stem': 4,
  'stem_stride': 4,
  'widths': (4, 8),
  'blocks': (1, 0),
  'strides': (1, 2),
  'shift_div': (4, 2),
  'squeeze': 4,
  'pooling': 'conv3d',
}
DENSE = {'kind': 'dctcn', 'blocks': 1, 'growth': 6, 'dilations': (2,), 'width': 8, 'squeeze': 4}
MULTI_SCALE = {'kind': 'mstcn', 'widths': (4, 2, 2), 'dilations': (1, 2), 'transition': 4}
GRU = {'kind': 'bigru', 'hidden': 4, 'layers': 2}


def normal(*shape, seed=0):
  return np.random.default_rng(seed).standard_normal(shape, np.float32)


def drawn(net, *args):
  """Random variables of the net's shapes: to compile initialisers takes longer than the tests."""
  shapes = jax.eval_shape(lambda key: net.init(key, *args), jax.random.key(0))
  assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(shapes))
  rng = np.random.default_rng(0)
  return jax.tree_util.tree_map_with_path(
    lambda path, x: np.float32(
      np.ones(x.shape) if path[-1].key == 'var' else 0.5 * rng.standard_normal(x.shape)
    ),
    shapes,
  )


def counts(net, size):
  clip = jax.ShapeDtypeStruct((1, 2, size, size, 1), jnp.float32)
  params = jax.eval_shape(net.init, jax.random.key(0), clip)['params']
  parts = {name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in params.items()}
  return sum(parts.values()), parts


@pytest.mark.parametrize('name', ['mstcn', 'tsm', 'se_bigru', 'cro_tsm'])
def test_parameters_of_paper_sizes(name):
  assert counts(make_reader(500, **paper_sizes(name)), 88)[0] == PARAMETERS[name]


def test_parameters_of_the_published_reader_and_its_parts():
  sizes = paper_sizes('dctcn')
  total, parts = counts(make_reader(500, **sizes, num_visemes=NUM_VISEMES), 88)
  branch = parts['viseme_back_end'] + parts['visemes']
  assert (total - branch, branch) == (PARAMETERS['dctcn'], BRANCH)
  assert parts['front_end'] == 15_808 + 11_166_976
  assert parts['back_end'] == 263_680 + 4 * 9_426_816 + 3 * 852_992 + 3_328
  assert parts['words'] == 832_500
  assert counts(make_reader(500, **sizes, boundary=True), 88)[0] == 52_549_044


@pytest.mark.parametrize(
  ('name', 'total'),
  [('mstcn', 420_243), ('dctcn', 539_731), ('se_bigru', 482_323), ('cro_tsm', 687_443)],
)
def test_parameters_of_small_sizes(name, total):
  assert counts(make_reader(51, **small_sizes(name), boundary=True), 44)[0] == total


def test_temporal_shift_of_the_spec():
  x = jnp.arange(64).reshape(2, 4, 8)
  found = temporal_shift(x, None, 8)
  np.testing.assert_array_equal(found[0, 0], [8, 0, 2, 3, 4, 5, 6, 7])
  np.testing.assert_array_equal(found[0, 3], [0, 17, *range(26, 32)])
  mask = jnp.ones((2, 4)).at[0, 1].set(0)
  masked = temporal_shift(x, mask, 8)
  assert masked[0, 0, 0] == 0 and masked[0, 2, 1] == 0 and masked[1, 0, 0] == 40


def test_stem_and_pooling_are_3d_convolutions():
  frames, maps = normal(2, 4, 9, 10, 1), normal(2, 4, 2, 3, 5)
  stem = Stem(features=3, stride=2)
  variables = drawn(stem, frames)
  convolved = functools.partial(
    jax.lax.conv_general_dilated, dimension_numbers=('NDHWC', 'DHWIO', 'NDHWC')
  )
  kernel = variables['params']['kernel']
  assert kernel.shape == (5, 7, 7, 1, 3)
  expected = convolved(frames, kernel, (1, 2, 2), ((2, 2), (3, 3), (3, 3)))
  np.testing.assert_allclose(stem.apply(variables, frames), expected, atol=1e-4)
  for kind, groups in (('conv3d', 1), ('depthwise', 5)):
    pool, mask = Pooling(kind=kind), np.float32([[1, 1, 1, 1], [0, 1, 1, 0]])
    variables = drawn(pool, maps, mask, False)
    variables['batch_stats']['norm']['mean'][:] = 0
    variables['params']['norm'] = {'scale': np.ones(5), 'bias': np.zeros(5)}
    kernel = variables['params']['kernel']
    expected = convolved(
      layers.within(maps, mask),
      kernel,
      (1, 1, 1),
      ((1, 1), (0, 0), (0, 0)),
      feature_group_count=groups,
    )
    found = pool.apply(variables, maps, mask, False)
    np.testing.assert_allclose(found * np.sqrt(1 + 1e-5), expected[:, :, 0, 0], atol=1e-5)
  with pytest.raises(ValueError, match="average, conv3d, depthwise, not 'max'"):
    drawn(Pooling(kind='max'), maps, None, False)


@pytest.mark.parametrize('size', [7, 8])
def test_maxima_are_those_of_windows(size):
  x = -1 - np.abs(normal(1, 2, size, 6, 3))  # zeros at the border would show
  expected = nn.max_pool(x[0], (3, 3), (2, 2), ((1, 1), (1, 1)))
  np.testing.assert_array_equal(max_pooled(x)[0], expected)


def norm_and_gradient(x, mask, axis=None):
  """What a batch norm gives and keeps in training, and the gradient of a loss of it."""
  norm = layers.BatchNorm(axis=axis)
  variables = norm.init(jax.random.key(0), x, mask, False)

  def loss(x):
    y, moved = norm.apply(variables, x, mask, True, mutable=['batch_stats'])
    y = layers.within(y, mask)
    return (y**3).sum(), (y, moved['batch_stats'])

  (_, found), grad = jax.value_and_grad(loss, has_aux=True)(x)
  return found, grad


def test_statistics_are_of_frames_that_count_on_all_devices():
  x, mask = normal(8, 3, 2, seed=1), np.float32(np.arange(3)[None] < np.arange(8)[:, None] % 4)
  (y, kept), grad = jax.jit(norm_and_gradient)(x, mask)
  valid = x[mask > 0]
  np.testing.assert_allclose(kept['mean'], 0.1 * valid.mean(0), rtol=1e-5)
  np.testing.assert_allclose(kept['var'], 0.9 + 0.1 * valid.var(0), rtol=1e-5)
  expected = (valid - valid.mean(0)) / np.sqrt(valid.var(0) + 1e-5)
  np.testing.assert_allclose(y[mask > 0], expected, atol=1e-5)
  parallel = jax.pmap(functools.partial(norm_and_gradient, axis=AXIS), axis_name=AXIS)
  (split_y, split_kept), split_grad = parallel(x.reshape(4, 2, 3, 2), mask.reshape(4, 2, 3))
  np.testing.assert_allclose(split_y.reshape(y.shape), y, atol=1e-5)
  np.testing.assert_allclose(split_kept['var'][0], kept['var'], rtol=1e-5)
  np.testing.assert_allclose(split_grad.reshape(grad.shape), grad, atol=1e-4)


def test_dropout_belongs_to_rows_and_places():
  x, key = np.ones((8, 50, 4), np.float32), jax.random.key(3)
  whole = layers.dropped(x, example_keys(key, 8), 0.2, 'here')
  assert set(np.unique(whole)) == {0, 1.25} and 0.15 < (np.asarray(whole) == 0).mean() < 0.25
  assert len({row.tobytes() for row in np.asarray(whole)}) == 8
  assert not np.array_equal(layers.dropped(x, example_keys(key, 8), 0.2, 'there'), whole)
  np.testing.assert_array_equal(layers.dropped(x, None, 0.2, 'here'), x)

  def on_one(x):
    return layers.dropped(x, example_keys(key, len(x), AXIS), 0.2, 'here')

  split = jax.pmap(on_one, axis_name=AXIS)(x.reshape(4, 2, 50, 4))
  np.testing.assert_array_equal(split.reshape(x.shape), whole)


def test_the_recurrent_unit_is_that_of_flax_on_frames_that_count():
  x, hidden = normal(2, 5, 3), 4
  mask = np.float32([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0]])
  unit = Direction(hidden=hidden, reverse=True)
  params = drawn(unit, x, mask)['params']
  names = 'rzn'
  kernels = zip(names, np.split(params['input']['kernel'], 3, 1), strict=True)
  theirs = {f'i{n}': {'kernel': k} for n, k in kernels}
  for n, bias in zip(names, np.split(params['input']['bias'], 3), strict=True):
    theirs[f'i{n}']['bias'] = bias
  for n, kernel in zip(names, np.split(params['kernel'], 3, 1), strict=True):
    theirs[f'h{n}'] = {'kernel': kernel}
  theirs['hn']['bias'] = params['bias']
  cell, state = nn.GRUCell(hidden), jnp.zeros((2, hidden))
  found = unit.apply({'params': params}, x, mask)
  for t in reversed(range(5)):
    new, _ = cell.apply({'params': theirs}, state, x[:, t])
    state = jnp.where(mask[:, t, None] > 0, new, state)
    np.testing.assert_allclose(found[:, t], state, atol=1e-5)


def test_each_gate_of_a_gru_begins_orthogonal():
  hidden = 5
  variables = Direction(hidden=hidden).init(jax.random.key(0), normal(1, 2, 3), None)
  gates = np.split(np.asarray(variables['params']['kernel']), 3, 1)
  for gate in gates:
    np.testing.assert_allclose(gate.T @ gate, np.eye(hidden), atol=1e-5)
  assert not np.allclose(gates[0], gates[1]) and not np.allclose(gates[1], gates[2])


def make_small(back_end, **options):
  """With visemes read by another back-end than words, so that a program has both."""
  return make_reader(
    5, FRONT_END, back_end, boundary=True, num_visemes=3, viseme_back_end=DENSE, **options
  )


def test_padding_changes_no_result():
  net = make_small(MULTI_SCALE)
  frames = normal(2, 4, 16, 16, 1)
  mask = np.float32([[1, 1, 1, 1], [0, 1, 1, 0]])  # a window may run off a clip at either end
  boundary = np.float32([[0, 1, 1, 0], [0, 0, 1, 0]])

  def padded(x, with_what):
    return np.concatenate([x, np.full((2, 3, *x.shape[2:]), with_what, np.float32)], 1)

  long = padded(frames, 0), padded(mask, 0), padded(boundary, 1)
  garbage = np.where(long[1][..., None, None, None] > 0, long[0], np.float32('nan'))
  variables = drawn(net, frames, mask, boundary)

  @jax.jit
  def read(variables, *inputs):
    out, moved = net.apply(variables, *inputs, True, mutable=['batch_stats'])
    return out[:2], moved['batch_stats']

  short, found = read(variables, frames, mask, boundary), read(variables, garbage, *long[1:])
  for a, b in zip(jax.tree.leaves(short), jax.tree.leaves(found), strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)
  moved = jax.tree.map(lambda a, b: bool((a != b).any()), short[1], variables['batch_stats'])
  assert all(jax.tree.leaves(moved))


def test_windows_are_read_from_features_of_clips():
  net = make_small(GRU, dtype=jnp.bfloat16)
  frames, mask = normal(2, 4, 16, 16, 1), np.ones((4, 3), np.float32)
  variables = drawn(net, frames)

  @jax.jit
  def read(variables):
    features = net.apply(variables, frames, method='features')
    windows = jnp.concatenate([features[:, :3], features[:, 1:]])  # two of each clip
    keys = example_keys(jax.random.key(1), 4)
    out = net.apply(variables, windows, mask, None, False, keys, method='read')
    return features, out, net.apply(variables, out.states, mask, method='attention')

  features, out, attention = read(variables)
  assert features.dtype == jnp.bfloat16 and out.words.dtype == out.visemes.dtype == jnp.float32
  assert (out.words.shape, out.visemes.shape, out.states.shape) == ((4, 5), (4, 3), (4, 3, 14))
  np.testing.assert_array_equal(attention.logits, out.visemes)
  assert set(np.unique(attention.weights)) == {0, 1}


@pytest.mark.parametrize('back_end', [MULTI_SCALE, GRU])
@pytest.mark.parametrize('precision', ['bfloat16', 'float64'])
def test_parameters_statistics_and_logits_keep_their_type(precision, back_end):
  dtype, param_dtype = DTYPES[precision]
  jax.config.update('jax_enable_x64', precision == 'float64')
  net = make_small(back_end, dtype=dtype, param_dtype=param_dtype)
  frames, mask = jnp.zeros((2, 4, 16, 16, 1), param_dtype), jnp.ones((2, 4), param_dtype)

  def step(key):
    variables = net.init(key, frames, mask)

    def loss(params):
      given = {**variables, 'params': params}
      keys = example_keys(key, 2)
      out, moved = net.apply(given, frames, mask, mask, True, keys, mutable=['batch_stats'])
      return out.words.sum() + out.visemes.sum(), (out.words, out.visemes, moved)

    return jax.grad(loss, has_aux=True)(variables['params'])

  found = jax.eval_shape(step, jax.random.key(0))
  assert {x.dtype for x in jax.tree.leaves(found)} == {jnp.dtype(param_dtype)}


def test_what_a_reader_does_not_know_is_named():
  with pytest.raises(ValueError, match="dctcn, mstcn, bigru, not 'lstm'"):
    make_reader(5, FRONT_END, {'kind': 'lstm'})
  with pytest.raises(ValueError, match=r"unknown network 'resnet'; known: .*cro_tsm"):
    paper_sizes('resnet')
  with pytest.raises(ValueError, match='at least 2, not 1'):
    temporal_shift(jnp.zeros((1, 2, 4)), None, 1)
  net, known = make_reader(5, FRONT_END, DENSE), jnp.zeros((1, 2))
  with pytest.raises(ValueError, match='no input for word boundaries'):
    jax.eval_shape(net.init, jax.random.key(0), jnp.zeros((1, 2, 16, 16, 1)), None, known)


def test_visemes_may_share_the_back_end():
  sizes = {**paper_sizes('dctcn'), 'viseme_back_end': None}
  _, parts = counts(make_reader(500, **sizes, num_visemes=NUM_VISEMES), 88)
  assert parts['visemes'] == NUM_VISEMES * 1664 and 'viseme_back_end' not in parts
