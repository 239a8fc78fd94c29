"""The training step of the Mixed Membership GAN, and the house's invariants for it."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, assert_same, final_state, moved, on_one_device, to_numpy, train
from mmgan_cases import tiny
from programs import FLOAT64, SEVERAL, Program, layout, run_in_layouts

from jaxgen import config as configs
from jaxgen.errors import ConfigError
from jaxgen.run import training
from jaxgen.systems.mmgan import losses
from jaxgen.systems.mmgan.mixtures import fixed_omega
from jaxgen.systems.mmgan.task import make_steps, make_task

pytestmark = pytest.mark.usefixtures('quick_compilation')

PLAYERS = ('gen', 'disc', 'cls')
# All that is ours in what omega minimises.
OURS = {
  'model__mixture_support': 'groups',
  'loss__likelihood': 0.5,
  'loss__sharing': 0.1,
  'loss__sharing_decay': 0.5,
  'loss__sparsity': 0.1,
}


def program(variant='A_fixed', name='one device', num_steps=1, **overrides):
  return Program(tiny(variant, **overrides), layout(name), num_steps)


@pytest.fixture(scope='module')
def trained():
  """A learned mixture in a layout and a precision, see `run_in_layouts`."""
  return run_in_layouts(
    lambda name, precision: program('A_learned', name, precision=precision, **OURS),
    {'float64': 5, 'float32': 2},
  )


# --- Invariants ---


@pytest.mark.slow
@pytest.mark.parametrize('name', SEVERAL)
def test_float32_gradients_agree_between_layouts(trained, name):
  for player in (*PLAYERS, 'mix'):
    # With b1 = 0 Adam's first moment is the gradient.
    mu = [trained(key, 'float32')[1][1].opt_state[player][0].mu for key in ('one device', name)]
    a, b = (np.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in mu)
    assert np.linalg.norm(a - b) / np.linalg.norm(a) < 1e-5


@pytest.mark.parametrize('name', FLOAT64)
def test_the_whole_state_agrees_between_layouts_after_five_float64_steps(trained, name):
  found = []
  for which in ('one device', name):
    made, states, metrics = trained(which)
    found.append((states[-1], metrics))
    assert made.traces == 1
  assert jax.tree.leaves(found[0][0].params)[0].dtype == jnp.float64
  assert_close(*found, rtol=1e-9)


@pytest.mark.parametrize('name', ['one device', pytest.param('8 by jit', marks=pytest.mark.slow)])
def test_a_step_is_traced_once(trained, name):
  made, states, _ = trained(name)
  assert made.traces == 1
  assert_same(made.run(made.placed(states[0]), 2), states[2])
  assert made.traces == 1


def test_a_resumed_run_is_bit_equal(tmp_path, monkeypatch):
  monkeypatch.setattr(training, '_finish', lambda *args: None)  # test_mmgan_evaluation.py's
  with on_one_device():
    train(tiny(), tmp_path / 'straight')
  shutil.copytree(tmp_path / 'straight', tmp_path / 'resumed')
  shutil.rmtree(tmp_path / 'resumed' / 'checkpoints' / '4')
  with on_one_device():
    said = train(tiny(), tmp_path / 'resumed')
  assert any('at step 2 ' in line for line in said)
  assert_same(final_state(tmp_path / 'straight'), final_state(tmp_path / 'resumed'))
  with pytest.raises(ConfigError, match=r'data.case: A -> B'):
    train(tiny('B_fixed', batch_size=56), tmp_path / 'resumed')


@pytest.fixture(scope='module')
def bfloat16():
  """(program, state after three steps in bfloat16, their metrics), fixed mixture."""
  made, metrics = program(precision='bfloat16'), []
  return made, to_numpy(made.run(made.state(), 3, metrics)), metrics


def test_bfloat16_trains_to_finite_values_and_keeps_float32_parameters(bfloat16):
  _, state, metrics = bfloat16
  leaves = jax.tree.leaves((state.params, state.opt_state, state.variables, state.ema))
  assert {leaf.dtype for leaf in leaves} == {np.dtype('float32'), np.dtype('int32')}
  assert all(np.isfinite(leaf).all() for leaf in leaves)
  assert all(np.isfinite(m.total).all() for call in metrics for m in call.values())


# --- A loss moves only its players ---


@pytest.fixture(scope='module')
def compiled():
  """(facts, state, real images, critics, makers): halves of a step of a learned mixture, of lambda first."""
  config = tiny('A_learned')
  system = configs.system_module(config)
  facts = system.make_data(config).facts

  def of(weight):
    steps = make_steps(config, facts)
    steps.weights = steps.weights._replace(classifier=lambda step: weight)
    return steps

  state = jax.jit(system.make_task(config, facts).init)(jax.random.key(0))
  real = np.random.default_rng(1).uniform(-1, 1, (24, 2, 28, 28, 1)).astype(np.float32)
  critics = jax.jit(
    lambda weight, state, real: of(weight).update_critics(state, {'image': real})[0]
  )
  makers = jax.jit(lambda weight, state: of(weight).update_makers(state, {'image': real})[0])
  return facts, state, real, critics, makers


@pytest.fixture(scope='module')
def halves(compiled):
  """A state, and what each half of a step makes of it; and the same with lambda = 0."""
  facts, state, real, critics, makers = compiled
  steps = make_steps(tiny('A_learned'), facts)
  found = {
    weight: tuple(map(to_numpy, (state, critics(weight, state, real), makers(weight, state))))
    for weight in (0.5, 0.0)
  }

  @jax.jit
  def logits(state):
    z, component = steps.latents(state, 'maker_latent', 24)
    fake, _ = steps.fakes(steps.variables(state, 'gen'), z, component)
    return steps.discriminate(steps.variables(state, 'disc'), fake)[0][1]

  found['logits'] = np.asarray(logits(state))
  return found


def test_each_half_moves_its_own_players(halves):
  before, critics, makers = halves[0.5]
  assert moved(before, critics) == {'disc', 'cls'}
  assert moved(before, makers) == {'gen', 'mix'}
  assert_same(before.variables['gen'], critics.variables['gen'])
  assert_same(before.variables['disc'], makers.variables['disc'])
  assert_same(before.variables['disc']['batch_stats'], makers.variables['disc']['batch_stats'])


def test_the_classifier_s_loss_reaches_the_shared_trunk_and_not_the_heads(halves):
  # The one stated exception: with lambda = 0 the trunk moves otherwise, the heads do not.
  gradient = {weight: halves[weight][1].opt_state['disc'][0].mu for weight in (0.5, 0.0)}
  for head in ('head1', 'head2'):
    assert_same(gradient[0.5][head], gradient[0.0][head])
  trunk = [jax.tree.leaves(gradient[weight]['trunk'])[1] for weight in (0.5, 0.0)]
  assert np.abs(trunk[0] - trunk[1]).max() > 0
  assert all(not np.any(x) for x in jax.tree.leaves(halves[0.0][1].opt_state['cls'][0].mu))


def test_lambda_is_the_config_s(compiled):
  for weight in (0.5, 0.0):
    steps = make_steps(tiny('A_learned', loss__classifier=weight), compiled[0])
    assert float(steps.weights.classifier(0)) == weight


def test_components_weigh_alike_where_they_do_not_divide_the_batch():
  config = tiny('A_learned', batch_size=25)
  facts = configs.system_module(config).make_data(config).facts
  steps = make_steps(config, facts)
  component = np.arange(25) % 3
  counts = np.asarray(steps.num_fake(jnp.asarray(component)))
  np.testing.assert_array_equal(counts, np.where(component == 0, 9, 8))
  values = jnp.asarray([10.0, 20.0, 60.0])[component]
  np.testing.assert_allclose(steps.component_mean(values, component), 30, rtol=1e-6)
  # An undecided D: V is -2 ln 2 all the same.
  alpha = losses.mixture(jnp.zeros((2, 3)))
  zeros = jnp.zeros((25, 2))
  np.testing.assert_allclose(
    losses.game_value(zeros, zeros, alpha, component, 25, counts), -2 * np.log(2), rtol=1e-6
  )


def test_omega_moves_along_the_stated_gradient_only(halves):
  # 1/n alpha (f - sum alpha f), with f the mean of -softplus over a component; CE adds nothing.
  logits = halves['logits']
  f = np.stack([-np.logaddexp(0, logits[k::3]).mean(0) for k in range(3)], 1)
  expected = (f - f.mean(1, keepdims=True)) / 3 / 2
  for weight in (0.0, 0.5):
    before, _, makers = halves[weight]
    gradient = makers.opt_state['mix'][0].mu['omega']
    np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-7)
    step = makers.params['mix']['omega'] - before.params['mix']['omega']
    np.testing.assert_array_equal(np.sign(step), -np.sign(gradient))  # it descends


# --- Components ---


def test_components_separate_from_identical_starts(compiled):
  # Zero omega and lambda = 0: only the independent z and the scales tell components apart.
  _, state, real, critics, makers = compiled
  gen = dict(state.params['gen'])
  for layer in ('conv1_norm', 'conv2_norm', 'conv3_norm', 'conv4_norm'):
    gen[layer] = {**gen[layer], 'scale': np.ones_like(gen[layer]['scale'])}
  state = state.replace(params={**state.params, 'gen': gen})

  def spread(player, *path, axis):
    found = state.params[player]
    for name in path:
      found = found[name]
    return np.std(np.asarray(found), axis=axis)

  assert spread('gen', 'conv1_norm', 'scale', axis=0).max() == 0
  for _ in range(3):
    state = makers(0.0, critics(0.0, state, real))
    state = state.replace(step=state.step + 1)
  assert spread('gen', 'conv1_norm', 'scale', axis=0).min() > 0
  assert spread('mix', 'omega', axis=1).min() > 0


def test_a_fixed_mixture_is_the_truth_and_never_moves(bfloat16):
  made, state, _ = bfloat16
  assert set(state.params) == set(PLAYERS)
  alpha = losses.mixture(made.task.export(state)['omega'])
  np.testing.assert_allclose(alpha, made.data.facts['true_mixture'], rtol=1e-6)
  assert alpha[0, 1] == alpha[1, 0] == 0
  omega = fixed_omega({'true_mixture': [[0.5, 0.5, 0.0]]})
  np.testing.assert_allclose(omega, [[np.log(0.5), np.log(0.5), -np.inf]])


def test_components_that_a_fixed_mixture_gives_to_nobody_make_no_fakes():
  config = tiny('C_fixed', batch_size=56)
  facts = configs.system_module(config).make_data(config).facts
  steps = make_steps(config, facts)
  assert steps.num_components == 7
  np.testing.assert_array_equal(steps.counts, [19, 0, 0, 0, 0, 19, 18])  # r1, r6, r7
  component = np.asarray([0, 5, 6] * 18 + [0, 5])
  np.testing.assert_array_equal(steps.turns(jnp.arange(56)), component)
  values = jnp.asarray([10.0, 0, 0, 0, 0, 20, 60])[component]
  np.testing.assert_allclose(steps.component_mean(values, component), 30, rtol=1e-6)


def test_the_average_includes_the_statistics_and_warms_up(trained):
  made, (first, *states), _ = trained('one device')
  decay = 1 / 10  # (1 + t) / (10 + t) at t = 0
  for collection in ('params', 'batch_stats'):
    before = first.ema['gen'][collection]
    new = {'params': states[0].params, 'batch_stats': states[0].variables}
    new = new['params']['gen'] if collection == 'params' else new['batch_stats']['gen'][collection]
    expected = jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, before, new)
    assert_close(states[0].ema['gen'][collection], expected, rtol=1e-5)
  assert_same(made.task.export(states[1])['gen'], states[1].ema['gen'])


def test_export_has_no_discriminator_heads(bfloat16):
  made, state, _ = bfloat16
  exported = made.task.export(state)
  assert set(exported) == {'gen', 'trunk', 'cls', 'omega'}
  assert set(exported['trunk']['params']) == {'trunk'}
  off = make_task(tiny(ema_decay=0.0), made.data.facts)
  state = state.replace(ema=jax.eval_shape(off.init, jax.random.key(0)).ema)
  assert state.ema == {}
  assert_same(off.export(state)['gen']['params'], state.params['gen'])


def test_a_dcgan_trains_and_its_discriminator_keeps_statistics_of_real_images_only(compiled):
  facts, _, real, _, _ = compiled
  config = tiny(model__architecture='dcgan')
  steps = make_steps(config, facts)
  critics = jax.jit(lambda state, real: steps.update_critics(state, {'image': real})[0])
  makers = jax.jit(lambda state: steps.update_makers(state, {'image': real})[0])
  start = state = jax.jit(make_task(config, facts).init)(jax.random.key(0))
  for _ in range(2):
    state = makers(critics(state, real))
    state = state.replace(step=state.step + 1)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(to_numpy(state.params)))
  assert jax.tree.map(jax.typeof, start) == jax.tree.map(jax.typeof, state)
  other = {**state.params, 'gen': jax.tree.map(lambda x: 3 * x, to_numpy(state.params['gen']))}
  found = [critics(s, real).variables['disc'] for s in (state, state.replace(params=other))]
  assert_same(*found)
  mean = found[0]['batch_stats']['trunk']['conv2_norm']['mean']
  assert np.all(mean != state.variables['disc']['batch_stats']['trunk']['conv2_norm']['mean'])


# --- Config ---


@pytest.mark.parametrize(
  'variant',
  [
    f'{p}{c}_{m}'
    for p in ('', 'mnist_', 'fashion_mnist_')
    for c in 'ABC'
    for m in ('fixed', 'learned')
  ],
)
def test_every_row_of_the_table_is_a_variant(variant):
  config = configs.load(f'mmgan:{variant}')
  configs.check(config)
  if variant.startswith(('mnist', 'fashion')):
    k = 3 if 'A' in variant else 7
    assert (config.num_steps, config.batch_size) == (100_000, 32 * k)
    assert (config.optim.learning_rate, config.optim.mixture_learning_rate) == (2e-4, 4e-4)
    assert (config.optim.b1, config.optim.b2, config.loss.classifier) == (0.0, 0.9, 0.5)


@pytest.mark.parametrize(
  ('values', 'message'),
  [
    ({'batch_size': 2}, 'less than the 3 components'),
    ({'data__case': 'D'}, 'data.case'),
    ({'data__image_size': 30}, 'not one of 28, 32, 64'),
    ({'data__channels': 2}, r'must be 1 \(grey\) or 3 \(RGB\)'),
    ({'data__sets': 'a/'}, 'a single set'),
    ({'data__sets': 'a/,a/b/', 'model__mixture': 'learned'}, r'a/b lies in .*a, so both'),
    ({'model__num_components': -3}, 'must be 0 or more'),
    ({'checkpoint__best': 'eval/set_nll', 'eval_every': 2}, 'of mmgan to judge by: it has none'),
    ({'data__name': 'folders'}, 'config.data.sets is empty: name two or more folders'),
    ({'data__sets': 'a,a/', 'model__mixture': 'learned'}, 'names a folder twice'),
    ({'model__mixture': 'fix'}, 'Did you mean fixed'),
    ({'model__num_components': 4, 'batch_size': 24}, 'leave config.model.num_components at 0'),
    (
      {'model__mixture': 'from_truth', 'model__num_components': 4},
      "'from_truth' has a component for each region",
    ),
    (
      {
        'model__mixture': 'learned',
        'model__mixture_support': 'groups',
        'model__num_components': 4,
      },
      "'groups' has a component for each group",
    ),
    ({'optim__mixture_optimizer': 'rmsprop'}, 'not one of adam, sgd, mirror'),
    ({'optim__mixture_hold': 1.0}, r'must be in \[0, 1\)'),
    ({'model__gen_widths': (8, 4)}, 'gen_widths has 4 widths'),
    ({'ema_decay': 1.0}, r'must be in \[0, 1\)'),
    ({'loss__classifier': -0.5}, 'must be 0 or more'),
  ],
)
def test_impossible_values_are_refused(values, message):
  with pytest.raises(ConfigError, match=message):
    configs.check(tiny(**values))
