"""Averages of variables: they warm up, take in statistics and copy what spectral norm keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from helpers import assert_same

from jaxgen.optim.ema import averaged, ema, warmed_up
from jaxgen.task import fresh_state


def test_the_initial_weights_fade_in_a_short_run():
  # Initial weights 1 and zeros ever after: what is left is the share of the start.
  def update(t, share):
    return ema({'params': share}, {'params': jnp.zeros(())}, t, 0.999)['params']

  assert jax.jit(lambda: jax.lax.fori_loop(0, 500, update, jnp.ones(())))() < 0.01


def test_the_past_weighs_more_and_more_up_to_the_decay():
  weights = [float(warmed_up(jnp.int32(t), 0.9)) for t in (0, 1, 80, 1000)]
  np.testing.assert_allclose(weights, [1 / 10, 2 / 11, 0.9, 0.9], rtol=1e-6)


def test_statistics_are_averaged_and_spectral_norm_is_copied():
  def variables(x):
    x = jnp.float32(x)
    return {
      'params': {'u': x, 'conv': {'sigma': x}},  # names alone decide nothing
      'batch_stats': {
        'norm': {'mean': x, 'var': x},
        'trunk': {'conv_spectral': {'conv/kernel/u': x[None, None], 'conv/kernel/sigma': x}},
      },
    }

  found = ema(variables(1), variables(2), jnp.int32(0), 0.999)
  np.testing.assert_allclose(jax.tree.leaves(found['params']), 1.9, rtol=1e-6)
  np.testing.assert_allclose(jax.tree.leaves(found['batch_stats']['norm']), 1.9, rtol=1e-6)
  for leaf in jax.tree.leaves(found['batch_stats']['trunk']):
    np.testing.assert_array_equal(leaf, jnp.full_like(leaf, 2))


def test_types_stay_and_integers_are_copied():
  old = {'params': jnp.ones(2, jnp.bfloat16), 'batch_stats': {'count': jnp.int32(1)}}
  new = {'params': jnp.zeros(2, jnp.bfloat16), 'batch_stats': {'count': jnp.int32(5)}}
  found = ema(old, new, jnp.int32(3), 0.5)
  assert found['params'].dtype == jnp.bfloat16 and int(found['batch_stats']['count']) == 5


def test_the_names_are_those_that_flax_gives():
  from flax import linen as nn

  from jaxgen.nn.norms import spectrally_normed

  class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
      return spectrally_normed(nn.Dense(2, name='dense'), x, True)

  old, new = (Net().init(jax.random.key(seed), jnp.ones((1, 3))) for seed in (0, 1))
  found = jax.jit(lambda: ema(old, new, jnp.int32(0), 0.9))()
  jax.tree.map(np.testing.assert_array_equal, found['batch_stats'], new['batch_stats'])
  assert np.any(found['params']['dense']['kernel'] != new['params']['dense']['kernel'])


def test_a_state_begins_with_a_copy_of_who_is_averaged():
  players = {
    'gen': {'params': {'w': jnp.ones(3)}, 'batch_stats': {'mean': jnp.zeros(())}},
    'disc': {'params': {'w': jnp.ones(2)}},
  }
  optimizers = {name: optax.adam(0.1) for name in players}
  state = fresh_state(jax.random.key(3), players, optimizers, ('gen',))
  assert int(state.step) == 0 and state.opt_state.keys() == players.keys()
  assert_same(state.params, {name: x['params'] for name, x in players.items()})
  assert state.variables == {'gen': {'batch_stats': players['gen']['batch_stats']}, 'disc': {}}
  assert_same(state.ema, {'gen': players['gen']})
  assert state.ema['gen']['params']['w'] is not state.params['gen']['w']  # either may be donated
  assert fresh_state(jax.random.key(3), players, optimizers).ema == {}
  new = jax.tree.map(lambda x: x + 1, players['gen'])
  expected = ema(state.ema['gen'], new, state.step, 0.9)
  assert_same(averaged(state, 'gen', new, 0.9), {'gen': expected})
  assert averaged(state, 'gen', new, 0) == {}
