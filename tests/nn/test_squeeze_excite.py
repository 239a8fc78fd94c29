"""Gates of channel means, over what is there alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxgen.nn.squeeze_excite import SqueezeExcite, channel_mean


def test_means_are_over_the_frames_that_count():
  x = jnp.arange(24.0).reshape(2, 3, 2, 2)  # two clips of three frames of two pixels
  np.testing.assert_allclose(channel_mean(x), np.asarray(x).mean((1, 2)))
  mask = jnp.array([[1, 1, 0], [0, 0, 0]])
  padded = x.at[0, 2].set(jnp.nan).at[1].set(jnp.inf)
  expected = np.stack([np.asarray(x)[0, :2].mean((0, 1)), np.zeros(2)])
  np.testing.assert_allclose(channel_mean(padded, mask), expected)
  np.testing.assert_allclose(channel_mean(x, jnp.ones((2, 3))), channel_mean(x), rtol=1e-6)
  low = channel_mean(x.astype(jnp.bfloat16))
  assert low.dtype == jnp.float32  # bfloat16 sums lose what a mean needs


def test_more_padding_changes_no_gradient():
  x = jax.random.normal(jax.random.key(0), (2, 3, 4))
  longer = jnp.pad(x, ((0, 0), (0, 2), (0, 0)), constant_values=7.0)
  mask = jnp.array([[1, 1, 1], [1, 1, 0]])
  short = jax.grad(lambda x: (channel_mean(x, mask) ** 2).sum())(x)
  long = jax.grad(lambda x: (channel_mean(x, jnp.pad(mask, ((0, 0), (0, 2)))) ** 2).sum())(longer)
  np.testing.assert_allclose(long, jnp.pad(short, ((0, 0), (0, 2), (0, 0))), rtol=1e-6)


@pytest.mark.parametrize(
  ('activation', 'use_bias', 'hidden'),
  [
    (nn.relu, True, lambda x: np.maximum(x, 0)),
    (nn.swish, False, lambda x: x / (1 + np.exp(-x))),
    (lambda x: nn.leaky_relu(x, 0.2), True, lambda x: np.where(x > 0, x, 0.2 * x)),
  ],
)
def test_gates_are_the_two_dense_layers(activation, use_bias, hidden):
  mean = jax.random.normal(jax.random.key(0), (2, 8))
  layer = SqueezeExcite(2, activation, use_bias)
  params = layer.init(jax.random.key(1), mean)['params']
  assert sum(x.size for x in jax.tree.leaves(params)) == 2 * 8 * 2 + (2 + 8) * use_bias
  params = jax.tree.map(lambda x: x + 0.3, params)
  reduce, expand = params['reduce'], params['expand']
  between = hidden(mean @ reduce['kernel'] + (reduce['bias'][None] if use_bias else 0))
  out = between @ expand['kernel'] + (expand['bias'][None] if use_bias else 0)
  found = layer.apply({'params': params}, mean)
  np.testing.assert_allclose(found, 1 / (1 + np.exp(-out)), rtol=1e-5)
