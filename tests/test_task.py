"""What every system's task promises, seen in its equations: nothing is compiled."""

import sys

import jax
import jax.numpy as jnp
import pytest
import small_nets
from equations import computed
from helpers import override

from jaxgen import config as configs
from jaxgen.systems import SYSTEMS
from jaxgen.task import Task

# With every player, and few layers to trace.
SMALL = {
  'comvae': ('comvae', {'model__layers': ('hidden',)}),
  'mmgan': ('mmgan:A_learned', {}),
  'handwriting': ('handwriting', {'loss__parameter_norms': 0}),
  'lipgen': ('lipgen', {**small_nets.READER, 'curriculum__windows_from': 0.5}),
  'lipgen_render': ('lipgen_render', {'model__widths': (8,), 'model__time_from': 0}),
}
# Its gradient is put together of two; test_handwriting_steps.py compares the numbers.
IN_OTHER_WORDS = {('handwriting', 'gen')}


def test_equal_programs_have_equal_digests_and_others_have_not():
  x = jnp.zeros(3)

  def same(f, g):
    return computed(f, x, x) == computed(g, x, x)

  assert same(lambda x, y: (x + 2) * y, lambda x, y: y * jax.jit(lambda x: 2 + x)(x))
  assert not same(lambda x, y: x - y, lambda x, y: y - x)
  assert not same(lambda x, y: x + 2, lambda x, y: x + 3)
  assert not same(lambda x, y: x.sum(), lambda x, y: x.max())


@pytest.mark.parametrize('system', SYSTEMS)
def test_an_optimizer_is_given_the_gradient_of_its_player_s_loss(system, monkeypatch):
  name, options = SMALL.get(system, (system, {}))
  config = override(configs.load(name), options)
  task = configs.system_module(config).make_task(config, config.inspect.facts.to_dict())
  state = jax.eval_shape(task.init, jax.random.key(0))
  moved, current = [], {}

  def update(state, optimizers, player, grads, axis):
    moved.append(player)
    if (system, player) not in IN_OTHER_WORDS:
      loss = current['losses'][player]
      own, _ = jax.grad(loss, has_aux=True)(state.params[player], state, current['batch'])
      current['found'][player] = grads, own
    return state

  for module in [x for name, x in sys.modules.items() if name.startswith('jaxgen.systems.')]:
    if hasattr(module, 'update_player'):
      monkeypatch.setattr(module, 'update_player', update)

  for step, losses in zip(task.train_steps(), task.stage_losses, strict=True):

    def both(state, batch, step=step, losses=losses):
      current.update(losses=losses, batch=batch, found={})
      step(state, batch)
      return current['found']

    moved.clear()
    found = computed(both, state, task.batch)
    assert moved == list(losses)
    assert all(given == own for given, own in found.values())
  for player, loss in task.losses.items():  # forwards too

    def along(params, state, batch, loss=loss):
      return jax.jvp(lambda params: loss(params, state, batch)[0], (params,), (params,))

    value, slope = jax.eval_shape(along, state.params[player], state, task.batch)
    assert value.shape == slope.shape == ()


def test_losses_are_those_of_the_last_stage_that_has_the_player():
  task = Task(*[None] * 7, stage_losses=({'a': 1, 'b': 2}, {'b': 3}, {'c': 4, 'b': 5}))
  assert list(task.losses.items()) == [('c', 4), ('b', 5), ('a', 1)]
