"""Batch norm with given gains and shifts; spectral norm and when it moves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgen.nn.norms import ConditionalNorm, spectrally_normed

NORM = functools.partial(nn.BatchNorm, momentum=0.9, epsilon=0.0)


@pytest.mark.parametrize('shape', [(4, 5, 3), (4, 2, 5, 3)])
def test_a_conditional_norm_is_a_batch_norm_with_each_row_s_gain_and_shift(shape):
  keys = jax.random.split(jax.random.key(0), 3)
  x = 2 + 3 * jax.random.normal(keys[0], shape)
  gain, shift = (jax.random.normal(key, (4, 3)) for key in keys[1:])
  layer = ConditionalNorm(NORM)
  variables = layer.init(jax.random.key(1), x, gain, shift, train=True)
  assert set(variables) == {'batch_stats'}  # no parameters of its own
  found, updates = layer.apply(variables, x, gain, shift, train=True, mutable=['batch_stats'])
  axes, values = tuple(range(x.ndim - 1)), np.asarray(x)
  mean, std = values.mean(axes), values.std(axes)
  per_row = (slice(None), *[None] * (x.ndim - 2))
  expected = (values - mean) / std * np.asarray(gain)[per_row] + np.asarray(shift)[per_row]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
  stats = updates['batch_stats']['stats']
  np.testing.assert_allclose(stats['mean'], 0.1 * mean, rtol=1e-5)
  # Inference uses the averages (mean 0, variance 1 here), so a row does not depend on its neighbours.
  one = layer.apply(variables, x[:1], gain[:1], shift[:1], train=False)
  np.testing.assert_allclose(one, np.asarray(x * gain[per_row] + shift[per_row])[:1], rtol=1e-5)
  wide = gain[per_row] * jnp.ones_like(x)  # a gain of its own for every position
  np.testing.assert_allclose(
    layer.apply(variables, x, wide, shift, train=False),
    layer.apply(variables, x, gain, shift, train=False),
    rtol=1e-5,
  )


def test_a_gain_of_another_width_is_refused():
  x = jnp.ones((4, 5, 3))
  with pytest.raises(AssertionError, match='shape'):
    ConditionalNorm(NORM).init(jax.random.key(0), x, jnp.ones((4, 2)), jnp.ones((4, 3)), train=True)


class Normed(nn.Module):
  """A dense layer with spectral norm."""

  @nn.compact
  def __call__(self, x, update=False):
    return spectrally_normed(nn.Dense(3, use_bias=False, name='dense'), x, update)


def test_spectral_norm_becomes_exact_and_moves_only_when_asked_to():
  layer, x = Normed(), jnp.eye(3)
  variables = layer.init(jax.random.key(0), x)
  kernel = jnp.diag(jnp.array([4.0, 2.0, 1.0]))
  variables = {**variables, 'params': {'dense': {'kernel': kernel}}}
  apply = jax.jit(functools.partial(layer.apply, mutable=['batch_stats']), static_argnums=2)
  passed, still = apply(variables, x, False)
  np.testing.assert_array_equal(passed, apply(variables, x, True)[0])  # it iterates too
  jax.tree.map(np.testing.assert_array_equal, still['batch_stats'], variables['batch_stats'])
  for _ in range(15):
    y, updates = apply(variables, x, True)
    variables = {**variables, **updates}
  np.testing.assert_allclose(y, kernel / 4, atol=1e-5)
  own = variables['batch_stats']['dense_spectral']
  np.testing.assert_allclose(own['dense/kernel/sigma'], 4, rtol=1e-5)
  np.testing.assert_allclose(np.abs(own['dense/kernel/u']), [[1, 0, 0]], atol=1e-4)
